//! What an operator closes to all jobs: networks and addresses as text in; whether an address is one of theirs out. Refuses what
//! is neither.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::IpNet;

use super::{network::network, special::carried};

/// Networks that nothing connects to, whatever a job grants.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Deny(Arc<[IpNet]>);

impl Deny {
    /// Reads networks (`10.0.0.0/8`) and addresses; gives the first text that is neither.
    pub fn new(texts: &[String]) -> Result<Self, &str> {
        texts
            .iter()
            .map(|text| network(text).ok_or(text.as_str()))
            .collect::<Result<Vec<_>, _>>()
            .map(|all| Self(all.into()))
    }

    /// In whatever form it is written: also an IPv6 address that carries a denied one.
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        let named = |address: IpAddr| self.0.iter().any(|network| network.contains(&address));
        // Who connects to the unspecified address comes to this machine's own.
        let covers = |address: IpAddr| {
            named(address)
                || match address {
                    IpAddr::V4(v4) => v4.is_unspecified() && named(Ipv4Addr::LOCALHOST.into()),
                    IpAddr::V6(v6) => v6.is_unspecified() && named(Ipv6Addr::LOCALHOST.into()),
                }
        };
        let carries = match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(v6) => carried(v6).into_iter().any(|v4| covers(v4.into())),
        };
        covers(address) || carries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deny(texts: &[&str]) -> Result<Deny, String> {
        let texts: Vec<String> = texts.iter().copied().map(Into::into).collect();
        Deny::new(&texts).map_err(ToOwned::to_owned)
    }

    #[test]
    fn the_unspecified_address_is_this_machine() {
        let deny = deny(&["127.0.0.0/8", "::1"]).unwrap();
        for address in ["0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::"] {
            assert!(deny.covers(address.parse().unwrap()), "{address}");
        }
        assert!(!deny.covers("0.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_denied_network_is_denied_in_every_form() {
        let deny = deny(&["10.0.0.0/8", "192.0.2.25", "fd00::/8", "::ffff:198.51.100.0/120"]).unwrap();
        for address in [
            "10.1.2.3",
            "192.0.2.25",
            "fd12::1",
            "198.51.100.7",
            "::ffff:10.1.2.3",
            "::ffff:0:10.1.2.3",
            "::10.1.2.3",
            "64:ff9b::a01:203",
            "64:ff9b:1::a01:203",
            "64:ff9b:1:a01:2:300::",
            "2002:a01:203::1",
            "2001:0:c000:201:0:0:f5fe:fdfc",
        ] {
            assert!(deny.covers(address.parse().unwrap()), "{address}");
        }
        for address in ["11.0.0.1", "192.0.2.26", "2001:db8::1", "::ffff:11.0.0.1", "64:ff9b::b00:1", "::1"] {
            assert!(!deny.covers(address.parse().unwrap()), "{address}");
        }
        assert!(!Deny::default().covers("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_neither_network_nor_address_is_refused() {
        for text in
            ["10.0.0.0/33", "10.0.0", "mx1.example.org", "[fd00::]/8", "fd00::/129", "", "*", "fe80::1%eth0"]
        {
            assert_eq!(deny(&["10.0.0.0/8", text]), Err(text.to_owned()));
        }
    }
}
