//! What the session needs of a connection: the host's in the sandbox, a scripted one in tests. Mirrors `wit/network.wit`.

/// Why a call failed: see `wit/network.wit`.
pub use crate::bindings::sonde::check::network::ErrorKind;

/// Nanoseconds since the run began.
pub type Instant = u64;

impl ErrorKind {
    /// Whatever it is, no reply comes any more. Not so where the host stops us: the peer may well have one.
    #[must_use]
    pub fn is_loss(self) -> bool {
        !matches!(self, Self::LimitExceeded | Self::InvalidState)
    }

    /// The peer said nothing.
    #[must_use]
    pub fn is_silence(self) -> bool {
        matches!(self, Self::ReadTimeout | Self::WaitEnded)
    }

    /// The peer's TLS is at fault.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(
            self,
            Self::TlsAlert
                | Self::TlsClientCertificate
                | Self::TlsNotTls
                | Self::TlsClosed
                | Self::TlsVersion
                | Self::TlsNoCipher
                | Self::TlsUnsupported
                | Self::TlsFailed
        )
    }
}

/// A failed call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What to decide on.
    pub kind: ErrorKind,
    /// For people.
    pub text: String,
}

/// A done handshake.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    /// When it was done.
    pub at: Instant,
    /// Nanoseconds that the peer took meanwhile.
    pub wait: u64,
    /// What verification found wrong, and the job accepts.
    pub verify_error: Option<String>,
}

/// One connection, to be opened first.
pub trait Transport {
    /// Opens it; gives the moment at which it was established.
    fn connect(&mut self, host: &str, port: u16) -> Result<Instant, Fault>;
    /// Does a handshake by the job's rules.
    fn start_tls(&mut self) -> Result<Secured, Fault>;
    /// Waits for bytes; none: the end of the stream. A wait of 0 only looks.
    fn read(&mut self, max: u32, wait_ms: Option<u32>) -> Result<(Vec<u8>, Instant), Fault>;
    /// Sends all bytes; gives the moment of sending.
    fn write(&mut self, bytes: &[u8]) -> Result<Instant, Fault>;
}
