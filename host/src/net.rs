//! Connections for checks: a grant, an endpoint and a deadline in; a connection, bytes and instants out, and what was
//! measured on the way. Refuses every endpoint and address that the job does not grant. Knows nothing of wasm.

mod clock;
mod error;
mod quota;
mod resolve;
mod round_trip;
mod tcp;
mod tls;

use std::{
    io::{self, Write as _},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time;

pub use self::{
    clock::RunClock,
    error::{ErrorKind, NetError},
    quota::Quota,
    tls::{NoTls, Tls, Trust},
};
use self::{
    resolve::resolve,
    tcp::Tcp,
    tls::{Session, StreamError},
};
use crate::{catalogue::HostError, grant::Grant, report::Measured};

/// Addresses of a name that are tried for one connection: a name server may give thousands.
const ADDRESSES: usize = 8;
/// Bytes that are made ready to be sent at once: what a write that is given up leaves behind in memory.
const READY_BYTES: usize = 64 << 10;

/// How a connection came about.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Connected to.
    pub address: IpAddr,
    /// First SYN to it.
    pub started_at: Duration,
    /// Established.
    pub connected_at: Duration,
}

/// Bytes received; none: the end of the stream.
#[derive(Debug)]
pub struct Received {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// When the last of them arrived.
    pub received_at: Duration,
}

/// A done handshake.
#[derive(Debug)]
pub struct Secured {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// IANA name.
    pub cipher: String,
    /// Its first bytes were handed to the network.
    pub started_at: Duration,
    /// It was done: the server's last bytes had arrived, and ours were handed to the network.
    pub secured_at: Duration,
    /// How long it waited for the server.
    pub wait: Duration,
    /// What verification found wrong, and the job accepts.
    pub verify_error: Option<String>,
}

/// One connection.
pub struct Connection {
    tcp: Tcp,
    tls: Option<Box<Session>>,
    /// A handshake began and did not succeed: what is said now would be neither safe nor understood.
    spoilt: bool,
    /// Received before TLS and not yet handed out.
    plain: Vec<u8>,
    /// Plaintext was exchanged.
    spoke_plain: bool,
    host: String,
    /// The job's own host: what the job says of its server's certificate holds here.
    own: bool,
    peer: SocketAddr,
    opened: Opened,
    clock: RunClock,
}

/// To be called when the program starts: see there.
pub fn start() {
    tcp::stamp_from_now_on();
    open_as_many_as_allowed();
}

/// Each connection is an open file. The usual soft limit is for programs that still call `select`; that the hard one cannot be
/// had is seen where there are too few.
fn open_as_many_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let _kept: rustix::io::Result<()> =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Connects to a granted endpoint; `measured` gets what is known, also when it fails. Charged as one attempt whatever comes of
/// it – a look-up has its price, too – and with one more for each further address that is tried.
pub async fn connect(
    grant: &Grant,
    host: &str,
    port: u16,
    clock: &RunClock,
    quota: &Quota,
    deadline: Instant,
    measured: &mut Measured,
) -> Result<Connection, NetError> {
    quota.connection().map_err(|used_up| NetError::new(HostError::CheckLimit, used_up.to_string()))?;
    if !grant.covers(host, port) {
        return Err(NetError::new(
            HostError::Denied,
            format!("connect to {host}:{port}: the job does not grant it"),
        ));
    }
    // A look-up cannot be called back: one that nobody waits for would still keep a thread of the resolver's.
    if deadline <= Instant::now() {
        let text = format!("connect to {host}:{port}: the job's time is over");
        return Err(NetError::new(HostError::ConnectTimeout, text));
    }
    let addresses = resolve(host, port, clock, deadline, measured).await?;
    let granted = in_turn(granted(addresses, grant, host, measured)?);
    let mut connection = connect_to(granted, host, clock, quota, deadline, measured).await?;
    connection.own = grant.is_own(host);
    Ok(connection)
}

/// Those of a granted endpoint's addresses that may be connected to; refuses where there is none.
fn granted(
    addresses: Vec<SocketAddr>,
    grant: &Grant,
    host: &str,
    measured: &mut Measured,
) -> Result<Vec<SocketAddr>, NetError> {
    let (mut granted, mut refused) = (Vec::new(), String::new());
    for address in addresses {
        match grant.judge(host, address.ip(), address.port()) {
            Ok(()) => granted.push(address),
            Err(refusal) => {
                measured.ip = Some(address.ip());
                refused = format!("connect to {host}:{}: it is {}, {refusal}", address.port(), address.ip());
            }
        }
    }
    if granted.is_empty() { Err(NetError::new(HostError::Denied, refused)) } else { Ok(granted) }
}

/// The first of them, the families in turn as RFC 8305 section 4 has it: where one family is dead, the other's turn comes soon.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut other) = (first.into_iter(), other.into_iter());
    let turns = std::iter::from_fn(|| {
        let turn: Vec<_> = first.next().into_iter().chain(other.next()).collect();
        (!turn.is_empty()).then_some(turn)
    });
    turns.flatten().take(ADDRESSES).collect()
}

/// Tries one address after the other; the first attempt is paid for already.
async fn connect_to(
    addresses: Vec<SocketAddr>,
    host: &str,
    clock: &RunClock,
    quota: &Quota,
    deadline: Instant,
    measured: &mut Measured,
) -> Result<Connection, NetError> {
    let mut last = NetError::new(HostError::NameNotFound, format!("connect to {host}: it has no address"));
    let count = addresses.len();
    for (index, address) in addresses.into_iter().enumerate() {
        if index > 0 && quota.connection().is_err() {
            break;
        }
        measured.ip = Some(address.ip());
        let began = Instant::now();
        // A dead address must leave time for those behind it.
        let share =
            deadline.saturating_duration_since(began) / u32::try_from(count - index).unwrap_or(u32::MAX);
        let tried = time::timeout(share, Tcp::connect(address, clock, quota)).await;
        let ended = tried
            .as_ref()
            .map_or(began + share, |tried| tried.as_ref().map_or_else(|_| Instant::now(), Tcp::connected));
        clock.count_wait(began, ended);
        match tried {
            Ok(Ok(tcp)) => {
                measured.connect = Some(tcp.connected() - tcp.started());
                let opened = Opened {
                    address: address.ip(),
                    started_at: clock.at(tcp.started()),
                    connected_at: clock.at(tcp.connected()),
                };
                return Ok(Connection {
                    tcp,
                    tls: None,
                    spoilt: false,
                    plain: Vec::new(),
                    spoke_plain: false,
                    host: host.to_owned(),
                    own: false,
                    peer: address,
                    opened,
                    clock: clock.clone(),
                });
            }
            Ok(Err(error)) => last = NetError::connect(address, &error),
            Err(_late) => {
                last = NetError::new(
                    HostError::ConnectTimeout,
                    format!("connect to {address}: no answer in {share:.1?}"),
                );
            }
        }
    }
    Err(last)
}

impl Connection {
    /// How it came about.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Does a handshake by the job's trust, with an endpoint that is not its own host by [`Tls::elsewhere`]. Unread plaintext
    /// refuses it: someone may have injected it.
    pub async fn start_tls(
        &mut self,
        tls: &Tls,
        deadline: Instant,
        measured: &mut Measured,
    ) -> Result<Secured, NetError> {
        if self.tls.is_some() || self.spoilt {
            let state = if self.spoilt { "it failed before" } else { "it is on already" };
            return Err(NetError::new(HostError::CheckState, format!("TLS with {}: {state}", self.peer)));
        }
        let mut byte = [0; 1];
        let injected = self.spoke_plain && matches!(self.tcp.peek(&mut byte), Ok(1..));
        if !self.plain.is_empty() || injected {
            let text = format!("TLS with {}: plaintext was left over before the handshake", self.peer);
            return Err(NetError::new(HostError::PlaintextBeforeTls, text));
        }
        let elsewhere = if self.own { None } else { tls.elsewhere() };
        let with = match elsewhere {
            None => format!("TLS with {}", self.peer),
            Some(_) => format!("TLS with {}, which is not the job's own host", self.peer),
        };
        let failed = |error, text: String| Err(NetError::new(error, format!("{with}: {text}")));
        let mut session = match Session::new(elsewhere.as_ref().unwrap_or(tls), &self.host) {
            Ok(session) => session,
            Err(fault) => return failed(fault.number, fault.text),
        };
        self.spoilt = true;
        let done = time::timeout_at(deadline.into(), session.handshake(&mut self.tcp)).await;
        session.facts(&mut measured.tls_facts);
        match done {
            Err(_late) => {
                let text = format!("silence inside the handshake for {}", self.silence(deadline));
                failed(HostError::TlsTimeout, text)
            }
            Ok(Err((error, text))) => {
                if error.outcome() == crate::report::Outcome::CertInvalid {
                    measured.tls = Some(session.wait());
                }
                failed(error, text)
            }
            Ok(Ok(started)) => {
                measured.tls = Some(session.wait());
                let secured = Secured {
                    version: measured.tls_facts.version.clone().unwrap_or_default(),
                    cipher: measured.tls_facts.cipher.clone().unwrap_or_default(),
                    started_at: self.clock.at(started),
                    secured_at: self.clock.at(self.tcp.last_arrival()),
                    wait: session.wait(),
                    verify_error: measured.tls_facts.verify_error.clone(),
                };
                self.tls = Some(Box::new(session));
                self.spoilt = false;
                Ok(secured)
            }
        }
    }

    /// Waits for at most `max` bytes. Before TLS a read ends behind the first line feed, so that what stands behind the
    /// answer to STARTTLS stays here, where [`Self::start_tls`] sees it.
    pub async fn read(&mut self, max: usize, deadline: Instant) -> Result<Received, NetError> {
        match time::timeout_at(deadline.into(), self.receive(max)).await {
            Err(_late) => Err(self.silent(deadline)),
            Ok(received) => received.map_err(|error| NetError::stream(self.peer, error)),
        }
    }

    /// Gives at most `max` of the bytes that are there already, as [`Self::read`] does, or the error that nothing is.
    pub async fn look(&mut self, max: usize, deadline: Instant) -> Result<Received, NetError> {
        let looked = time::timeout_at(deadline.into(), self.receive_now(max)).await;
        match looked.unwrap_or(Ok(None)) {
            Ok(Some(received)) => Ok(received),
            Ok(None) => {
                let text = format!("{}: nothing has arrived", self.peer);
                Err(NetError::new(HostError::ReadTimeout, text))
            }
            Err(error) => Err(NetError::stream(self.peer, error)),
        }
    }

    fn silent(&self, deadline: Instant) -> NetError {
        let text = format!("{}: silence for {}", self.peer, self.silence(deadline));
        NetError::new(HostError::ReadTimeout, text)
    }

    /// How long the peer has been waited for when `deadline` came.
    fn silence(&self, deadline: Instant) -> String {
        self.tcp.given_up(deadline);
        let silent = deadline.saturating_duration_since(self.tcp.last_arrival());
        format!("{:.1} s", silent.as_secs_f64())
    }

    async fn receive(&mut self, max: usize) -> Result<Received, StreamError> {
        self.usable()?;
        let max = at_least_one(max);
        let bytes = if let Some(tls) = &mut self.tls {
            tls.read(max, &mut self.tcp).await?
        } else {
            self.spoke_plain = true;
            if self.plain.is_empty() {
                let mut buffer = vec![0; max];
                let count = self.tcp.read(&mut buffer).await?;
                buffer.truncate(count);
                self.plain = buffer;
            }
            self.line(max)
        };
        Ok(Received { bytes, received_at: self.clock.at(self.tcp.last_read()) })
    }

    async fn receive_now(&mut self, max: usize) -> Result<Option<Received>, StreamError> {
        self.usable()?;
        let max = at_least_one(max);
        let bytes = if let Some(tls) = &mut self.tls {
            let Some(bytes) = tls.look(max, &mut self.tcp).await? else { return Ok(None) };
            bytes
        } else {
            self.spoke_plain = true;
            if self.plain.is_empty() {
                let mut buffer = vec![0; max];
                let Some(count) = self.tcp.look(&mut buffer)? else { return Ok(None) };
                buffer.truncate(count);
                self.plain = buffer;
            }
            self.line(max)
        };
        Ok(Some(Received { bytes, received_at: self.clock.at(self.tcp.last_read()) }))
    }

    /// Takes what was received before TLS, up to the first line feed.
    fn line(&mut self, max: usize) -> Vec<u8> {
        let line = self.plain.iter().position(|byte| *byte == b'\n').map_or(self.plain.len(), |at| at + 1);
        let rest = self.plain.split_off(line.min(max));
        std::mem::replace(&mut self.plain, rest)
    }

    fn usable(&self) -> io::Result<()> {
        if self.spoilt { Err(io::ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    /// Sends all of `bytes`; gives the moment at which the first of them was handed to the kernel.
    pub async fn write(&mut self, bytes: &[u8], deadline: Instant) -> Result<Duration, NetError> {
        let peer = self.peer;
        let sending = async {
            self.usable()?;
            // What an earlier call left.
            self.tcp.flush().await?;
            let mut first = None;
            for bytes in bytes.chunks(READY_BYTES) {
                let sent = match &mut self.tls {
                    None => {
                        self.spoke_plain = true;
                        self.tcp.outgoing().write_all(bytes)?;
                        self.tcp.flush().await?
                    }
                    Some(tls) => tls.write_all(bytes, &mut self.tcp).await?,
                };
                first = first.or(Some(sent));
            }
            Ok(first.unwrap_or_else(Instant::now))
        };
        let began = Instant::now();
        match time::timeout_at(deadline.into(), sending).await {
            Err(_late) => {
                self.clock.count_wait(began, deadline.min(Instant::now()));
                Err(NetError::new(HostError::ReadTimeout, format!("{peer}: it does not read what is sent")))
            }
            Ok(Err(error)) => Err(NetError::stream(peer, error)),
            Ok(Ok(sent)) => Ok(self.clock.at(sent)),
        }
    }
}

/// None is the mark of the end.
fn at_least_one(max: usize) -> usize {
    max.max(1)
}

#[cfg(test)]
mod tests;
