//! What a job says of its server's TLS holds for its own host, and not for the others that it grants.

use std::sync::Arc;

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use super::{tls::identity, *};
use crate::tls_rules::Verify;

/// What a server saw of its client: the name that was asked for, and whether a certificate was shown.
type Seen = Option<(Option<String>, bool)>;

/// A handshake with a server of that authority which asks for a client certificate, under `host` at one of the ports that a job
/// of `own` grants.
async fn handshake(
    authority: &Authority,
    own: &str,
    host: &str,
    rules: &TlsRules,
) -> (Result<Secured, NetError>, Seen) {
    let listener = listener().await;
    let port = port(&listener);
    let more = [format!("tcp://{host}:{port}").parse().unwrap()];
    let (grant, tls) =
        (Grant::new(&own.parse().unwrap(), Some(1), &more), Arc::new(Tls::new(rules).unwrap()));
    let outbound = Outbound::new(Reach::new(grant, tls), quota(), later());
    let mut connection = outbound.connect(host, port).await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let (chain, key) = authority.issue(host, FAR).chain_and_key();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let serving = tokio::spawn(async move {
        let stream = TlsAcceptor::from(Arc::new(config)).accept(peer).await.ok()?;
        let (_, server) = stream.get_ref();
        Some((server.server_name().map(ToOwned::to_owned), server.peer_certificates().is_some()))
    });
    let secured = connection.start_tls().await;
    drop(connection);
    (secured, serving.await.unwrap())
}

#[tokio::test]
async fn a_private_authority_is_trusted_at_the_jobs_own_host_alone() {
    let authority = Authority::default();
    let rules = trusting(&authority);
    // At whatever port.
    let (secured, _) = handshake(&authority, "localhost", "localhost", &rules).await;
    assert_eq!(secured.unwrap().verification, Verification::Verified);
    let (refused, _) = handshake(&authority, "mx1.example.org", "127.0.0.1", &rules).await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.host_error(), HostError::CertificateUnknownIssuer);
    assert!(refused.to_string().contains(", which is not the job's own host: "), "{refused}");
    let rules = TlsRules { verify: Verify::Report, ..rules };
    let (reported, _) = handshake(&authority, "mx1.example.org", "127.0.0.1", &rules).await;
    let verification = reported.unwrap().verification;
    assert!(
        matches!(verification, Verification::Failed(HostError::CertificateUnknownIssuer, _)),
        "{verification:?}"
    );
}

#[tokio::test]
async fn the_client_certificate_is_shown_to_the_jobs_own_host_alone() {
    let authority = Authority::default();
    let client = Some(identity(&authority, "client.example"));
    let rules = TlsRules { verify: Verify::Off, client, ..TlsRules::default() };
    for (own, shown) in [("localhost", true), ("LOCALHOST.", true), ("127.0.0.1", false)] {
        let (secured, seen) = handshake(&authority, own, "localhost", &rules).await;
        secured.unwrap();
        assert_eq!(seen.unwrap().1, shown, "{own}");
    }
}

#[tokio::test]
async fn the_server_name_is_asked_of_the_jobs_own_host_alone() {
    let authority = Authority::default();
    let server_name = Some("mail.example.org".to_owned());
    let rules = TlsRules { verify: Verify::Off, server_name, ..TlsRules::default() };
    for (own, asked) in [("localhost", "mail.example.org"), ("127.0.0.1", "localhost")] {
        let (secured, seen) = handshake(&authority, own, "localhost", &rules).await;
        secured.unwrap();
        assert_eq!(seen.unwrap().0.as_deref(), Some(asked), "{own}");
    }
}
