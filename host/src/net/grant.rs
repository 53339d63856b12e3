//! What a job lets its check reach: one host and one port, and of that host's addresses none that stands for this machine
//! or its surroundings unless it was named so. A name or address in, yes or no out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A job's grant.
#[derive(Clone, Debug)]
pub struct Grant {
    host: String,
    port: u16,
}

/// Amazon's metadata service over IPv6, in a range that is otherwise private.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl Grant {
    /// Grants a host, by name or address, and a port.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: normal(host), port }
    }

    /// Grants nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { host: String::new(), port: 0 }
    }

    /// The endpoint is the granted one.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        self.port != 0 && self.port == port && self.host == normal(host)
    }

    /// An address that the host resolved to may be connected to.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if let Ok(literal) = self.host.parse::<IpAddr>() {
            return literal.to_canonical() == address;
        }
        if address.is_loopback() {
            return self.host == "localhost";
        }
        match address {
            IpAddr::V4(v4) => !special_v4(v4),
            IpAddr::V6(v6) => {
                // Forms that carry an IPv4 address past the check. NAT64 is the way to IPv4 where a network has none
                // itself, so that what it carries decides; the others are not used any more, or not between hosts.
                let carrier = match v6.segments() {
                    [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
                        let [.., a, b, c, d] = v6.octets();
                        let carried = Ipv4Addr::new(a, b, c, d);
                        carried.is_loopback() || special_v4(carried)
                    }
                    [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..] | [0, 0, 0, 0, 0, 0, _, _] => true,
                    _ => false,
                };
                !(v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unicast_link_local()
                    || v6 == METADATA_V6
                    || carrier)
            }
        }
    }
}

/// Link-local, hence metadata services; multicast, "this network", reserved and broadcast.
fn special_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    address.is_link_local() || address.is_multicast() || first == 0 || first >= 240
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(host: &str, address: &str) -> bool {
        Grant::new(host, 25).allows(address.parse().unwrap())
    }

    #[test]
    fn only_the_named_host_and_port_are_granted() {
        let grant = Grant::new("MX1.example.org.", 25);
        assert!(grant.covers("mx1.example.org", 25));
        assert!(!grant.covers("mx1.example.org", 26));
        assert!(!grant.covers("mx2.example.org", 25));
        assert!(!Grant::none().covers("", 0));
    }

    #[test]
    fn a_name_does_not_lead_to_this_machine_or_its_metadata() {
        for address in [
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b:1::c000:219",
            "2002:7f00:1::",
        ] {
            assert!(!allows("mx1.example.org", address), "{address}");
        }
        assert!(allows("mx1.example.org", "192.0.2.25"));
        assert!(allows("mx1.example.org", "10.0.0.1"));
        assert!(allows("mx1.example.org", "2001:db8::25"));
        assert!(allows("mx1.example.org", "64:ff9b::c000:219"));
    }

    #[test]
    fn what_is_named_outright_is_granted() {
        assert!(allows("localhost", "127.0.0.1"));
        assert!(allows("LOCALHOST.", "::1"));
        assert!(!allows("localhost", "169.254.169.254"));
        assert!(!allows("mx1.localhost", "127.0.0.1"));
        assert!(allows("::ffff:127.0.0.1", "127.0.0.1"));
        assert!(allows("169.254.169.254", "169.254.169.254"));
        assert!(allows("::1", "::1"));
        assert!(!allows("127.0.0.1", "127.0.0.2"));
    }
}
