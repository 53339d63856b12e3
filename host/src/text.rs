//! Foreign text on its way out: a server's or a check's words in; one clean, short line without secrets out.

use base64::prelude::{BASE64_STANDARD, Engine as _};

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

/// There are characters in it that [`clean`] would replace.
#[must_use]
pub fn has_hidden(text: &str) -> bool {
    text.contains(is_hidden)
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

/// Without secrets, clean, at most `limit` bytes. In this order: a secret that was cut would not be found any more.
#[must_use]
pub fn outgoing(text: &str, secrets: &[Secret], limit: usize) -> String {
    clean_to(&mask(text, secrets), limit)
}

/// Replaces every secret, as it is and in base64, by `***`. In base64 also where it stands inside a longer text, as in the
/// answer of AUTH PLAIN: of the three ways in which it then falls on groups of three bytes, the whole groups.
fn mask(text: &str, secrets: &[Secret]) -> String {
    let mut masked = text.to_owned();
    for Secret(secret) in secrets.iter().filter(|secret| !secret.0.is_empty()) {
        let mut forms = vec![secret.clone(), clean(secret), BASE64_STANDARD.encode(secret.as_bytes())];
        for skipped in 0..3 {
            let inner = secret.as_bytes().get(skipped..).unwrap_or_default();
            let whole = inner.len() / 3 * 3;
            forms.push(BASE64_STANDARD.encode(inner.get(..whole).unwrap_or_default()));
        }
        // The longest first, or a part of it would hide the rest.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        for form in forms.iter().filter(|form| !form.is_empty()) {
            masked = masked.replace(form, "***");
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
    fn no_part_of_a_secret_is_left_where_a_text_is_cut() {
        let secrets = [Secret("hunter2".into())];
        for length in 0..20 {
            let text = outgoing(&format!("{}hunter2", "x".repeat(length)), &secrets, 10);
            assert!(!text.contains('h') && text.len() <= 10, "{text}");
        }
    }

    #[test]
    fn secrets_are_masked_also_in_base64() {
        let secrets = [Secret("hunter2".into())];
        assert_eq!(mask("535 hunter2 aHVudGVyMg==", &secrets), "535 *** ***");
    }

    #[test]
    fn secrets_are_masked_inside_a_longer_base64_text() {
        for user in ["", "u", "us", "use"] {
            let secrets = [Secret("open-sesame".into())];
            let answer = BASE64_STANDARD.encode(format!("\0{user}\0open-sesame").as_bytes());
            let masked = mask(&answer, &secrets);
            assert!(masked.contains("***") && masked.len() < answer.len() - 8, "{answer} became {masked}");
        }
    }
}
