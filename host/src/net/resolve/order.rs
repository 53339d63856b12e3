//! Which of a name's addresses is tried first: addresses in; the same out, in the order of RFC 6724 section 6, as `getaddrinfo`
//! gives them. What cannot be reached from here, such as IPv6 where there is none, comes last.
//!
//! Rule 9, the longest common prefix, is left out: it would undo what name servers do to share a load.

use std::{
    cmp::Reverse,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
};

/// In their order.
pub(super) fn in_order(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    by_sources(addresses, source)
}

/// From where it would be reached: the kernel tells, and nothing is sent.
fn source(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Any port does.
    socket.connect((to, 53)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn by_sources(mut addresses: Vec<IpAddr>, source: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<IpAddr> {
    if addresses.len() > 1 {
        addresses.sort_by_cached_key(|address| {
            let (own, from) = (Policy::of(*address), source(*address).map(Policy::of));
            let is_reached = from.is_some();
            let fits = from.is_some_and(|from| from.scope == own.scope);
            let is_alike = from.is_some_and(|from| from.label == own.label);
            Reverse((is_reached, fits, is_alike, own.precedence, Reverse(own.scope)))
        });
    }
    addresses
}

/// What RFC 6724 says of an address, section 2.1, and section 3.1 of its scope.
#[derive(Clone, Copy)]
struct Policy {
    precedence: u8,
    label: u8,
    scope: u8,
}

impl Policy {
    fn of(address: IpAddr) -> Self {
        let (precedence, label) = match address {
            IpAddr::V4(_) => (35, 4),
            IpAddr::V6(address) => match address.segments() {
                [0, 0, 0, 0, 0, 0, 0, 1] => (50, 0),
                [0, 0, 0, 0, 0, 0xffff, ..] => (35, 4),
                [0x2002, ..] => (30, 2),
                [0x2001, 0, ..] => (5, 5),
                [first, ..] if first & 0xfe00 == 0xfc00 => (3, 13),
                [0, 0, 0, 0, 0, 0, ..] => (1, 3),
                [first, ..] if first & 0xffc0 == 0xfec0 => (1, 11),
                [0x3ffe, ..] => (1, 12),
                _ => (40, 1),
            },
        };
        let is_local = match address {
            IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
            IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
        };
        Self { precedence, label, scope: if is_local { 0x2 } else { 0xe } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(addresses: &[&str], sources: &[(&str, &str)]) -> Vec<String> {
        let parsed = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let source = |to: IpAddr| {
            let known = sources.iter().find(|(address, _)| *address == to.to_string());
            known.map(|(_, source)| source.parse().unwrap())
        };
        by_sources(parsed, source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_can_be_reached_comes_first_and_then_the_newer_family() {
        let both = [("2001:db8::1", "2001:db8::2"), ("198.51.100.1", "198.51.100.117")];
        assert_eq!(ordered(&["198.51.100.1", "2001:db8::1"], &both), ["2001:db8::1", "198.51.100.1"]);
        assert_eq!(ordered(&["2001:db8::1", "198.51.100.1"], &both[1..]), ["198.51.100.1", "2001:db8::1"]);
        // Those with which RFC 6724 explains itself, in 10.2.
        let link_local = [("2001:db8::1", "fe80::1"), ("198.51.100.1", "198.51.100.117")];
        assert_eq!(ordered(&["2001:db8::1", "198.51.100.1"], &link_local), ["198.51.100.1", "2001:db8::1"]);
        let unique_local = [("2001:db8::1", "fc00::1"), ("198.51.100.1", "10.0.0.1")];
        assert_eq!(ordered(&["2001:db8::1", "198.51.100.1"], &unique_local), ["198.51.100.1", "2001:db8::1"]);
        let private = [("10.1.2.3", "10.1.2.4"), ("2001:db8::1", "2001:db8::2")];
        assert_eq!(ordered(&["10.1.2.3", "2001:db8::1"], &private), ["2001:db8::1", "10.1.2.3"]);
    }

    #[test]
    fn a_server_that_shares_a_load_decides_between_equals() {
        let sources = [("10.9.9.9", "10.0.0.7"), ("10.0.0.1", "10.0.0.7")];
        assert_eq!(ordered(&["10.9.9.9", "10.0.0.1"], &sources), ["10.9.9.9", "10.0.0.1"]);
        assert_eq!(in_order(vec!["127.0.0.2".parse().unwrap()]), ["127.0.0.2".parse::<IpAddr>().unwrap()]);
    }
}
