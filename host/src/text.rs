//! Foreign text on its way out: a server's or a check's words in; one clean, short line without secrets out.

use crate::job::Secret;

/// The longest text of a field.
pub const TEXT_BYTES: usize = 256;

/// A character that could break a line, colour a terminal or turn text around.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// Control and format characters become spaces, runs of spaces one, none at the ends; at most `limit` bytes.
#[must_use]
pub fn clean_to(text: &str, limit: usize) -> String {
    let mut clean = String::new();
    for c in text.chars().map(|c| if is_hidden(c) { ' ' } else { c }) {
        if c == ' ' && (clean.is_empty() || clean.ends_with(' ')) {
            continue;
        }
        if clean.len() + c.len_utf8() > limit {
            break;
        }
        clean.push(c);
    }
    clean.truncate(clean.trim_end_matches(' ').len());
    clean
}

/// As [`clean_to`] with the limit of a field.
#[must_use]
pub fn clean(text: &str) -> String {
    clean_to(text, TEXT_BYTES)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let six = usize::try_from(group >> (18 - 6 * at) & 63).unwrap_or_default();
            text.push(if at <= chunk.len() {
                BASE64.get(six).map_or('=', |byte| char::from(*byte))
            } else {
                '='
            });
        }
    }
    text
}

/// Replaces every secret, as it is and in base64, by `***`.
#[must_use]
pub fn mask(text: &str, secrets: &[Secret]) -> String {
    let mut masked = text.to_owned();
    for Secret(secret) in secrets.iter().filter(|secret| !secret.0.is_empty()) {
        for form in [clean(secret), base64(secret.as_bytes()), secret.clone()] {
            if !form.is_empty() {
                masked = masked.replace(&form, "***");
            }
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_format_characters_become_one_space() {
        assert_eq!(clean(" a\r\n\tb\u{202e}\u{2028}c\u{1b}[31m\0 "), "a b c [31m");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(clean(&"é".repeat(200)).len(), 256);
        assert_eq!(clean(&format!("a{}", "é".repeat(200))).len(), 255);
    }

    #[test]
    fn secrets_are_masked_also_in_base64() {
        let secrets = [Secret("hunter2".into())];
        assert_eq!(mask("535 hunter2 aHVudGVyMg==", &secrets), "535 *** ***");
    }
}
