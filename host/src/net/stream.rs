//! What is said over a connection, plain or encrypted: calls in; bytes and instants out, each within the run's time and share. Refuses
//! TLS over plaintext that nobody has read, and everything after TLS has failed.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::time;

use super::{
    deadline::{LATE, until},
    error::{Fault, NetError, Tried},
    reach::Rules,
    run::Run,
    tcp::{Tcp, is_too_late},
    tls::{TlsStream, Verification},
};
use crate::{catalogue::HostError, host::Host, outcome::Outcome, text};

/// Bytes that are made ready to be sent at once: what a write that is given up leaves behind in memory.
const READY_BYTES: usize = 64 << 10;

/// Of what is left over in front of TLS, so much is looked at for a line to show.
const LEFT_BYTES: usize = 8 << 10;

/// How a connection came about.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// Connected to.
    pub address: IpAddr,
    /// Connected from.
    pub local_address: IpAddr,
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
    /// Of the key exchange: IANA name.
    pub group: String,
    /// Its first bytes were handed to the network.
    pub started_at: Duration,
    /// It was done: the server's last bytes had arrived, and ours were handed to the network.
    pub secured_at: Duration,
    /// How long it waited for the server.
    pub wait: Duration,
    /// What is known of who the server is.
    pub verification: Verification,
}

/// Both ways of a connection.
pub(super) struct Stream {
    pub(super) tcp: Tcp,
    /// Apart: who waits in plain text holds nothing for it.
    tls: Option<Box<TlsStream>>,
    /// A handshake began and did not succeed: what is said now would be neither safe nor understood.
    spoilt: bool,
    /// Received before TLS and not yet handed out.
    plain: Bytes,
    /// Plaintext was exchanged.
    spoke_plain: bool,
    to: To,
    run: Arc<Run>,
}

/// Where a connection leads.
pub(super) struct To {
    pub(super) host: Host,
    pub(super) rules: Rules,
    /// The endpoint whose first connection it is: the one that is measured.
    pub(super) measured: Option<usize>,
    pub(super) peer: SocketAddr,
}

impl Stream {
    pub(super) fn new(tcp: Tcp, to: To, run: Arc<Run>) -> Self {
        Self { tcp, tls: None, spoilt: false, plain: Bytes::new(), spoke_plain: false, to, run }
    }

    pub(super) fn opened(&self) -> Opened {
        Opened {
            address: self.to.peer.ip(),
            local_address: self.tcp.local().ip(),
            started_at: self.run.clock.at(self.tcp.started()),
            connected_at: self.run.clock.at(self.tcp.connected()),
        }
    }

    pub(super) async fn start_tls(&mut self) -> Result<Secured, NetError> {
        self.ready_for_tls().map_err(|fault| self.no_tls(fault))?;
        if self.run.is_over() {
            return Err(self.no_tls(self.run.no_time(HostError::TlsTimeout)));
        }
        let run = Arc::clone(&self.run);
        let (with, elsewhere) = (self.to.peer, self.to.rules.elsewhere);
        let failed = |fault| NetError::new(Tried::Tls { with, elsewhere }, fault);
        let stream = TlsStream::new(&self.to.rules.tls, &self.to.host, !self.spoke_plain);
        let mut stream = stream.map_err(|fault| failed(fault.into()))?;
        self.spoilt = true;
        let done = stream.handshake(&mut self.tcp, &run).await.map_err(failed);
        let facts = stream.facts();
        let refused = done.as_ref().is_err_and(|error| error.host_error().outcome() == Outcome::CertInvalid);
        run.note(self.to.measured, |contact| {
            contact.tls_facts = facts.clone();
            contact.tls = (done.is_ok() || refused).then(|| stream.wait());
        });
        let secured = Secured {
            version: facts.version.unwrap_or_default(),
            cipher: facts.cipher.unwrap_or_default(),
            group: facts.group.unwrap_or_default(),
            started_at: run.clock.at(done?),
            secured_at: run.clock.at(self.tcp.last_arrival()),
            wait: stream.wait(),
            verification: stream.verification(),
        };
        self.tls = Some(Box::new(stream));
        self.spoilt = false;
        Ok(secured)
    }

    /// What is said is encrypted.
    pub(super) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    fn ready_for_tls(&self) -> Result<(), Fault> {
        if self.spoilt {
            return Err(Fault::TlsFailedBefore);
        }
        if self.tls.is_some() {
            return Err(Fault::TlsIsOn);
        }
        let left = if !self.plain.is_empty() {
            self.plain.clone()
        } else if self.spoke_plain {
            self.tcp.peek(LEFT_BYTES).into()
        } else {
            Bytes::new()
        };
        if left.is_empty() { Ok(()) } else { Err(Fault::LeftOver(text::first_line(&left))) }
    }

    pub(super) async fn read(&mut self, max: usize, wait: Option<Duration>) -> Result<Received, NetError> {
        let deadline = self.run.until(wait);
        let received = until(deadline, pin!(self.receive(max))).await;
        let received = match received {
            Ok(received) => received,
            Err(_late) => {
                let silence = self.tcp.silence(deadline);
                Err(match self.run.is_over() {
                    // The peer had none.
                    true if silence < LATE => self.run.no_time(HostError::ReadTimeout),
                    true => Fault::Silent(silence),
                    false => Fault::WaitOver(silence),
                })
            }
        };
        received.map_err(|fault| self.failed(fault))
    }

    pub(super) async fn look(&mut self, max: usize) -> Result<Received, NetError> {
        let looked = until(self.run.deadline, pin!(self.receive_now(max))).await;
        let received = match looked.unwrap_or(Ok(None)) {
            Ok(Some(received)) => Ok(received),
            // Who only looks would never learn that the time is over.
            Ok(None) if self.run.is_over() => Err(self.run.no_time(HostError::ReadTimeout)),
            Ok(None) => Err(Fault::NothingThere),
            Err(fault) => Err(fault),
        };
        received.map_err(|fault| self.failed(fault))
    }

    fn no_tls(&self, fault: Fault) -> NetError {
        NetError::new(Tried::Tls { with: self.to.peer, elsewhere: false }, fault)
    }

    fn failed(&self, fault: Fault) -> NetError {
        match fault {
            Fault::Tls(_) => self.no_tls(fault),
            _ => NetError::new(Tried::Exchange(self.to.peer), fault),
        }
    }

    async fn receive(&mut self, max: usize) -> Result<Received, Fault> {
        self.usable()?;
        let max = at_least_one(max);
        let bytes = if let Some(tls) = &mut self.tls {
            tls.read(max, &mut self.tcp).await?
        } else {
            self.spoke_plain = true;
            if self.plain.is_empty() {
                self.plain = self.tcp.read(max).await?.into();
            }
            self.line(max)
        };
        Ok(self.received(bytes))
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
                let Some(bytes) = self.tcp.look(max)? else { return Ok(None) };
                self.plain = bytes.into();
            }
            self.line(max)
        };
        Ok(Some(self.received(bytes)))
    }

    fn received(&self, bytes: Vec<u8>) -> Received {
        Received { bytes, received_at: self.run.clock.at(self.tcp.last_read()) }
    }

    /// Takes what was received before TLS, up to the first line feed; at the cost of what it takes, however much is left.
    fn line(&mut self, max: usize) -> Vec<u8> {
        let most = self.plain.len().min(max);
        let end = self.plain.iter().take(most).position(|byte| *byte == b'\n');
        self.plain.split_to(end.map_or(most, |at| at + 1)).into()
    }

    fn usable(&self) -> Result<(), Fault> {
        if self.spoilt { Err(Fault::TlsFailedBefore) } else { Ok(()) }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<Duration, NetError> {
        if self.run.is_over() {
            return Err(self.failed(self.run.no_time(HostError::WriteTimeout)));
        }
        self.look_for_secrets(bytes).await.map_err(|fault| self.failed(fault))?;
        let (began, deadline) = (Instant::now(), self.run.deadline);
        match time::timeout_at(deadline.into(), self.send(bytes)).await {
            Err(_late) => {
                self.run.clock.count_wait(began, deadline.min(Instant::now()));
                // Who is late himself cannot tell.
                let is_late = deadline.elapsed() >= LATE;
                let fault = if is_late { self.run.no_time(HostError::WriteTimeout) } else { Fault::NotTaken };
                Err(self.failed(fault))
            }
            Ok(Err(Fault::Stream(error))) if is_too_late(&error) => {
                Err(self.failed(self.run.no_time(HostError::WriteTimeout)))
            }
            Ok(Err(fault)) => Err(self.failed(fault)),
            Ok(Ok(sent)) => Ok(self.run.clock.at(sent)),
        }
    }

    /// Keeps what was found of a secret only where it is going to be sent.
    async fn look_for_secrets(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(watch) = &self.to.rules.watch else { return Ok(()) };
        let mut watch = watch.clone();
        for (number, bytes) in bytes.chunks(READY_BYTES).enumerate() {
            if number > 0 {
                // It takes milliseconds: the other runs have their turn.
                tokio::task::yield_now().await;
            }
            if watch.finds(bytes) {
                return Err(Fault::SecretOfAnother);
            }
        }
        self.to.rules.watch = Some(watch);
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<Instant, Fault> {
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
    }
}

/// None is the mark of the end.
fn at_least_one(max: usize) -> usize {
    max.max(1)
}
