//! Texts that follow one another, such as the lines of a log: each in; each without secrets out, also without one that begins
//! in one text and ends in another. A text whose end may be the beginning of a secret is held back until the next has come.

use std::{collections::VecDeque, fmt};

use super::{
    Secrets,
    search::{Search, Seen},
};
use crate::text;

/// Texts in their order, each to be shown with something, such as a level.
pub struct Sequence<T> {
    /// Nothing, where there are no secrets.
    search: Option<Search>,
    /// Bytes of each text that are shown at most.
    limit: usize,
    /// What is held back. Every text but the first lies inside of what may be a secret.
    held: VecDeque<(T, Seen<String>)>,
}

impl<T> fmt::Debug for Sequence<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sequence(…)")
    }
}

impl<T> Sequence<T> {
    /// Of nothing yet.
    #[must_use]
    pub fn new(secrets: &Secrets, limit: usize) -> Self {
        Self { search: secrets.0.as_ref().map(Search::new), limit, held: VecDeque::new() }
    }

    /// Bytes of a text that are of use: one more than are looked at, which shows that it goes on. It may be cut behind them.
    #[must_use]
    pub fn of_use(&self) -> usize {
        text::looked_at(self.limit).saturating_add(1)
    }

    /// Nothing is held back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The next text, to be shown or not; gives those that can be shown by now, clean. One that is not to be shown is read, as
    /// what was begun may end in it, but not kept.
    pub fn push(&mut self, with: Option<T>, text: &str) -> Vec<(T, String)> {
        let Some(search) = &mut self.search else {
            return with.map(|with| (with, text::clean_to(text, self.limit))).into_iter().collect();
        };
        let seen = search.read(text, self.limit);
        let settled = search.settled();
        if let Some(with) = with {
            self.held.push_back((with, Seen { text: seen.text.to_owned(), letters: seen.letters }));
        }
        self.release(settled)
    }

    /// No text follows; gives those that were held back.
    pub fn end(&mut self) -> Vec<(T, String)> {
        self.release(usize::MAX)
    }

    /// The texts whose letters end before this place.
    fn release(&mut self, place: usize) -> Vec<(T, String)> {
        let Some(search) = &mut self.search else { return Vec::new() };
        let mut released = Vec::new();
        while let Some((with, seen)) = self.held.pop_front_if(|(_, seen)| seen.letters.end <= place) {
            released.push((with, search.masked(&seen, self.limit)));
        }
        search.forget(self.held.front().map_or(place, |(_, seen)| seen.letters.start));
        released
    }
}

#[cfg(test)]
mod tests {
    use std::{
        iter,
        time::{Duration, Instant},
    };

    use proptest::prelude::*;

    use super::*;

    fn shown(secrets: &[&str], texts: &[&str]) -> Vec<String> {
        let secrets = Secrets::new(&secrets.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        let mut sequence = Sequence::new(&secrets, 64);
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
    fn a_secret_with_white_space_is_masked_where_it_is_wrapped() {
        for (begin, rest) in
            [("correct", "horse"), ("correct ", "horse"), ("correct", "\thorse"), ("cor", "rect horse")]
        {
            let shown = shown(&["correct horse"], &[&format!("it is {begin}"), &format!("{rest}, see")]);
            assert_eq!(shown, ["it is ***", "***, see"], "{begin:?}, {rest:?}");
        }
        assert_eq!(shown(&["correct horse"], &["correct", "", " ", "horse"]), ["***", "", "", "***"]);
    }

    #[test]
    fn what_begins_a_secret_where_a_text_is_cut_is_masked() {
        // As it is of use, it goes on.
        let sequence = Sequence::<()>::new(&Secrets::new(&["open-sesame".into()]).unwrap(), 64);
        let text = format!("<open-{}", "\u{200b}".repeat(1000));
        let cut = &text[..text.ceil_char_boundary(sequence.of_use())];
        assert_eq!(shown(&["open-sesame"], &[cut, "sesame"]), ["<***", "sesame"]);
    }

    #[test]
    fn however_much_begins_like_a_secret_each_byte_costs_the_same() {
        let token: String =
            (0..800_u32).filter_map(|at| char::from_u32(48 + (at * at / 7 + at) % 70)).collect();
        let token_lines = token.split_at(799).0.split("").cycle().take(300_000);
        let long = |letters: usize| format!("{}b", "a".repeat(letters));
        let (nearly, begun) = (format!("{}c", "a".repeat(59_000)), "a".repeat(60_000));
        let cases: [(String, Vec<&str>); 3] = [
            (token.clone(), token_lines.collect()),
            (long(60_000), vec![&nearly]),
            (long(65_000), iter::once(&*begun).chain(iter::repeat_n("a", 5_000)).collect()),
        ];
        for (secret, lines) in cases {
            let mut sequence = Sequence::new(&Secrets::new(&[secret]).unwrap(), 64 << 10);
            let start = Instant::now();
            for (at, line) in lines.iter().enumerate() {
                sequence.push((at < 20).then_some(()), line);
            }
            // They took 3, 5 and 6 seconds; now it is milliseconds.
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "{} lines took {:?}",
                lines.len(),
                start.elapsed()
            );
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_in_each() {
        let key = "-----BEGIN KEY-----\nMIGHAgEA\nMBMGByqG\n-----END KEY-----\n";
        let lines: Vec<&str> = key.lines().collect();
        assert_eq!(shown(&[key], &lines), ["***"; 4]);
    }

    #[test]
    fn what_begins_like_a_secret_is_held_back_and_no_longer_than_that() {
        let mut sequence = Sequence::new(&Secrets::new(&["open-sesame".into()]).unwrap(), 64);
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
            text in "([a-c-]{1,4}|open-sesame|open \t\u{ad}-sesame|\u{200b}| ){1,8}", cuts in prop::collection::vec(0..100_usize, 0..6)
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
