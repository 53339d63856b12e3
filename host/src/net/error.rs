//! What can go wrong on the network: the system's errors in; a kind for the check, a number for the line and a text that
//! says what was tried on what out.

use std::{fmt, io, net::SocketAddr};

use crate::catalogue::HostError;

/// What a check decides on; mirrors `error-kind` in `wit/network.wit`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "documented case by case in wit/network.wit")]
pub enum ErrorKind {
    Denied,
    Timeout,
    NameNotFound,
    ResolverFailed,
    ResolverTimeout,
    ConnectionRefused,
    Unreachable,
    ConnectionReset,
    ConnectionClosed,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateNameMismatch,
    CertificateUnknownIssuer,
    CertificateRevoked,
    CertificateInvalid,
    TlsAlert,
    TlsNotTls,
    TlsClosed,
    TlsUnsupported,
    TlsFailed,
    PlaintextBeforeTls,
    InvalidState,
    Other,
}

/// A failed call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NetError {
    /// For the check.
    pub kind: ErrorKind,
    /// For the line.
    pub host_error: HostError,
    /// For people.
    pub text: String,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NetError {}

impl NetError {
    pub(super) fn new(host_error: HostError, text: String) -> Self {
        let kind = match host_error {
            HostError::Denied => ErrorKind::Denied,
            HostError::ConnectTimeout | HostError::ReadTimeout | HostError::TlsTimeout => ErrorKind::Timeout,
            HostError::NameNotFound => ErrorKind::NameNotFound,
            HostError::ResolverFailed => ErrorKind::ResolverFailed,
            HostError::ResolverTimeout => ErrorKind::ResolverTimeout,
            HostError::ConnectionRefused => ErrorKind::ConnectionRefused,
            HostError::Unreachable => ErrorKind::Unreachable,
            HostError::ConnectionReset => ErrorKind::ConnectionReset,
            HostError::ConnectionClosed => ErrorKind::ConnectionClosed,
            HostError::CertificateExpired => ErrorKind::CertificateExpired,
            HostError::CertificateNotYetValid => ErrorKind::CertificateNotYetValid,
            HostError::CertificateNameMismatch => ErrorKind::CertificateNameMismatch,
            HostError::CertificateUnknownIssuer => ErrorKind::CertificateUnknownIssuer,
            HostError::CertificateRevoked => ErrorKind::CertificateRevoked,
            HostError::CertificateInvalid => ErrorKind::CertificateInvalid,
            HostError::TlsAlert => ErrorKind::TlsAlert,
            HostError::TlsNotTls => ErrorKind::TlsNotTls,
            HostError::TlsClosed => ErrorKind::TlsClosed,
            HostError::TlsUnsupported => ErrorKind::TlsUnsupported,
            HostError::TlsFailed => ErrorKind::TlsFailed,
            HostError::PlaintextBeforeTls => ErrorKind::PlaintextBeforeTls,
            HostError::CheckState => ErrorKind::InvalidState,
            _ => ErrorKind::Other,
        };
        Self { kind, host_error, text }
    }

    pub(super) fn connect(to: SocketAddr, error: &io::Error) -> Self {
        let host_error = match error.kind() {
            io::ErrorKind::ConnectionRefused => HostError::ConnectionRefused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::PermissionDenied => HostError::Unreachable,
            io::ErrorKind::ConnectionReset => HostError::ConnectionReset,
            io::ErrorKind::TimedOut => HostError::ConnectTimeout,
            _ => HostError::NetworkOther,
        };
        Self::new(host_error, format!("connect to {to}: {}", plain(error)))
    }

    /// `getaddrinfo` only tells in words: a name that does not exist, and a resolver that cannot say.
    pub(super) fn resolve(host: &str, error: &io::Error) -> Self {
        let text = error.to_string();
        let passing = text.contains("emporary failure")
            || text.contains("ystem error")
            || error.raw_os_error().is_some();
        let host_error = if passing { HostError::ResolverFailed } else { HostError::NameNotFound };
        Self::new(host_error, format!("resolve {host}: {text}"))
    }

    pub(super) fn stream(peer: SocketAddr, error: &io::Error) -> Self {
        let host_error = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => HostError::ConnectionReset,
            io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => HostError::ConnectionClosed,
            io::ErrorKind::TimedOut => HostError::ReadTimeout,
            io::ErrorKind::InvalidData => HostError::TlsFailed,
            _ => HostError::NetworkOther,
        };
        Self::new(host_error, format!("{peer}: {}", plain(error)))
    }
}

/// Without the system's number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
