//! What can be wrong with a certificate: what verification found in; a number for the line, words for people and the alert
//! for the server out.

use std::{fmt, net::IpAddr};

use rustls::CertificateError;
use x509_parser::x509::X509Name;

use super::{algorithm::algorithm_name, date::date};
use crate::{
    catalogue::HostError,
    text::{self, clean_to},
};

/// A certificate's place on the way from the server to a root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Whose {
    /// The server's own.
    Server,
    /// An authority's, with its subject.
    Intermediate(String),
    /// A trusted authority's, with its subject.
    Root(String),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("the certificate"),
            Self::Intermediate(subject) => write!(f, "the intermediate certificate {subject}"),
            Self::Root(subject) => write!(f, "the root certificate {subject}"),
        }
    }
}

/// Bytes of a subject that a text has room for, beside what is said of it.
const SUBJECT_BYTES: usize = 80;
/// Names of a certificate that are shown.
const NAMES: usize = 3;

/// A subject or an issuer: in full where it is short, else its common name.
pub(super) fn short_name(name: &X509Name<'_>) -> String {
    let full = name.to_string();
    if full.len() <= SUBJECT_BYTES {
        return full;
    }
    let common = name.iter_common_name().find_map(|common| common.as_str().ok());
    clean_to(&common.map_or(full, |common| format!("CN={common}")), SUBJECT_BYTES)
}

fn some_of(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES).map(|name| clean_to(name, SUBJECT_BYTES / 2)).collect();
    match names.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Why a certificate is refused. Times are Unix seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CertificateFault {
    Expired(Whose, i64),
    /// From when on, and when it is for this machine.
    NotYetValid(Whose, i64, i64),
    NeverValid,
    /// The name that was wanted, and those that it has.
    OtherName(String, Vec<String>),
    /// The issuer of the last certificate that was found.
    UnknownIssuer(String),
    SelfSigned,
    Revoked,
    Unreadable,
    Version,
    Signature,
    Algorithm(String),
    ShortKey(usize),
    Key(String),
    Handshake,
    CriticalExtension,
    Purpose,
    KeyUsage,
    AuthorityAsServer,
    ServerAsAuthority,
    NameConstraint,
    PathLength,
    TooComplex,
    RevocationList,
    Distrusted,
    Malformed,
}

impl CertificateFault {
    pub(super) fn number(&self) -> HostError {
        match self {
            Self::Expired(..) | Self::NeverValid => HostError::CertificateExpired,
            Self::NotYetValid(..) => HostError::CertificateNotYetValid,
            Self::OtherName(..) => HostError::CertificateNameMismatch,
            Self::UnknownIssuer(_) | Self::SelfSigned | Self::Version => HostError::CertificateUnknownIssuer,
            Self::Revoked => HostError::CertificateRevoked,
            _ => HostError::CertificateInvalid,
        }
    }

    /// In rustls's terms, which choose the alert that the server gets.
    pub(super) fn error(&self) -> rustls::Error {
        rustls::Error::InvalidCertificate(match self {
            Self::Expired(..) | Self::NeverValid => CertificateError::Expired,
            Self::NotYetValid(..) => CertificateError::NotValidYet,
            Self::OtherName(..) => CertificateError::NotValidForName,
            Self::UnknownIssuer(_) | Self::SelfSigned | Self::Distrusted => CertificateError::UnknownIssuer,
            Self::Revoked => CertificateError::Revoked,
            Self::Signature | Self::Handshake => CertificateError::BadSignature,
            Self::Purpose | Self::KeyUsage | Self::AuthorityAsServer | Self::ServerAsAuthority => {
                CertificateError::InvalidPurpose
            }
            Self::CriticalExtension => CertificateError::UnhandledCriticalExtension,
            Self::RevocationList => CertificateError::UnknownRevocationStatus,
            _ => CertificateError::BadEncoding,
        })
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fixed = match self {
            Self::Expired(whose, end) => return write!(f, "{whose} expired on {}", date(*end)),
            Self::NotYetValid(whose, begin, now) => {
                return write!(
                    f,
                    "{whose} is not valid before {}, and here it is {}",
                    date(*begin),
                    date(*now)
                );
            }
            Self::OtherName(wanted, names) if names.is_empty() => {
                return write!(f, "the certificate is not for {wanted}: it names no host");
            }
            Self::OtherName(wanted, names) if names.iter().any(|name| text::clean(name) == *wanted) => {
                let as_what = if wanted.parse::<IpAddr>().is_ok() {
                    "as a DNS name or common name, which stands for no address"
                } else {
                    "with characters in it that nobody sees"
                };
                return write!(f, "the certificate is not for {wanted}: it has that only {as_what}");
            }
            Self::OtherName(wanted, names) => {
                let names = some_of(names);
                return write!(
                    f,
                    "the certificate is not for {wanted} but for {names} (if that is the right server, set server_name)"
                );
            }
            Self::UnknownIssuer(issuer) => {
                return write!(
                    f,
                    "the certificate's issuer is unknown: {issuer} (ca_file adds one, or the server leaves out an intermediate certificate)"
                );
            }
            Self::Algorithm(name) => {
                return write!(f, "a certificate is signed by {name}, which is too weak or not supported");
            }
            Self::ShortKey(bits) => {
                return write!(f, "the certificate's RSA key of {bits} bits is too short: 2048 are needed");
            }
            Self::Key(name) => return write!(f, "the certificate's key is not supported: {name}"),
            Self::NeverValid => "the certificate ends before it begins",
            Self::SelfSigned => {
                "the certificate is self-signed and not trusted (put it into ca_file to trust it)"
            }
            Self::Revoked => "a certificate of the chain is revoked, says a list in crl_file",
            Self::Unreadable => "the certificate cannot be read: it is not well-formed",
            Self::Version => {
                "the certificate is of an old version (X.509 v1 or v2), and not issued by a trusted root itself"
            }
            Self::Signature => {
                "a certificate of the chain is not signed by its issuer's key, or that key is too short"
            }
            Self::Handshake => "the handshake is not signed by the certificate's key",
            Self::CriticalExtension => "a certificate has a critical extension that is not known",
            Self::Purpose => "a certificate of the chain is not meant for servers (extended key usage)",
            Self::KeyUsage => {
                "the certificate's key usage is none of a server's (digital signature, key encipherment or agreement)"
            }
            Self::AuthorityAsServer => {
                "the certificate is an authority's, not a server's (CA:TRUE); put it into ca_file to trust it"
            }
            Self::ServerAsAuthority => {
                "the certificate is issued by one that is no authority's (CA:FALSE, or a key usage without the signing of certificates)"
            }
            Self::NameConstraint => "an authority of the chain may not issue certificates for this name",
            Self::PathLength => "the chain is longer than one of its authorities allows",
            Self::TooComplex => "the chain is too long or too tangled to be verified",
            Self::RevocationList => {
                "a list in crl_file cannot be used: its issuer did not sign it, or may not"
            }
            Self::Distrusted => "a key of the chain is known to be compromised",
            Self::Malformed => "a certificate of the chain has a part that is not well-formed",
        };
        f.write_str(fixed)
    }
}

/// Of a chain without its certificates at hand: whose certificate it is, is the caller's to say.
impl From<&webpki::Error> for CertificateFault {
    fn from(error: &webpki::Error) -> Self {
        use webpki::Error;
        let seconds = |time: &rustls::pki_types::UnixTime| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        // The object identifier stands first, behind its tag and its length.
        let algorithm = |identifier: &[u8]| {
            let length = identifier.get(1).copied().unwrap_or_default().into();
            Self::Algorithm(algorithm_name(
                identifier.get(2..).and_then(|oid| oid.get(..length)).unwrap_or_default(),
            ))
        };
        match error {
            Error::CertExpired { not_after, .. } => Self::Expired(Whose::Server, seconds(not_after)),
            Error::CertNotValidYet { not_before, time } => {
                Self::NotYetValid(Whose::Server, seconds(not_before), seconds(time))
            }
            Error::InvalidCertValidity => Self::NeverValid,
            Error::CertNotValidForName(_) => Self::OtherName(String::new(), Vec::new()),
            Error::UnknownIssuer => Self::UnknownIssuer(String::new()),
            Error::CertRevoked => Self::Revoked,
            Error::CertDistrusted => Self::Distrusted,
            Error::UnsupportedCertVersion => Self::Version,
            Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => Self::Signature,
            Error::UnsupportedSignatureAlgorithmContext(context) => {
                algorithm(&context.signature_algorithm_id)
            }
            Error::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
                algorithm(&context.signature_algorithm_id)
            }
            Error::UnsupportedCriticalExtension => Self::CriticalExtension,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Self::Purpose,
            Error::CaUsedAsEndEntity => Self::AuthorityAsServer,
            Error::EndEntityUsedAsCa => Self::ServerAsAuthority,
            Error::NameConstraintViolation => Self::NameConstraint,
            Error::PathLenConstraintViolated => Self::PathLength,
            Error::MaximumPathDepthExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => Self::TooComplex,
            Error::IssuerNotCrlSigner
            | Error::InvalidCrlSignatureForPublicKey
            | Error::UnsupportedCrlSignatureAlgorithmContext(_)
            | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => Self::RevocationList,
            Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => Self::Unreadable,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TEXT_BYTES;

    /// One of each.
    fn all() -> Vec<CertificateFault> {
        use CertificateFault as Fault;
        vec![
            Fault::Expired(Whose::Server, 978_307_200),
            Fault::Expired(Whose::Intermediate("CN=R3".into()), 978_307_200),
            Fault::NotYetValid(Whose::Root("CN=Root".into()), 978_307_200, 0),
            Fault::NeverValid,
            Fault::OtherName("mx1".into(), vec!["mx2".into(), "*.example.org".into()]),
            Fault::OtherName("mx1".into(), Vec::new()),
            Fault::OtherName("mx2".into(), vec!["a-long-name.example.org".repeat(4); 100]),
            Fault::UnknownIssuer("CN=Somebody".into()),
            Fault::SelfSigned,
            Fault::Revoked,
            Fault::Unreadable,
            Fault::Version,
            Fault::Signature,
            Fault::Algorithm("SHA-1 with RSA".into()),
            Fault::ShortKey(1024),
            Fault::Key("Ed448".into()),
            Fault::Handshake,
            Fault::CriticalExtension,
            Fault::Purpose,
            Fault::KeyUsage,
            Fault::AuthorityAsServer,
            Fault::ServerAsAuthority,
            Fault::NameConstraint,
            Fault::PathLength,
            Fault::TooComplex,
            Fault::RevocationList,
            Fault::Distrusted,
            Fault::Malformed,
        ]
    }

    #[test]
    fn every_fault_is_said_in_words_of_its_own() {
        let texts: Vec<String> = all().iter().map(ToString::to_string).collect();
        for (index, text) in texts.iter().enumerate() {
            assert!(text.len() < TEXT_BYTES && text.contains(' '), "{text}");
            // Neither a Rust structure nor words run together.
            assert!(
                !text.contains(['{', '"', '[']) && !texts.get(index + 1..).unwrap().contains(text),
                "{text}"
            );
        }
        assert_eq!(texts[0], "the certificate expired on 2001-01-01 00:00 UTC");
        assert_eq!(texts[1], "the intermediate certificate CN=R3 expired on 2001-01-01 00:00 UTC");
        assert_eq!(
            texts[4],
            "the certificate is not for mx1 but for mx2, *.example.org (if that is the right server, set server_name)"
        );
        let alike = |wanted: &str, name: &str| {
            CertificateFault::OtherName(wanted.into(), vec![name.into()]).to_string()
        };
        assert_eq!(
            alike("192.0.2.1", "192.0.2.1"),
            "the certificate is not for 192.0.2.1: it has that only as a DNS name or common name, which stands for no address"
        );
        assert_eq!(
            alike("mx1.corp", "mx1.corp\n"),
            "the certificate is not for mx1.corp: it has that only with characters in it that nobody sees"
        );
    }

    #[test]
    fn a_long_subject_is_called_by_its_common_name() {
        use rcgen::{CertificateParams, DnType, KeyPair};
        use x509_parser::prelude::{FromDer, X509Certificate};
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "R3");
        params.distinguished_name.push(DnType::OrganizationName, "An organization ".repeat(9));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, certificate) = X509Certificate::from_der(certificate.der()).unwrap();
        assert_eq!(short_name(certificate.subject()), "CN=R3");
    }

    #[test]
    fn every_fault_has_a_number_of_a_certificate() {
        for fault in all() {
            assert!((501..=506).contains(&fault.number().code().0), "{fault}");
        }
    }
}
