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
mod situation;
mod trust;
mod verify;

use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustls::{ClientConnection, Error};

pub(super) use self::fault::TlsFault;
pub use self::{
    no_tls::NoTls,
    trust::{Tls, Trust},
};
use self::{observer::Seen, situation::Situation};
use super::{error::Fault, tcp::Tcp};
use crate::{catalogue::HostError, host::Host, measured::TlsFacts, tls_rules::Verify};

/// Bytes of one read from the network: a TLS record and its header.
const RECORD_BYTES: usize = 16_640;
/// Bytes of a record's header.
const HEADER_BYTES: usize = 5;
/// Bytes taken at once of what was decrypted.
const CLEAR_BYTES: usize = 4096;

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
    connection: ClientConnection,
    /// Decrypted, and not yet handed out.
    received: Vec<u8>,
    /// The server said that nothing follows.
    closed: bool,
    /// The stream broke behind `received`.
    failed: Option<TlsFault>,
    /// What the handshake waited for the server.
    wait: Duration,
    seen: Arc<Mutex<Seen>>,
    trust: Arc<Trust>,
}

impl TlsStream {
    /// Prepares everything that is not the server's to wait for.
    pub(super) fn new(tls: &Tls, host: &Host) -> Result<Self, TlsFault> {
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => trust::name_of(host.ascii()).map_err(TlsFault::Name)?,
        };
        let seen = Arc::default();
        let connection = client::config(&tls.trust, &seen)
            .and_then(|config| ClientConnection::new(Arc::new(config), name));
        let connection = connection.map_err(|_| TlsFault::SetUp)?;
        Ok(Self {
            connection,
            received: Vec::new(),
            closed: false,
            failed: None,
            wait: Duration::ZERO,
            seen,
            trust: Arc::clone(&tls.trust),
        })
    }

    /// What an error means, inside the handshake or behind it.
    pub(super) fn fault(&self, error: &Error) -> TlsFault {
        Situation {
            begun: self.connection.protocol_version().is_some(),
            min_version: self.trust.min_version,
            verify: self.trust.verify,
            has_identity: self.trust.identity.is_some(),
            seen: &self.seen.lock().unwrap_or_else(PoisonError::into_inner),
        }
        .fault(error)
    }

    /// Gives the moment at which its first bytes were handed to the kernel.
    pub(super) async fn handshake(&mut self, tcp: &mut Tcp) -> Result<Instant, Fault> {
        let mut started = None;
        let mut records = Records::default();
        loop {
            let sent = flush(&mut self.connection, tcp).await.map_err(Fault::HandshakeLost)?;
            started = started.or(Some(sent));
            if !self.connection.is_handshaking() {
                return Ok(started.unwrap_or(sent));
            }
            let since = tcp.last_arrival();
            let ahead = tcp.ahead(RECORD_BYTES).await.map_err(Fault::HandshakeLost)?;
            let (count, fed) = self.feed_handshake(&ahead, &mut records);
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
                let _told: io::Result<Instant> = flush(&mut self.connection, tcp).await;
                return Err(self.fault(&error).into());
            }
        }
    }

    /// Takes in the handshake's part of these bytes, and says how many they are: what stands behind its last record is left to
    /// the kernel, which knows when it came.
    fn feed_handshake(&mut self, bytes: &[u8], records: &mut Records) -> (usize, Result<(), Error>) {
        let mut rest = bytes;
        while self.connection.is_handshaking() && !rest.is_empty() {
            let (record, behind) = rest.split_at(records.due(rest));
            rest = behind;
            if let Err(error) = self.feed(record) {
                return (bytes.len() - rest.len(), Err(error));
            }
        }
        (bytes.len() - rest.len(), Ok(()))
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
        facts::negotiated(&self.connection, certificates)
    }

    /// Decrypts. What comes out is taken away at once: rustls refuses further records while much of it waits. What stands
    /// behind the end of the stream is nobody's: somebody on the way may have sent it.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let general = |error: io::Error| Error::General(error.to_string());
        while !bytes.is_empty() && !self.closed {
            if self.connection.read_tls(&mut bytes).map_err(general)? == 0 {
                return Err(Error::General("TLS takes no more of what was received".to_owned()));
            }
            let processed = self.connection.process_new_packets();
            // Also what came before a fault: it may be why the server ends the session.
            let mut clear = [0; CLEAR_BYTES];
            let mut reader = self.connection.reader();
            while let Ok(count @ 1..) = reader.read(&mut clear) {
                self.received.extend_from_slice(clear.get(..count).unwrap_or_default());
            }
            self.closed = processed?.peer_has_closed();
        }
        Ok(())
    }

    /// Waits for at most `max` bytes; none at the end, with or without `close_notify`: whether that matters is the
    /// dialogue's to judge.
    pub(super) async fn read(&mut self, max: usize, tcp: &mut Tcp) -> Result<Vec<u8>, Fault> {
        while self.received.is_empty() && !self.closed {
            self.fail()?;
            let bytes = tcp.read(RECORD_BYTES).await?;
            if bytes.is_empty() {
                break;
            }
            self.take(&bytes, tcp).await?;
            self.make_way().await;
        }
        Ok(self.hand_out(max))
    }

    /// As [`Self::read`], of what has arrived already; none: nothing has.
    pub(super) async fn look(&mut self, max: usize, tcp: &mut Tcp) -> Result<Option<Vec<u8>>, Fault> {
        while self.received.is_empty() && !self.closed {
            self.fail()?;
            match tcp.look(RECORD_BYTES)? {
                None => return Ok(None),
                Some(bytes) if bytes.is_empty() => break,
                Some(bytes) => self.take(&bytes, tcp).await?,
            }
            self.make_way().await;
        }
        Ok(Some(self.hand_out(max)))
    }

    /// Takes in what has arrived, and says what TLS itself answers to it. A fault is said when what came before it was read.
    async fn take(&mut self, bytes: &[u8], tcp: &mut Tcp) -> Result<(), Fault> {
        if let Err(error) = self.feed(bytes) {
            self.failed = Some(self.fault(&error));
        }
        let told = flush(&mut self.connection, tcp).await;
        if self.failed.is_none() {
            told?;
        }
        Ok(())
    }

    /// Records with nothing in them may follow one another as fast as they can be decrypted: the other runs have their turn.
    async fn make_way(&self) {
        if self.received.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    fn fail(&mut self) -> Result<(), Fault> {
        self.failed.clone().map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn hand_out(&mut self, max: usize) -> Vec<u8> {
        let rest = self.received.split_off(max.min(self.received.len()));
        std::mem::replace(&mut self.received, rest)
    }

    /// Encrypts and sends all of `bytes`; gives the moment at which the first of them were handed to the kernel.
    pub(super) async fn write_all(&mut self, mut bytes: &[u8], tcp: &mut Tcp) -> io::Result<Instant> {
        let mut first = None;
        while !bytes.is_empty() {
            let taken = self.connection.writer().write(bytes)?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            let sent = flush(&mut self.connection, tcp).await?;
            first = first.or(Some(sent));
        }
        Ok(first.unwrap_or_else(Instant::now))
    }
}

/// Where a record ends (RFC 8446 section 5.1).
#[derive(Default)]
struct Records {
    header: Vec<u8>,
    left: usize,
}

impl Records {
    /// How many of these bytes, which are the next, belong to the record that is due.
    fn due(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        if self.left == 0 {
            count = HEADER_BYTES.saturating_sub(self.header.len()).min(bytes.len());
            self.header.extend_from_slice(bytes.get(..count).unwrap_or_default());
            let [_type, _major, _minor, high, low] = *self.header else { return count };
            self.left = u16::from_be_bytes([high, low]).into();
            self.header.clear();
        }
        let more = self.left.min(bytes.len() - count);
        self.left -= more;
        count + more
    }
}

async fn flush(connection: &mut ClientConnection, tcp: &mut Tcp) -> io::Result<Instant> {
    while connection.wants_write() {
        connection.write_tls(&mut tcp.outgoing())?;
    }
    tcp.flush().await
}
