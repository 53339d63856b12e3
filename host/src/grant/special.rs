//! Addresses that stand for this machine, its surroundings, or services that know a machine's credentials: an address in; what
//! it stands for out. Also which IPv4 addresses an IPv6 address carries: what is said of these holds for it as well.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use ipnet::IpNet;

use super::network::network;

/// What no name leads to, and what it stands for; where that is written stands above. Services at a link-local address, as
/// most clouds have them, need no line of their own.
const SPECIAL: [(&str, &str); 24] = [
    // RFC 1122 section 3.2.1.3
    ("0.0.0.0/8", "this network"),
    ("127.0.0.0/8", "loopback"),
    // RFC 3927
    ("169.254.0.0/16", "link-local, metadata services of clouds"),
    // RFC 5771
    ("224.0.0.0/4", "multicast"),
    // RFC 1112 section 4, RFC 919
    ("240.0.0.0/4", "reserved, broadcast"),
    // https://www.alibabacloud.com/help/doc-detail/141788.htm
    ("100.100.100.200", "Alibaba Cloud's metadata service"),
    // https://docs.byteplus.com/en/docs/ecs/Viewing-instance-metadata
    ("100.96.0.96", "the metadata service of Volcano Engine and BytePlus"),
    // https://ucloud-global.com/docs/uhost/guide/metadata/metadata-server
    ("100.80.80.80", "UCloud's metadata service"),
    // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    ("168.63.129.16", "Azure's wire server"),
    // https://docs.oracle.com/en/cloud/cloud-at-customer/occ-get-started/retrieve-predefined-instance-metadata.html
    ("192.0.0.192", "Oracle Cloud's metadata service"),
    // RFC 4291 sections 2.5.2, 2.5.3 and 2.5.5.1
    ("::/96", "unspecified, loopback, IPv4-compatible"),
    // RFC 2765 section 2.1
    ("::ffff:0:0:0/96", "IPv4-translated"),
    // RFC 8215, and what lies between it and the prefix of RFC 6052
    ("64:ff9b::/32", "a network's own translation to IPv4"),
    // RFC 4380
    ("2001::/32", "Teredo"),
    // RFC 3056, given up by RFC 7526
    ("2002::/16", "6to4"),
    // RFC 4291 section 2.5.6
    ("fe80::/10", "link-local"),
    // RFC 3879
    ("fec0::/10", "site-local"),
    // RFC 4291 section 2.7
    ("ff00::/8", "multicast"),
    // https://docs.aws.amazon.com/whitepapers/latest/ipv6-on-aws/supporting-amazon-vpc-services.html
    ("fd00:ec2::/32", "Amazon's services for its machines"),
    // https://docs.cloud.google.com/compute/docs/metadata/overview
    ("fd20:ce::254", "Google Cloud's metadata service"),
    // https://github.com/oracle/oci-python-sdk, src/oci/auth/signers/instance_principals_security_token_signer.py
    ("fd00:c1::a9fe:a9fe", "Oracle Cloud's metadata service"),
    // https://docs.cloud-init.io/en/latest/reference/datasources/scaleway.html
    ("fd00:42::42", "Scaleway's metadata service"),
    // https://techdocs.akamai.com/cloud-computing/docs/metadata-service-api
    ("fd00:a9fe:a9fe::1", "Akamai's metadata service"),
    // https://github.com/canonical/cloud-init/pull/6893
    ("fd00:100::100:200", "Alibaba Cloud's metadata service"),
];

static NETWORKS: LazyLock<Option<Vec<(IpNet, &str)>>> =
    LazyLock::new(|| SPECIAL.iter().map(|(text, what)| Some((network(text)?, *what))).collect());

/// What the address stands for, if it is special.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    if let IpAddr::V6(v6) = address {
        let carried = carried(v6).into_iter().find_map(|v4| special(v4.into()));
        // NAT64 is the way to IPv4 where a network has none itself: what the address carries decides alone.
        if carried.is_some() || matches!(v6.segments(), [0x64, 0xff9b, 0, 0, 0, 0, ..]) {
            return carried;
        }
    }
    // A table that cannot be read refuses everything.
    let Some(networks) = NETWORKS.as_ref() else { return Some("not known") };
    networks.iter().find(|(network, _)| network.contains(&address)).map(|(_, what)| *what)
}

/// The IPv4 addresses that the address carries, by each form that has one. A translator with a prefix of a network's own, out
/// of its other addresses, cannot be recognised.
pub(super) fn carried(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let octets = address.octets();
    let at = |places: [usize; 4]| {
        Ipv4Addr::from(places.map(|place| octets.get(place).copied().unwrap_or_default()))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // IPv4-compatible, mapped and translated; the well-known prefix of RFC 6052.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            vec![at([12, 13, 14, 15])]
        }
        // RFC 8215: a translator's prefix in it has one of these lengths, and RFC 6052 section 2.2 says where the address is.
        [0x64, 0xff9b, 1, ..] => {
            vec![at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), at([12, 13, 14, 15])]
        }
        // 6to4.
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        // Teredo: the server's, and turned round the client's (RFC 4380 section 4).
        [0x2001, 0, ..] => vec![at([4, 5, 6, 7]), Ipv4Addr::from_bits(!at([12, 13, 14, 15]).to_bits())],
        // ISATAP (RFC 5214 section 6.1).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![at([12, 13, 14, 15])],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(address: &str) -> Option<&'static str> {
        special(address.parse().unwrap())
    }

    #[test]
    fn every_line_of_the_table_is_a_network() {
        for (text, _) in SPECIAL {
            assert!(network(text).is_some(), "{text}");
        }
        assert!(NETWORKS.is_some());
    }

    #[test]
    fn services_that_know_credentials_are_special_wherever_they_are() {
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd00:ec2:ffff::",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "fd00:100::100:200",
        ] {
            assert!(what(address).is_some(), "{address}");
        }
        for address in ["100.100.100.201", "168.63.129.17", "192.0.0.193", "fd20:ce::255", "fd00:43::42"] {
            assert_eq!(what(address), None, "{address}");
        }
    }

    #[test]
    fn a_form_that_carries_a_special_address_is_special() {
        for address in [
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "::ffff:0:192.0.2.25",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::a83f:8110",
            "64:ff9b:1::c000:219",
            "2002:a9fe:a9fe::1",
            "2002:c000:219::1",
            "2001:0:c000:201:0:63bf:3f57:fdf0",
            "2001:db8::5efe:a9fe:a9fe",
            "2001:db8::200:5efe:7f00:1",
            "fec0::1",
        ] {
            assert!(what(address).is_some(), "{address}");
        }
        for address in ["64:ff9b::c000:219", "::ffff:192.0.2.25", "2001:db8::5efe:c000:219", "2001:db8::25"] {
            assert_eq!(what(address), None, "{address}");
        }
    }

    #[test]
    fn what_is_carried_is_found_where_the_form_has_it() {
        let found = |address: &str| carried(address.parse().unwrap());
        let expected: Ipv4Addr = "10.1.2.3".parse().unwrap();
        for address in [
            "::10.1.2.3",
            "::ffff:10.1.2.3",
            "::ffff:0:10.1.2.3",
            "64:ff9b::10.1.2.3",
            "64:ff9b:1:a01:2:300::",
            "64:ff9b:1:ff0a:1:203::",
            "64:ff9b:1:ffff:a:102:300:0",
            "64:ff9b:1::10.1.2.3",
            "2002:a01:203::1",
            "2001:0:a01:203::",
            "2001:0:c000:201:0:0:f5fe:fdfc",
            "2001:db8::5efe:10.1.2.3",
        ] {
            assert!(found(address).contains(&expected), "{address}: {:?}", found(address));
        }
        assert_eq!((found("::"), found("::1"), found("2001:db8::a01:203")), (vec![], vec![], vec![]));
    }
}
