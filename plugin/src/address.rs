//! Mail addresses and domains as servers take them (RFC 5321 section 4.1.2): a parameter's text in; whether it is one out.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest domain, and with it the longest address literal (RFC 5321 section 4.5.3.1.2).
const DOMAIN_BYTES: usize = 255;
/// The longest mailbox: a path without its angle brackets (RFC 5321 section 4.5.3.1.3).
const ADDRESS_BYTES: usize = 254;
/// The longest local part (RFC 5321 section 4.5.3.1.1).
const LOCAL_BYTES: usize = 64;

/// Without SMTPUTF8 (RFC 6531) addresses are ASCII; a domain has an A-label.
pub(crate) fn is_address(text: &str) -> bool {
    text.len() <= ADDRESS_BYTES
        && text.rsplit_once('@').is_some_and(|(local, domain)| is_local(local) && is_domain(domain))
}

/// Characters of an atom and dots, in whatever order, since there are mailboxes that are called so; or a quoted string, without
/// spaces. Two addresses with a comma between them are none.
fn is_local(text: &str) -> bool {
    if text.is_empty() || text.len() > LOCAL_BYTES {
        return false;
    }
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.strip_suffix('"').is_some_and(is_quoted);
    }
    text.bytes().all(|c| c.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&c))
}

/// What stands between quotes: a further one only behind a backslash, and each backslash before a character.
fn is_quoted(text: &str) -> bool {
    let mut escaped = false;
    for c in text.bytes() {
        if !c.is_ascii_graphic() || (c == b'"' && !escaped) {
            return false;
        }
        escaped = c == b'\\' && !escaped;
    }
    !text.is_empty() && !escaped
}

/// A domain, `_` included since names of machines have it, or an address literal (RFC 5321 section 4.1.3), of which no other
/// kinds are known.
pub(crate) fn is_domain(text: &str) -> bool {
    if text.len() > DOMAIN_BYTES {
        return false;
    }
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.split_once(':') {
            Some((tag, address)) => tag.eq_ignore_ascii_case("IPv6") && address.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        };
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(legal))
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn a_quoted_local_part_ends_at_its_last_quote_alone() {
        for local in [r#""c@d""#, r#""c\"d""#, r#""c\\""#, r#""(c),<d>;""#, "c..d+e=f"] {
            assert!(is_address(&format!("{local}@e.example")), "{local}");
        }
        for local in [r#""c\""#, r#""c"d""#, r#""c"#, r#"c""#, r#"""#, r#""""#, r#""c d""#, r#""\""#, r"c\d"]
        {
            assert!(!is_address(&format!("{local}@e.example")), "{local}");
        }
    }

    #[test]
    fn what_stands_in_brackets_is_an_address_of_a_machine() {
        for domain in ["[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:::ffff:192.0.2.1]"] {
            assert!(is_address(&format!("a@{domain}")), "{domain}");
        }
        for domain in [
            r#"[x"y]"#,
            "[]x]",
            "[x[]",
            "[]",
            "[192.0.2]",
            "[192.0.2.1",
            "192.0.2.1]",
            "[2001:db8::1]",
            "[IPv6:]",
            "[IPv6:192.0.2.1]",
            "[tag:x]",
        ] {
            assert!(!is_address(&format!("a@{domain}")), "{domain}");
        }
    }
}
