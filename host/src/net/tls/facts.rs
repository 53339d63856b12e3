//! What a handshake tells about the server: the negotiated parts and the certificates in; the facts for the line out. Texts
//! are the certificates' own, not yet clean.

use rustls::{ClientConnection, NamedGroup, ProtocolVersion, pki_types::CertificateDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{certificate::short_name, observer::Seen};
use crate::measured::{Ending, Place, TlsFacts};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Adds what was negotiated.
pub(super) fn negotiated(connection: &ClientConnection, facts: TlsFacts) -> TlsFacts {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Some("TLSv1.2"),
        Some(ProtocolVersion::TLSv1_3) => Some("TLSv1.3"),
        _ => None,
    };
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let group = connection.negotiated_key_exchange_group().and_then(|group| group_name(group.name()));
    TlsFacts {
        version: version.map(ToOwned::to_owned),
        // rustls writes TLS13_ where the registry has TLS_.
        cipher: suite.map(|name| name.replacen("TLS13_", "TLS_", 1)),
        group: group.map(ToOwned::to_owned),
        ..facts
    }
}

/// As the registry of IANA has it.
fn group_name(group: NamedGroup) -> Option<&'static str> {
    Some(match group {
        NamedGroup::secp256r1 => "secp256r1",
        NamedGroup::secp384r1 => "secp384r1",
        NamedGroup::secp521r1 => "secp521r1",
        NamedGroup::X25519 => "x25519",
        NamedGroup::X448 => "x448",
        NamedGroup::MLKEM768 => "MLKEM768",
        NamedGroup::MLKEM1024 => "MLKEM1024",
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768",
        NamedGroup::X25519MLKEM768 => "X25519MLKEM768",
        _ => return None,
    })
}

/// What the certificates show, `now` in Unix seconds.
pub(super) fn of_certificates(seen: &Seen, now: i64) -> TlsFacts {
    let verify_error = seen.fault.as_ref().map(ToString::to_string);
    let Some(own) = seen.chain.first() else { return TlsFacts { verify_error, ..TlsFacts::default() } };
    // A way that a later fault made worthless is none.
    let path = if seen.fault.is_none() && !seen.path.is_empty() {
        &seen.path[..]
    } else {
        std::slice::from_ref(own)
    };
    let days_to = |end: i64| (end - now).div_euclid(DAY);
    let mut read = Vec::new();
    for der in seen.chain.iter().chain(path) {
        if !read.iter().any(|(known, _)| *known == der) {
            read.push((der, X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)));
        }
    }
    let ends_first = first_end(path, path.len() > 1, &read);
    let chain_ends_first = first_end(&seen.chain, false, &read);
    let own = read.first().and_then(|(_, own)| own.as_ref());
    TlsFacts {
        not_after: ends_first.as_ref().map(|ending| ending.at),
        days_left: ends_first.as_ref().map(|ending| days_to(ending.at)),
        ends_first,
        chain_days_left: chain_ends_first.as_ref().map(|ending| days_to(ending.at)),
        chain_ends_first,
        issuer: own.map(|own| own.issuer().to_string()),
        life_left_percent: own.and_then(|own| {
            let (begin, end) = (own.validity().not_before.timestamp(), own.validity().not_after.timestamp());
            let lifetime = Some(end - begin).filter(|lifetime| *lifetime > 0)?;
            // Before it begins, all of it is left.
            Some(((end - now) * 100).div_euclid(lifetime).min(100))
        }),
        verify_error,
        ..TlsFacts::default()
    }
}

/// Certificates, and what is in them if they can be read.
type Read<'a> = [(&'a CertificateDer<'static>, Option<X509Certificate<'a>>)];

/// Of the certificates, the server's own first, that which ends first; `to_root`: the last is a root's.
fn first_end(certificates: &[CertificateDer<'static>], to_root: bool, read: &Read<'_>) -> Option<Ending> {
    let end = |(index, der): (usize, &CertificateDer<'static>)| {
        let certificate = read.iter().find(|(known, _)| *known == der)?.1.as_ref()?;
        Some((certificate.validity().not_after.timestamp(), index, certificate))
    };
    // Of those that end together, the one nearest to the server.
    let (at, index, certificate) =
        certificates.iter().enumerate().filter_map(end).min_by_key(|(at, ..)| *at)?;
    let place = match index {
        0 => Place::Server,
        last if to_root && last + 1 == certificates.len() => Place::Root,
        _ => Place::Intermediate,
    };
    Some(Ending { place, subject: short_name(certificate.subject()), at })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;
    use crate::net::tls::certificate::CertificateFault;

    /// The first of January 2030.
    const NOW: i64 = 1_893_456_000;

    fn certificate(name: &str, from: (i32, u8, u8), until: (i32, u8, u8)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn facts(seen: &Seen) -> TlsFacts {
        of_certificates(seen, NOW)
    }

    #[test]
    fn the_earliest_end_is_that_of_the_verified_path_and_of_the_chain_that_of_all() {
        let own = certificate("mx1", (2029, 12, 1), (2030, 2, 1));
        let intermediate = certificate("R3", (2020, 1, 1), (2030, 1, 11));
        let crossed = certificate("old", (2010, 1, 1), (2021, 1, 1));
        let seen = Seen {
            chain: vec![own.clone(), intermediate.clone(), crossed],
            path: vec![own, intermediate, certificate("root", (2015, 1, 1), (2035, 1, 1))],
            ..Seen::default()
        };
        let facts = facts(&seen);
        assert_eq!((facts.days_left, facts.chain_days_left), (Some(10), Some(-3287)));
        assert_eq!(facts.ends_first.unwrap().to_string(), "ends first: the intermediate certificate CN=R3");
        assert_eq!(facts.chain_ends_first.unwrap().subject, "CN=old");
    }

    #[test]
    fn unverified_the_server_s_own_certificate_counts() {
        let own = certificate("mx1", (2029, 12, 1), (2030, 2, 1));
        let chain = vec![own.clone(), certificate("R3", (2020, 1, 1), (2030, 1, 11))];
        let seen =
            Seen { fault: Some(CertificateFault::Handshake), path: chain.clone(), chain, ..Seen::default() };
        assert_eq!((facts(&seen).days_left, facts(&seen).chain_days_left), (Some(31), Some(10)));
    }

    #[test]
    fn a_certificate_of_six_days_is_judged_by_its_lifetime() {
        let left = |until| {
            let chain = vec![certificate("mx1", (2029, 12, 29), until)];
            facts(&Seen { chain, ..Seen::default() }).life_left_percent
        };
        // Three days of six, one of four; a third of three is rounded down, and what is past below zero.
        assert_eq!(left((2030, 1, 4)), Some(50));
        assert_eq!(left((2030, 1, 2)), Some(25));
        assert_eq!(left((2029, 12, 31)), Some(-50));
    }

    #[test]
    fn a_root_that_ends_first_is_called_one() {
        let path = vec![
            certificate("mx1", (2029, 1, 1), (2031, 1, 1)),
            certificate("CA", (2020, 1, 1), (2030, 6, 1)),
        ];
        let seen = Seen { chain: path[..1].to_vec(), path, ..Seen::default() };
        assert_eq!(facts(&seen).ends_first.unwrap().to_string(), "ends first: the root certificate CN=CA");
    }
}
