//! What can go wrong on the network: the system's errors in; a kind for the check, a number for the line and a text that
//! says what was tried on what out.

use std::{fmt, io, net::SocketAddr};

use super::tls::StreamError;
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
    LimitExceeded,
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
            HostError::TlsAlert | HostError::TlsClientCertificate => ErrorKind::TlsAlert,
            HostError::TlsNotTls => ErrorKind::TlsNotTls,
            HostError::TlsClosed => ErrorKind::TlsClosed,
            HostError::TlsUnsupported | HostError::TlsVersion | HostError::TlsNoCipher => {
                ErrorKind::TlsUnsupported
            }
            HostError::TlsFailed => ErrorKind::TlsFailed,
            HostError::PlaintextBeforeTls => ErrorKind::PlaintextBeforeTls,
            HostError::CheckLimit => ErrorKind::LimitExceeded,
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

    /// `getaddrinfo` only tells in words, and each system in its own: what does not say that the name has no address
    /// is a resolver that cannot tell.
    pub(super) fn resolve(host: &str, error: &io::Error) -> Self {
        let text = error.to_string();
        let absent = ["not known", "No address", "no address", "does not resolve", "has no usable address"]
            .iter()
            .any(|words| text.contains(words));
        // A name that no resolver would be asked for, such as one with a zero byte in it.
        let impossible = error.kind() == io::ErrorKind::InvalidInput;
        let host_error =
            if absent || impossible { HostError::NameNotFound } else { HostError::ResolverFailed };
        Self::new(host_error, format!("resolve {host}: {text}"))
    }

    pub(super) fn stream(peer: SocketAddr, error: StreamError) -> Self {
        let (host_error, text) = match error {
            StreamError::Tls(fault) => {
                return Self::new(fault.number, format!("TLS with {peer}: {fault}"));
            }
            StreamError::Io(error) => {
                let host_error = match error.kind() {
                    io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                        HostError::ConnectionReset
                    }
                    io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => HostError::ConnectionClosed,
                    io::ErrorKind::TimedOut => HostError::ReadTimeout,
                    io::ErrorKind::QuotaExceeded => HostError::CheckLimit,
                    _ => HostError::NetworkOther,
                };
                (host_error, plain(&error))
            }
        };
        Self::new(host_error, format!("{peer}: {text}"))
    }
}

/// Without the system's number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_resolver_that_cannot_say() {
        for (words, expected) in [
            ("Name or service not known", HostError::NameNotFound),
            ("No address associated with hostname", HostError::NameNotFound),
            ("nodename nor servname provided, or not known", HostError::NameNotFound),
            ("Name does not resolve", HostError::NameNotFound),
            ("Temporary failure in name resolution", HostError::ResolverFailed),
            ("Try again", HostError::ResolverFailed),
            ("Non-recoverable failure in name resolution", HostError::ResolverFailed),
            ("Memory allocation failure", HostError::ResolverFailed),
        ] {
            let error = io::Error::other(format!("failed to lookup address information: {words}"));
            assert_eq!(NetError::resolve("mx1.example.org", &error).host_error, expected, "{words}");
        }
    }

    #[test]
    fn a_text_says_what_was_tried_on_what() {
        let to = "[::1]:25".parse().unwrap();
        for (kind, expected) in [
            (io::ErrorKind::ConnectionRefused, HostError::ConnectionRefused),
            (io::ErrorKind::HostUnreachable, HostError::Unreachable),
            (io::ErrorKind::TimedOut, HostError::ConnectTimeout),
        ] {
            assert_eq!(NetError::connect(to, &kind.into()).host_error, expected);
        }
        let reset = NetError::stream(to, io::Error::from_raw_os_error(nix::libc::ECONNRESET).into());
        assert_eq!(
            (reset.kind, reset.text.as_str()),
            (ErrorKind::ConnectionReset, "[::1]:25: connection reset by peer")
        );
    }
}
