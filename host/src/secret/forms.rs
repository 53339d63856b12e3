//! What secrets look like: their texts in; the letters that stand for them in other texts – as they are, escaped, in base64 –
//! out, ready to be looked for.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::{finder::Finder, size::NoSecret};
use crate::text::Letters;

/// All forms of all secrets of a job.
#[derive(Clone)]
pub(super) struct Forms {
    /// Their letters as a text shows them.
    pub(super) plain: Arc<Finder>,
    /// What base64 shows of them, in its [`standard`] alphabet.
    pub(super) encoded: Arc<Finder>,
}

impl Forms {
    /// Of texts with letters.
    pub(super) fn of(texts: &[&str]) -> Result<Self, NoSecret> {
        let plain: Vec<_> = texts.iter().flat_map(|text| plain(text)).collect();
        let encoded: Vec<_> = texts.iter().flat_map(|text| encoded(text.as_bytes())).collect();
        let (plain, encoded) = (Finder::of(&plain)?, Finder::of(&encoded)?);
        Ok(Self { plain: Arc::new(plain), encoded: Arc::new(encoded) })
    }
}

/// As it is, and as JSON and most languages quote it.
fn plain(secret: &str) -> [Vec<u8>; 2] {
    let quoted = serde_json::Value::from(secret).to_string();
    let quoted = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    [secret, quoted].map(|text| Letters::of(text).text().into())
}

/// What a longer base64 text shows of a secret inside it, as the answer of AUTH PLAIN has it: in each of the three ways in
/// which it then falls on groups of three bytes, the letters that only its own bits decide.
fn encoded(secret: &[u8]) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|before| {
        let bytes = [&vec![0; before], secret].concat();
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        BASE64_STANDARD.encode(&bytes).get(first..end).unwrap_or_default().into()
    })
}

/// The letter of base64's standard alphabet for one of the alphabet for addresses; others as they are.
pub(super) fn standard(letter: u8) -> u8 {
    match letter {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}
