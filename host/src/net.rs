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
    error::NetError,
    quota::Quota,
    tls::{NoTls, Tls, Trust},
};
use self::{
    error::{Fault, Tried},
    resolve::resolve,
    tcp::Tcp,
    tls::Session,
};
use crate::{grant::Grant, outcome::Outcome, report::Measured};

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
    let failed = |fault| Err(NetError::new(Tried::Endpoint(host.to_owned(), port), fault));
    quota.connection().map_err(|used_up| NetError::new(Tried::Connection, Fault::UsedUp(used_up)))?;
    if !grant.covers(host, port) {
        return failed(Fault::NotGranted);
    }
    // A look-up cannot be called back: one that nobody waits for would still keep a thread of the resolver's.
    if deadline <= Instant::now() {
        return failed(Fault::TimeOver);
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
    let (mut granted, mut refused) =
        (Vec::new(), NetError::new(Tried::Name(host.to_owned()), Fault::NoAddress));
    for address in addresses {
        match grant.judge(host, address.ip(), address.port()) {
            Ok(()) => granted.push(address),
            Err(refusal) => {
                measured.ip = Some(address.ip());
                let tried = Tried::Endpoint(host.to_owned(), address.port());
                refused = NetError::new(tried, Fault::Closed(address.ip(), refusal));
            }
        }
    }
    if granted.is_empty() { Err(refused) } else { Ok(granted) }
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
    let mut last = NetError::new(Tried::Name(host.to_owned()), Fault::NoAddress);
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
            Ok(Err(error)) => last = NetError::new(Tried::Address(address), Fault::Connect(error)),
            Err(_late) => last = NetError::new(Tried::Address(address), Fault::NoAnswer(share)),
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
            let fault = if self.spoilt { Fault::TlsFailedBefore } else { Fault::TlsIsOn };
            return Err(self.no_tls(false, fault));
        }
        let mut byte = [0; 1];
        let injected = self.spoke_plain && matches!(self.tcp.peek(&mut byte), Ok(1..));
        if !self.plain.is_empty() || injected {
            return Err(self.no_tls(false, Fault::LeftOver));
        }
        let elsewhere = if self.own { None } else { tls.elsewhere() };
        let mut session = Session::new(elsewhere.as_ref().unwrap_or(tls), &self.host)
            .map_err(|fault| self.no_tls(elsewhere.is_some(), fault))?;
        self.spoilt = true;
        let done = time::timeout_at(deadline.into(), session.handshake(&mut self.tcp)).await;
        session.facts(&mut measured.tls_facts);
        let done = done.unwrap_or_else(|_late| Err(Fault::HandshakeSilent(self.silence(deadline))));
        match done {
            Err(fault) => {
                let error = self.no_tls(elsewhere.is_some(), fault);
                if error.host_error().outcome() == Outcome::CertInvalid {
                    measured.tls = Some(session.wait());
                }
                Err(error)
            }
            Ok(started) => {
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
            Err(_late) => Err(self.failed(Fault::Silent(self.silence(deadline)))),
            Ok(received) => received.map_err(|fault| self.failed(fault)),
        }
    }

    /// Gives at most `max` of the bytes that are there already, as [`Self::read`] does, or the error that nothing is.
    pub async fn look(&mut self, max: usize, deadline: Instant) -> Result<Received, NetError> {
        let looked = time::timeout_at(deadline.into(), self.receive_now(max)).await;
        match looked.unwrap_or(Ok(None)) {
            Ok(Some(received)) => Ok(received),
            Ok(None) => Err(self.failed(Fault::NothingThere)),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn no_tls(&self, elsewhere: bool, fault: impl Into<Fault>) -> NetError {
        NetError::new(Tried::Tls { with: self.peer, elsewhere }, fault)
    }

    fn failed(&self, fault: Fault) -> NetError {
        match fault {
            Fault::Tls(_) => self.no_tls(false, fault),
            _ => NetError::new(Tried::Exchange(self.peer), fault),
        }
    }

    /// How long the peer has been waited for when `deadline` came.
    fn silence(&self, deadline: Instant) -> Duration {
        self.tcp.given_up(deadline);
        deadline.saturating_duration_since(self.tcp.last_arrival())
    }

    async fn receive(&mut self, max: usize) -> Result<Received, Fault> {
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

    async fn receive_now(&mut self, max: usize) -> Result<Option<Received>, Fault> {
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
                Err(self.failed(Fault::NotTaken))
            }
            Ok(Err(error)) => Err(self.failed(Fault::Stream(error))),
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
