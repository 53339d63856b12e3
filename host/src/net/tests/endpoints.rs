//! Several endpoints of one job: each has rules and facts of its own, and its secrets go to nobody else.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::{ServerConfig, pki_types::CertificateDer, server::WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use super::{tls::identity, *};
use crate::{
    secret::apart::Apart,
    tls_rules::{TlsVersion, Verify},
};

/// The job's own host, and that of its further endpoint; both lead here.
const OWN_HOST: &str = "localhost";
const FURTHER_HOST: &str = "127.0.0.1";

/// A run of a job with two endpoints, and their servers.
struct Pair {
    outbound: Outbound,
    own: TcpListener,
    further: TcpListener,
}

impl Pair {
    /// By these rules, and with the secrets of both.
    async fn new(own_rules: &TlsRules, further_rules: &TlsRules, secrets: [&str; 2]) -> Self {
        let (own, further) = (listener().await, listener().await);
        let tls = |rules| Arc::new(Tls::new(rules).unwrap());
        let named = NamedEndpoint {
            name: "imap".to_owned(),
            host: FURTHER_HOST.parse().unwrap(),
            port: Some(port(&further)),
            tls: tls(further_rules),
        };
        let apart = Apart::new(&secrets.map(|secret| vec![secret.to_owned()])).unwrap();
        let reach = Reach::new(grant(OWN_HOST, port(&own)), tls(own_rules)).naming(&[named].into(), &apart);
        Self { outbound: Outbound::new(reach, quota(), later()), own, further }
    }

    async fn open(&self, further: bool) -> (Connection, TcpStream) {
        let (host, server) = if further { (FURTHER_HOST, &self.further) } else { (OWN_HOST, &self.own) };
        let connecting = self.outbound.connect(host, port(server));
        let (connection, accepted) = tokio::join!(connecting, server.accept());
        (connection.unwrap(), accepted.unwrap().0)
    }

    /// A handshake with one of them; the client's certificate and the name asked for, as the server saw them.
    async fn handshake(&self, further: bool, server: Arc<ServerConfig>) -> (Result<Secured, NetError>, Seen) {
        let (mut connection, peer) = self.open(further).await;
        let serving = tokio::spawn(async move {
            let stream = TlsAcceptor::from(server).accept(peer).await.ok()?;
            let (_, tls) = stream.get_ref();
            let certificate =
                tls.peer_certificates().and_then(|chain| Some(chain.first()?.clone().into_owned()));
            Some((certificate, tls.server_name().map(ToOwned::to_owned)))
        });
        let secured = connection.start_tls().await;
        drop(connection);
        (secured, serving.await.unwrap())
    }
}

type Seen = Option<(Option<CertificateDer<'static>>, Option<String>)>;

fn issue(authority: &Authority, further: bool) -> support::certificates::Identity {
    authority.issue(if further { FURTHER_HOST } else { OWN_HOST }, FAR)
}

#[tokio::test]
async fn what_one_endpoint_trusts_is_trusted_at_no_other() {
    let (one, two) = (Authority::root("one", FAR), Authority::root("two", FAR));
    for (own_rules, further_rules, works) in [
        // Who is trusted where: one at its own host, two there, one at the further endpoint, two there.
        (trusting(&one), trusting(&two), [true, false, false, true]),
        (trusting(&one), TlsRules::default(), [true, false, false, false]),
        (TlsRules::default(), trusting(&two), [false, false, false, true]),
        (TlsRules { verify: Verify::Off, ..trusting(&one) }, trusting(&two), [true, true, false, true]),
        (trusting(&one), TlsRules { verify: Verify::Off, ..TlsRules::default() }, [true, false, true, true]),
    ] {
        let mut came = Vec::new();
        for further in [false, true] {
            for authority in [&one, &two] {
                let pair = Pair::new(&own_rules, &further_rules, ["", ""]).await;
                let (secured, _) = pair.handshake(further, issue(authority, further).server()).await;
                let refused = secured.as_ref().err().map(NetError::host_error);
                assert!(
                    refused.is_none_or(|error| error == HostError::CertificateUnknownIssuer),
                    "{refused:?}"
                );
                came.push(secured.is_ok());
            }
        }
        assert_eq!(came, works);
    }
}

#[tokio::test]
async fn each_endpoint_is_shown_its_own_client_certificate_name_and_version_alone() {
    let authority = Authority::default();
    let rules = |name: &str, client: bool| TlsRules {
        verify: Verify::Off,
        server_name: Some(name.to_owned()),
        client: client.then(|| identity(&authority, name)),
        ..TlsRules::default()
    };
    for clients in [[true, false], [false, true], [true, true], [false, false]] {
        let [own, further] = [("own.example", clients[0]), ("imap.example", clients[1])]
            .map(|(name, client)| rules(name, client));
        let pair = Pair::new(&own, &further, ["", ""]).await;
        for (place, rules) in [(false, &own), (true, &further)] {
            let (chain, key) = issue(&authority, place).chain_and_key();
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.certificate()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            let server = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
                .with_single_cert(chain, key)
                .unwrap();
            let (secured, seen) = pair.handshake(place, Arc::new(server)).await;
            secured.unwrap();
            let (shown, name) = seen.unwrap();
            assert_eq!(name, rules.server_name);
            let pem = rules.client.as_ref().map(|client| client.chain_pem.clone());
            let expected = pem.map(|pem| {
                use rustls::pki_types::pem::PemObject as _;
                CertificateDer::from_pem_slice(&pem).unwrap()
            });
            assert_eq!(shown, expected);
        }
    }
    // A server of TLS 1.2 alone, where one of both wants more.
    let from_13 = TlsRules { min_version: TlsVersion::V13, ..rules("a.example", false) };
    for (own, further, works) in [
        (&from_13, &rules("b.example", false), [false, true]),
        (&rules("b.example", false), &from_13, [true, false]),
    ] {
        let pair = Pair::new(own, further, ["", ""]).await;
        for (place, works) in [false, true].into_iter().zip(works) {
            let (chain, key) = issue(&authority, place).chain_and_key();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let server = ServerConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS12])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
            assert_eq!(pair.handshake(place, Arc::new(server)).await.0.is_ok(), works);
        }
    }
}

#[tokio::test]
async fn each_endpoint_has_the_facts_of_its_own_first_connection_whichever_is_first() {
    let (one, two) = (Authority::root("one", FAR), Authority::root("two", FAR));
    for order in [[true, false, true], [false, true, false]] {
        let pair = Pair::new(&trusting(&one), &trusting(&two), ["", ""]).await;
        for further in order {
            // What comes later is of another authority, and changes nothing.
            let authority = if further { &two } else { &one };
            pair.handshake(further, issue(authority, further).server()).await.0.unwrap();
        }
        let measured = pair.outbound.measured(Duration::from_secs(1));
        let issuer = |contact: &Contact| contact.tls_facts.issuer.clone().unwrap_or_default();
        assert!(issuer(&measured.contact).contains("one"), "{measured:?}");
        let [(name, further)] = &measured.further[..] else { panic!("{measured:?}") };
        assert!(name == "imap" && issuer(further).contains("two"), "{measured:?}");
        assert_eq!((measured.contact.dns.is_some(), further.dns), (true, None));
        assert!(measured.contact.tls.is_some() && further.tls.is_some() && further.connect.is_some());
    }
    // Only the further one was talked to.
    let pair = Pair::new(&trusting(&one), &trusting(&two), ["", ""]).await;
    pair.open(true).await;
    let measured = pair.outbound.measured(Duration::from_secs(1));
    assert_eq!((measured.contact, measured.further.len()), (Contact::default(), 1));
}

#[tokio::test]
async fn a_secret_of_another_endpoint_is_not_written_in_one_piece_or_in_two() {
    let secrets = ["open-sesame", "hunter2~?"];
    let rules = TlsRules::default();
    for (further, own, other) in [(false, secrets[0], secrets[1]), (true, secrets[1], secrets[0])] {
        let pair = Pair::new(&rules, &rules, secrets).await;
        let (mut connection, mut peer) = pair.open(further).await;
        let answer = BASE64_STANDARD.encode(format!("\0me\0{other}"));
        let (begin, rest) = answer.split_at(answer.len() / 2);
        for (pieces, sent) in [
            (vec![format!("a LOGIN me {own}\r\n")], format!("a LOGIN me {own}\r\n")),
            (vec![format!("a LOGIN me {other}\r\n")], String::new()),
            (vec![format!("{answer}\r\n")], String::new()),
            (vec![begin.to_owned(), rest.to_owned()], begin.to_owned()),
            // What was refused was not sent, and is not the beginning of anything.
            (vec!["\r\n".to_owned()], "\r\n".to_owned()),
            (
                vec![other[..4].to_owned(), other[4..].to_owned(), "\r\n".to_owned()],
                format!("{}\r\n", &other[..4]),
            ),
        ] {
            let mut refusals = Vec::new();
            for piece in &pieces {
                refusals.extend(connection.write(piece.as_bytes()).await.err());
            }
            let mut came = vec![0; sent.len()];
            peer.read_exact(&mut came).await.unwrap();
            assert_eq!(String::from_utf8(came).unwrap(), sent);
            let is_whole = sent == pieces.concat();
            assert_eq!(refusals.len(), usize::from(!is_whole), "{pieces:?}");
            for refused in refusals {
                assert_eq!(refused.host_error(), HostError::SecretElsewhere);
                let text = refused.to_string();
                assert!(
                    text.ends_with("has a secret of another endpoint in it: nothing of it was sent"),
                    "{text}"
                );
                assert!(!text.contains(other) && !text.contains(&answer), "{text}");
            }
        }
        // Nothing more.
        drop(connection);
        assert_eq!(peer.read(&mut [0; 9]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_secret_is_looked_for_before_it_is_encrypted() {
    let authority = Authority::default();
    let pair = Pair::new(&trusting(&authority), &trusting(&authority), ["open-sesame", "hunter2"]).await;
    let (mut connection, peer) = pair.open(true).await;
    let server = issue(&authority, true).server();
    let serving = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(server).accept(peer).await.unwrap();
        let mut came = Vec::new();
        // Whoever leaves without a word has said all the same what he said.
        drop(stream.read_to_end(&mut came).await);
        String::from_utf8(came).unwrap()
    });
    connection.start_tls().await.unwrap();
    let long = "x".repeat(200_000);
    assert!(connection.write(format!("{long} hunter2 ").as_bytes()).await.is_ok());
    let refused = connection.write(format!("{long} open-sesame").as_bytes()).await.err().unwrap();
    assert_eq!(refused.host_error(), HostError::SecretElsewhere);
    assert!(connection.write(b"end").await.is_ok());
    drop(connection);
    assert_eq!(serving.await.unwrap(), format!("{long} hunter2 end"));
}

#[tokio::test]
async fn what_both_endpoints_have_as_their_secret_both_are_told() {
    let rules = TlsRules::default();
    let pair = Pair::new(&rules, &rules, ["open-sesame", "open-sesame"]).await;
    for further in [false, true] {
        let (mut connection, _peer) = pair.open(further).await;
        assert!(connection.write(b"LOGIN me open-sesame\r\n").await.is_ok());
    }
}
