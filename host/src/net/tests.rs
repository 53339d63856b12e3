//! Over loopback listeners and certificates made on the spot.

use std::{io::Write as _, net::Ipv4Addr, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::job::{ClientIdentity, TlsRules, TlsVersion, Verify};

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(500)
}

async fn opened(listener: &TcpListener) -> (Connection, tokio::net::TcpStream) {
    let port = listener.local_addr().unwrap().port();
    let grant = Grant::new("localhost", port, &[]);
    let mut measured = Measured::default();
    let clock = RunClock::start();
    let connecting = connect(&grant, "localhost", port, &clock, soon(), &mut measured);
    let (connection, accepted) = tokio::join!(connecting, listener.accept());
    (connection.unwrap(), accepted.unwrap().0)
}

async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

#[tokio::test]
async fn what_is_not_granted_is_denied() {
    let grant = Grant::new("127.0.0.1", 25, &[]);
    let mut measured = Measured::default();
    let denied = connect(&grant, "127.0.0.1", 26, &RunClock::start(), soon(), &mut measured).await;
    assert_eq!(denied.err().unwrap().kind, ErrorKind::Denied);
}

#[tokio::test]
async fn when_the_time_is_over_nobody_is_asked_and_nothing_connected() {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    for host in ["localhost", "127.0.0.1"] {
        let (grant, mut measured) = (Grant::new(host, port, &[]), Measured::default());
        let late = connect(&grant, host, port, &RunClock::start(), Instant::now(), &mut measured).await;
        assert_eq!(late.err().unwrap().host_error, HostError::ConnectTimeout);
        assert_eq!(measured, Measured::default());
    }
    assert!(time::timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let port = listener().await.local_addr().unwrap().port();
    let grant = Grant::new("127.0.0.1", port, &[]);
    let mut measured = Measured::default();
    let refused =
        connect(&grant, "127.0.0.1", port, &RunClock::start(), soon(), &mut measured).await.err().unwrap();
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
async fn what_arrives_before_anybody_looks_arrives_no_earlier_than_the_connection() {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    let (grant, mut measured) = (Grant::new("127.0.0.1", port, &[]), Measured::default());
    // On one thread the peer greets while the connection waits to be looked at.
    let clock = RunClock::start();
    let connecting = connect(&grant, "127.0.0.1", port, &clock, soon(), &mut measured);
    let (connection, _peer) = tokio::join!(connecting, async {
        let listener = listener.into_std().unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"220 early\r\n").unwrap();
        peer
    });
    let mut connection = connection.unwrap();
    let connected_at = connection.opened().connected_at;
    let greeted_at = connection.read(512, soon()).await.unwrap().received_at;
    assert!(greeted_at >= connected_at, "{greeted_at:?} {connected_at:?}");
    // Nor does an answer come before what it answers, whatever the clocks say.
    let sent_at = connection.write(b"QUIT\r\n", soon()).await.unwrap();
    assert!(connection.clock.at(connection.tcp.last_arrival()) >= sent_at);
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
    let refused = connection.start_tls(&Tls::default(), soon(), &mut Measured::default()).await;
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

    /// A certificate of this authority, and its key.
    fn identity(&self, name: &str) -> ClientIdentity {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        ClientIdentity { chain_pem: certificate.pem().into(), key_pem: key.serialize_pem().into() }
    }

    fn server(&self, name: &str, end_year: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(end_year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
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
    let secured = connection.start_tls(&Tls::new(rules).unwrap(), soon(), &mut measured).await;
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
    assert_eq!(measured.tls_facts.group.as_deref(), Some("X25519MLKEM768"));
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
    let failed = connection.start_tls(&Tls::default(), soon(), &mut Measured::default()).await;
    assert_eq!(failed.err().unwrap().kind, ErrorKind::TlsNotTls);
}

#[tokio::test]
async fn a_server_that_closes_or_keeps_silent_inside_the_handshake_is_named() {
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    drop(peer);
    let failed = connection.start_tls(&Tls::default(), soon(), &mut Measured::default()).await;
    assert_eq!(failed.err().unwrap().kind, ErrorKind::TlsClosed);
    let (mut connection, _peer) = opened(&listener).await;
    let failed = connection.start_tls(&Tls::default(), soon(), &mut Measured::default()).await;
    assert_eq!(failed.err().unwrap().host_error, HostError::TlsTimeout);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let rules = TlsRules { ca_pem: Some(b"nothing".to_vec()), ..TlsRules::default() };
    assert_eq!(Tls::new(&rules).unwrap_err().to_string(), "ca_file: no certificate in it");
    let rules = TlsRules { server_name: Some("a b".into()), ..TlsRules::default() };
    assert_eq!(Tls::new(&rules).unwrap_err().to_string(), "`a b` is no name that a certificate can have");
}

#[tokio::test]
async fn a_burst_of_records_of_any_size_is_read_whole() {
    let authority = Authority::new();
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let server = authority.server("localhost", 2100);
    let serving = tokio::spawn(async move {
        let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap();
        for size in [16_000, 16_384, 9_000, 100, 3, 16_384, 16_384, 700, 16_384, 5_000] {
            stream.write_all(&vec![b'x'; size]).await.unwrap();
        }
        // The end comes without close_notify.
    });
    connection
        .start_tls(&Tls::new(&trusting(&authority)).unwrap(), soon(), &mut Measured::default())
        .await
        .unwrap();
    time::sleep(Duration::from_millis(100)).await;
    let mut count = 0;
    loop {
        let got = connection.read(65_536, soon()).await.unwrap().bytes.len();
        if got == 0 {
            break;
        }
        count += got;
    }
    serving.await.unwrap();
    assert_eq!(count, 96_339);
    assert!(connection.read(1, soon()).await.unwrap().bytes.is_empty());
}

#[tokio::test]
async fn a_close_notify_is_the_end_though_the_stream_stays_open() {
    let authority = Authority::new();
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let server = authority.server("localhost", 2100);
    let serving = tokio::spawn(async move {
        let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap();
        stream.get_mut().1.send_close_notify();
        stream.flush().await.unwrap();
        stream
    });
    connection
        .start_tls(&Tls::new(&trusting(&authority)).unwrap(), soon(), &mut Measured::default())
        .await
        .unwrap();
    let _open = serving.await.unwrap();
    for _ in 0..2 {
        assert!(connection.read(512, soon()).await.unwrap().bytes.is_empty());
    }
}

/// More than rustls buffers of what it does not take any more.
const BEHIND_THE_END: usize = 100_000;

#[tokio::test]
async fn what_stands_behind_a_close_notify_is_nobodys() {
    let authority = Authority::new();
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let server = authority.server("localhost", 2100);
    let serving = tokio::spawn(async move {
        let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap();
        stream.write_all(b"221 bye\r\n").await.unwrap();
        stream.get_mut().1.send_close_notify();
        stream.flush().await.unwrap();
        stream.get_mut().0.write_all(&vec![0x17; BEHIND_THE_END]).await.unwrap();
        stream
    });
    connection
        .start_tls(&Tls::new(&trusting(&authority)).unwrap(), soon(), &mut Measured::default())
        .await
        .unwrap();
    let _open = serving.await.unwrap();
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"221 bye\r\n");
    assert!(connection.read(512, soon()).await.unwrap().bytes.is_empty());
}

#[tokio::test]
async fn what_was_said_before_the_stream_broke_is_read_before_that() {
    let authority = Authority::new();
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let server = authority.server("localhost", 2100);
    let serving = tokio::spawn(async move {
        let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap();
        stream.write_all(b"535 5.7.8 no\r\n").await.unwrap();
        let broken = [&[0x17, 0x03, 0x03, 0x00, 0x20][..], &[b'x'; 32]].concat();
        stream.get_mut().0.write_all(&broken).await.unwrap();
        stream
    });
    let tls = Tls::new(&trusting(&authority)).unwrap();
    connection.start_tls(&tls, soon(), &mut Measured::default()).await.unwrap();
    let _open = serving.await.unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"535 5.7.8 no\r\n");
    for _ in 0..2 {
        assert_eq!(connection.read(512, soon()).await.err().unwrap().kind, ErrorKind::TlsFailed);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_greeting_read_late_with_the_end_of_the_handshake_keeps_its_time() {
    let authority = Authority::new();
    let identity = authority.identity("localhost");
    let chain = CertificateDer::pem_slice_iter(&identity.chain_pem).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let pause = Duration::from_millis(200);
    let peer = peer.into_std().unwrap();
    let serving = std::thread::spawn(move || {
        peer.set_nonblocking(false).unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, peer);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        std::thread::sleep(pause);
        stream.write_all(b"220 hi\r\n").unwrap();
        std::thread::sleep(pause * 5);
    });
    let (tls, mut measured) = (Tls::new(&trusting(&authority)).unwrap(), Measured::default());
    let deadline = Instant::now() + Duration::from_secs(10);
    // On one thread: late at each step of the handshake.
    let (secured, ()) = tokio::join!(connection.start_tls(&tls, deadline, &mut measured), async {
        for _ in 0..6 {
            std::thread::sleep(pause * 2);
            tokio::task::yield_now().await;
        }
    });
    let secured = secured.unwrap();
    assert_eq!(secured.version, "TLSv1.2");
    let greeted_at = connection.read(512, deadline).await.unwrap().received_at;
    assert!(greeted_at >= secured.secured_at + pause * 3 / 4, "{greeted_at:?} {secured:?}");
    drop(connection);
    serving.join().unwrap();
}

#[tokio::test]
async fn a_look_takes_what_has_arrived_and_waits_for_nothing() {
    let authority = Authority::new();
    let server = authority.server("localhost", 2100);
    let listener = listener().await;
    for encrypted in [false, true] {
        let (mut connection, mut peer) = opened(&listener).await;
        let mut serving = None;
        if encrypted {
            let server = Arc::clone(&server);
            let accepting = tokio_rustls::TlsAcceptor::from(server).accept(peer);
            let mut measured = Measured::default();
            let rules = Tls::new(&trusting(&authority)).unwrap();
            let (secured, accepted) =
                tokio::join!(connection.start_tls(&rules, soon(), &mut measured), accepting);
            secured.unwrap();
            serving = Some(accepted.unwrap());
            peer = opened(&listener).await.1;
        }
        let mut say = async |text: &'static [u8]| {
            match &mut serving {
                Some(stream) => stream.write_all(text).await.unwrap(),
                None => peer.write_all(text).await.unwrap(),
            }
            // Not the runtime's: it is to know of nothing that the kernel has.
            std::thread::sleep(Duration::from_millis(100));
        };
        let nothing = connection.look(512, soon()).await.err().unwrap();
        assert_eq!(nothing.kind, ErrorKind::Timeout, "{nothing}");
        say(b"421 bye\r\n").await;
        assert_eq!(connection.look(512, soon()).await.unwrap().bytes, b"421 bye\r\n");
        let nothing = connection.look(512, soon()).await.err().unwrap();
        assert_eq!(nothing.kind, ErrorKind::Timeout, "{nothing}");
        drop((serving, peer));
        std::thread::sleep(Duration::from_millis(100));
        assert!(connection.look(512, soon()).await.unwrap().bytes.is_empty());
    }
}

#[tokio::test]
async fn our_own_time_is_in_no_wait() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    let ours = Duration::from_millis(300);
    let before = connection.clock.waited();
    connection.write(b"EHLO a\r\n", soon()).await.unwrap();
    peer.write_all(b"250 b\r\n").await.unwrap();
    // On one thread: late to look, and then busy.
    std::thread::sleep(ours);
    connection.read(512, Instant::now() + ours).await.unwrap();
    std::thread::sleep(ours);
    assert!(connection.look(512, soon()).await.is_err());
    let waited = connection.clock.waited().saturating_sub(before);
    assert!(waited < ours / 2, "{waited:?}");
    let deadline = Instant::now() + Duration::from_millis(100);
    assert!(connection.read(512, deadline).await.is_err());
    assert!(connection.clock.waited() >= before + Duration::from_millis(100));
}

#[tokio::test]
async fn a_handshake_waits_for_the_server_alone() {
    let authority = Authority::new();
    let server = authority.server("localhost", 2100);
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let accepting = async {
        time::sleep(Duration::from_millis(100)).await;
        tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap()
    };
    let (rules, mut measured) = (Tls::new(&trusting(&authority)).unwrap(), Measured::default());
    let deadline = Instant::now() + Duration::from_secs(10);
    let (secured, _open) = tokio::join!(connection.start_tls(&rules, deadline, &mut measured), accepting);
    let secured = secured.unwrap();
    assert_eq!(measured.tls, Some(secured.wait));
    assert!(secured.wait >= Duration::from_millis(95), "{secured:?}");
    assert!(secured.started_at + secured.wait <= secured.secured_at, "{secured:?}");
}

#[tokio::test]
async fn ipv6_loopback_is_reached() {
    let listener = match TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        Err(error) => {
            // Past the test runner's capture.
            io::stderr().write_all(format!("skipped: ::1: {error}\n").as_bytes()).unwrap();
            return;
        }
    };
    let port = listener.local_addr().unwrap().port();
    let mut measured = Measured::default();
    let connection =
        connect(&Grant::new("::1", port, &[]), "::1", port, &RunClock::start(), soon(), &mut measured).await;
    assert_eq!(connection.unwrap().opened().address.to_string(), "::1");
    assert!(measured.dns.is_none() && measured.connect.is_some());
}

#[tokio::test]
async fn behind_a_dead_address_the_next_is_tried_and_a_forbidden_one_never() {
    let listener = listener().await;
    let alive = listener.local_addr().unwrap();
    let mut dead = alive;
    dead.set_ip("127.0.0.2".parse().unwrap());
    let mut forbidden = alive;
    forbidden.set_ip("169.254.169.254".parse().unwrap());
    let grant = Grant::new("localhost", alive.port(), &[]);
    let mut measured = Measured::default();
    let (clock, addresses) = (RunClock::start(), vec![forbidden, dead, alive]);
    let found = connect_to(addresses, &grant, "localhost", alive.port(), &clock, soon(), &mut measured)
        .await
        .unwrap();
    assert_eq!(found.opened().address, alive.ip());
    assert_eq!(measured.ip, Some(alive.ip()));
    let refused =
        connect_to(vec![forbidden], &grant, "localhost", alive.port(), &clock, soon(), &mut measured).await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert!(refused.text.contains("169.254.169.254"), "{refused}");
}

#[tokio::test]
async fn a_read_given_up_loses_nothing() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    let brief = Instant::now() + Duration::from_millis(20);
    assert_eq!(connection.read(512, brief).await.err().unwrap().kind, ErrorKind::Timeout);
    peer.write_all(b"220 late\r\n").await.unwrap();
    assert_eq!(connection.read(512, soon()).await.unwrap().bytes, b"220 late\r\n");
}

#[tokio::test]
async fn a_write_given_up_leaves_the_encrypted_stream_whole() {
    let authority = Authority::new();
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    let server = authority.server("localhost", 2100);
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let mut stream = tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap();
        gone.await.unwrap();
        let (mut all, mut buffer) = (0, vec![0; 65_536]);
        // A torn record would be an error here.
        loop {
            let count = stream.read(&mut buffer).await.unwrap();
            all += count;
            if buffer[..count].ends_with(b"!") {
                return all;
            }
        }
    });
    connection
        .start_tls(&Tls::new(&trusting(&authority)).unwrap(), soon(), &mut Measured::default())
        .await
        .unwrap();
    let (much, mut stalled) = (vec![b'x'; 65_536], false);
    for _ in 0..1_000 {
        let brief = Instant::now() + Duration::from_millis(50);
        if let Err(error) = connection.write(&much, brief).await {
            assert_eq!(error.kind, ErrorKind::Timeout);
            stalled = true;
            break;
        }
    }
    assert!(stalled);
    go.send(()).unwrap();
    connection.write(b"!", Instant::now() + Duration::from_secs(10)).await.unwrap();
    let all = time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
    assert!(all > 65_536);
}

#[tokio::test]
async fn after_a_failed_handshake_nothing_more_is_said() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 plain mail server\r\n").await.unwrap();
    let tls = Tls::default();
    assert!(connection.start_tls(&tls, soon(), &mut Measured::default()).await.is_err());
    assert_eq!(connection.write(b"AUTH", soon()).await.err().unwrap().kind, ErrorKind::ConnectionClosed);
    assert_eq!(connection.read(512, soon()).await.err().unwrap().kind, ErrorKind::ConnectionClosed);
    let again = connection.start_tls(&tls, soon(), &mut Measured::default()).await;
    assert_eq!(again.err().unwrap().kind, ErrorKind::InvalidState);
}

#[tokio::test]
async fn the_least_version_is_kept() {
    let authority = Authority::new();
    let key = authority.identity("localhost");
    let (chain, key) = (
        vec![CertificateDer::from_pem_slice(&key.chain_pem).unwrap()],
        PrivateKeyDer::from_pem_slice(&key.key_pem).unwrap(),
    );
    let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let server = Arc::new(server);
    let (secured, measured) = handshake(Arc::clone(&server), &trusting(&authority)).await;
    assert_eq!(secured.unwrap().version, "TLSv1.2");
    assert!(measured.tls_facts.cipher.unwrap().starts_with("TLS_ECDHE_"));
    let rules = TlsRules { min_version: TlsVersion::V13, ..trusting(&authority) };
    let (refused, _) = handshake(server, &rules).await;
    assert_eq!(refused.err().unwrap().kind, ErrorKind::TlsUnsupported);
}

#[test]
fn a_client_certificate_needs_its_own_key() {
    let authority = Authority::new();
    let (one, other) = (authority.identity("one.example"), authority.identity("other.example"));
    let refused = |client| {
        let rules = TlsRules { client: Some(client), ..TlsRules::default() };
        Tls::new(&rules).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(one.clone()), "");
    let mixed = ClientIdentity { key_pem: other.key_pem, ..one.clone() };
    assert_eq!(refused(mixed), "client_cert and client_key: the key is not the certificate's");
    let none = ClientIdentity { chain_pem: b"nothing".to_vec(), ..one.clone() };
    assert_eq!(refused(none), "client_cert: no certificate in it");
    let keyless = ClientIdentity { key_pem: b"nothing".to_vec(), ..one };
    assert_eq!(refused(keyless), "client_key: no key in it that is not encrypted");
}
