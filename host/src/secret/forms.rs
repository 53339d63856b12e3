//! What secrets look like in a text – as they are, cleaned, escaped, in base64 – and where they stand in it, whatever hidden
//! characters stand in between.

use std::{iter, ops::Range};

use aho_corasick::{Anchored, Input, automaton::Automaton as _, nfa::contiguous::NFA};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};

use super::size::{NoSecret, SHORTEST, TOGETHER};
use crate::text::{self, Visible};

/// All forms of all secrets of a job.
pub(super) struct Forms {
    /// The kind of automaton that needs least memory: a secret is no more than a pattern or two for each text.
    find: NFA,
    /// How many of the forms, from the first, are plain text; the others are base64.
    plain: usize,
    /// Bytes of the longest form.
    pub(super) longest: usize,
}

impl Forms {
    /// Of texts that are not empty.
    pub(super) fn of(texts: &[&str]) -> Result<Self, NoSecret> {
        let mut forms: Vec<String> = texts.iter().flat_map(|text| plain(text)).collect();
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort();
        forms.dedup();
        let plain = forms.len();
        let mut inside: Vec<String> = texts.iter().flat_map(|text| encoded(text.as_bytes())).collect();
        inside.sort();
        inside.dedup();
        forms.extend(inside);
        let longest = forms.iter().map(String::len).max().unwrap_or_default();
        let find = NFA::new(&forms).map_err(|_too_large| NoSecret::Long)?;
        Ok(Self { find, plain, longest })
    }

    /// Where secrets stand, in order and apart.
    pub(super) fn found(&self, text: &str) -> Vec<Range<usize>> {
        let visible = Visible::of(text);
        let text = visible.text();
        let mut found: Vec<Range<usize>> = Vec::new();
        let Ok(hits) = self.find.try_find_overlapping_iter(Input::new(text)) else {
            // Nothing is known of it: all of it may be secret.
            return iter::once(0..visible.original(&(0..text.len())).end).collect();
        };
        for hit in hits {
            // Inside a base64 text that is masked whole there may be many.
            if found.last().is_some_and(|last| last.start <= hit.start() && hit.end() <= last.end) {
                continue;
            }
            let hit =
                if hit.pattern().as_usize() < self.plain { hit.range() } else { word(text, hit.range()) };
            found.push(hit);
        }
        join(&mut found);
        found.iter().map(|part| visible.original(part)).collect()
    }

    /// Where the longest part begins that ends the text and with which a secret begins.
    pub(super) fn begun(&self, text: &str) -> Option<usize> {
        let visible = Visible::of(text);
        let text = visible.text();
        // A whole one needs no more.
        let last = text.ceil_char_boundary((text.len() + 1).saturating_sub(self.longest));
        let begun = text.get(last..)?.char_indices().find_map(|(at, _)| {
            let rest = text.get(last + at..)?;
            self.begins(rest).then_some(last + at)
        })?;
        Some(visible.original(&(begun..text.len())).start)
    }

    /// A secret begins like this, and goes on.
    fn begins(&self, text: &str) -> bool {
        let Ok(mut state) = self.find.start_state(Anchored::Yes) else { return false };
        let next = |state, byte| self.find.next_state(Anchored::Yes, state, byte);
        let begins = text.bytes().all(|byte| {
            state = next(state, byte);
            !self.find.is_dead(state)
        });
        begins && (0..=u8::MAX).any(|byte| !self.find.is_dead(next(state, byte)))
    }
}

/// Brings parts of a text in order, and makes one of those that touch.
pub(super) fn join(parts: &mut Vec<Range<usize>>) {
    parts.sort_by_key(|part| part.start);
    parts.dedup_by(|next, before| {
        let touches = next.start <= before.end;
        if touches {
            before.end = before.end.max(next.end);
        }
        touches
    });
}

/// As it is; as a text shows it that was cleaned before; and as JSON and most languages quote it.
fn plain(secret: &str) -> [String; 3] {
    let visible = |text: &str| Visible::of(text).text().to_owned();
    let quoted = serde_json::Value::from(secret).to_string();
    let quoted = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default();
    [visible(secret), text::clean_to(secret, TOGETHER), visible(quoted)]
}

/// The whole base64 text around a part of it: what stands beside the part has bits of the secret, too.
fn word(text: &str, part: Range<usize>) -> Range<usize> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=');
    let bytes = text.as_bytes();
    let before =
        bytes.get(..part.start).unwrap_or_default().iter().rev().take_while(|byte| inside(byte)).count();
    let behind = bytes.get(part.end..).unwrap_or_default().iter().take_while(|byte| inside(byte)).count();
    part.start - before..part.end + behind
}

/// What a longer base64 text shows of a secret inside it, as the answer of AUTH PLAIN has it: in each of the three ways in
/// which it then falls on groups of three bytes, the letters that only its own bits decide, in both alphabets.
fn encoded(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [&vec![0; before], secret].concat();
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for text in [BASE64_STANDARD.encode(&bytes), BASE64_URL_SAFE.encode(&bytes)] {
            forms.extend(text.get(first..end).map(ToOwned::to_owned));
        }
    }
    forms
}
