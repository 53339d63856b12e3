//! Why TLS came to no good, with what is known of it; its number and its words out, for the person on call.

use rustls::AlertDescription as Alert;

use super::{alert::alert_name, certificate::CertificateFault, no_tls::NoTls};
use crate::{catalogue::HostError, tls_rules::TlsVersion};

/// Why TLS ended, or could not begin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TlsFault {
    /// The host's name is none that a certificate can have.
    Name(NoTls),
    SetUp,
    Certificate(CertificateFault),
    /// Of a certificate, too, and nobody said why.
    Refused,
    NoCertificate,
    ClientWanted(NotShown),
    ClientRefused(Alert),
    UnknownName,
    Alert(Alert),
    /// It knows none from the least accepted one on.
    Version(TlsVersion),
    /// It takes none from there on: it does not know one, or has no certificate for it.
    VersionRefused(TlsVersion),
    NoCipher,
    /// It lacks this.
    Unsupported(String),
    /// With the words in its place, if it is any; and whether these may be how a port begins that speaks plain text.
    NotTls {
        said: Option<String>,
        may_be_plain: bool,
    },
    IllFormed(String),
    Misbehaved(String),
    /// What hardly ever happens, in words.
    Rare(&'static str),
}

/// Why a server that wants a client certificate gets none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotShown {
    /// `verify = "report"`.
    Reporting,
    /// The server does not take this kind of key.
    OtherKind,
    NotSet,
}

const UNKNOWN_NAME: &str =
    "the server does not know the name that it was asked for (server_name sets another)";
const TOO_OLD: &str = "the server knows only TLS versions before 1.2, which are not safe: update it";
const VERSION_REFUSED: &str = "the server refuses TLS 1.2 and later: it may know only versions before, which are not safe (update it), \
    or have no certificate or key that it can use (its log says so)";
const LEAST_REFUSED: &str = "the server refuses TLS 1.3, which min_version asks for: it may not know it, \
    or have no certificate or key that it can use (its log says so)";
const NO_CIPHER: &str = "no cipher suite in common: the server may have no certificate or key that it can use (its log says so), one of \
    an unusual kind, or know only RSA or DHE key exchange: enable ECDHE with AES-GCM or ChaCha20-Poly1305 there";

impl TlsFault {
    /// Its number, and what it is.
    pub(crate) fn says(&self) -> (HostError, String) {
        match self {
            Self::Name(wrong) => (HostError::TlsFailed, wrong.to_string()),
            Self::SetUp => (HostError::TlsFailed, "TLS could not be set up".into()),
            Self::Certificate(fault) => (fault.number(), fault.to_string()),
            Self::Refused => (HostError::CertificateInvalid, "the certificate is refused".into()),
            Self::NoCertificate => {
                (HostError::CertificateInvalid, "the server presents no certificate".into())
            }
            Self::ClientWanted(why) => {
                let what = match why {
                    NotShown::Reporting => "verify = \"report\" shows it none",
                    NotShown::OtherKind => "it does not take the kind of key that client_cert has",
                    NotShown::NotSet => "set client_cert and client_key in the job's tls",
                };
                let text = format!("the server wants a client certificate: {what}");
                (HostError::TlsClientCertificate, text)
            }
            Self::ClientRefused(alert) => {
                (HostError::TlsAlert, format!("the server refuses client_cert: {}", alert_name(*alert)))
            }
            Self::UnknownName => (HostError::TlsAlert, UNKNOWN_NAME.into()),
            Self::Alert(alert) => {
                let text = format!("the server ended TLS with the alert \"{}\"", alert_name(*alert));
                (HostError::TlsAlert, text)
            }
            Self::Version(TlsVersion::V12) => (HostError::TlsVersion, TOO_OLD.into()),
            Self::Version(TlsVersion::V13) => {
                let text = "the server does not know TLS 1.3, which min_version asks for";
                (HostError::TlsVersion, text.into())
            }
            Self::VersionRefused(TlsVersion::V12) => (HostError::TlsVersion, VERSION_REFUSED.into()),
            Self::VersionRefused(TlsVersion::V13) => (HostError::TlsVersion, LEAST_REFUSED.into()),
            Self::NoCipher => (HostError::TlsNoCipher, NO_CIPHER.into()),
            Self::Unsupported(what) => {
                let text = format!("the server lacks a part of TLS that is needed: {what}");
                (HostError::TlsUnsupported, text)
            }
            Self::NotTls { said, may_be_plain } => {
                let said = said.as_ref().map_or_else(String::new, |said| format!(": {said}"));
                let hint =
                    if *may_be_plain { "; it may speak plain text first, and TLS on request" } else { "" };
                (HostError::TlsNotTls, format!("what the server sent is not TLS{said}{hint}"))
            }
            Self::IllFormed(how) => {
                (HostError::TlsFailed, format!("a TLS message of the server is not well-formed: {how}"))
            }
            Self::Misbehaved(how) => {
                (HostError::TlsFailed, format!("the server breaks the rules of TLS: {how}"))
            }
            Self::Rare(what) => (HostError::TlsFailed, (*what).into()),
        }
    }
}
