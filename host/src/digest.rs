//! Bytes in; their SHA-256, in lower-case hexadecimal digits as `sha256sum` prints it, out.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// Digits of a digest.
pub const DIGITS: usize = 64;

/// The digest.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Whether a text has the form of one.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
