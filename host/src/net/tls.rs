//! TLS by the job's rules: a stream and rules in; an encrypted stream and what the certificates show out – also when they
//! are refused. No resumption: a resumed session shows no chain, and its times are not comparable.

use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{error::plain, tcp::Tcp};
use crate::{
    catalogue::HostError,
    job::{TlsRules, TlsVersion, Verify},
    report::TlsFacts,
};

/// Bytes of one read from the network: a TLS record and its header.
const RECORD_BYTES: usize = 16_640;
/// Certificates of a chain that are looked at; no honest chain is longer.
const CHAIN_CERTIFICATES: usize = 10;

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// The system's roots, read when first needed.
fn system_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    })
}

/// What verification saw.
#[derive(Debug, Default)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    error: Option<Error>,
}

/// Verifies by the rules, and remembers the chain and the fault whatever the outcome.
#[derive(Debug)]
struct Observer {
    /// None: there is no root at all, so that every issuer is unknown.
    inner: Option<Arc<WebPkiServerVerifier>>,
    verify: Verify,
    provider: Arc<CryptoProvider>,
    seen: Arc<Mutex<Seen>>,
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match (&self.inner, self.verify) {
            (_, Verify::Off) => Ok(ServerCertVerified::assertion()),
            (None, _) => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
            (Some(inner), _) => inner.verify_server_cert(leaf, intermediates, server_name, ocsp, now),
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let chain = std::iter::once(leaf).chain(intermediates);
        seen.chain =
            chain.take(CHAIN_CERTIFICATES).map(|certificate| certificate.clone().into_owned()).collect();
        seen.error = verified.as_ref().err().cloned();
        if self.verify == Verify::Full { verified } else { Ok(ServerCertVerified::assertion()) }
    }

    // The proof that the peer has the key is wanted always.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Says what is wrong with a job's rules before anything runs: files that hold no certificate or key, a bad name.
pub fn check_tls_rules(rules: &TlsRules) -> Result<(), String> {
    if let Some(name) = &rules.server_name {
        name_of(name)?;
    }
    if let Some(pem) = &rules.ca_pem {
        roots_of(pem, RootCertStore::empty())?;
    }
    if rules.client.is_some() {
        client_config(&TlsRules { verify: Verify::Off, ..rules.clone() }, Arc::default())?;
    }
    Ok(())
}

fn name_of(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| format!("`{name}` is no name that a certificate can have"))
}

fn roots_of(pem: &[u8], mut roots: RootCertStore) -> Result<RootCertStore, String> {
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("ca_file: not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("ca_file: not a usable root: {error}"))?;
        found += 1;
    }
    if found == 0 { Err("ca_file: no certificate in it".to_owned()) } else { Ok(roots) }
}

fn client_config(rules: &TlsRules, seen: Arc<Mutex<Seen>>) -> Result<ClientConfig, String> {
    let provider = provider();
    let inner = if rules.verify == Verify::Off {
        None
    } else {
        let mut roots = system_roots().clone();
        if let Some(pem) = &rules.ca_pem {
            roots = roots_of(pem, roots)?;
        }
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().ok()
    };
    let observer = Observer { inner, verify: rules.verify, provider: Arc::clone(&provider), seen };
    let versions: &[_] = match rules.min_version {
        TlsVersion::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V13 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(observer));
    let mut config = match &rules.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = CertificateDer::pem_slice_iter(&client.chain_pem)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| format!("client_cert: not PEM: {error}"))?;
            let key = PrivateKeyDer::from_pem_slice(&client.key_pem)
                .map_err(|error| format!("client_key: no key: {error}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("client_cert and client_key: {error}"))?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A handshake and what it showed.
pub(super) struct Session {
    connection: ClientConnection,
    /// Decrypted, and not yet handed out.
    received: Vec<u8>,
    /// The server said that nothing follows.
    closed: bool,
    /// What the handshake waited for the server.
    wait: Duration,
    seen: Arc<Mutex<Seen>>,
    verify: Verify,
}

impl Session {
    pub(super) fn new(rules: &TlsRules, host: &str) -> Result<Self, String> {
        let seen = Arc::default();
        let config = client_config(rules, Arc::clone(&seen))?;
        let name = name_of(rules.server_name.as_deref().unwrap_or(host))?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
        Ok(Self {
            connection,
            received: Vec::new(),
            closed: false,
            wait: Duration::ZERO,
            seen,
            verify: rules.verify,
        })
    }

    /// Gives the moment at which its first bytes were handed to the kernel.
    pub(super) async fn handshake(&mut self, tcp: &mut Tcp) -> Result<Instant, (HostError, String)> {
        let mut buffer = vec![0; RECORD_BYTES];
        let mut started = None;
        loop {
            let sent = flush(&mut self.connection, tcp).await.map_err(|error| lost(&error))?;
            started = started.or(Some(sent));
            if !self.connection.is_handshaking() {
                return Ok(started.unwrap_or(sent));
            }
            let since = tcp.last_arrival();
            let count = tcp.read(&mut buffer).await.map_err(|error| lost(&error))?;
            self.wait += tcp.last_arrival() - since;
            if count == 0 {
                return Err((
                    HostError::TlsClosed,
                    "the server closed the connection inside the handshake".to_owned(),
                ));
            }
            let begun = self.connection.protocol_version().is_some();
            if let Err(error) = self.feed(buffer.get(..count).unwrap_or_default()) {
                // The server learns why.
                let _told: io::Result<Instant> = flush(&mut self.connection, tcp).await;
                return Err(match error {
                    // It did speak TLS.
                    Error::InvalidMessage(_) if begun => (HostError::TlsFailed, error.to_string()),
                    _ => (number(&error), describe(&error)),
                });
            }
        }
    }

    /// How long the handshake waited for the server: its time without our own computing.
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// Writes down what the handshake showed so far.
    pub(super) fn facts(&self, facts: &mut TlsFacts) {
        facts.version = self.connection.protocol_version().and_then(|version| match version {
            rustls::ProtocolVersion::TLSv1_2 => Some("TLSv1.2".to_owned()),
            rustls::ProtocolVersion::TLSv1_3 => Some("TLSv1.3".to_owned()),
            _ => None,
        });
        let suite = self.connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        // rustls writes TLS13_ where the registry has TLS_.
        facts.cipher = suite.map(|name| name.replacen("TLS13_", "TLS_", 1));
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.verify != Verify::Off {
            facts.verify_error = seen.error.as_ref().map(describe);
        }
        let parsed: Vec<_> =
            seen.chain.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
        facts.issuer = parsed.first().map(|leaf| leaf.issuer().to_string());
        facts.not_after = parsed.iter().map(|certificate| certificate.validity().not_after.timestamp()).min();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        facts.days_left = facts.not_after.map(|end| (end - now).div_euclid(86_400));
    }

    /// Decrypts. What comes out is taken away at once: rustls refuses further records while much of it waits. What stands
    /// behind the end of the stream is nobody's: somebody on the way may have sent it.
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let general = |error: io::Error| Error::General(error.to_string());
        while !bytes.is_empty() && !self.closed {
            if self.connection.read_tls(&mut bytes).map_err(general)? == 0 {
                return Err(Error::General("TLS takes no more of what was received".to_owned()));
            }
            let state = self.connection.process_new_packets()?;
            self.closed = state.peer_has_closed();
            let waiting = state.plaintext_bytes_to_read();
            if waiting > 0 {
                let mut reader = self.connection.reader().take(u64::try_from(waiting).unwrap_or(u64::MAX));
                reader.read_to_end(&mut self.received).map_err(general)?;
            }
        }
        Ok(())
    }

    /// Waits for at most `max` bytes; none at the end, with or without `close_notify`: whether that matters is the
    /// dialogue's to judge.
    pub(super) async fn read(&mut self, max: usize, tcp: &mut Tcp) -> Result<Vec<u8>, StreamError> {
        let mut buffer = vec![0; RECORD_BYTES];
        while self.received.is_empty() && !self.closed {
            let count = tcp.read(&mut buffer).await?;
            if count == 0 {
                break;
            }
            self.take(buffer.get(..count).unwrap_or_default(), tcp).await?;
        }
        Ok(self.hand_out(max))
    }

    /// As [`Self::read`], of what has arrived already; none: nothing has.
    pub(super) async fn look(&mut self, max: usize, tcp: &mut Tcp) -> Result<Option<Vec<u8>>, StreamError> {
        let mut buffer = vec![0; RECORD_BYTES];
        while self.received.is_empty() && !self.closed {
            match tcp.look(&mut buffer)? {
                None => return Ok(None),
                Some(0) => break,
                Some(count) => self.take(buffer.get(..count).unwrap_or_default(), tcp).await?,
            }
        }
        Ok(Some(self.hand_out(max)))
    }

    /// Takes in what has arrived, and says what TLS itself answers to it.
    async fn take(&mut self, bytes: &[u8], tcp: &mut Tcp) -> Result<(), StreamError> {
        let fed = self.feed(bytes).map_err(|error| StreamError::Tls(number(&error), describe(&error)));
        let told = flush(&mut self.connection, tcp).await;
        fed?;
        told?;
        Ok(())
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
            bytes = bytes.get(taken..).unwrap_or_default();
            let sent = flush(&mut self.connection, tcp).await?;
            first = first.or(Some(sent));
        }
        Ok(first.unwrap_or_else(Instant::now))
    }
}

/// Why an encrypted or plain stream came to no good.
#[derive(Debug)]
pub(super) enum StreamError {
    Io(io::Error),
    /// With its number and its text.
    Tls(HostError, String),
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn flush(connection: &mut ClientConnection, tcp: &mut Tcp) -> io::Result<Instant> {
    while connection.wants_write() {
        connection.write_tls(tcp.outgoing())?;
    }
    tcp.flush().await
}

fn lost(error: &io::Error) -> (HostError, String) {
    (HostError::TlsClosed, format!("the connection was lost inside the handshake: {}", plain(error)))
}

fn number(error: &Error) -> HostError {
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                HostError::CertificateExpired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                HostError::CertificateNotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                HostError::CertificateNameMismatch
            }
            CertificateError::UnknownIssuer => HostError::CertificateUnknownIssuer,
            CertificateError::Revoked => HostError::CertificateRevoked,
            _ => HostError::CertificateInvalid,
        },
        Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        )
        | Error::PeerIncompatible(_) => HostError::TlsUnsupported,
        Error::AlertReceived(_) => HostError::TlsAlert,
        Error::InvalidMessage(_) => HostError::TlsNotTls,
        _ => HostError::TlsFailed,
    }
}

/// In words for the person on call.
fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("the certificate expired {}", date(not_after.as_secs()))
            }
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("the certificate is not valid before {}", date(not_before.as_secs()))
            }
            CertificateError::UnknownIssuer => {
                "the certificate's issuer is unknown (ca_file adds one)".to_owned()
            }
            other => format!("the certificate is refused: {other}"),
        },
        Error::AlertReceived(alert) => format!("the server sent the TLS alert {alert:?}"),
        Error::InvalidMessage(_) => "what the server sent is not TLS".to_owned(),
        other => other.to_string(),
    }
}

fn date(unix_seconds: u64) -> String {
    let time = x509_parser::time::ASN1Time::from_timestamp(i64::try_from(unix_seconds).unwrap_or(i64::MAX));
    time.map_or_else(|_| unix_seconds.to_string(), |time| format!("on {time}"))
}
