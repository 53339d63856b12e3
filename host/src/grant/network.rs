//! Networks as text in; as one of IPv4 or IPv6 out. Refuses what is neither a network nor an address.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Bits in front of an IPv4 address that is written as one of IPv6 (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A network or a single address; one of IPv4 also where it is written as one of IPv6.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => text.parse::<IpNet>().ok()?.trunc(),
    };
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED_BITS)),
        IpNet::V4(_) => None,
    };
    match mapped {
        Some((address, prefix_len)) => Ipv4Net::new(address, prefix_len).ok().map(IpNet::V4),
        None => Some(network),
    }
}
