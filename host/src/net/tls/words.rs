//! What a failed handshake means: rustls's error and what was seen in; a number for the line and words for the person on call
//! out. Nothing of how Rust writes its own values is let through.

use std::fmt;

use rustls::{AlertDescription as Alert, Error, PeerIncompatible};

use super::observer::Seen;
use crate::{
    catalogue::HostError,
    tls_rules::{TlsVersion, Verify},
};

/// Why TLS ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::net) struct TlsFault {
    pub(in crate::net) number: HostError,
    pub(in crate::net) text: String,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TlsFault {}

/// How far a handshake came, and by which rules.
pub(super) struct Situation<'a> {
    /// The server chose a version: it speaks TLS.
    pub(super) begun: bool,
    pub(super) min_version: TlsVersion,
    pub(super) verify: Verify,
    /// The job has a client certificate.
    pub(super) has_identity: bool,
    pub(super) seen: &'a Seen,
}

impl Situation<'_> {
    /// Says what an error means here.
    pub(super) fn fault(&self, error: &Error) -> TlsFault {
        let (number, text) = match error {
            Error::InvalidCertificate(_) => match &self.seen.fault {
                Some(fault) => (fault.number(), fault.to_string()),
                None => (HostError::CertificateInvalid, "the certificate is refused".to_owned()),
            },
            Error::NoCertificatesPresented => {
                (HostError::CertificateInvalid, "the server presents no certificate".to_owned())
            }
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::PeerIncompatible(incompatible) => self.incompatible(incompatible),
            Error::InvalidMessage(_) if !self.begun => {
                (HostError::TlsNotTls, "what the server sent is not TLS".to_owned())
            }
            Error::InvalidMessage(wrong) => {
                let wrong = spaced(&format!("{wrong:?}"));
                (HostError::TlsFailed, format!("a TLS message of the server is not well-formed: {wrong}"))
            }
            Error::PeerMisbehaved(how) => {
                let how = spaced(&format!("{how:?}"));
                (HostError::TlsFailed, format!("the server breaks the rules of TLS: {how}"))
            }
            other => (HostError::TlsFailed, rare(other).to_owned()),
        };
        TlsFault { number, text }
    }

    fn alert(&self, alert: Alert) -> (HostError, String) {
        let name = alert_name(alert);
        let about_us = matches!(
            alert,
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::NoCertificate
                | Alert::CertificateUnobtainable
        );
        let unanswered = self.seen.asked && !self.seen.answered;
        if alert == Alert::CertificateRequired
            || (unanswered && (about_us || alert == Alert::HandshakeFailure))
        {
            let what = match (self.has_identity, self.verify) {
                (true, Verify::Report) => "verify = \"report\" shows it none",
                (true, _) => "it does not take the kind of key that client_cert has",
                (false, _) => "set client_cert and client_key in the job's tls",
            };
            return (
                HostError::TlsClientCertificate,
                format!("the server wants a client certificate: {what}"),
            );
        }
        if self.seen.answered && about_us {
            return (HostError::TlsAlert, format!("the server refuses client_cert: {name}"));
        }
        match alert {
            Alert::ProtocolVersion => (HostError::TlsVersion, self.version()),
            Alert::HandshakeFailure | Alert::InsufficientSecurity if !self.begun => {
                (HostError::TlsNoCipher, NO_CIPHER.to_owned())
            }
            Alert::UnrecognisedName => (
                HostError::TlsAlert,
                "the server does not know the name that it was asked for (server_name sets another)"
                    .to_owned(),
            ),
            _ => (HostError::TlsAlert, format!("the server ended TLS with the alert \"{name}\"")),
        }
    }

    fn version(&self) -> String {
        match self.min_version {
            TlsVersion::V12 => {
                "the server knows only TLS versions before 1.2, which are not safe: update it".to_owned()
            }
            TlsVersion::V13 => "the server does not know TLS 1.3, which min_version asks for".to_owned(),
        }
    }

    fn incompatible(&self, incompatible: &PeerIncompatible) -> (HostError, String) {
        use PeerIncompatible as Lacks;
        match incompatible {
            Lacks::ServerDoesNotSupportTls12Or13
            | Lacks::ServerTlsVersionIsDisabledByOurConfig
            | Lacks::SupportedVersionsExtensionRequired
            | Lacks::Tls12NotOffered
            | Lacks::Tls12NotOfferedOrEnabled => (HostError::TlsVersion, self.version()),
            Lacks::NoCipherSuitesInCommon
            | Lacks::NoKxGroupsInCommon
            | Lacks::NoSignatureSchemesInCommon
            | Lacks::NoEcPointFormatsInCommon => (HostError::TlsNoCipher, NO_CIPHER.to_owned()),
            other => {
                let shown = format!("{other:?}");
                // What stands in brackets is data.
                let what = spaced(shown.split('(').next().unwrap_or_default());
                (HostError::TlsUnsupported, format!("the server lacks a part of TLS that is needed: {what}"))
            }
        }
    }
}

const NO_CIPHER: &str = "no cipher suite in common: the server may know only RSA or DHE key exchange, or a certificate \
    of an unusual kind; enable ECDHE with AES-GCM or ChaCha20-Poly1305 there";

/// What RFC 8446 and its forerunners call it, in words.
fn alert_name(alert: Alert) -> String {
    let name = match alert {
        Alert::CloseNotify => "close notify",
        Alert::UnexpectedMessage => "unexpected message",
        Alert::BadRecordMac => "bad record MAC",
        Alert::DecryptionFailed => "decryption failed",
        Alert::RecordOverflow => "record overflow",
        Alert::DecompressionFailure => "decompression failure",
        Alert::HandshakeFailure => "handshake failure",
        Alert::NoCertificate => "no certificate",
        Alert::BadCertificate => "bad certificate",
        Alert::UnsupportedCertificate => "unsupported certificate",
        Alert::CertificateRevoked => "certificate revoked",
        Alert::CertificateExpired => "certificate expired",
        Alert::CertificateUnknown => "certificate unknown",
        Alert::IllegalParameter => "illegal parameter",
        Alert::UnknownCA => "unknown authority",
        Alert::AccessDenied => "access denied",
        Alert::DecodeError => "decode error",
        Alert::DecryptError => "decrypt error",
        Alert::ExportRestriction => "export restriction",
        Alert::ProtocolVersion => "protocol version",
        Alert::InsufficientSecurity => "insufficient security",
        Alert::InternalError => "internal error",
        Alert::InappropriateFallback => "inappropriate fallback",
        Alert::UserCanceled => "user canceled",
        Alert::NoRenegotiation => "no renegotiation",
        Alert::MissingExtension => "missing extension",
        Alert::UnsupportedExtension => "unsupported extension",
        Alert::CertificateUnobtainable => "certificate unobtainable",
        Alert::UnrecognisedName => "unrecognized name",
        Alert::BadCertificateStatusResponse => "bad certificate status response",
        Alert::BadCertificateHashValue => "bad certificate hash value",
        Alert::UnknownPSKIdentity => "unknown PSK identity",
        Alert::CertificateRequired => "certificate required",
        Alert::NoApplicationProtocol => "no application protocol",
        Alert::EncryptedClientHelloRequired => "encrypted client hello required",
        other => return format!("number {}", u8::from(other)),
    };
    name.to_owned()
}

/// What hardly ever happens.
fn rare(error: &Error) -> &'static str {
    match error {
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the server sent a TLS message that was not due"
        }
        Error::DecryptError => {
            "what the server sent cannot be decrypted: it was changed on the way, or the server errs"
        }
        Error::PeerSentOversizedRecord => "the server sent a TLS record that is too long",
        Error::InvalidEncryptedClientHello(_) => "the server errs about an encrypted greeting of TLS",
        Error::NoApplicationProtocol => "the server wants an application protocol in TLS",
        Error::FailedToGetCurrentTime => "this machine does not know the time",
        Error::FailedToGetRandomBytes => "this machine has no random numbers",
        Error::UnsupportedNameType => "the name is of a kind that no certificate can be for",
        _ => "TLS failed inside this program",
    }
}

/// Splits a name of rustls's into words: `SelectedUnofferedKxGroup` becomes `selected unoffered kx group`. There are too many
/// for a table, more come with each version, and nobody but a server's author can act on them.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_alphanumeric() {
            let begins = c.is_uppercase() || (c.is_ascii_digit() && before.is_alphabetic());
            if begins && !words.is_empty() && !words.ends_with(' ') {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
        } else if !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        before = c;
    }
    words.replace("tls 12", "TLS 1.2").replace("tls 13", "TLS 1.3").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, InvalidMessage, PeerMisbehaved};

    use super::*;
    use crate::{net::tls::certificate::CertificateFault, text::TEXT_BYTES};

    fn situation(seen: &Seen) -> Situation<'_> {
        Situation {
            begun: false,
            min_version: TlsVersion::V12,
            verify: Verify::Full,
            has_identity: false,
            seen,
        }
    }

    fn before_all(error: &Error) -> TlsFault {
        situation(&Seen::default()).fault(error)
    }

    #[test]
    fn every_alert_is_said_in_words() {
        let mut names = Vec::new();
        for number in 0..=u8::MAX {
            let alert = Alert::from(number);
            let name = alert_name(alert);
            // One that rustls knows must not become a number.
            assert_eq!(name.starts_with("number "), matches!(alert, Alert::Unknown(_)), "{alert:?}");
            assert!(name.contains(' ') && !names.contains(&name), "{name}");
            for (begun, asked) in [(false, false), (true, false), (true, true)] {
                let seen = Seen { asked, ..Seen::default() };
                let fault = Situation { begun, ..situation(&seen) }.fault(&Error::AlertReceived(alert));
                assert!(fault.text.contains(' ') && fault.text.len() < TEXT_BYTES, "{fault}");
                assert!(!fault.text.contains(&format!("{alert:?}")), "{fault}");
            }
            names.push(name);
        }
        assert_eq!(alert_name(Alert::CertificateRequired), "certificate required");
        assert_eq!(alert_name(Alert::Unknown(200)), "number 200");
    }

    #[test]
    fn a_server_that_is_too_old_is_told_from_one_without_a_common_cipher() {
        let old = before_all(&Error::AlertReceived(Alert::ProtocolVersion));
        assert_eq!(
            (old.number, &*old.text),
            (
                HostError::TlsVersion,
                "the server knows only TLS versions before 1.2, which are not safe: update it"
            )
        );
        assert_eq!(before_all(&PeerIncompatible::ServerDoesNotSupportTls12Or13.into()), old);
        let seen = Seen::default();
        let strict = Situation { min_version: TlsVersion::V13, ..situation(&seen) };
        assert_eq!(
            strict.fault(&Error::AlertReceived(Alert::ProtocolVersion)).text,
            "the server does not know TLS 1.3, which min_version asks for"
        );
        for error in [
            Error::AlertReceived(Alert::HandshakeFailure),
            Error::AlertReceived(Alert::InsufficientSecurity),
            PeerIncompatible::NoCipherSuitesInCommon.into(),
        ] {
            let none = before_all(&error);
            assert_eq!(none.number, HostError::TlsNoCipher);
            assert!(none.text.contains("only RSA"), "{none}");
        }
    }

    #[test]
    fn a_wanted_client_certificate_is_named_with_what_to_do() {
        let text = |alert, asked, answered, has_identity, verify| {
            let seen = Seen { asked, answered, ..Seen::default() };
            let fault = Situation { begun: true, has_identity, verify, ..situation(&seen) }
                .fault(&Error::AlertReceived(alert));
            (fault.number, fault.text)
        };
        let wanted = (
            HostError::TlsClientCertificate,
            "the server wants a client certificate: set client_cert and client_key in the job's tls"
                .to_owned(),
        );
        assert_eq!(text(Alert::CertificateRequired, true, false, false, Verify::Full), wanted);
        assert_eq!(text(Alert::HandshakeFailure, true, false, false, Verify::Full), wanted);
        assert_eq!(text(Alert::BadCertificate, true, false, false, Verify::Full), wanted);
        assert_eq!(
            text(Alert::CertificateRequired, true, false, true, Verify::Report).1,
            "the server wants a client certificate: verify = \"report\" shows it none"
        );
        assert_eq!(
            text(Alert::UnknownCA, true, true, true, Verify::Full),
            (HostError::TlsAlert, "the server refuses client_cert: unknown authority".to_owned())
        );
        assert_eq!(
            text(Alert::HandshakeFailure, false, false, false, Verify::Full),
            (HostError::TlsAlert, "the server ended TLS with the alert \"handshake failure\"".to_owned())
        );
    }

    #[test]
    fn what_comes_before_any_tls_is_not_tls_and_later_it_is_ill_formed() {
        let seen = Seen::default();
        let error = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(before_all(&error).number, HostError::TlsNotTls);
        let later = Situation { begun: true, ..situation(&seen) }.fault(&error);
        assert_eq!(
            (later.number, &*later.text),
            (HostError::TlsFailed, "a TLS message of the server is not well-formed: invalid content type")
        );
    }

    #[test]
    fn a_refused_certificate_is_said_in_the_words_of_its_fault() {
        let seen = Seen { fault: Some(CertificateFault::Revoked), ..Seen::default() };
        let fault = situation(&seen).fault(&CertificateError::Revoked.into());
        assert_eq!(
            (fault.number, fault.text),
            (HostError::CertificateRevoked, CertificateFault::Revoked.to_string())
        );
    }

    #[test]
    fn no_error_is_said_as_rust_writes_it() {
        for error in [
            Error::InappropriateMessage { expect_types: Vec::new(), got_type: rustls::ContentType::Alert },
            Error::InappropriateHandshakeMessage {
                expect_types: Vec::new(),
                got_type: rustls::HandshakeType::Finished,
            },
            PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported.into(),
            PeerMisbehaved::SelectedUnofferedKxGroup.into(),
            PeerIncompatible::ServerRejectedEncryptedClientHello(None).into(),
            PeerIncompatible::ExtendedMasterSecretExtensionRequired.into(),
            InvalidMessage::MissingData("ServerHello").into(),
            Error::NoCertificatesPresented,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerSentOversizedRecord,
            Error::HandshakeNotComplete,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            Error::UnsupportedNameType,
            Error::General("Debug { x: 1 }".into()),
        ] {
            let seen = Seen::default();
            for begun in [false, true] {
                let text = Situation { begun, ..situation(&seen) }.fault(&error).text;
                let joined = |word: &str| word.chars().skip(1).any(char::is_uppercase) && word.len() > 5;
                assert!(!text.contains(['{', '(', '"', ':', '_']) || text.contains(": "), "{text}");
                assert!(!text.split(' ').any(joined) && text.len() < TEXT_BYTES, "{text}");
            }
        }
        assert_eq!(
            spaced("AttemptedDowngradeToTls12WhenTls13IsSupported"),
            "attempted downgrade to TLS 1.2 when TLS 1.3 is supported"
        );
        assert_eq!(spaced("MissingData(\"ServerHello\")"), "missing data server hello");
    }
}
