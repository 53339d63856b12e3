//! A host as people name it: text in; an address, or a name in the one form in which names are compared, out. Pure. Refuses what
//! is neither, such as a URL, and what a resolver would take for an address that nobody sees in it.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use crate::text;

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    written: String,
    ascii: String,
    named: Named,
}

/// What it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Named {
    /// As it was written: also one of IPv4 in the form of IPv6.
    Address(IpAddr),
    /// In the letters of DNS, lower case, without a dot at its end.
    Name(String),
}

/// Neither a name nor an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoHost {
    /// A host, and a port behind it.
    Port,
    /// It ends in a number, as an address does, and is none.
    Number,
    /// It has letters beyond ASCII that DNS has no form of.
    Letters,
    /// Anything else.
    Other,
}

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Port | Self::Other => "a host name or address, without port",
            Self::Number => {
                "a host name or address: what ends in a number is no name, and this is no address"
            }
            Self::Letters => "a host name whose letters DNS has a form of (UTS 46)",
        })
    }
}

impl std::error::Error for NoHost {}

impl FromStr for Host {
    type Err = NoHost;

    /// IPv6 without brackets.
    fn from_str(text: &str) -> Result<Self, NoHost> {
        let (ascii, named) = if let Ok(address) = text.parse() {
            (text.into(), Named::Address(address))
        } else {
            let ascii = ascii(text)?;
            let name = name(&ascii)?;
            (ascii, Named::Name(name))
        };
        Ok(Self { written: text.to_owned(), ascii: ascii.into_owned(), named })
    }
}

/// IPv6 is often written in them.
pub(crate) fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(text)
}

/// As a URL has them: an IPv6 address in brackets (RFC 3986 section 3.2.2).
pub(crate) fn with_port(host: &str, port: impl fmt::Display) -> String {
    if host.parse::<Ipv6Addr>().is_ok() { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// In the letters of DNS (UTS 46); a dot at the end stays.
fn ascii(text: &str) -> Result<Cow<'_, str>, NoHost> {
    if text.is_ascii() {
        return Ok(text.into());
    }
    // Hidden characters vanish when it is converted, and stay in what is shown.
    if text::clean(text) != text {
        return Err(NoHost::Other);
    }
    idna::domain_to_ascii(text).map(Cow::Owned).map_err(|_| NoHost::Letters)
}

fn name(text: &str) -> Result<String, NoHost> {
    if !is_name(text) {
        let parted = text.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
        let before_port = |host: &str| is_name(host) || host.starts_with('[') && host.ends_with(']');
        let is_port = parted.is_some_and(|(host, _)| before_port(host));
        return Err(if is_port { NoHost::Port } else { NoHost::Other });
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.rsplit('.').next().is_some_and(is_number) {
        return Err(NoHost::Number);
    }
    Ok(name)
}

/// By its characters, whatever they mean.
fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    text.len() <= text::TEXT_BYTES && labels.all(|label| !label.is_empty() && label.chars().all(legal))
}

/// `127.1`, `2130706433` and `0x7f000001` are 127.0.0.1 to a resolver, and no domain at the top is a number (RFC 3696
/// section 2).
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.chars().all(|c| c.is_ascii_hexdigit()),
        None => label.chars().all(|c| c.is_ascii_digit()),
    }
}

impl Host {
    /// As people write it: IPv6 also in brackets.
    pub fn bracketed(text: &str) -> Result<Self, NoHost> {
        without_brackets(text).parse()
    }

    /// What it is, to be compared.
    #[must_use]
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// As it was named, for people.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// For the resolver, to which a dot at the end says something, and for TLS.
    #[must_use]
    pub fn ascii(&self) -> &str {
        &self.ascii
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
    fn letters_beyond_ascii_are_converted_for_dns_and_shown_as_they_were_written() {
        for (text, ascii) in [
            ("Bücher.example", "xn--bcher-kva.example"),
            ("bücher.example.", "xn--bcher-kva.example."),
            ("почта.рф", "xn--80a1acny.xn--p1ai"),
            ("mx1。example", "mx1.example"),
            ("straße.example", "xn--strae-oqa.example"),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!((host.ascii(), host.written()), (ascii, text));
            assert_eq!(*host.named(), Named::Name(ascii.trim_end_matches('.').to_owned()));
        }
        for text in ["a\u{5d0}b.example", "\u{301}a.example", "\u{e000}.example"] {
            assert_eq!(text.parse::<Host>().err(), Some(NoHost::Letters), "{text}");
        }
        for text in ["mü\u{ad}1", "mü\u{202e}1", "mü 1", "mü/1", "münchen.example:25/", "ü@example"] {
            assert_eq!(text.parse::<Host>().err(), Some(NoHost::Other), "{text}");
        }
        assert_eq!("bücher.example:25".parse::<Host>().err(), Some(NoHost::Port));
        // An address in other digits.
        assert_eq!("１２７.０.０.１".parse::<Host>().err(), Some(NoHost::Number));
    }

    #[test]
    fn what_is_neither_name_nor_address_is_refused() {
        let long = "a".repeat(text::TEXT_BYTES + 1);
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "a b",
            "a\0b",
            "a,b",
            "[::1]",
            "user@mx1",
            "https://mx1",
            "mx1/",
            "*.mx1",
            "mx1:",
            "::1::",
            "mx1:smtp",
            "fe80::1%eth0",
            &long,
        ] {
            assert_eq!(text.parse::<Host>().err(), Some(NoHost::Other), "{text}");
        }
        for text in ["mx1.example.org:25", "192.0.2.25:25", "[::1]:25", "mx1.:65535"] {
            assert_eq!(text.parse::<Host>().err(), Some(NoHost::Port), "{text}");
        }
        for text in [
            "300.1.1.1",
            "127.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "mx1.0x7f",
            "mx1.0x",
            "017.0.0.1",
        ] {
            assert_eq!(text.parse::<Host>().err(), Some(NoHost::Number), "{text}");
        }
        for text in ["1.mx1", "0x7f.mx1", "3com", "0xmx", "_25._tcp.mx1", "xn--p1ai", "localhost"] {
            assert!(text.parse::<Host>().is_ok(), "{text}");
        }
    }
}
