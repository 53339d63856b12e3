//! A host as people name it: text in; an address, or a name in the one form in which names are compared, out. Pure. Refuses what
//! is neither, such as a URL.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::text;

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    written: String,
    named: Named,
}

/// What it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Named {
    /// As it was written: also one of IPv4 in the form of IPv6.
    Address(IpAddr),
    /// Lower case, without a dot at its end.
    Name(String),
}

/// Neither a name nor an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoHost;

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host name or address, without port")
    }
}

impl std::error::Error for NoHost {}

impl FromStr for Host {
    type Err = NoHost;

    /// IPv6 without brackets.
    fn from_str(text: &str) -> Result<Self, NoHost> {
        let legal = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '@' | '[' | ']');
        if text.is_empty() || text.len() > text::TEXT_BYTES || !text.chars().all(legal) {
            return Err(NoHost);
        }
        let named = match text.parse() {
            Ok(address) => Named::Address(address),
            Err(_) => Named::Name(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase()),
        };
        Ok(Self { written: text.to_owned(), named })
    }
}

impl Host {
    /// What it is, to be compared.
    #[must_use]
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// As it was named: for people, and for the resolver, to which a dot at the end says something.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form_and_stays_as_it_was_written() {
        let host: Host = "MX1.example.org.".parse().unwrap();
        assert_eq!(*host.named(), Named::Name("mx1.example.org".to_owned()));
        assert_eq!(host.to_string(), "MX1.example.org.");
        let host: Host = "::FFFF:127.0.0.1".parse().unwrap();
        assert_eq!(*host.named(), Named::Address("::ffff:127.0.0.1".parse().unwrap()));
        assert_eq!(host.written(), "::FFFF:127.0.0.1");
    }

    #[test]
    fn what_is_neither_name_nor_address_is_refused() {
        let long = "a".repeat(text::TEXT_BYTES + 1);
        for text in ["", "a b", "a\0b", "[::1]", "user@mx1", "https://mx1", "mx1/", "mü1", &long] {
            assert_eq!(text.parse::<Host>().err(), Some(NoHost), "{text}");
        }
    }
}
