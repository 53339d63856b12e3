//! What a failed handshake means: rustls's error and what was seen in; the fault that the person on call can do something
//! about out. Nothing of how Rust writes its own values is let through.

use rustls::{AlertDescription as Alert, Error, PeerIncompatible, PeerMisbehaved};

use super::{
    fault::{NotShown, TlsFault},
    observer::Seen,
};
use crate::{
    text,
    tls_rules::{TlsVersion, Verify},
};

/// How far a handshake came, and by which rules.
pub(super) struct Situation<'a> {
    /// The server chose a version: it speaks TLS.
    pub(super) begun: bool,
    pub(super) min_version: TlsVersion,
    pub(super) verify: Verify,
    /// The job has a client certificate.
    pub(super) has_identity: bool,
    pub(super) seen: &'a Seen,
    /// What the server sent first.
    pub(super) heard: &'a [u8],
    /// TLS began without a word in plain text.
    pub(super) unasked: bool,
}

impl Situation<'_> {
    /// Says what an error means here.
    pub(super) fn fault(&self, error: &Error) -> TlsFault {
        match error {
            Error::InvalidCertificate(_) => {
                self.seen.fault.clone().map_or(TlsFault::Refused, TlsFault::Certificate)
            }
            Error::NoCertificatesPresented => TlsFault::NoCertificate,
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::PeerIncompatible(incompatible) => self.incompatible(incompatible),
            Error::InvalidMessage(_) if !self.begun => {
                let may_be_plain = self.unasked && greets(self.heard);
                TlsFault::NotTls { said: text::first_line(self.heard), may_be_plain }
            }
            Error::InvalidMessage(wrong) => TlsFault::IllFormed(spaced(&format!("{wrong:?}"))),
            Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => TlsFault::Rare(
                "the server signs the handshake of TLS 1.2 in a way that is not supported there, as with an \
                     RSA-PSS key: let it speak TLS 1.3",
            ),
            Error::PeerMisbehaved(how) => TlsFault::Misbehaved(spaced(&format!("{how:?}"))),
            other => TlsFault::Rare(rare(other)),
        }
    }

    fn alert(&self, alert: Alert) -> TlsFault {
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
            return TlsFault::ClientWanted(match (self.has_identity, self.verify) {
                (true, Verify::Report) => NotShown::Reporting,
                (true, _) => NotShown::OtherKind,
                (false, _) => NotShown::NotSet,
            });
        }
        match alert {
            _ if self.seen.answered && about_us => TlsFault::ClientRefused(alert),
            // OpenSSL's, too, where it is to take TLS 1.3 alone and has no certificate.
            Alert::ProtocolVersion => TlsFault::VersionRefused(self.min_version),
            Alert::HandshakeFailure | Alert::InsufficientSecurity if !self.begun => TlsFault::NoCipher,
            Alert::UnrecognisedName => TlsFault::UnknownName,
            _ => TlsFault::Alert(alert),
        }
    }

    fn incompatible(&self, incompatible: &PeerIncompatible) -> TlsFault {
        use PeerIncompatible as Lacks;
        match incompatible {
            Lacks::ServerDoesNotSupportTls12Or13
            | Lacks::ServerTlsVersionIsDisabledByOurConfig
            | Lacks::SupportedVersionsExtensionRequired
            | Lacks::Tls12NotOffered
            | Lacks::Tls12NotOfferedOrEnabled => TlsFault::Version(self.min_version),
            Lacks::NoCipherSuitesInCommon
            | Lacks::NoKxGroupsInCommon
            | Lacks::NoSignatureSchemesInCommon
            | Lacks::NoEcPointFormatsInCommon => TlsFault::NoCipher,
            other => {
                let shown = format!("{other:?}");
                // What stands in brackets is data.
                TlsFault::Unsupported(spaced(shown.split('(').next().unwrap_or_default()))
            }
        }
    }
}

/// What may be how mail servers begin. A refusal (4xx and 5xx) is none: one that is too busy says so before any TLS.
fn greets(heard: &[u8]) -> bool {
    [b"2".as_slice(), b"+OK", b"* OK"].iter().any(|begin| heard.starts_with(begin))
}

/// How rustls says that no more of a message is held that goes on in record after record.
const MANY_RECORDS: &str = "message buffer full";

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
        Error::General(words) if words == MANY_RECORDS => {
            "the server parts a TLS message into more records than can be held"
        }
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
    use rustls::{CertificateError, InvalidMessage};

    use super::*;
    use crate::{
        catalogue::HostError,
        net::tls::{alert::alert_name, certificate::CertificateFault},
        text::TEXT_BYTES,
    };

    fn situation(seen: &Seen) -> Situation<'_> {
        Situation {
            begun: false,
            min_version: TlsVersion::V12,
            verify: Verify::Full,
            has_identity: false,
            seen,
            heard: b"",
            unasked: true,
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
                let text = fault.says().1;
                assert!(text.contains(' ') && text.len() < TEXT_BYTES, "{text}");
                assert!(!text.contains(&format!("{alert:?}")), "{text}");
            }
            names.push(name);
        }
        assert_eq!(alert_name(Alert::CertificateRequired), "certificate required");
        assert_eq!(alert_name(Alert::Unknown(200)), "number 200");
    }

    #[test]
    fn a_server_that_is_too_old_is_told_from_one_without_a_common_cipher() {
        let old = &PeerIncompatible::ServerDoesNotSupportTls12Or13.into();
        assert_eq!(
            before_all(old).says(),
            (
                HostError::TlsVersion,
                "the server knows only TLS versions before 1.2, which are not safe: update it".to_owned()
            )
        );
        let seen = Seen::default();
        let strict = Situation { min_version: TlsVersion::V13, ..situation(&seen) };
        assert_eq!(
            strict.fault(old).says().1,
            "the server does not know TLS 1.3, which min_version asks for"
        );
        // The alert alone does not tell it from one that has no certificate.
        let refused = Error::AlertReceived(Alert::ProtocolVersion);
        for fault in [before_all(&refused), strict.fault(&refused)] {
            let (number, text) = fault.says();
            assert_eq!(number, HostError::TlsVersion);
            assert!(text.contains("may") && text.contains("no certificate or key that it can use"), "{text}");
        }
        for error in [
            Error::AlertReceived(Alert::HandshakeFailure),
            Error::AlertReceived(Alert::InsufficientSecurity),
            PeerIncompatible::NoCipherSuitesInCommon.into(),
        ] {
            let (number, text) = before_all(&error).says();
            assert_eq!(number, HostError::TlsNoCipher);
            assert!(text.contains("only RSA"), "{text}");
        }
    }

    #[test]
    fn a_wanted_client_certificate_is_named_with_what_to_do() {
        let text = |alert, asked, answered, has_identity, verify| {
            let seen = Seen { asked, answered, ..Seen::default() };
            Situation { begun: true, has_identity, verify, ..situation(&seen) }
                .fault(&Error::AlertReceived(alert))
                .says()
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
        assert_eq!(before_all(&error).says().0, HostError::TlsNotTls);
        let later = Situation { begun: true, ..situation(&seen) }.fault(&error);
        assert_eq!(
            later.says(),
            (
                HostError::TlsFailed,
                "a TLS message of the server is not well-formed: invalid content type".to_owned()
            )
        );
    }

    #[test]
    fn plain_text_in_place_of_tls_is_shown_and_only_a_port_that_was_not_asked_may_speak_it_first() {
        let error = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        let text = |heard, unasked| {
            let seen = Seen::default();
            Situation { heard, unasked, ..situation(&seen) }.fault(&error).says().1
        };
        let (greeting, busy) = (b"220 mx1 ESMTP\r\n", b"421 Too many connections\r\nbye");
        assert_eq!(
            text(greeting, true),
            "what the server sent is not TLS: 220 mx1 ESMTP; it may speak plain text first, and TLS on request"
        );
        let said = "what the server sent is not TLS: 421 Too many connections";
        assert_eq!([text(busy, true), text(busy, false)], [said; 2]);
        // No text; a refusal by IMAP; Latin-1, in which a secret would not be known; and a line whose end, which may be that of a secret,
        // has not come.
        let goodbye = "what the server sent is not TLS: * BYE busy";
        assert_eq!(text(b"* BYE busy\r\n", true), goodbye);
        for unshown in [b"\0\x01junk\n".as_slice(), b"421 sp\xe4ter\r\n", b"421 user probe hunter2-Sec"] {
            assert_eq!(text(unshown, true), "what the server sent is not TLS");
        }
        let hint = "what the server sent is not TLS; it may speak plain text first, and TLS on request";
        assert_eq!(text(b"* OK half", true), hint);
    }

    #[test]
    fn a_refused_certificate_is_said_in_the_words_of_its_fault() {
        let seen = Seen { fault: Some(CertificateFault::Revoked), ..Seen::default() };
        let fault = situation(&seen).fault(&CertificateError::Revoked.into());
        assert_eq!(fault.says(), (HostError::CertificateRevoked, CertificateFault::Revoked.to_string()));
    }

    #[test]
    fn a_signature_that_only_tls_13_can_have_here_is_no_fault_of_the_server() {
        let seen = Seen::default();
        let (number, text) =
            situation(&seen).fault(&PeerMisbehaved::SignedKxWithWrongAlgorithm.into()).says();
        assert_eq!(number, HostError::TlsFailed);
        assert!(text.contains("as with an RSA-PSS key: let it speak TLS 1.3"), "{text}");
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
                let text = Situation { begun, ..situation(&seen) }.fault(&error).says().1;
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
