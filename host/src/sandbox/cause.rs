//! A failure as a check reports it in; as the host reports it, out. Refuses a code that the check did not announce.

use super::{bindings::exports::sonde::check::check as wit, contradiction::Contradiction};
use crate::{
    catalogue::ErrorCode,
    description::Description,
    report::{Failure, Outcome},
};

/// Of a run, or of one of its parts; its text is still the check's.
pub(super) fn failure(from: wit::Failure, by: &Description) -> Result<Failure, Contradiction> {
    let wit::OwnFailure { kind, code } = match from.cause {
        wit::Cause::Network(kind) => return Ok(Failure::of_host(kind.host_error(), from.text)),
        wit::Cause::Judgement(own) => own,
    };
    if !by.errors.iter().any(|error| error.code == code) {
        return Err(Contradiction::CodeUnannounced(code));
    }
    let outcome = match kind {
        wit::FailureKind::Timeout => Outcome::Timeout,
        wit::FailureKind::ConnectionFailed => Outcome::ConnectionFailed,
        wit::FailureKind::ReadFailed => Outcome::ReadFailed,
        wit::FailureKind::StringMismatch => Outcome::StringMismatch,
        wit::FailureKind::TlsError => Outcome::TlsError,
        wit::FailureKind::CertInvalid => Outcome::CertInvalid,
        wit::FailureKind::Rejected => Outcome::Rejected,
        wit::FailureKind::AuthFailed => Outcome::AuthFailed,
        wit::FailureKind::ProtocolError => Outcome::ProtocolError,
        wit::FailureKind::DnsError => Outcome::DnsError,
    };
    Ok(Failure { outcome, code: ErrorCode(code), text: from.text })
}
