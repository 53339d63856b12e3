//! Records that are encrypted rightly, whatever is in them: choices in, bytes of the wire out.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use rustls::{
    ConnectionTrafficSecrets::{self, Aes128Gcm, Aes256Gcm, Chacha20Poly1305},
    ContentType, ProtocolVersion,
    crypto::cipher::{self, Iv, make_tls12_aad, make_tls13_aad},
};

use crate::fuzz::input::Draw;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// `close_notify`, a warning.
const CLOSE: [u8; 2] = [1, 0];
/// The most bytes of a record's content.
const CONTENT_BYTES: u16 = 16_384;

pub(super) struct Records {
    key: LessSafeKey,
    iv: Iv,
    sequence: u64,
    version: ProtocolVersion,
    /// The nonce stands before each record's content, as AES-GCM has it in TLS 1.2.
    shows_nonce: bool,
    closed: bool,
    /// All data that was encrypted.
    pub(super) data: Vec<u8>,
}

impl Records {
    pub(super) fn new(
        (sequence, secrets): (u64, ConnectionTrafficSecrets),
        version: ProtocolVersion,
    ) -> Self {
        let before = version != ProtocolVersion::TLSv1_3;
        let (algorithm, key, iv, shows_nonce): (&Algorithm, _, _, _) = match secrets {
            Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv, before),
            Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv, before),
            Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv, false),
            _ => unreachable!(),
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).unwrap());
        Self { key, iv, sequence, version, shows_nonce, closed: false, data: Vec::new() }
    }

    /// The next record, or some.
    pub(super) fn next(&mut self, draw: &mut Draw<'_>, honest: &mut bool) -> Vec<u8> {
        let choice = draw.below(16);
        // Of empty ones rustls takes only so many.
        *honest &= matches!(choice, 0..5 | 7) && !(self.closed && choice < 5);
        match choice {
            0..4 => {
                let content: Vec<u8> =
                    (0..draw.number() % (CONTENT_BYTES + 1)).map(|at| at.to_be_bytes()[1]).collect();
                self.record(DATA, &content, 0)
            }
            4 => self.record(DATA, b"padded", (draw.number() % CONTENT_BYTES).saturating_sub(7).into()),
            5 | 6 => (0..draw.byte()).flat_map(|_| self.record(DATA, &[], 0)).collect(),
            7 => {
                self.closed = true;
                self.record(ALERT, &CLOSE, 0)
            }
            8 => self.record(ALERT, draw.some(), 0),
            9 => self.record(HANDSHAKE, draw.some(), 0),
            10 => self.record(draw.byte(), draw.some(), draw.byte().into()),
            // A key update, wanted back or not; the keys stay as they are.
            11 => self.record(HANDSHAKE, &[24, 0, 0, 1, draw.byte() & 1], 0),
            // One that is left out, and one that nobody has encrypted.
            12 => {
                self.sequence += 1;
                Vec::new()
            }
            13 => {
                let (kind, content) = (draw.byte(), draw.some());
                [&[kind, 3, 3, 0, content.len().to_be_bytes()[7]], content].concat()
            }
            // Too large by its padding, where there is any.
            14 => {
                let content = vec![b'x'; CONTENT_BYTES.into()];
                self.record(DATA, &content, 1 + usize::from(draw.number()))
            }
            _ => draw.some().to_vec(),
        }
    }

    /// Encrypts: content, and so many zeros behind it where the version has such padding.
    fn record(&mut self, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        // Also where the kind was drawn.
        if kind == DATA {
            self.data.extend(content);
        }
        let nonce = cipher::Nonce::new(&self.iv, self.sequence).0;
        let (mut sealed, is_13) = (content.to_vec(), self.version == ProtocolVersion::TLSv1_3);
        let (outer, shown): (_, &[u8]) = if is_13 { (DATA, &[]) } else { (kind, &nonce[4..]) };
        let shown = if self.shows_nonce { shown } else { &[] };
        let aad = if is_13 {
            sealed.push(kind);
            sealed.resize((sealed.len() + padding).min(60_000), 0);
            make_tls13_aad(sealed.len() + self.key.algorithm().tag_len()).to_vec()
        } else {
            make_tls12_aad(self.sequence, ContentType::from(kind), ProtocolVersion::TLSv1_2, sealed.len())
                .to_vec()
        };
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
            .unwrap();
        self.sequence += 1;
        let length = u16::try_from(shown.len() + sealed.len()).unwrap().to_be_bytes();
        [&[outer, 3, 3, length[0], length[1]], shown, &sealed].concat()
    }
}
