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
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse::<u16>().ok().filter(|port| is_number(text) && *port != 0);
        let port = |text: &str| number(text).ok_or(NoEndpoint);
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
    let legal = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let has_letter = text.contains(char::is_alphabetic);
    let host: Host = text.parse().ok().filter(|_| has_letter && text.chars().all(legal))?;
    Some(Hosts::of(&host))
}

impl Endpoint {
    /// This host, by name or address, at this port; none: at no port.
    #[must_use]
    pub fn new(host: &Host, port: Option<u16>) -> Self {
        #[expect(clippy::reversed_empty_ranges, reason = "it has no port in it")]
        let ports = port.map_or(1..=0, |port| port..=port);
        Self { hosts: Hosts::of(host), ports }
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
    /// Its further endpoints.
    named: Vec<Endpoint>,
    more: Vec<Endpoint>,
    deny: Deny,
}

/// Whose a granted endpoint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The job's own: its host at its port, or, where it has none, at any that is granted.
    Own,
    /// The job's own host at another port, which it grants besides.
    OwnHost,
    /// The further endpoint in this place: its host at its port, or, where it has none, at any that is granted.
    Named(usize),
    /// What it grants without a name.
    Elsewhere,
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
        let target = Some(Endpoint::new(host, port));
        Self { target, named: Vec::new(), more: more.to_vec(), deny: Deny::default() }
    }

    /// And its further endpoints, each a host and its port.
    #[must_use]
    pub fn naming<'a>(self, endpoints: impl Iterator<Item = (&'a Host, Option<u16>)>) -> Self {
        Self { named: endpoints.map(|(host, port)| Endpoint::new(host, port)).collect(), ..self }
    }

    /// Without what is denied, whatever is granted.
    #[must_use]
    pub fn denying(self, deny: &Deny) -> Self {
        Self { deny: deny.clone(), ..self }
    }

    fn granted(&self) -> impl Iterator<Item = &Endpoint> {
        self.target.iter().chain(&self.named).chain(&self.more)
    }

    /// The endpoint is granted.
    #[must_use]
    pub fn covers(&self, host: &Host, port: u16) -> bool {
        self.granted().any(|granted| granted.covers(host, port))
    }

    /// Whose a granted endpoint is: what the job names comes before what it only grants, and its own before the others.
    #[must_use]
    pub fn whose(&self, host: &Host, port: u16) -> Whose {
        let own = self.target.as_ref().filter(|target| target.covers_host(host));
        if own.is_some_and(|own| own.covers(host, port)) {
            return Whose::Own;
        }
        if let Some(place) = self.named.iter().position(|named| named.covers(host, port)) {
            return Whose::Named(place);
        }
        if own.is_some_and(|own| own.ports.is_empty()) {
            return Whose::Own;
        }
        let without_port = |named: &Endpoint| named.ports.is_empty() && named.covers_host(host);
        match self.named.iter().position(without_port) {
            Some(place) => Whose::Named(place),
            None if own.is_some() => Whose::OwnHost,
            None => Whose::Elsewhere,
        }
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
mod tests;
