//! What a run found, in the host's own terms: no wasm, no sockets, no text format.

use std::{fmt, net::IpAddr, time::Duration};

use crate::catalogue::{ErrorCode, HostError};
pub use crate::outcome::Outcome;

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Signed 64-bit.
    Integer(i64),
    /// Finite double.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// UTF-8; a check's own clean and without secrets.
    Text(String),
}

impl Value {
    /// The value as a number, for alarm limits.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "limits are compared as doubles; codes and milliseconds are small"
    )]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Boolean(_) | Self::Text(_) => None,
        }
    }

    /// The text, to be changed.
    pub fn as_text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Float(_) | Self::Boolean(_) => None,
        }
    }
}

/// Why a run did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What kind of failure; never `Success`.
    pub outcome: Outcome,
    /// Its number.
    pub code: ErrorCode,
    /// For people; a check's own clean and without secrets.
    pub text: String,
}

impl Failure {
    /// One that the host names.
    #[must_use]
    pub fn of_host(error: HostError, text: String) -> Self {
        Self { outcome: error.outcome(), code: error.code(), text }
    }
}

/// What the host measured itself: of the run's first connection, but `total` and `own` of the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Name resolution; none for an IP literal.
    pub dns: Option<Duration>,
    /// From the first SYN to the established connection.
    pub connect: Option<Duration>,
    /// The handshake's waits for the server, to its end or to our alert.
    pub tls: Option<Duration>,
    /// The whole run.
    pub total: Option<Duration>,
    /// What of it was ours: the whole less all waits for name servers and peers, of whichever connection.
    pub own: Option<Duration>,
    /// The address connected to, or last tried.
    pub ip: Option<IpAddr>,
    /// What TLS showed.
    pub tls_facts: TlsFacts,
}

/// What a TLS handshake showed, also when it failed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: Option<String>,
    /// IANA name of the cipher suite.
    pub cipher: Option<String>,
    /// IANA name of the key exchange's group.
    pub group: Option<String>,
    /// Earliest end of validity on the verified path, Unix seconds; unverified: of the server's own certificate.
    pub not_after: Option<i64>,
    /// Whole days until then, rounded down, at the time of the handshake; negative when past.
    pub days_left: Option<i64>,
    /// The certificate that ends then.
    pub ends_first: Option<Ending>,
    /// Whole days to the earliest end in all that was presented.
    pub chain_days_left: Option<i64>,
    /// The certificate that ends then.
    pub chain_ends_first: Option<Ending>,
    /// Percent of the lifetime of the server's own certificate that are left, rounded down; negative when past.
    pub life_left_percent: Option<i64>,
    /// The issuer of the server's own certificate.
    pub issuer: Option<String>,
    /// What verification found wrong.
    pub verify_error: Option<String>,
}

impl Measured {
    /// The host's fields, by name: those of [`crate::description::HOST_FIELDS`] that are measured.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Option<Value>)> {
        let facts = &self.tls_facts;
        let said = |text: &Option<String>| text.clone().map(Value::Text);
        vec![
            ("dns_time_ms", self.dns.map(milliseconds)),
            ("connect_time_ms", self.connect.map(milliseconds)),
            ("tls_time_ms", self.tls.map(milliseconds)),
            ("total_time_ms", self.total.map(milliseconds)),
            ("own_time_ms", self.own.map(milliseconds)),
            ("ip", self.ip.map(|ip| Value::Text(ip.to_string()))),
            ("tls_version", said(&facts.version)),
            ("tls_cipher", said(&facts.cipher)),
            ("tls_group", said(&facts.group)),
            ("cert_days_left", facts.days_left.map(Value::Integer)),
            ("cert_not_after", facts.not_after.map(Value::Integer)),
            ("cert_chain_days_left", facts.chain_days_left.map(Value::Integer)),
            ("cert_life_left_percent", facts.life_left_percent.map(Value::Integer)),
            ("cert_issuer", said(&facts.issuer)),
            ("verify_error", said(&facts.verify_error)),
        ]
    }
}

/// Milliseconds with microsecond resolution.
#[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
fn milliseconds(time: Duration) -> Value {
    Value::Float(time.as_micros() as f64 / 1000.0)
}

impl TlsFacts {
    /// The certificate that a field of the line is about.
    #[must_use]
    pub fn ending(&self, field: &str) -> Option<&Ending> {
        match field {
            "cert_days_left" | "cert_not_after" => self.ends_first.as_ref(),
            "cert_chain_days_left" => self.chain_ends_first.as_ref(),
            _ => None,
        }
    }
}

/// The certificate that ends before the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ending {
    /// Where it stands.
    pub place: Place,
    /// Its subject, not yet clean.
    pub subject: String,
    /// Its end, in Unix seconds.
    pub at: i64,
}

/// Where a certificate stands in a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The server's own.
    Server,
    /// Between the server's own and a root.
    Intermediate,
    /// A trusted root.
    Root,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Server => "the server's own certificate",
            Place::Intermediate => "the intermediate certificate",
            Place::Root => "the root certificate",
        };
        let separator = if self.subject.is_empty() { "" } else { " " };
        write!(f, "ends first: {place}{separator}{}", self.subject)
    }
}

/// The result of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What the check reported, or what its description says for a run that could not report.
    pub fields: Vec<(String, Value)>,
    /// None: success.
    pub failure: Option<Failure>,
    /// What the host measured.
    pub measured: Measured,
    /// What the run used up.
    pub used: Used,
}

/// What a run of a check used up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Computing, the host's work for the check included.
    pub cpu: Duration,
    /// All linear memories together.
    pub memory_bytes: usize,
}

impl Report {
    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.failure.as_ref().map_or(Outcome::Success, |failure| failure.outcome)
    }
}
