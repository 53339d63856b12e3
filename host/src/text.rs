//! Foreign text on its way out: a server's or a check's words in; one clean, short line out. Also its letters alone, however
//! they are set apart, for those who look for something in it.

use std::{borrow::Cow, io, ops::Range};

/// Why no thread begins, and what to do then.
pub(crate) fn no_thread(error: &io::Error) -> String {
    format!(
        "no thread is to be had: raise LimitNPROC= or TasksMax= of the agent's unit (`ulimit -u`), leave LimitAS= unset \
         (`ulimit -v`): {error}"
    )
}

/// The longest text of a field.
pub const TEXT_BYTES: usize = 256;

/// So many of something whose plural ends in `s`.
#[must_use]
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The first line of what was received, where that is text. None: its end has not come; a part of a secret in it would not be
/// known as such.
#[must_use]
pub fn first_line(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let text = String::from_utf8_lossy(bytes.get(..end)?);
    let text = text.trim();
    // Of other letters than these a secret would not be known.
    let is_text = !text.contains(char::REPLACEMENT_CHARACTER) && !has_hidden(text);
    (is_text && !text.is_empty()).then(|| text.to_owned())
}

/// A character that could break a line, colour a terminal or turn text around, or that nobody sees: controls, format
/// characters, line separators, what Unicode calls ignorable by default, and a Braille cell without dots.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// There are characters in it that [`clean`] would replace.
#[must_use]
pub fn has_hidden(text: &str) -> bool {
    text.contains(is_hidden)
}

/// What is neither hidden nor white space.
fn is_letter(c: char) -> bool {
    !c.is_whitespace() && !is_hidden(c)
}

/// The letters of a text. What is between them changes when it is cleaned, wrapped, indented or typed again.
pub(crate) struct Letters<'a> {
    text: Cow<'a, str>,
    /// Where other characters were left out, in order, and how many bytes of them up to there.
    gaps: Vec<(usize, usize)>,
}

impl<'a> Letters<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut gaps: Vec<(usize, usize)> = Vec::new();
        if text.chars().all(is_letter) {
            return Self { text: Cow::Borrowed(text), gaps };
        }
        let (mut letters, mut others) = (String::new(), 0);
        for c in text.chars() {
            if is_letter(c) {
                letters.push(c);
                continue;
            }
            others += c.len_utf8();
            match gaps.last_mut() {
                Some((at, bytes)) if *at == letters.len() => *bytes = others,
                _ => gaps.push((letters.len(), others)),
            }
        }
        Self { text: Cow::Owned(letters), gaps }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Where a part of them stands in the text, from its first to its last letter.
    pub(crate) fn original(&self, part: &Range<usize>) -> Range<usize> {
        let others =
            |gaps: usize| gaps.checked_sub(1).and_then(|last| self.gaps.get(last)).map_or(0, |gap| gap.1);
        let before = others(self.gaps.partition_point(|gap| gap.0 <= part.start));
        let within = others(self.gaps.partition_point(|gap| gap.0 < part.end));
        part.start + before..part.end + within.max(before)
    }
}

/// The word at the end of a text, of these characters and hidden ones in between: where it begins.
pub(crate) fn word_before(text: &str, is_inside: impl Fn(char) -> bool) -> usize {
    let word = text.char_indices().rev().take_while(|(_, c)| is_inside(*c) || is_hidden(*c));
    word.filter(|(_, c)| is_inside(*c)).last().map_or(text.len(), |(at, _)| at)
}

/// The word at the beginning of a text, of these characters and hidden ones in between: where it ends.
pub(crate) fn word_behind(text: &str, is_inside: impl Fn(char) -> bool) -> usize {
    let word = text.char_indices().take_while(|(_, c)| is_inside(*c) || is_hidden(*c));
    word.filter(|(_, c)| is_inside(*c)).last().map_or(0, |(at, c)| at + c.len_utf8())
}

/// So many times what is shown of a text is looked at: hidden characters are left out, and runs of spaces become one.
const LOOKED_AT: usize = 16;

/// Bytes of a text that are looked at, where this many are shown: whatever is hidden in the others costs nothing.
pub(crate) fn looked_at(shown: usize) -> usize {
    shown.saturating_mul(LOOKED_AT)
}

/// Control and format characters become spaces, runs of spaces one, none at the ends; at most `limit` bytes.
#[must_use]
pub fn clean_to(text: &str, limit: usize) -> String {
    let (seen, _) = text.split_at(text.floor_char_boundary(looked_at(limit)));
    let mut clean = String::new();
    for c in seen.chars().map(|c| if is_hidden(c) { ' ' } else { c }) {
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
    fn what_is_hidden_is_not_looked_at_without_end() {
        let behind = |hidden: usize| clean_to(&format!("a{}b", "\0".repeat(hidden)), 8);
        assert_eq!((&*behind(100), &*behind(200)), ("a b", "a"));
    }

    #[test]
    fn nothing_that_nobody_sees_is_left() {
        // The ends of what Unicode calls ignorable by default, and of the format characters.
        for hidden in "\u{ad}\u{34f}\u{600}\u{605}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180d}\u{180e}\u{180f}\
            \u{200b}\u{200f}\u{202a}\u{202e}\u{2060}\u{206f}\u{2800}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\
            \u{fff8}\u{1bca0}\u{1bca3}\u{1d173}\u{1d17a}\u{e0000}\u{e0100}\u{e01ef}\u{e0fff}"
            .chars()
        {
            let text = format!("a{hidden}b");
            assert_eq!((has_hidden(&text), &*clean(&text)), (true, "a b"), "{}", hidden.escape_unicode());
            assert_eq!(Letters::of(&text).text(), "ab");
        }
    }

    #[test]
    fn letters_know_where_they_stand() {
        let text = "\u{200b}ab\0 \u{200b}cä\u{200b}";
        let letters = Letters::of(text);
        assert_eq!(letters.text(), "abcä");
        for (part, stood) in
            [("abcä", "ab\0 \u{200b}cä"), ("ab", "ab"), ("b", "b"), ("bc", "b\0 \u{200b}c"), ("cä", "cä")]
        {
            let at = letters.text().find(part).unwrap();
            assert_eq!(&text[letters.original(&(at..at + part.len()))], stood);
        }
    }

    #[test]
    fn a_word_ends_with_a_letter_of_it() {
        let is_inside = |c: char| c.is_ascii_digit();
        let text = "1 \0\u{200b}2\0\x003\0 4";
        assert_eq!(&text[..word_behind(text, is_inside)], "1");
        let (before, behind) = text.split_at(text.find('3').unwrap());
        assert_eq!(&before[word_before(before, is_inside)..], "2\0\0");
        assert_eq!(&behind[..word_behind(behind, is_inside)], "3");
        assert_eq!((word_before("a", is_inside), word_behind("a", is_inside)), (1, 0));
    }

    #[test]
    fn one_of_something_is_not_several() {
        let said: Vec<String> = (0..3).map(|count| counted(count, "job")).collect();
        assert_eq!(said, ["0 jobs", "1 job", "2 jobs"]);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(clean(&"é".repeat(200)).len(), 256);
        assert_eq!(clean(&format!("a{}", "é".repeat(200))).len(), 255);
    }
}
