//! `network` for a check: each call is charged, made by [`crate::net`] within the job's deadline, and converted.

use std::time::{Duration, Instant};

use wasmtime::component::Resource;

use super::{
    bindings::sonde::check::network::{
        Endpoint, Error, ErrorKind, Host, HostConnection, Instant as WitInstant, Opened, Received, Secured,
    },
    limits,
    state::State,
};
use crate::{
    catalogue::HostError,
    net::{self, Connection, NetError},
    report::Measured,
};

/// A connection as the check's resource table holds it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Handle {
    connection: Connection,
    first: bool,
}

impl Host for State {}

impl HostConnection for State {
    async fn connect(&mut self, to: Endpoint) -> wasmtime::Result<Result<Resource<Handle>, Error>> {
        self.charge_call()?;
        let first = !std::mem::replace(&mut self.connected, true);
        let mut other = Measured::default();
        let measured = if first { &mut self.measured } else { &mut other };
        let (grant, clock, quota) = (&self.grant, &self.clock, &self.quota);
        match net::connect(grant, &to.host, to.port, clock, quota, self.deadline, measured).await {
            Ok(connection) => match self.table.push(Handle { connection, first }) {
                Ok(handle) => Ok(Ok(handle)),
                Err(_full) => Ok(Err(full())),
            },
            Err(error) => {
                if error.host_error() == HostError::Denied {
                    self.denied += 1;
                    if self.denied <= limits::DENIED_LINES {
                        self.log.note(&format!("denied: {error}"));
                    }
                }
                Ok(Err(self.remember(&error)))
            }
        }
    }

    async fn opened(&mut self, this: Resource<Handle>) -> wasmtime::Result<Opened> {
        self.charge_call()?;
        let opened = self.table.get(&this)?.connection.opened();
        Ok(Opened {
            address: opened.address.to_string(),
            started_at: instant(opened.started_at),
            connected_at: instant(opened.connected_at),
        })
    }

    async fn start_tls(&mut self, this: Resource<Handle>) -> wasmtime::Result<Result<Secured, Error>> {
        self.charge_call()?;
        let handle = self.table.get_mut(&this)?;
        let mut other = Measured::default();
        let measured = if handle.first { &mut self.measured } else { &mut other };
        match handle.connection.start_tls(&self.tls, self.deadline, measured).await {
            Ok(secured) => Ok(Ok(Secured {
                version: secured.version,
                cipher: secured.cipher,
                started_at: instant(secured.started_at),
                secured_at: instant(secured.secured_at),
                wait_ns: instant(secured.wait),
                verify_error: secured.verify_error,
            })),
            Err(error) => Ok(Err(self.remember(&error))),
        }
    }

    async fn read(
        &mut self,
        this: Resource<Handle>,
        max: u32,
        wait_ms: Option<u32>,
    ) -> wasmtime::Result<Result<Received, Error>> {
        self.charge_call()?;
        let deadline = wait_ms.map_or(self.deadline, |wait| {
            self.deadline.min(Instant::now() + Duration::from_millis(u64::from(wait)))
        });
        let max = usize::try_from(max.clamp(1, limits::READ_BYTES))?;
        let connection = &mut self.table.get_mut(&this)?.connection;
        let received = match wait_ms {
            Some(0) => connection.look(max, self.deadline).await,
            _ => connection.read(max, deadline).await,
        };
        match received {
            Ok(received) => {
                Ok(Ok(Received { bytes: received.bytes, received_at: instant(received.received_at) }))
            }
            Err(error) => Ok(Err(self.remember(&error))),
        }
    }

    async fn write(
        &mut self,
        this: Resource<Handle>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<WitInstant, Error>> {
        self.charge_call()?;
        match self.table.get_mut(&this)?.connection.write(&bytes, self.deadline).await {
            Ok(sent_at) => Ok(Ok(instant(sent_at))),
            Err(error) => Ok(Err(self.remember(&error))),
        }
    }

    async fn drop(&mut self, this: Resource<Handle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

fn full() -> Error {
    Error { kind: ErrorKind::LimitExceeded, text: "as many handles are open as there can be".to_owned() }
}

impl State {
    /// Converts an error for the check, and keeps its number for the line.
    fn remember(&mut self, error: &NetError) -> Error {
        let kind = kind(error.host_error());
        self.faults.retain(|(known, _)| *known != kind);
        self.faults.push((kind, error.host_error()));
        Error { kind, text: error.to_string() }
    }

    /// The number of a network error that the check reports: that of the call which failed so.
    pub(crate) fn host_error(&self, kind: ErrorKind) -> HostError {
        self.faults
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or_else(|| general(kind), |(_, error)| *error)
    }
}

fn instant(since_start: Duration) -> WitInstant {
    u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX)
}

macro_rules! kinds {
    ($($kind:ident: $general:ident $(| $finer:ident)*;)+) => {
        /// What a check decides on.
        fn kind(error: HostError) -> ErrorKind {
            match error {
                $(HostError::$general $(| HostError::$finer)* => ErrorKind::$kind,)+
                _ => ErrorKind::Other,
            }
        }

        /// The number of a kind that no call of the run failed with.
        fn general(kind: ErrorKind) -> HostError {
            match kind { $(ErrorKind::$kind => HostError::$general,)+ }
        }
    };
}

// A kind of error, and the numbers that it stands for: the first where nothing finer is known.
kinds! {
    Denied: Denied;
    Timeout: ReadTimeout | ConnectTimeout | TlsTimeout;
    NameNotFound: NameNotFound;
    ResolverFailed: ResolverFailed;
    ResolverTimeout: ResolverTimeout;
    ConnectionRefused: ConnectionRefused;
    Unreachable: Unreachable;
    ConnectionReset: ConnectionReset;
    ConnectionClosed: ConnectionClosed;
    CertificateExpired: CertificateExpired;
    CertificateNotYetValid: CertificateNotYetValid;
    CertificateNameMismatch: CertificateNameMismatch;
    CertificateUnknownIssuer: CertificateUnknownIssuer;
    CertificateRevoked: CertificateRevoked;
    CertificateInvalid: CertificateInvalid;
    TlsAlert: TlsAlert | TlsClientCertificate;
    TlsNotTls: TlsNotTls;
    TlsClosed: TlsClosed;
    TlsUnsupported: TlsUnsupported | TlsVersion | TlsNoCipher;
    TlsFailed: TlsFailed;
    PlaintextBeforeTls: PlaintextBeforeTls;
    LimitExceeded: CheckLimit;
    InvalidState: CheckState;
    Other: NetworkOther;
}
