//! How a run ended, by name and number. Pure data, at the bottom: error codes lead to it, and reports contain it.

/// How a run ended: tag `result` and field `result_code`. Numbers are never reused; 0 to 4 are those of Telegraf's
/// `net_response`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All went as it should.
    Success,
    /// The peer was silent.
    Timeout,
    /// No connection.
    ConnectionFailed,
    /// The connection was lost.
    ReadFailed,
    /// An answer was not the expected one.
    StringMismatch,
    /// The name could not be resolved.
    DnsError,
    /// TLS was refused, not to be had, or failed.
    TlsError,
    /// The certificate was refused.
    CertInvalid,
    /// The peer refused.
    Rejected,
    /// The peer did not accept who we are.
    AuthFailed,
    /// The peer broke the protocol.
    ProtocolError,
    /// The check itself is broken or was stopped.
    CheckError,
}

impl Outcome {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Timeout,
        Self::ConnectionFailed,
        Self::ReadFailed,
        Self::StringMismatch,
        Self::DnsError,
        Self::TlsError,
        Self::CertInvalid,
        Self::Rejected,
        Self::AuthFailed,
        Self::ProtocolError,
        Self::CheckError,
    ];

    /// The value of tag `result`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::ConnectionFailed => "connection_failed",
            Self::ReadFailed => "read_failed",
            Self::StringMismatch => "string_mismatch",
            Self::DnsError => "dns_error",
            Self::TlsError => "tls_error",
            Self::CertInvalid => "cert_invalid",
            Self::Rejected => "rejected",
            Self::AuthFailed => "auth_failed",
            Self::ProtocolError => "protocol_error",
            Self::CheckError => "check_error",
        }
    }

    /// The value of field `result_code`.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Success => 0,
            Self::Timeout => 1,
            Self::ConnectionFailed => 2,
            Self::ReadFailed => 3,
            Self::StringMismatch => 4,
            Self::DnsError => 5,
            Self::TlsError => 6,
            Self::CertInvalid => 7,
            Self::Rejected => 8,
            Self::AuthFailed => 9,
            Self::ProtocolError => 10,
            Self::CheckError => 20,
        }
    }
}
