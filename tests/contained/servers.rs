//! TLS servers that speak without end, and say nothing: record after record, made by hand with the keys of an honest handshake.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{
    ConnectionTrafficSecrets, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256},
};

use support::certificates::{Authority, FAR};

/// A record as it is encrypted: content, and type with padding behind it (RFC 8446 section 5.2).
type Record = (Vec<u8>, Vec<u8>);

const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// The most that a record may be padded to.
const PADDING: u16 = 16_000;
/// Behind the end of the stream.
const GARBAGE: usize = 1 << 20;
/// Rounds of records written at once.
const BATCH: usize = 16;

fn record(content: &[u8], kind: u8, padding: u16) -> Record {
    let mut rest = vec![0; 1 + usize::from(padding)];
    rest[0] = kind;
    (content.to_vec(), rest)
}

/// A session ticket (RFC 8446 section 4.6.1) of this length.
fn ticket(length: u16) -> Vec<u8> {
    let body =
        [&[0, 0, 0, 60, 1, 2, 3, 4, 0][..], &length.to_be_bytes(), &vec![b'x'; length.into()], &[0, 0]];
    let body = body.concat();
    [&[4][..], &u32::try_from(body.len()).unwrap().to_be_bytes()[1..], &body].concat()
}

/// What a server goes on to send, again and again.
fn stream(name: &str) -> Vec<Record> {
    let empty = |padding| record(&[], APPLICATION_DATA, padding);
    match name {
        "tls-empty-records" => vec![empty(0)],
        "tls-padding" => vec![record(b"x", APPLICATION_DATA, PADDING)],
        "tls-tickets" => vec![record(&ticket(PADDING), HANDSHAKE, 0)],
        "tls-small-tickets" => vec![record(&ticket(1), HANDSHAKE, 0)],
        // As many as TLS libraries let pass, and something between them.
        "tls-nearly-empty-records" => {
            let mut all = vec![empty(PADDING); 32];
            all.push(record(&ticket(1), HANDSHAKE, 0));
            all
        }
        other => panic!("no such server: {other}"),
    }
}

/// A server by the name of the harm that it does, and how much it could send to its clients.
pub(crate) struct Server {
    pub(crate) port: u16,
    sent: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, sent) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let (config, count) = (config(), Arc::clone(&sent));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (config, count) = (Arc::clone(&config), Arc::clone(&count));
                thread::spawn(move || serve(name, client.unwrap(), config, &count));
            }
        });
        Self { port, sent }
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

fn config() -> Arc<ServerConfig> {
    let (chain, key) = Authority::default().issue("localhost", FAR).chain_and_key();
    let provider = CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256],
        ..rustls::crypto::aws_lc_rs::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// Until the client leaves, which is no fault.
fn serve(
    name: &str,
    mut client: TcpStream,
    config: Arc<ServerConfig>,
    count: &AtomicUsize,
) -> io::Result<()> {
    let mut tls = ServerConnection::new(config).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut client)?;
    }
    if name == "tls-behind-the-end" {
        tls.writer().write_all(b"bye")?;
        tls.send_close_notify();
        tls.complete_io(&mut client)?;
        client.write_all(&vec![APPLICATION_DATA; GARBAGE])?;
        // The client is to see the end by what was said, not by the connection's.
        thread::sleep(Duration::from_secs(3));
        return Ok(());
    }
    let mut sealer = Sealer::new(tls);
    let records = stream(name);
    loop {
        let batch: Vec<u8> =
            (0..BATCH).flat_map(|_| &records).flat_map(|record| sealer.seal(record)).collect();
        client.write_all(&batch)?;
        count.fetch_add(batch.len(), Ordering::Relaxed);
    }
}

/// Encrypts records one after the other (RFC 8446 sections 5.2 and 5.3).
struct Sealer {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    number: u64,
}

impl Sealer {
    fn new(tls: ServerConnection) -> Self {
        let (number, secrets) = tls.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else { panic!("another cipher suite") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap());
        Self { key, iv: iv.as_ref().try_into().unwrap(), number }
    }

    fn seal(&mut self, (content, rest): &Record) -> Vec<u8> {
        let mut sealed = [&content[..], rest].concat();
        let length = u16::try_from(sealed.len() + AES_128_GCM.tag_len()).unwrap().to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, length[0], length[1]];
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut sealed).unwrap();
        [&header[..], &sealed].concat()
    }
}
