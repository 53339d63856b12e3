//! Foreign text on its way out: a server's or a check's words in; one clean, short line out.

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
}
