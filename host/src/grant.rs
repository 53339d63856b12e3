//! What a job lets its check reach: one host and one port, and whatever else it grants, but of a name's addresses none
//! that stands for this machine or its surroundings unless it was granted in so many words, and nothing that the operator
//! denies to all jobs. A name or address in; yes, or why not, out.

mod deny;
mod network;
mod special;

use std::{fmt, net::IpAddr, ops::RangeInclusive, str::FromStr};

use ipnet::IpNet;

pub use self::deny::Deny;
use self::{network::network, special::special};
use crate::host::{Host, Named};

/// One host, or network of addresses, and its ports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    hosts: Hosts,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Hosts {
    /// In the form in which names are compared.
    Name(String),
    Addresses(IpNet),
}

/// Not an endpoint that can be granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoEndpoint;

impl fmt::Display for NoEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an endpoint such as \"tcp://cache.example.org:6379\", \"tcp://10.1.0.0/16:6379-6389\" or \"tcp://[::1]:25\"",
        )
    }
}

impl std::error::Error for NoEndpoint {}

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        let (host, ports) =
            text.strip_prefix("tcp://").and_then(|rest| rest.rsplit_once(':')).ok_or(NoEndpoint)?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or(NoEndpoint);
        let ports = port(first)?..=port(last)?;
        if ports.is_empty() {
            return Err(NoEndpoint);
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let hosts = match bracketed {
            Some(v6) if v6.contains(':') => addresses(v6).ok_or(NoEndpoint)?,
            Some(_) => return Err(NoEndpoint),
            None => addresses(host).or_else(|| name(host)).ok_or(NoEndpoint)?,
        };
        Ok(Self { hosts, ports })
    }
}

impl Hosts {
    fn of(host: &Host) -> Self {
        match host.named() {
            Named::Address(address) => Self::Addresses(address.to_canonical().into()),
            Named::Name(name) => Self::Name(name.clone()),
        }
    }
}

fn addresses(text: &str) -> Option<Hosts> {
    network(text).map(Hosts::Addresses)
}

/// Refuses what was meant to be an address or a URL.
fn name(text: &str) -> Option<Hosts> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let has_letter = text.contains(|c: char| c.is_ascii_alphabetic());
    let host: Host = text.parse().ok().filter(|_| has_letter && text.chars().all(legal))?;
    Some(Hosts::of(&host))
}

impl Endpoint {
    /// This host, by name or address, at this port.
    #[must_use]
    pub fn new(host: &Host, port: u16) -> Self {
        Self { hosts: Hosts::of(host), ports: port..=port }
    }

    fn covers(&self, host: &Host, port: u16) -> bool {
        self.covers_host(host) && self.ports.contains(&port)
    }

    /// At some port.
    fn covers_host(&self, host: &Host) -> bool {
        match (&self.hosts, host.named()) {
            (Hosts::Name(granted), Named::Name(name)) => granted == name,
            (Hosts::Addresses(network), Named::Address(address)) => network.contains(&address.to_canonical()),
            _ => false,
        }
    }

    /// Names this very address: a network is not so many words.
    fn names(&self, address: IpAddr, port: u16) -> bool {
        let named = match &self.hosts {
            Hosts::Name(name) => name == "localhost" && address.is_loopback(),
            Hosts::Addresses(network) => {
                network.prefix_len() == network.max_prefix_len() && network.contains(&address)
            }
        };
        named && self.ports.contains(&port)
    }
}

/// All that a job grants, and the operator does not deny.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// The job's own host and port.
    target: Option<Endpoint>,
    more: Vec<Endpoint>,
    deny: Deny,
}

/// Why an address of a granted endpoint is not connected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The operator denies it.
    Denied,
    /// It stands for this, and was not granted itself.
    Special(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("which `deny` of the configuration forbids"),
            Self::Special(what) => write!(f, "which must be granted by address ({what})"),
        }
    }
}

impl Grant {
    /// Grants the job's target, and more.
    #[must_use]
    pub fn new(host: &Host, port: Option<u16>, more: &[Endpoint]) -> Self {
        let target = port.map(|port| Endpoint::new(host, port));
        Self { target, more: more.to_vec(), deny: Deny::default() }
    }

    /// Grants nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Without what is denied, whatever is granted.
    #[must_use]
    pub fn denying(self, deny: &Deny) -> Self {
        Self { deny: deny.clone(), ..self }
    }

    fn granted(&self) -> impl Iterator<Item = &Endpoint> {
        self.target.iter().chain(&self.more)
    }

    /// The endpoint is granted.
    #[must_use]
    pub fn covers(&self, host: &Host, port: u16) -> bool {
        self.granted().any(|granted| granted.covers(host, port))
    }

    /// The job's own host, at whatever port, and not one that it grants besides.
    #[must_use]
    pub fn is_own(&self, host: &Host) -> bool {
        self.target.as_ref().is_some_and(|target| target.covers_host(host))
    }

    /// Refuses an address that the host of a granted endpoint resolved to.
    pub fn judge(&self, host: &Host, address: IpAddr, port: u16) -> Result<(), Refusal> {
        if self.deny.covers(address) {
            return Err(Refusal::Denied);
        }
        let address = address.to_canonical();
        // `localhost` speaks for itself only: another name that leads here is not granted by it.
        let localhost =
            |granted: &Endpoint| matches!(granted.hosts, Hosts::Name(_)) && !granted.covers(host, port);
        let named = self.granted().any(|granted| !localhost(granted) && granted.names(address, port));
        match special(address) {
            Some(what) if !named => Err(Refusal::Special(what)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn allows(name: &str, address: &str) -> bool {
        let host = host(name);
        Grant::new(&host, Some(25), &[]).judge(&host, address.parse().unwrap(), 25).is_ok()
    }

    #[test]
    fn only_the_named_host_and_port_are_granted() {
        let grant = Grant::new(&host("MX1.example.org."), Some(25), &[]);
        assert!(grant.covers(&host("mx1.example.org"), 25));
        assert!(!grant.covers(&host("mx1.example.org"), 26));
        assert!(!grant.covers(&host("mx2.example.org"), 25));
        assert!(!Grant::none().covers(&host("mx1.example.org"), 0));
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
            "::ffff:0:127.0.0.1",
            "100.100.100.200",
            "100.96.0.96",
            "100.80.80.80",
            "168.63.129.16",
            "fd20:ce::254",
            "fec0::1",
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
        assert!(allows("168.63.129.16", "168.63.129.16"));
        assert!(allows("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe"));
        assert!(!allows("169.254.169.254", "64:ff9b::a9fe:a9fe"));
        assert!(!allows("127.0.0.1", "127.0.0.2"));
    }

    fn granted(more: &[&str]) -> Grant {
        let more: Vec<Endpoint> = more.iter().map(|text| text.parse().unwrap()).collect();
        Grant::new(&host("mx1.example.org"), Some(25), &more)
    }

    #[test]
    fn more_is_granted_by_name_address_or_network_and_by_port() {
        let grant = granted(&[
            "tcp://cache-2.example.org:6379",
            "tcp://10.1.0.0/16:6379-6389",
            "tcp://[2001:db8::/32]:53",
        ]);
        for (name, port, expected) in [
            ("mx1.example.org", 25, true),
            ("Cache-2.example.org.", 6379, true),
            ("cache-2.example.org", 6380, false),
            ("cache-3.example.org", 6379, false),
            ("10.1.255.1", 6389, true),
            ("::ffff:10.1.0.1", 6379, true),
            ("10.1.0.1", 6390, false),
            ("10.2.0.1", 6379, false),
            ("2001:db8::7", 53, true),
            // A name is not granted by the network that it may lead to.
            ("in-that-network.example.org", 6379, false),
        ] {
            assert_eq!(grant.covers(&host(name), port), expected, "{name} {port}");
        }
    }

    #[test]
    fn special_addresses_are_granted_only_in_so_many_words() {
        let allows = |more: &[&str], name: &str, address: &str| {
            let (grant, host) = (granted(more), host(name));
            grant.covers(&host, 80) && grant.judge(&host, address.parse().unwrap(), 80).is_ok()
        };
        assert!(allows(&["tcp://169.254.169.254:80"], "169.254.169.254", "169.254.169.254"));
        assert!(allows(&["tcp://localhost:80"], "localhost", "127.0.0.1"));
        assert!(!allows(&["tcp://127.0.0.0/8:80"], "127.0.0.1", "127.0.0.1"));
        assert!(!allows(&["tcp://0.0.0.0/0:80"], "169.254.169.254", "169.254.169.254"));
        // A granted name that leads here: only where the address is granted as well.
        assert!(!allows(&["tcp://a.example.org:80"], "a.example.org", "127.0.0.1"));
        assert!(!allows(&["tcp://a.example.org:80", "tcp://localhost:80"], "a.example.org", "127.0.0.1"));
        assert!(allows(&["tcp://a.example.org:80", "tcp://127.0.0.1:80"], "a.example.org", "127.0.0.1"));
        assert!(!allows(&["tcp://a.example.org:80", "tcp://127.0.0.1:81"], "a.example.org", "127.0.0.1"));
    }

    #[test]
    fn what_is_denied_no_grant_brings_back() {
        let deny = Deny::new(&["10.0.0.0/8".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let judged = |name: &str, more: &[&str], address: &str| {
            let host = host(name);
            let more: Vec<Endpoint> = more.iter().map(|text| text.parse().unwrap()).collect();
            let grant = Grant::new(&host, Some(25), &more).denying(&deny);
            grant.judge(&host, address.parse().unwrap(), 25)
        };
        for (host, more, address) in [
            ("mx1.example.org", &["tcp://10.1.0.1:25", "tcp://10.0.0.0/8:25"][..], "10.1.0.1"),
            ("10.1.0.1", &[], "10.1.0.1"),
            ("::ffff:10.1.0.1", &[], "::ffff:10.1.0.1"),
            ("64:ff9b::a01:1", &[], "64:ff9b::a01:1"),
            ("localhost", &["tcp://127.0.0.1:25"], "127.0.0.1"),
        ] {
            assert_eq!(judged(host, more, address), Err(Refusal::Denied), "{host}");
        }
        assert_eq!(judged("mx1.example.org", &[], "192.0.2.25"), Ok(()));
        assert_eq!(judged("localhost", &[], "::1"), Ok(()));
    }

    #[test]
    fn the_jobs_own_host_is_told_from_others() {
        let grant = granted(&["tcp://cache.example.org:25", "tcp://192.0.2.25:25"]);
        assert!(grant.is_own(&host("MX1.example.org.")));
        assert!(!grant.is_own(&host("cache.example.org")) && !grant.is_own(&host("192.0.2.25")));
        assert!(Grant::new(&host("::ffff:192.0.2.25"), Some(25), &[]).is_own(&host("192.0.2.25")));
        assert!(!Grant::none().is_own(&host("mx1.example.org")));
    }

    #[test]
    fn a_network_of_ipv4_may_be_written_as_one_of_ipv6() {
        let grant = granted(&["tcp://[::ffff:10.1.0.0/112]:25"]);
        assert!(grant.covers(&host("10.1.255.1"), 25) && !grant.covers(&host("10.2.0.1"), 25));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "cache.example.org:6379",
            "udp://cache.example.org:53",
            "tcp://cache.example.org",
            "tcp://cache.example.org:0",
            "tcp://cache.example.org:70000",
            "tcp://cache.example.org:9-8",
            "tcp://:80",
            "tcp://*:80",
            "tcp://user@cache.example.org:80",
            "tcp://cache.example.org:80/",
            "tcp://10.1.0.0/33:80",
            "tcp://10.1.0.300:80",
            "tcp://[cache]:80",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint), "{text}");
        }
    }
}
