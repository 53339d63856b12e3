//! The search for secrets: texts that follow one another in; where each lies, up to where all is known, and each of them
//! without secrets out. Of a text that is too long to be looked at, an end that begins like a secret counts as one.

use std::{cell::LazyCell, ops::Range};

use super::{
    finder::Reading,
    forms::{Forms, standard},
    mask::mask,
};
use crate::text::{self, Letters};

/// What was found so far.
pub(super) struct Search {
    plain: Reading,
    encoded: Reading,
    /// Letters that were read.
    read: usize,
}

/// As much of a text as is looked at.
pub(super) struct Seen<T> {
    pub(super) text: T,
    /// Where its letters are among all that were read.
    pub(super) letters: Range<usize>,
}

impl Search {
    pub(super) fn new(forms: &Forms) -> Self {
        Self { plain: Reading::new(&forms.plain), encoded: Reading::new(&forms.encoded), read: 0 }
    }

    /// Reads the next text, of which so many bytes may be shown.
    pub(super) fn read<'a>(&mut self, text: &'a str, limit: usize) -> Seen<&'a str> {
        let (seen, behind) = text.split_at(text.floor_char_boundary(text::looked_at(limit)));
        let (letters, begin) = (Letters::of(seen), self.read);
        self.read += letters.text().len();
        self.plain.read(letters.text().bytes());
        self.encoded.read(letters.text().bytes().map(standard));
        if !behind.is_empty() {
            self.plain.cut();
            self.encoded.cut();
        }
        Seen { text: seen, letters: begin..self.read }
    }

    /// So many letters were read that no secret which begins in them can still become one.
    pub(super) fn settled(&self) -> usize {
        self.plain.settled().min(self.encoded.settled())
    }

    /// A text that was read and is settled, without the secrets that stand in it, clean.
    pub(super) fn masked(&self, seen: &Seen<impl AsRef<str>>, limit: usize) -> String {
        let text = seen.text.as_ref();
        let letters = LazyCell::new(|| Letters::of(text));
        let mut secrets: Vec<Range<usize>> = Vec::new();
        for part in self.encoded.within(&seen.letters) {
            let (part, begin) = (letters.original(&part), secrets.last().map_or(0, |last| last.end));
            // Inside a word that is masked there may be many.
            if part.end > begin {
                secrets.push(word(text, begin, &part));
            }
        }
        secrets.extend(self.plain.within(&seen.letters).map(|part| letters.original(&part)));
        join(&mut secrets);
        text::clean_to(&mask(text, &secrets), limit)
    }

    /// Nobody will ask for texts whose letters lie before this place.
    pub(super) fn forget(&mut self, place: usize) {
        self.plain.forget(place);
        self.encoded.forget(place);
    }
}

/// Brings parts of a text in order, and makes one of those that touch.
fn join(parts: &mut Vec<Range<usize>>) {
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, before| {
        let touches = next.start <= before.end;
        if touches {
            before.end = before.end.max(next.end);
        }
        touches
    });
}

/// The whole base64 text around a part of a text, from a place on: what stands beside the part has bits of the secret, too.
/// The sign behind a key, as in `password=`, can be told from its padding; a slash or a dash in front may be a letter of it.
fn word(text: &str, begin: usize, part: &Range<usize>) -> Range<usize> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let (before, behind) = (text.get(begin..part.start), text.get(part.end..));
    let start = before.map_or(part.start, |before| begin + text::word_before(before, is_inside));
    let behind = behind.unwrap_or_default();
    let end = text::word_behind(behind, is_inside);
    let padded = end + text::word_behind(behind.get(end..).unwrap_or_default(), |c| c == '=');
    start..part.end + padded
}
