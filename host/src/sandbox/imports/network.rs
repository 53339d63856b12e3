//! `network` for a check: each call is charged, made by the run's [`crate::net::Outbound`] or one of its connections, and
//! converted.

use std::time::Duration;

use wasmtime::component::Resource;

use crate::{
    catalogue::HostError,
    net::{Connection, NetError},
    sandbox::{
        bindings::sonde::check::network::{
            Endpoint, Error, ErrorKind, Host, HostConnection, Instant, Opened, Received, Secured,
        },
        limits,
        state::State,
    },
};

impl Host for State {}

impl HostConnection for State {
    async fn connect(&mut self, to: Endpoint) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        self.charge_call()?;
        match self.outbound.connect(&to.host, to.port).await {
            Ok(connection) => Ok(self.table.push(connection).map_err(|_full| full())),
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

    async fn opened(&mut self, this: Resource<Connection>) -> wasmtime::Result<Opened> {
        self.charge_call()?;
        let opened = self.table.get(&this)?.opened();
        Ok(Opened {
            address: opened.address.to_string(),
            started_at: instant(opened.started_at),
            connected_at: instant(opened.connected_at),
        })
    }

    async fn start_tls(&mut self, this: Resource<Connection>) -> wasmtime::Result<Result<Secured, Error>> {
        self.charge_call()?;
        match self.table.get_mut(&this)?.start_tls().await {
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
        this: Resource<Connection>,
        max: u32,
        wait_ms: Option<u32>,
    ) -> wasmtime::Result<Result<Received, Error>> {
        self.charge_call()?;
        let max = usize::try_from(max.clamp(1, limits::READ_BYTES))?;
        let connection = self.table.get_mut(&this)?;
        let received = match wait_ms {
            Some(0) => connection.look(max).await,
            _ => connection.read(max, wait_ms.map(|wait| Duration::from_millis(wait.into()))).await,
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
        this: Resource<Connection>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<Instant, Error>> {
        self.charge_call()?;
        match self.table.get_mut(&this)?.write(&bytes).await {
            Ok(sent_at) => Ok(Ok(instant(sent_at))),
            Err(error) => Ok(Err(self.remember(&error))),
        }
    }

    async fn drop(&mut self, this: Resource<Connection>) -> wasmtime::Result<()> {
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

fn instant(since_start: Duration) -> Instant {
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
