//! The hosts that a certificate is for: a certificate and the name that was asked for in; whether it is for that, out. Accepts a
//! common name where no alternative name stands.

use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use webpki::EndEntityCert;
use x509_parser::{
    certificate::X509Certificate, oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME, prelude::FromDer,
    x509::X509Name,
};

use super::certificate::CertificateFault;

/// Refuses a certificate whose verified way to a root is `path` and that is for other hosts.
pub(super) fn is_for(
    name: &ServerName<'_>,
    leaf: &CertificateDer<'_>,
    parsed: &X509Certificate<'_>,
    path: &[CertificateDer<'static>],
) -> Result<(), CertificateFault> {
    let webpki = EndEntityCert::try_from(leaf);
    if webpki.is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(name).is_ok()) {
        return Ok(());
    }
    let names = names(parsed);
    if let (ServerName::DnsName(wanted), None) = (name, &names)
        && common_names(parsed.subject()).any(|known| fits(known, wanted))
    {
        // What an authority may issue is said of alternative names; a common name must not lead around it.
        let constrained = path.iter().skip(1).any(is_constrained);
        return if constrained { Err(CertificateFault::NameConstraint) } else { Ok(()) };
    }
    let known = names.unwrap_or_else(|| common_names(parsed.subject()).map(ToOwned::to_owned).collect());
    Err(CertificateFault::OtherName(name.to_str().into_owned(), known))
}

/// It restricts the names for which others may be issued, or cannot be read.
fn is_constrained(authority: &CertificateDer<'static>) -> bool {
    X509Certificate::from_der(authority)
        .map_or(true, |(_, authority)| authority.name_constraints().map_or(true, |found| found.is_some()))
}

/// The hosts that its alternative names are for; none: it has no alternative names.
fn names(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    use x509_parser::extensions::GeneralName;
    if !certificate.extensions().iter().any(|extension| extension.oid == OID_X509_EXT_SUBJECT_ALT_NAME) {
        return None;
    }
    // One that cannot be read, or stands twice, is for no host, and does not let the common name in.
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Some(Vec::new()) };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(address) => match address.len() {
            4 => <[u8; 4]>::try_from(*address)
                .ok()
                .map(|address| std::net::Ipv4Addr::from(address).to_string()),
            _ => <[u8; 16]>::try_from(*address)
                .ok()
                .map(|address| std::net::Ipv6Addr::from(address).to_string()),
        },
        _ => None,
    };
    Some(names.value.general_names.iter().filter_map(text).collect())
}

fn common_names<'a>(subject: &'a X509Name<'_>) -> impl Iterator<Item = &'a str> {
    subject.iter_common_name().filter_map(|name| name.as_str().ok())
}

/// A name, or a pattern whose first label is `*`, is for this host.
fn fits(known: &str, wanted: &DnsName<'_>) -> bool {
    let wanted = wanted.as_ref().trim_end_matches('.');
    if known.eq_ignore_ascii_case(wanted) {
        return true;
    }
    let (Some(pattern), Some((first, rest))) = (known.strip_prefix("*."), wanted.split_once('.')) else {
        return false;
    };
    // Not all of a top-level domain.
    !first.is_empty() && pattern.contains('.') && pattern.eq_ignore_ascii_case(rest)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair};

    use super::*;

    #[test]
    fn alternative_names_that_cannot_be_read_do_not_let_the_common_name_in() {
        let made = |extensions: Vec<CustomExtension>| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, "mx1.example.org");
            params.custom_extensions = extensions;
            params.self_signed(&KeyPair::generate().unwrap()).unwrap()
        };
        let is_for = |certificate: &rcgen::Certificate, name: &'static str| {
            let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
            is_for(&ServerName::try_from(name).unwrap(), certificate.der(), &parsed, &[])
        };
        let refused = |names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Err(CertificateFault::OtherName("mx1.example.org".into(), names))
        };
        assert_eq!(is_for(&made(Vec::new()), "mx1.example.org"), Ok(()));
        // The identifier of alternative names.
        let unreadable = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0xff, 0x01]);
        assert_eq!(is_for(&made(vec![unreadable]), "mx1.example.org"), refused(&[]));
        let other = CertificateParams::new(vec!["mx2.example.org".to_owned()]);
        let other = other.unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(is_for(&other, "mx1.example.org"), refused(&["mx2.example.org"]));
    }

    #[test]
    fn a_common_name_is_compared_by_labels() {
        let wanted = DnsName::try_from("mx1.example.org").unwrap();
        for (known, expected) in [
            ("MX1.example.org", true),
            ("*.example.org", true),
            ("*.org", false),
            ("example.org", false),
            ("*1.example.org", false),
            ("*.mx1.example.org", false),
            ("", false),
        ] {
            assert_eq!(fits(known, &wanted), expected, "{known}");
        }
    }
}
