//! Handshakes, with certificates made on the spot.

use std::{io::Write as _, sync::Arc};

use rustls::ServerConfig;
use support::certificates::{Authority, FAR, Identity, PAST};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::tls_rules::{ClientIdentity, TlsVersion, Verify};

/// A certificate of an authority, for one host and for long.
pub(super) fn identity(authority: &Authority, host: &str) -> ClientIdentity {
    let Identity { certificate, key } = authority.issue(host, FAR);
    ClientIdentity { chain_pem: certificate.into(), key_pem: key.into() }
}

async fn handshake(server: Arc<ServerConfig>, rules: &TlsRules) -> (Result<Secured, NetError>, Contact) {
    let listener = listener().await;
    let outbound = outbound_by(&listener, rules, quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let serving = tokio::spawn(async move {
        if let Ok(mut stream) = tokio_rustls::TlsAcceptor::from(server).accept(peer).await {
            stream.write_all(b"220 hi\r\n").await.unwrap();
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
        }
    });
    let secured = connection.start_tls().await;
    if secured.is_ok() {
        assert_eq!(connection.read(512, None).await.unwrap().bytes, b"220 hi\r\n");
    }
    drop(connection);
    serving.await.unwrap();
    let measured = contact(&outbound);
    (secured, measured)
}

pub(super) fn trusting(authority: &Authority) -> TlsRules {
    TlsRules { ca_pem: Some(authority.pem().into_bytes()), ..TlsRules::default() }
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_described() {
    let authority = Authority::default();
    let (secured, measured) =
        handshake(authority.issue("localhost", FAR).server(), &trusting(&authority)).await;
    let secured = secured.unwrap();
    assert_eq!((&*secured.version, secured.verification), ("TLSv1.3", Verification::Verified));
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
async fn what_came_in_time_is_judged_however_late_we_are_and_nothing_more_is_said() {
    let (authority, listener) = (Authority::default(), listener().await);
    for (rules, expected, text) in [
        (trusting(&authority), HostError::TlsTimeout, "the job's time is over: "),
        (TlsRules::default(), HostError::CertificateUnknownIssuer, "the certificate's issuer is unknown"),
    ] {
        let tls = Arc::new(Tls::new(&rules).unwrap());
        let deadline = Instant::now() + Duration::from_millis(500);
        let reach = Reach::new(grant("localhost", port(&listener)), tls);
        let outbound = Outbound::new(reach, quota(), deadline);
        let (mut connection, peer) = opened_from(&outbound, &listener).await;
        let (peer, acceptor) = (peer.into_std().unwrap(), authority.issue("localhost", FAR).server());
        // On a thread of its own, the server is not held up.
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let peer = TcpStream::from_std(peer).unwrap();
                tokio_rustls::TlsAcceptor::from(acceptor).accept(peer).await.is_ok()
            })
        });
        let held_up = async { std::thread::sleep(Duration::from_secs(1)) };
        let secured = outbound.thread_stack().serve(Box::pin(connection.start_tls()));
        let (secured, ()) = tokio::join!(secured, held_up);
        let failed = secured.err().unwrap();
        assert_eq!(failed.host_error(), expected);
        assert!(failed.to_string().contains(text), "{failed}");
        assert!(contact(&outbound).tls_facts.not_after.is_some());
        drop(connection);
        assert!(!serving.join().unwrap());
    }
}

#[tokio::test]
async fn a_refused_certificate_keeps_its_facts() {
    let authority = Authority::default();
    for (name, year, rules, expected) in [
        ("localhost", 2001, trusting(&authority), HostError::CertificateExpired),
        ("elsewhere.example", 2100, trusting(&authority), HostError::CertificateNameMismatch),
        ("localhost", 2100, TlsRules::default(), HostError::CertificateUnknownIssuer),
    ] {
        let (refused, measured) = handshake(authority.issue(name, year).server(), &rules).await;
        assert_eq!(refused.err().unwrap().host_error(), expected);
        let facts = &measured.tls_facts;
        assert!(
            facts.verify_error.is_some() && facts.not_after.is_some() && measured.tls.is_some(),
            "{measured:?}"
        );
    }
}

#[tokio::test]
async fn report_goes_on_with_the_error_and_off_without() {
    let authority = Authority::default();
    let rules = TlsRules { verify: Verify::Report, ..trusting(&authority) };
    let (secured, measured) = handshake(authority.issue("localhost", PAST).server(), &rules).await;
    let (verification, said) = (secured.unwrap().verification, measured.tls_facts.verify_error.clone());
    assert_eq!(verification, Verification::Failed(HostError::CertificateExpired, said.unwrap()));
    assert!(measured.tls_facts.days_left < Some(0));
    let rules = TlsRules { verify: Verify::Off, ..TlsRules::default() };
    let (secured, measured) = handshake(authority.issue("localhost", PAST).server(), &rules).await;
    assert_eq!(
        (secured.unwrap().verification, measured.tls_facts.verify_error),
        (Verification::Skipped, None)
    );
}

#[tokio::test]
async fn what_is_not_tls_is_named() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 plain mail server\r\n").await.unwrap();
    let failed = connection.start_tls().await;
    assert_eq!(failed.err().unwrap().host_error(), HostError::TlsNotTls);
}

#[tokio::test]
async fn a_message_in_countless_records_is_the_servers_fault() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    // A ServerHello of 65,535 bytes, each in a record of its own.
    let message = [0x02, 0x00, 0xff, 0xff].into_iter().chain(std::iter::repeat_n(0, 65_535));
    let records: Vec<u8> = message.flat_map(|byte| [0x16, 0x03, 0x03, 0x00, 0x01, byte]).collect();
    let saying = tokio::spawn(async move {
        // It ends as soon as the fault is seen.
        drop(peer.write_all(&records).await);
    });
    let failed = connection.start_tls().await.err().unwrap();
    drop(connection);
    saying.await.unwrap();
    assert_eq!(failed.host_error(), HostError::TlsFailed);
    let said = "the server parts a TLS message into more records than can be held";
    assert!(failed.to_string().ends_with(said), "{failed}");
}

#[tokio::test]
async fn a_server_that_closes_or_keeps_silent_inside_the_handshake_is_named() {
    let listener = listener().await;
    let (mut connection, peer) = opened(&listener).await;
    drop(peer);
    let failed = connection.start_tls().await;
    assert_eq!(failed.err().unwrap().host_error(), HostError::TlsClosed);
    let grant = grant("localhost", port(&listener));
    let outbound = Outbound::new(Reach::new(grant, Arc::default()), quota(), Instant::now() + BRIEF * 5);
    let (mut connection, _peer) = opened_from(&outbound, &listener).await;
    let failed = connection.start_tls().await;
    assert_eq!(failed.err().unwrap().host_error(), HostError::TlsTimeout);
}

#[test]
fn rules_that_cannot_work_are_refused() {
    let rules = TlsRules { ca_pem: Some(b"nothing".to_vec()), ..TlsRules::default() };
    assert_eq!(Tls::new(&rules).unwrap_err().to_string(), "ca_file: no certificate in it");
    let rules = TlsRules { server_name: Some("a b".into()), ..TlsRules::default() };
    assert_eq!(Tls::new(&rules).unwrap_err().to_string(), "`a b` is no name that a certificate can have");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_greeting_read_late_with_the_end_of_the_handshake_keeps_its_time() {
    let authority = Authority::default();
    let (chain, key) = authority.issue("localhost", FAR).chain_and_key();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
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
    // On one thread: late at each step of the handshake.
    let (secured, ()) = tokio::join!(connection.start_tls(), async {
        for _ in 0..6 {
            std::thread::sleep(pause * 2);
            tokio::task::yield_now().await;
        }
    });
    let secured = secured.unwrap();
    assert_eq!(secured.version, "TLSv1.2");
    let greeted_at = connection.read(512, None).await.unwrap().received_at;
    assert!(greeted_at >= secured.secured_at + pause * 3 / 4, "{greeted_at:?} {secured:?}");
    drop(connection);
    serving.join().unwrap();
}

#[tokio::test]
async fn a_handshake_waits_for_the_server_alone() {
    let authority = Authority::default();
    let server = authority.issue("localhost", FAR).server();
    let listener = listener().await;
    let outbound = outbound_by(&listener, &trusting(&authority), quota());
    let (mut connection, peer) = opened_from(&outbound, &listener).await;
    let accepting = async {
        time::sleep(Duration::from_millis(100)).await;
        tokio_rustls::TlsAcceptor::from(server).accept(peer).await.unwrap()
    };
    let (secured, _open) = tokio::join!(connection.start_tls(), accepting);
    let secured = secured.unwrap();
    assert_eq!(contact(&outbound).tls, Some(secured.wait));
    assert!(secured.wait >= Duration::from_millis(95), "{secured:?}");
    assert!(secured.started_at + secured.wait <= secured.secured_at, "{secured:?}");
}

#[tokio::test]
async fn after_a_failed_handshake_nothing_more_is_said() {
    let listener = listener().await;
    let (mut connection, mut peer) = opened(&listener).await;
    peer.write_all(b"220 plain mail server\r\n").await.unwrap();
    assert!(connection.start_tls().await.is_err());
    let of = |failed: Option<NetError>| failed.unwrap().host_error();
    assert_eq!(of(connection.write(b"AUTH").await.err()), HostError::CheckState);
    assert_eq!(of(connection.read(512, None).await.err()), HostError::CheckState);
    assert_eq!(of(connection.look(512).await.err()), HostError::CheckState);
    assert_eq!(of(connection.start_tls().await.err()), HostError::CheckState);
}

#[tokio::test]
async fn the_least_version_is_kept() {
    let authority = Authority::default();
    let (chain, key) = authority.issue("localhost", FAR).chain_and_key();
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
    assert_eq!(refused.err().unwrap().host_error(), HostError::TlsVersion);
}

#[tokio::test]
async fn a_name_beyond_ascii_is_verified_as_certificates_have_it() {
    let authority = Authority::default();
    for (name, expected) in
        [("bücher.example", None), ("büche.example", Some(HostError::CertificateNameMismatch))]
    {
        let server = authority.issue("xn--bcher-kva.example", FAR).server();
        let rules = TlsRules { server_name: Some(name.to_owned()), ..trusting(&authority) };
        let (secured, _) = handshake(server, &rules).await;
        assert_eq!(secured.err().map(|error| error.host_error()), expected, "{name}");
    }
}

#[test]
fn a_client_certificate_needs_its_own_key() {
    let authority = Authority::default();
    let (one, other) = (identity(&authority, "one.example"), identity(&authority, "other.example"));
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

#[tokio::test]
async fn a_share_that_ends_inside_the_handshake_is_named() {
    let authority = Authority::default();
    let listener = listener().await;
    for bytes in [100, 1000] {
        let outbound = outbound_by(&listener, &trusting(&authority), Quota::new(1, bytes));
        let (mut connection, peer) = opened_from(&outbound, &listener).await;
        let serving = tokio::spawn(
            tokio_rustls::TlsAcceptor::from(authority.issue("localhost", FAR).server()).accept(peer),
        );
        let failed = connection.start_tls().await.err().unwrap();
        assert_eq!(failed.host_error(), HostError::CheckLimit);
        drop(connection);
        drop(serving.await);
    }
}
