//! Foreign text on its way out: a server's or a check's words in; one clean, short line out.

use std::{borrow::Cow, ops::Range};

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

/// A text without its hidden characters, that knows where each of the others stood.
pub(crate) struct Visible<'a> {
    text: Cow<'a, str>,
    /// Where hidden characters were left out, in order, and how many bytes of them up to there.
    gaps: Vec<(usize, usize)>,
}

impl<'a> Visible<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut gaps: Vec<(usize, usize)> = Vec::new();
        if !has_hidden(text) {
            return Self { text: Cow::Borrowed(text), gaps };
        }
        let (mut visible, mut hidden) = (String::new(), 0);
        for c in text.chars() {
            if !is_hidden(c) {
                visible.push(c);
                continue;
            }
            hidden += c.len_utf8();
            match gaps.last_mut() {
                Some((at, bytes)) if *at == visible.len() => *bytes = hidden,
                _ => gaps.push((visible.len(), hidden)),
            }
        }
        Self { text: Cow::Owned(visible), gaps }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of it stood, from its first to its last character.
    pub(crate) fn original(&self, part: &Range<usize>) -> Range<usize> {
        let hidden =
            |gaps: usize| gaps.checked_sub(1).and_then(|last| self.gaps.get(last)).map_or(0, |gap| gap.1);
        let before = hidden(self.gaps.partition_point(|gap| gap.0 <= part.start));
        let within = hidden(self.gaps.partition_point(|gap| gap.0 < part.end));
        part.start + before..part.end + within.max(before)
    }
}

/// Where the so-manieth byte ends that is not of a hidden character, at a character; the end of a shorter text.
pub(crate) fn visible_end(text: &str, bytes: usize) -> usize {
    let mut visible = 0;
    for (at, c) in text.char_indices() {
        if visible >= bytes {
            return at;
        }
        if !is_hidden(c) {
            visible += c.len_utf8();
        }
    }
    text.len()
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
    fn what_is_visible_knows_where_it_stood() {
        let text = "\u{200b}ab\0\u{200b}cä\u{200b}";
        let visible = Visible::of(text);
        assert_eq!(visible.text(), "abcä");
        for (part, stood) in
            [("abcä", "ab\0\u{200b}cä"), ("ab", "ab"), ("b", "b"), ("bc", "b\0\u{200b}c"), ("cä", "cä")]
        {
            let at = visible.text().find(part).unwrap();
            assert_eq!(&text[visible.original(&(at..at + part.len()))], stood);
        }
        assert_eq!(&text[..visible_end(text, 3)], "\u{200b}ab\0\u{200b}c");
        assert_eq!(visible_end(text, 99), text.len());
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(clean(&"é".repeat(200)).len(), 256);
        assert_eq!(clean(&format!("a{}", "é".repeat(200))).len(), 255);
    }
}
