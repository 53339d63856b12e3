//! TLS by a job's trust: a stream in; an encrypted stream and what the certificates show out – also when they are refused. No
//! resumption: a resumed session shows no chain, and its times are not comparable.

mod alert;
mod algorithm;
mod certificate;
mod client;
mod date;
mod facts;
mod fault;
mod fitted;
mod group;
mod keys;
mod names;
mod no_tls;
mod observer;
mod provider;
mod roots;
mod session;
mod situation;
mod trust;
mod verify;

use std::{
    io::{self, Write},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustls::{ClientConnection, Error};

pub(super) use self::fault::TlsFault;
pub use self::{
    no_tls::NoTls,
    roots::{SystemRoots, system_roots_file},
    trust::{Tls, Trust},
};
use self::{
    observer::Seen,
    session::{HEADER_BYTES, Session},
    situation::Situation,
};
use super::{
    deadline::until,
    error::Fault,
    run::Run,
    tcp::{Tcp, is_too_late},
};
use crate::{catalogue::HostError, host::Host, measured::TlsFacts, tls_rules::Verify};

/// Bytes of one read from the network: a TLS record and its header.
const RECORD_BYTES: usize = 16_640;

/// What came of verifying the server's certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verification {
    /// It is the server's, by the job's trust.
    Verified,
    /// The job does not want it.
    Skipped,
    /// It failed, with this number and for this reason, and the job goes on all the same.
    Failed(HostError, String),
}

/// An encrypted stream: its handshake, what that showed, and what was said behind it.
pub(super) struct TlsStream {
    session: Session,
    /// The stream broke behind what was received.
    failed: Option<TlsFault>,
    /// What the server sent first, until it is known to be TLS.
    heard: Vec<u8>,
    /// TLS began without a word in plain text.
    unasked: bool,
    /// What the handshake waited for the server.
    wait: Duration,
    seen: Arc<Mutex<Seen>>,
    trust: Arc<Trust>,
}

impl TlsStream {
    /// Prepares everything that is not the server's to wait for. `unasked`: nothing was said in plain text before.
    pub(super) fn new(tls: &Tls, host: &Host, unasked: bool) -> Result<Self, TlsFault> {
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => trust::name_of(host.ascii()).map_err(TlsFault::Name)?,
        };
        let seen = Arc::default();
        let config = client::config(&tls.trust, &seen).map_err(|_| TlsFault::SetUp)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(|_| TlsFault::SetUp)?;
        Ok(Self {
            session: Session::new(connection),
            failed: None,
            heard: Vec::new(),
            unasked,
            wait: Duration::ZERO,
            seen,
            trust: Arc::clone(&tls.trust),
        })
    }

    /// What an error means, inside the handshake or behind it.
    pub(super) fn fault(&self, error: &Error) -> TlsFault {
        let begun = self.session.connection.protocol_version().is_some();
        Situation {
            begun,
            min_version: self.trust.min_version,
            verify: self.trust.verify,
            has_identity: self.trust.identity.is_some(),
            seen: &self.seen.lock().unwrap_or_else(PoisonError::into_inner),
            heard: &self.heard,
            unasked: self.unasked,
        }
        .fault(error)
    }

    /// Gives the moment at which its first bytes were handed to the kernel. Waits until the deadline; what has arrived by then is
    /// judged, however late we are.
    pub(super) async fn handshake(&mut self, tcp: &mut Tcp, run: &Run) -> Result<Instant, Fault> {
        let (deadline, mut started) = (run.deadline, None);
        let silent = |tcp: &Tcp| Fault::HandshakeSilent(tcp.silence(run.deadline));
        loop {
            let sent = until(deadline, pin!(self.flush(tcp))).await;
            let sent = sent.map_err(|_late| silent(tcp))?.map_err(|error| {
                if is_too_late(&error) {
                    run.no_time(HostError::TlsTimeout)
                } else {
                    Fault::HandshakeLost(error)
                }
            })?;
            started = started.or(Some(sent));
            if !self.session.connection.is_handshaking() {
                self.heard = Vec::new();
                return Ok(started.unwrap_or(sent));
            }
            let since = tcp.last_arrival();
            let ahead = until(deadline, pin!(tcp.ahead(RECORD_BYTES))).await;
            let ahead = ahead.map_err(|_late| silent(tcp))?.map_err(Fault::HandshakeLost)?;
            if self.heard.len() < HEADER_BYTES && !is_tls(self.heard.first().or(ahead.first())) {
                self.heard.extend(&ahead);
            }
            let (count, fed) = self.session.feed_handshake(&ahead);
            let taken = tcp.look(count.max(1)).map_err(Fault::HandshakeLost)?.unwrap_or_default();
            self.wait += tcp.last_arrival() - since;
            if taken.is_empty() {
                return Err(Fault::HandshakeClosed);
            }
            // A byte out of band, which parts the stream where it comes, would have some of it taken in twice.
            if Some(&*taken) != ahead.get(..count) {
                return Err(Fault::HandshakeLost(io::Error::other("what was there is not what was taken")));
            }
            if let Err(error) = fed {
                // The server learns why.
                let _told: io::Result<Instant> = self.flush(tcp).await;
                return Err(self.fault(&error).into());
            }
        }
    }

    /// How long the handshake waited for the server: its time without our own computing.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// Of a handshake that is done.
    pub(super) fn verification(&self) -> Verification {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (&seen.fault, self.trust.verify) {
            (Some(fault), _) => Verification::Failed(fault.number(), fault.to_string()),
            (None, Verify::Off) => Verification::Skipped,
            (None, Verify::Full | Verify::Report) => Verification::Verified,
        }
    }

    /// What the handshake showed so far.
    pub(super) fn facts(&self) -> TlsFacts {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let certificates = facts::of_certificates(&seen, i64::try_from(now).unwrap_or(i64::MAX));
        drop(seen);
        facts::negotiated(&self.session.connection, certificates)
    }

    /// Waits for at most `max` bytes; none at the end, with or without `close_notify`: whether that matters is the
    /// dialogue's to judge.
    pub(super) async fn read(&mut self, max: usize, tcp: &mut Tcp) -> Result<Vec<u8>, Fault> {
        while self.session.wants_bytes() {
            self.fail()?;
            let bytes = tcp.read(RECORD_BYTES).await?;
            if bytes.is_empty() {
                break;
            }
            self.take(&bytes, tcp).await?;
            self.make_way().await;
        }
        Ok(self.session.hand_out(max))
    }

    /// As [`Self::read`], of what has arrived already; none: nothing has.
    pub(super) async fn look(&mut self, max: usize, tcp: &mut Tcp) -> Result<Option<Vec<u8>>, Fault> {
        while self.session.wants_bytes() {
            self.fail()?;
            match tcp.look(RECORD_BYTES)? {
                None => return Ok(None),
                Some(bytes) if bytes.is_empty() => break,
                Some(bytes) => self.take(&bytes, tcp).await?,
            }
            self.make_way().await;
        }
        Ok(Some(self.session.hand_out(max)))
    }

    /// Takes in what has arrived, and says what TLS itself answers to it. A fault is said when what came before it was read.
    async fn take(&mut self, bytes: &[u8], tcp: &mut Tcp) -> Result<(), Fault> {
        let fed = self.session.feed(bytes);
        if let Err(error) = fed {
            self.failed = Some(self.fault(&error));
        }
        match self.flush(tcp).await {
            // What came was read.
            Err(error) if self.failed.is_none() && !is_too_late(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Records with nothing in them may follow one another as fast as they can be decrypted: the other runs have their turn.
    async fn make_way(&self) {
        if self.session.wants_bytes() {
            tokio::task::yield_now().await;
        }
    }

    fn fail(&mut self) -> Result<(), Fault> {
        self.failed.clone().map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// Encrypts and sends all of `bytes`; gives the moment at which the first of them were handed to the kernel.
    pub(super) async fn write_all(&mut self, mut bytes: &[u8], tcp: &mut Tcp) -> io::Result<Instant> {
        let mut first = None;
        while !bytes.is_empty() {
            let taken = self.session.connection.writer().write(bytes)?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            let sent = self.flush(tcp).await?;
            first = first.or(Some(sent));
        }
        Ok(first.unwrap_or_else(Instant::now))
    }

    async fn flush(&mut self, tcp: &mut Tcp) -> io::Result<Instant> {
        let connection = &mut self.session.connection;
        while connection.wants_write() {
            connection.write_tls(&mut tcp.outgoing())?;
        }
        tcp.flush().await
    }
}

/// By its first byte: the type of a record (RFC 8446 section 5.1).
fn is_tls(first: Option<&u8>) -> bool {
    matches!(first, Some(20..=23))
}
