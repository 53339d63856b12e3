//! What can go wrong on the network: what was tried on what, and what came of it, in; a number for the line and a text for
//! people out. Faults are typed where they arise, and become both here alone.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use nix::errno::Errno;

use super::{quota::UsedUp, tls::TlsFault, unresolved::Unresolved};
use crate::{catalogue::HostError, grant::Refusal, host::with_port};

/// A failed call.
#[derive(Debug)]
pub struct NetError {
    tried: Tried,
    fault: Fault,
    /// Other addresses of the same name, for which time went by before.
    before: Vec<SocketAddr>,
}

/// What was tried, on what.
#[derive(Debug)]
pub(super) enum Tried {
    /// One more connection.
    Connection,
    /// A connection to a host, as it was named, and a port.
    Endpoint(String, u16),
    /// A connection to one of its addresses.
    Address(SocketAddr),
    /// A look-up.
    Name(String),
    /// TLS, by the rules for other hosts than the job's own where it is `elsewhere`.
    Tls { with: SocketAddr, elsewhere: bool },
    /// To say or to hear something.
    Exchange(SocketAddr),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Fault {
    UsedUp(UsedUp),
    NotGranted,
    /// It leads to an address that is not connected to.
    Forbidden(IpAddr, Refusal),
    /// It was over before anything began; how much of it went by in this process. Nobody else's fault.
    NoTime(HostError, Duration),
    Name(Unresolved),
    NoAddress,
    Connect(io::Error),
    /// For so long.
    NoAnswer(Duration),
    TlsIsOn,
    TlsFailedBefore,
    /// While it had the stream.
    CallGivenUp,
    /// Plaintext that nobody has read; the first line of it, where it is text.
    LeftOver(Option<String>),
    /// For so long.
    HandshakeSilent(Duration),
    HandshakeClosed,
    HandshakeLost(io::Error),
    Tls(TlsFault),
    /// For so long, when the job's time was over.
    Silent(Duration),
    /// For so long, which was as long as it was to be waited for.
    WaitOver(Duration),
    /// As little as that nothing was to be waited for.
    NothingThere,
    /// It was to be written, and belongs to another endpoint.
    SecretOfAnother,
    /// The peer does not take what is sent.
    NotTaken,
    Stream(io::Error),
}

/// Of a stream that is there.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<TlsFault> for Fault {
    fn from(fault: TlsFault) -> Self {
        Self::Tls(fault)
    }
}

impl NetError {
    pub(super) fn new(tried: Tried, fault: impl Into<Fault>) -> Self {
        Self { tried, fault: fault.into(), before: Vec::new() }
    }

    /// The same, behind these.
    pub(super) fn behind(self, before: Vec<SocketAddr>) -> Self {
        Self { before, ..self }
    }

    /// Its number, for the line.
    #[must_use]
    pub fn host_error(&self) -> HostError {
        self.fault.says().0
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.tried, self.fault.says().1)?;
        self.before.iter().try_for_each(|other| write!(f, "; before that, {other} did not answer"))
    }
}

impl std::error::Error for NetError {}

/// What stands before the fault.
impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => Ok(()),
            Self::Endpoint(host, port) => write!(f, "connect to {}: ", with_port(host, port)),
            Self::Address(address) => write!(f, "connect to {address}: "),
            Self::Name(name) => write!(f, "resolve {name}: "),
            Self::Tls { with, elsewhere: false } => write!(f, "TLS with {with}: "),
            Self::Tls { with, elsewhere: true } => {
                write!(f, "TLS with {with}, which is not the job's own host: ")
            }
            Self::Exchange(peer) => write!(f, "{peer}: "),
        }
    }
}

impl Fault {
    /// Its number, and what it is.
    pub(super) fn says(&self) -> (HostError, String) {
        match self {
            Self::UsedUp(share) => (HostError::CheckLimit, share.to_string()),
            Self::NotGranted => (HostError::Denied, "the job does not grant it".into()),
            Self::Forbidden(address, refusal) => (HostError::Denied, format!("it is {address}, {refusal}")),
            Self::NoTime(number, own) => (*number, no_time(*own)),
            Self::Connect(error) | Self::HandshakeLost(error) | Self::Stream(error)
                if is_out_of_files(error) =>
            {
                (HostError::NetworkOther, NO_FILE.into())
            }
            Self::Name(why) => match why.clone().says() {
                Ok(said) => said,
                Err(error) if is_out_of_files(&error) => (HostError::NetworkOther, NO_FILE.into()),
                Err(error) => (of_the_resolver(&error), error.to_string()),
            },
            Self::NoAddress => (HostError::NameNotFound, "it has no address".into()),
            Self::Connect(error) => (of_connecting(error), plain(error) + why_not_connected(error)),
            Self::NoAnswer(time) => (HostError::ConnectTimeout, format!("no answer in {time:.1?}")),
            Self::TlsIsOn => (HostError::CheckState, "it is on already".into()),
            Self::CallGivenUp => (HostError::CheckState, "an earlier call was given up".into()),
            Self::TlsFailedBefore => (HostError::CheckState, "TLS failed before".into()),
            Self::LeftOver(said) => {
                let said = said.as_deref().unwrap_or("an empty line, or nothing that can be shown");
                let text = format!("plaintext was left over before the handshake: {said}");
                (HostError::PlaintextBeforeTls, text)
            }
            Self::HandshakeSilent(time) => {
                (HostError::TlsTimeout, format!("silence inside the handshake for {}", seconds(*time)))
            }
            Self::HandshakeClosed => {
                (HostError::TlsClosed, "the server closed the connection inside the handshake".into())
            }
            Self::HandshakeLost(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                (HostError::CheckLimit, plain(error))
            }
            Self::HandshakeLost(error) => {
                let text = format!("the connection was lost inside the handshake: {}", plain(error));
                (HostError::TlsClosed, text)
            }
            Self::Tls(fault) => fault.says(),
            Self::Silent(time) => {
                let text = format!("silence for {} until the job's time was over", seconds(*time));
                (HostError::ReadTimeout, text)
            }
            Self::WaitOver(time) => (HostError::WaitEnded, format!("silence for {}", seconds(*time))),
            Self::NothingThere => (HostError::WaitEnded, "nothing has arrived".into()),
            Self::SecretOfAnother => {
                let text =
                    "what was to be written has a secret of another endpoint in it: nothing of it was sent";
                (HostError::SecretElsewhere, text.into())
            }
            Self::NotTaken => (HostError::WriteTimeout, "it does not read what is sent".into()),
            Self::Stream(error) => (of_a_stream(error.kind()), plain(error)),
        }
    }
}

/// Of a job's time.
const WORTH_TELLING: Duration = Duration::from_millis(100);

/// Of this process, or of the machine.
const NO_FILE: &str =
    "too many open files: raise LimitNOFILE= of the agent's unit, or lower `max_concurrent`";

/// No peer's fault, and no name server's.
fn is_out_of_files(error: &io::Error) -> bool {
    matches!(errno(error), Some(Errno::EMFILE | Errno::ENFILE))
}

/// `getaddrinfo` only tells in words, and each system in its own: what does not say that the name has no address is a resolver
/// that cannot tell.
fn of_the_resolver(error: &io::Error) -> HostError {
    let text = error.to_string();
    let absent = ["not known", "No address", "no address", "does not resolve", "has no usable address"]
        .iter()
        .any(|words| text.contains(words));
    if absent { HostError::NameNotFound } else { HostError::ResolverFailed }
}

fn of_connecting(error: &io::Error) -> HostError {
    match error.kind() {
        // As ICMP says it of a host or a protocol.
        _ if matches!(errno(error), Some(Errno::EHOSTDOWN | Errno::ENOPROTOOPT | Errno::ENONET)) => {
            HostError::Unreachable
        }
        io::ErrorKind::ConnectionRefused => HostError::ConnectionRefused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::PermissionDenied => HostError::Unreachable,
        io::ErrorKind::ConnectionReset => HostError::ConnectionReset,
        io::ErrorKind::TimedOut => HostError::ConnectTimeout,
        _ => HostError::NetworkOther,
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// What the system's own words leave out.
fn why_not_connected(error: &io::Error) -> &'static str {
    match errno(error) {
        Some(Errno::EACCES | Errno::EPERM) => " (a filter, on the way or on this machine, prohibits it)",
        Some(Errno::EADDRNOTAVAIL) => {
            " (this machine has no address or port for it: IPv6 is off, or too many connections are open)"
        }
        Some(Errno::EINVAL) => " (a link-local address without its interface, or a route that drops all)",
        _ => "",
    }
}

fn of_a_stream(kind: io::ErrorKind) -> HostError {
    match kind {
        // The last one: what was sent was never acknowledged, and the kernel gave the connection up.
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::TimedOut => {
            HostError::ConnectionReset
        }
        io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => HostError::ConnectionClosed,
        io::ErrorKind::QuotaExceeded => HostError::CheckLimit,
        _ => HostError::NetworkOther,
    }
}

/// The system's words without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn no_time(own: Duration) -> String {
    if own < WORTH_TELLING {
        return "the job's time is over".to_owned();
    }
    let own = seconds(own);
    format!(
        "the job's time is over: {own} of it went by here (this process was stopped or busy, or the check slept or computed)"
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
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
            assert_eq!(of_the_resolver(&error), expected, "{words}");
        }
    }

    #[test]
    fn where_no_file_may_be_opened_nobody_else_is_blamed() {
        let said = "too many open files: raise LimitNOFILE= of the agent's unit, or lower `max_concurrent`";
        for errno in [Errno::EMFILE, Errno::ENFILE] {
            let expected = (HostError::NetworkOther, said.to_owned());
            for fault in [Fault::Connect, Fault::HandshakeLost, Fault::Stream] {
                assert_eq!(fault(errno.into()).says(), expected);
            }
            let looking_up = Unresolved::of_system(&errno.into());
            assert_eq!(Fault::Name(looking_up).says(), expected);
        }
    }

    #[test]
    fn why_the_system_does_not_connect_is_said_where_its_words_leave_that_out() {
        for (errno, number, expected) in [
            (Errno::EACCES, HostError::Unreachable, "permission denied (a filter, on"),
            (Errno::EADDRNOTAVAIL, HostError::NetworkOther, "cannot assign requested address (this machine"),
            (Errno::EINVAL, HostError::NetworkOther, "invalid argument (a link-local"),
            (Errno::EHOSTDOWN, HostError::Unreachable, "host is down"),
            (Errno::ENOPROTOOPT, HostError::Unreachable, "protocol not available"),
        ] {
            let (said, text) = Fault::Connect(errno.into()).says();
            assert!(said == number && text.starts_with(expected), "{said:?} {text}");
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
            let error = NetError::new(Tried::Address(to), Fault::Connect(kind.into()));
            assert_eq!(error.host_error(), expected);
        }
        let reset = io::Error::from_raw_os_error(nix::libc::ECONNRESET);
        let reset = NetError::new(Tried::Exchange(to), reset);
        assert_eq!(
            (reset.host_error(), reset.to_string()),
            (HostError::ConnectionReset, "[::1]:25: connection reset by peer".to_owned())
        );
    }
}
