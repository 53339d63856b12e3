//! `network` for a check: each call is charged, made by the run's [`crate::net::Outbound`] or one of its connections, and
//! converted.

use std::{sync::Arc, time::Duration};

use wasmtime::component::Resource;

use crate::{
    catalogue::HostError,
    net::{self, Connection, NetError},
    sandbox::{
        bindings::sonde::check::network::{
            Endpoint, Error, ErrorKind, Host, HostConnection, Instant, Opened, Received, Secured,
            Verification,
        },
        limits,
        state::State,
    },
};

/// Of what a check calls a host: more than any name has, in whatever letters (RFC 1035 section 2.3.4: 255 octets).
const HOST_BYTES: usize = 2048;

impl Host for State {}

impl HostConnection for State {
    async fn connect(&mut self, to: Endpoint) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        self.charge_call().await?;
        let outbound = Arc::clone(&self.outbound);
        let (host, port) = (no_longer_than_a_name(to.host), to.port);
        let connect = move || async move { outbound.connect(&host, port).await };
        match self.outbound.thread_stack().run(connect).await {
            Ok(connection) => {
                // Of each the same words in each round: what repeats is folded.
                for address in connection.passed() {
                    self.log.note(&format!("an address did not answer, and was passed over: {address}"));
                }
                Ok(self.table.push(connection).map_err(|_full| full()))
            }
            Err(error) => {
                self.note_denied(&error);
                Ok(Err(failed(&error)))
            }
        }
    }

    async fn opened(&mut self, this: Resource<Connection>) -> wasmtime::Result<Opened> {
        self.charge_call().await?;
        let opened = self.table.get(&this)?.opened();
        Ok(Opened {
            address: opened.address.to_string(),
            local_address: opened.local_address.to_string(),
            started_at: instant(opened.started_at),
            connected_at: instant(opened.connected_at),
        })
    }

    async fn start_tls(&mut self, this: Resource<Connection>) -> wasmtime::Result<Result<Secured, Error>> {
        self.charge_call().await?;
        match self.table.get_mut(&this)?.start_tls().await {
            Ok(secured) => Ok(Ok(Secured {
                version: secured.version,
                cipher: secured.cipher,
                group: secured.group,
                started_at: instant(secured.started_at),
                secured_at: instant(secured.secured_at),
                wait_ns: instant(secured.wait),
                verification: verification(secured.verification),
            })),
            Err(error) => Ok(Err(failed(&error))),
        }
    }

    async fn read(
        &mut self,
        this: Resource<Connection>,
        max: u32,
        wait_ms: Option<u32>,
    ) -> wasmtime::Result<Result<Received, Error>> {
        self.charge_call().await?;
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
            Err(error) => Ok(Err(failed(&error))),
        }
    }

    async fn write(
        &mut self,
        this: Resource<Connection>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<Instant, Error>> {
        self.charge_call().await?;
        match self.table.get_mut(&this)?.write(bytes).await {
            Ok(sent_at) => Ok(Ok(instant(sent_at))),
            Err(error) => {
                self.note_denied(&error);
                Ok(Err(failed(&error)))
            }
        }
    }

    async fn drop(&mut self, this: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

/// A check may name as much as its memory holds, and each text about it would hold it again. What is cut is still no host.
fn no_longer_than_a_name(mut host: String) -> String {
    if host.len() > HOST_BYTES {
        host.truncate(host.floor_char_boundary(HOST_BYTES));
        host.shrink_to_fit();
    }
    host
}

fn full() -> Error {
    Error { kind: ErrorKind::LimitExceeded, text: "as many handles are open as there can be".to_owned() }
}

/// Converts an error for the check.
fn failed(error: &NetError) -> Error {
    Error { kind: kind(error.host_error()), text: error.to_string() }
}

fn verification(from: net::Verification) -> Verification {
    match from {
        net::Verification::Verified => Verification::Verified,
        net::Verification::Skipped => Verification::Skipped,
        net::Verification::Failed(number, text) => Verification::Failed(Error { kind: kind(number), text }),
    }
}

fn instant(since_start: Duration) -> Instant {
    u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX)
}

macro_rules! kinds {
    ($($kind:ident: $error:ident;)+) => {
        /// What a check decides on; whatever has no kind of its own is `other`.
        fn kind(error: HostError) -> ErrorKind {
            match error {
                $(HostError::$error => ErrorKind::$kind,)+
                _ => ErrorKind::Other,
            }
        }

        impl ErrorKind {
            /// Its number for the line.
            pub(in crate::sandbox) fn host_error(self) -> HostError {
                match self { $(Self::$kind => HostError::$error,)+ }
            }
        }
    };
}

// Each kind, and the number that it stands for.
kinds! {
    NameNotFound: NameNotFound;
    ResolverFailed: ResolverFailed;
    ResolverTimeout: ResolverTimeout;
    ResolverRefused: ResolverRefused;
    DnssecBogus: DnssecBogus;
    Denied: Denied;
    SecretElsewhere: SecretElsewhere;
    ConnectTimeout: ConnectTimeout;
    ConnectionRefused: ConnectionRefused;
    Unreachable: Unreachable;
    ConnectionReset: ConnectionReset;
    ConnectionClosed: ConnectionClosed;
    WaitEnded: WaitEnded;
    ReadTimeout: ReadTimeout;
    WriteTimeout: WriteTimeout;
    CertificateExpired: CertificateExpired;
    CertificateNotYetValid: CertificateNotYetValid;
    CertificateNameMismatch: CertificateNameMismatch;
    CertificateUnknownIssuer: CertificateUnknownIssuer;
    CertificateRevoked: CertificateRevoked;
    CertificateInvalid: CertificateInvalid;
    CertificateTlsaMismatch: CertificateTlsaMismatch;
    CertificatePinMismatch: CertificatePinMismatch;
    TlsAlert: TlsAlert;
    TlsClientCertificate: TlsClientCertificate;
    TlsNotTls: TlsNotTls;
    TlsClosed: TlsClosed;
    TlsTimeout: TlsTimeout;
    TlsVersion: TlsVersion;
    TlsNoCipher: TlsNoCipher;
    TlsUnsupported: TlsUnsupported;
    TlsFailed: TlsFailed;
    PlaintextBeforeTls: PlaintextBeforeTls;
    LimitExceeded: CheckLimit;
    InvalidState: CheckState;
    Other: NetworkOther;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;

    #[test]
    fn what_is_too_long_for_a_name_is_cut_and_no_name_still() {
        let long = format!("{}mx1.example.org", "ä.".repeat(1 << 20));
        let cut = no_longer_than_a_name(long);
        assert!(cut.capacity() <= HOST_BYTES && cut.len() > HOST_BYTES - 4);
        assert!(cut.parse::<host::Host>().is_err());
        let name = "bücher.example.org".to_owned();
        assert_eq!(no_longer_than_a_name(name.clone()), name);
    }
}
