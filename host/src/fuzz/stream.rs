//! A TLS stream with a hostile peer, over a loopback socket. The peer has a trusted certificate and the keys, and sends records
//! of any kind and content; somebody on the way, who has neither, changes bytes at any point and cuts them anywhere. The
//! stream ends, and what is read of it is what the peer has encrypted, from the first byte on.

mod records;

use std::sync::{Arc, OnceLock};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::PrivatePkcs8KeyDer,
    version::{TLS12, TLS13},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::yield_now,
};

use self::records::Records;
use super::input::Draw;
use crate::{
    catalogue::HostError,
    grant::Grant,
    net::{Outbound, Quota, Reach, Tls},
    tls_rules::{TlsRules, Verify},
};

/// Turns of the runtime after which the other side has done what it can.
const TURNS: usize = 16;
/// Pieces that are sent one by one; the rest goes at once.
const PIECES: usize = 64;
/// More than enough for what takes milliseconds: behind it something hangs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// What all runs have in common.
struct World {
    runtime: Runtime,
    listener: TcpListener,
    /// By version.
    servers: [Arc<ServerConfig>; 2],
    /// By how strictly they judge.
    clients: [Arc<Tls>; 3],
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let server = |version: &'static SupportedProtocolVersion| {
            let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
                )
                .unwrap();
            config.enable_secret_extraction = true;
            config.send_tls13_tickets = 0;
            Arc::new(config)
        };
        let client = |verify| {
            let rules = TlsRules {
                verify,
                server_name: Some("localhost".to_owned()),
                ca_pem: Some(certificate.pem().into_bytes()),
                ..TlsRules::default()
            };
            Arc::new(Tls::new(&rules).unwrap())
        };
        Self {
            servers: [server(&TLS13), server(&TLS12)],
            clients: [client(Verify::Full), client(Verify::Report), client(Verify::Off)],
            runtime,
            listener,
        }
    }
}

pub fn stream(data: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::new);
    let mut draw = Draw::new(data);
    let (server, client) = (&world.servers[draw.below(2)], &world.clients[draw.below(3)]);
    let (reads, looks) = (usize::from(draw.number()) % 5_000 + 1, draw.below(4) == 0);
    world.runtime.block_on(async {
        let reading = read(world.listener.local_addr().unwrap().port(), client, reads, looks);
        let serving = async {
            let (stream, _) = world.listener.accept().await.unwrap();
            let mut peer = Peer { stream, draw, honest: true };
            let sent = peer.serve(ServerConnection::new(Arc::clone(server)).unwrap()).await;
            // The end of the stream, where the other side has not ended it.
            let _ended: std::io::Result<()> = peer.stream.shutdown().await;
            (sent, peer)
        };
        let (read, (sent, peer)) = tokio::join!(reading, serving);
        assert!(sent.starts_with(&read), "read {} bytes, of which not all were sent", read.len());
        assert!(!peer.honest || sent == read, "read {} bytes of {}", read.len(), sent.len());
    });
}

/// Everything that a check would get.
async fn read(port: u16, tls: &Arc<Tls>, most: usize, looks: bool) -> Vec<u8> {
    let deadline = std::time::Instant::now() + PATIENCE;
    let (grant, quota) =
        (Grant::new(&"127.0.0.1".parse().unwrap(), Some(port), &[]), Quota::new(1, 64 << 20));
    let outbound = Outbound::new(Reach::new(grant, Arc::clone(tls)), quota, deadline);
    let mut connection = outbound.connect("127.0.0.1", port).await.unwrap();
    let mut read = Vec::new();
    if let Err(error) = connection.start_tls().await {
        assert_ne!(error.host_error(), HostError::TlsTimeout, "{error:?}");
        return read;
    }
    loop {
        let received = if looks { connection.look(most).await } else { connection.read(most, None).await };
        match received {
            Ok(received) if received.bytes.is_empty() => break read,
            Ok(received) => {
                assert!(received.bytes.len() <= most);
                read.extend(received.bytes);
            }
            // Nothing was there.
            Err(error) if looks && error.host_error() == HostError::WaitEnded => yield_now().await,
            Err(error) => {
                assert_ne!(error.host_error(), HostError::ReadTimeout, "{error:?}");
                break read;
            }
        }
        assert!(std::time::Instant::now() < deadline, "the stream does not end");
    }
}

/// The peer and whoever is on the way.
struct Peer<'a> {
    stream: TcpStream,
    draw: Draw<'a>,
    /// Nothing was changed, and nothing sent but data and an end.
    honest: bool,
}

impl Peer<'_> {
    /// Does a handshake and sends records; gives all data that it has encrypted.
    async fn serve(&mut self, mut server: ServerConnection) -> Vec<u8> {
        while server.is_handshaking() {
            let Some(received) = self.receive().await else { return Vec::new() };
            let mut received = &received[..];
            let taken = server.read_tls(&mut received).and_then(|_| {
                server.process_new_packets().map_err(|_alert| std::io::ErrorKind::InvalidData.into())
            });
            let mut flight = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut flight).unwrap();
            }
            let flight = self.change(flight);
            if self.send(&flight).await.is_none() || taken.is_err() {
                return Vec::new();
            }
        }
        let version = server.protocol_version().unwrap();
        let Ok(secrets) = server.dangerous_extract_secrets() else { return Vec::new() };
        let mut records = Records::new(secrets.tx, version);
        while !self.draw.is_over() {
            let sent = records.next(&mut self.draw, &mut self.honest);
            let sent = self.change(sent);
            if self.send(&sent).await.is_none() {
                break;
            }
        }
        records.data
    }

    /// What the client says; none: it waits, or is gone.
    async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 16_640];
        for _ in 0..TURNS {
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => {
                    buffer.truncate(count);
                    return Some(buffer);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => yield_now().await,
                Err(_lost) => return None,
            }
        }
        None
    }

    /// Somebody on the way does this to what passes.
    fn change(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.draw.below(16).saturating_sub(12) {
            self.honest = false;
            let at = usize::from(self.draw.number()) % (bytes.len() + 1);
            let end = (at + self.draw.below(32)).min(bytes.len());
            match self.draw.below(4) {
                0 => drop(bytes.splice(at..at, self.draw.some().iter().copied())),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.truncate(at),
                _ => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= self.draw.byte()),
            }
        }
        bytes
    }

    /// Sends in pieces, each of which may be read before the next is sent.
    async fn send(&mut self, mut bytes: &[u8]) -> Option<()> {
        let (least, spread) = (self.draw.below(64) * 64, self.draw.below(16));
        let (mut pieces, turns) = (0, self.draw.below(TURNS));
        while !bytes.is_empty() {
            let size = match least {
                0 if spread == 0 => bytes.len(),
                _ if pieces > PIECES => bytes.len(),
                _ => (least + self.draw.below(spread + 1)).max(1),
            };
            let (piece, rest) = bytes.split_at(size.min(bytes.len()));
            self.stream.write_all(piece).await.ok()?;
            bytes = rest;
            pieces += 1;
            for _ in 0..turns {
                yield_now().await;
            }
        }
        Some(())
    }
}
