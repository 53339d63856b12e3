//! Over loopback listeners and certificates made on the spot.

use std::{net::Ipv4Addr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::job::Verify;

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(500)
}

async fn opened(listener: &TcpListener) -> (Connection, tokio::net::TcpStream) {
    let port = listener.local_addr().unwrap().port();
    let grant = Grant::new("localhost", port);
    let mut measured = Measured::default();
    let connecting = connect(&grant, "localhost", port, RunClock::start(), soon(), &mut measured);
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let grant = Grant::new("127.0.0.1", 25);
    let mut measured = Measured::default();
    let denied = connect(&grant, "127.0.0.1", 26, RunClock::start(), soon(), &mut measured).await;
    assert_eq!(denied.err().unwrap().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let port = listener().await.local_addr().unwrap().port();
    let grant = Grant::new("127.0.0.1", port);
    let mut measured = Measured::default();
    let refused =
        connect(&grant, "127.0.0.1", port, RunClock::start(), soon(), &mut measured).await.err().unwrap();
    assert_eq!(refused.host_error, HostError::ConnectionRefused);
    assert_eq!(refused.text, format!("connect to 127.0.0.1:{port}: connection refused"));
    assert_eq!(measured.ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(measured.connect, None);
}

#[tokio::test]
async fn of_two_lines_each_is_read_alone_and_the_end_is_empty() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"250-a\r\n250 b\r\n").await.unwrap();
    drop(peer);
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"250-a\r\n");
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"250 b\r\n");
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let listener = listener().await;
    let (mut connection, _peer) = opened(&listener).await;
    assert_eq!(connection.read(512, soon()).await.err().unwrap().host_error, HostError::ReadTimeout);
}

#[tokio::test]
async fn plaintext_behind_the_answer_to_starttls_refuses_tls() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 go\r\n250 injected\r\n").await.unwrap();
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"220 go\r\n");
    let refused = connection.start_tls(&TlsRules::default(), soon(), &mut Measured::default()).await;
    assert_eq!(refused.err().unwrap().kind, ErrorKind::PlaintextBeforeTls);
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn server(&self, name: &str, end_year: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(end_year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            );
        Arc::new(config.unwrap())
    }
}

async fn handshake(server: Arc<ServerConfig>, rules: &TlsRules) -> (Result<Secured, NetError>, Measured) {
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let serving = tokio::spawn(async move {
        if let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(server).accept(peer).await {
            stream.write_all(b"220 hi\r\n").await.unwrap();
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
        }
    });
    let mut measured = Measured::default();
    let secured = connection.start_tls(rules, soon(), &mut measured).await;
    if secured.is_ok() {
        assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"220 hi\r\n");
    }
    drop(connection);
    serving.await.unwrap();
    (secured, measured)
}

fn trusting(authority: &Authority) -> TlsRules {
    TlsRules { ca_pem: Some(authority.issuer.pem().into_bytes()), ..TlsRules::default() }
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_described() {
    let authority = Authority::new();
    let (secured, measured) = handshake(authority.server("localhost", 2100), &trusting(&authority)).await;
    let secured = secured.unwrap();
    assert_eq!((&*secured.version, secured.verify_error), ("TLSv1.3", None));
    assert!(secured.cipher.starts_with("TLS_"), "{}", secured.cipher);
    assert_eq!(measured.tls_facts.not_after, Some(4_102_444_800));
    assert!(
        measured.tls_facts.days_left > Some(0)
            && measured.tls.is_some()
            && measured.tls_facts.issuer.is_some()
    );
}

#[tokio::test]
async fn a_refused_certificate_keeps_its_facts() {
    let authority = Authority::new();
    for (name, year, rules, expected) in [
        ("localhost", 2001, trusting(&authority), HostError::CertificateExpired),
        ("elsewhere.example", 2100, trusting(&authority), HostError::CertificateNameMismatch),
        ("localhost", 2100, TlsRules::default(), HostError::CertificateUnknownIssuer),
    ] {
        let (refused, measured) = handshake(authority.server(name, year), &rules).await;
        assert_eq!(refused.err().unwrap().host_error, expected);
        let facts = &measured.tls_facts;
        assert!(
            facts.verify_error.is_some() && facts.not_after.is_some() && measured.tls.is_some(),
            "{measured:?}"
        );
    }
}

#[tokio::test]
async fn report_goes_on_with_the_error_and_off_without() {
    let authority = Authority::new();
    let rules = TlsRules { verify: Verify::Report, ..trusting(&authority) };
    let (secured, measured) = handshake(authority.server("localhost", 2001), &rules).await;
    assert!(secured.unwrap().verify_error.is_some());
    assert!(measured.tls_facts.days_left < Some(0));
    let rules = TlsRules { verify: Verify::Off, ..TlsRules::default() };
    let (secured, measured) = handshake(authority.server("localhost", 2001), &rules).await;
    assert!(secured.unwrap().verify_error.is_none() && measured.tls_facts.verify_error.is_none());
}

#[tokio::test]
async fn what_is_not_tls_is_named() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 plain mail server\r\n").await.unwrap();
    let failed = connection.start_tls(&TlsRules::default(), soon(), &mut Measured::default()).await;
    assert_eq!(failed.err().unwrap().kind, ErrorKind::TlsNotTls);
}

#[tokio::test]
async fn a_server_that_closes_or_keeps_silent_inside_the_handshake_is_named() {
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    drop(peer);
    let failed = connection.start_tls(&TlsRules::default(), soon(), &mut Measured::default()).await;
    assert_eq!(failed.err().unwrap().kind, ErrorKind::TlsClosed);
    let (mut connection, _peer) = opened(&listener).await;
    let failed = connection.start_tls(&TlsRules::default(), soon(), &mut Measured::default()).await;
    assert_eq!(failed.err().unwrap().host_error, HostError::TlsTimeout);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let rules = TlsRules { ca_pem: Some(b"nothing".to_vec()), ..TlsRules::default() };
    assert_eq!(check_tls_rules(&rules).unwrap_err(), "ca_file: no certificate in it");
    let rules = TlsRules { server_name: Some("a b".into()), ..TlsRules::default() };
    assert_eq!(check_tls_rules(&rules).unwrap_err(), "`a b` is no name that a certificate can have");
}
