//! Texts that follow one another, such as the lines of a log: each in; each without secrets out, also without one that begins
//! in one text and ends in another. A text whose end may be the beginning of a secret is held back until the next has come.

use std::{mem, ops::Range};

use super::{Secrets, forms::join};
use crate::text;

/// Texts in their order, each to be shown with something, such as a level.
#[derive(Debug)]
pub struct Sequence<T> {
    secrets: Secrets,
    /// Bytes of each text that are shown at most.
    limit: usize,
    /// What is held back, one behind the other; of a long text, as much as is looked at. Every text but the first lies
    /// inside of what may be a secret.
    held: String,
    /// Where each text ends in it; some are there only for what they go on with.
    texts: Vec<(Option<T>, usize)>,
    /// Where secrets stand in it.
    found: Vec<Range<usize>>,
}

impl<T> Sequence<T> {
    /// Of nothing yet.
    #[must_use]
    pub fn new(secrets: Secrets, limit: usize) -> Self {
        Self { secrets, limit, held: String::new(), texts: Vec::new(), found: Vec::new() }
    }

    /// Bytes of a text that are looked at; it may be cut behind them.
    #[must_use]
    pub fn looked_at(&self) -> usize {
        super::LOOKED_AT * self.limit + self.secrets.0.as_ref().map_or(0, |forms| forms.longest)
    }

    /// Nothing is held back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The next text, to be shown or not; gives those that can be shown by now, clean.
    pub fn push(&mut self, with: Option<T>, text: &str) -> Vec<(T, String)> {
        let Some(forms) = &self.secrets.0 else {
            return with.map(|with| (with, text::clean_to(text, self.limit))).into_iter().collect();
        };
        let seen = forms.seen(text, self.limit);
        self.held.push_str(seen);
        self.texts.push((with, self.held.len()));
        self.found.extend(forms.found(&self.held));
        join(&mut self.found);
        // What is cut off has another end.
        let begun = if seen.len() == text.len() { forms.begun(&self.held) } else { None };
        self.release(begun.unwrap_or(self.held.len()))
    }

    /// No text follows; gives those that were held back.
    pub fn end(&mut self) -> Vec<(T, String)> {
        self.release(self.held.len())
    }

    /// The texts that end before this place.
    fn release(&mut self, place: usize) -> Vec<(T, String)> {
        let Some(forms) = &self.secrets.0 else { return Vec::new() };
        let (mut released, mut begin) = (Vec::new(), 0);
        let count = self.texts.iter().take_while(|(_, end)| *end <= place).count();
        for (with, end) in self.texts.drain(..count) {
            let text = self.held.get(begin..end).unwrap_or_default();
            let inside =
                |part: &Range<usize>| part.start.max(begin) - begin..part.end.min(end).max(begin) - begin;
            let found: Vec<_> = self.found.iter().map(inside).filter(|part| !part.is_empty()).collect();
            released.extend(with.map(|with| (with, forms.masked(text, &found, self.limit))));
            begin = end;
        }
        self.held.drain(..begin);
        self.texts.iter_mut().for_each(|(_, end)| *end -= begin);
        for part in mem::take(&mut self.found) {
            if part.end > begin {
                self.found.push(part.start.saturating_sub(begin)..part.end - begin);
            }
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(secrets: &[&str], texts: &[&str]) -> Vec<String> {
        let secrets = Secrets::new(&secrets.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let mut sequence = Sequence::new(secrets, 64);
        let mut shown: Vec<_> = texts.iter().flat_map(|text| sequence.push(Some(()), text)).collect();
        shown.extend(sequence.end());
        shown.into_iter().map(|((), text)| text).collect()
    }

    #[test]
    fn a_secret_that_goes_on_in_the_next_text_is_masked_in_both() {
        assert_eq!(shown(&["open-sesame"], &["it is open-", "sesame, see"]), ["it is ***", "***, see"]);
        assert_eq!(shown(&["open-sesame"], &["it is open-", "closed"]), ["it is open-", "closed"]);
        assert_eq!(
            shown(&["open-sesame"], &["open", "-", "sesame o", "pen-sesame"]),
            ["***", "***", "*** ***", "***"]
        );
        assert_eq!(shown(&["open-sesame"], &["it is open-\u{200b}", "\tsesame"]), ["it is ***", "***"]);
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_in_each() {
        let key = "-----BEGIN KEY-----\nMIGHAgEA\nMBMGByqG\n-----END KEY-----\n";
        let lines: Vec<&str> = key.lines().collect();
        assert_eq!(shown(&[key], &lines), ["***"; 4]);
    }

    #[test]
    fn what_begins_like_a_secret_is_held_back_and_no_longer_than_that() {
        let mut sequence = Sequence::new(Secrets::new(&["open-sesame".into()]).unwrap(), 64);
        assert_eq!(sequence.push(Some(1), "no secret"), [(1, "no secret".into())]);
        assert_eq!(sequence.push(Some(2), "op"), []);
        assert_eq!(sequence.push(Some(3), "en? no: op"), [(2, "op".into())]);
        assert_eq!(sequence.push(None, "en-sesame"), [(3, "en? no: ***".into())]);
        assert!(sequence.is_empty());
        let long = format!("{}open-", "x".repeat(99_999));
        assert_eq!(sequence.push(Some(4), &long), [(4, "x".repeat(64))]);
        assert!(sequence.is_empty());
    }

    proptest! {
        #[test]
        fn however_a_text_with_secrets_is_cut_they_are_masked(
            text in "([a-c-]{1,4}|open-sesame|\u{200b}){1,8}", cuts in prop::collection::vec(0..100_usize, 0..6)
        ) {
            let mut rest: &str = &text;
            let mut texts = Vec::new();
            for cut in cuts {
                let (text, behind) = rest.split_at(rest.floor_char_boundary(cut.min(rest.len())));
                texts.push(text);
                rest = behind;
            }
            texts.push(rest);
            let masked = shown(&["open-sesame"], &texts);
            prop_assert_eq!(masked.len(), texts.len());
            prop_assert!(!masked.concat().contains(['s', 'm', 'p']), "{:?}", masked);
        }
    }
}
