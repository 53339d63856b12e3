//! Bytes in; their SHA-256, in lower-case hexadecimal digits as `sha256sum` prints it, out.

use std::fmt::Write as _;

use aws_lc_rs::digest::{self, Context, SHA256};

/// Digits of a digest.
pub const DIGITS: usize = 64;

/// The digest.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut digest = Sha256::default();
    digest.update(bytes);
    digest.end()
}

/// The first eight bytes of the digest, as a number.
#[must_use]
pub fn sha256_begin(bytes: &[u8]) -> u64 {
    let digest = digest::digest(&SHA256, bytes);
    digest.as_ref().first_chunk().map_or(0, |begin| u64::from_be_bytes(*begin))
}

/// The digest of what comes piece by piece.
pub struct Sha256(Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sha256 {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all of them.
    #[must_use]
    pub fn end(self) -> String {
        let mut text = String::new();
        for byte in self.0.finish().as_ref() {
            let _infallible = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Whether a text has the form of one.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
