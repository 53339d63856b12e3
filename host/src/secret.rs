//! Secrets: a job's texts in; any text without them out, in one pass over its beginning, however many they are and whatever
//! they look like. Refuses secrets that are too short to be told from other text, or too long to be looked for.

use std::{fmt, ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};

use crate::text;

/// What stands for a secret.
const MASK: &str = "***";
/// Bytes of the shortest: shorter ones occur everywhere by chance.
const SHORTEST: usize = 4;
/// Bytes of all secrets of a job together: far more than passwords, keys and tokens have. Several times as much is kept to
/// find them.
const TOGETHER: usize = 256 << 10;
/// So many times what is shown is looked at: runs of spaces become one.
const LOOKED_AT: usize = 16;

/// What a job's secrets look like.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<Forms>>);

struct Forms {
    find: AhoCorasick,
    /// How many of the forms, from the first, are plain text; the others are base64.
    plain: usize,
    /// Bytes of the longest form.
    longest: usize,
}

/// Why a secret cannot be kept out of texts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoSecret {
    /// Too short.
    Short,
    /// Too long, with the others of the job.
    Long,
}

impl fmt::Display for NoSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => {
                write!(f, "shorter than {SHORTEST} bytes: it would be masked wherever it stands by chance")
            }
            Self::Long => write!(f, "the secrets of a job have more than {} KiB together", TOGETHER >> 10),
        }
    }
}

impl std::error::Error for NoSecret {}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// Says why these cannot be kept out of texts; an empty one is none.
pub fn check<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<(), NoSecret> {
    let mut together = 0;
    for text in texts {
        let bytes = text.as_ref().len();
        if (1..SHORTEST).contains(&bytes) {
            return Err(NoSecret::Short);
        }
        together += bytes;
    }
    if together > TOGETHER { Err(NoSecret::Long) } else { Ok(()) }
}

impl Secrets {
    /// Of these texts; an empty one is none.
    pub fn new(texts: &[String]) -> Result<Self, NoSecret> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return Ok(Self(None));
        }
        check(texts.iter().copied())?;
        // As it is, and as a text that was cleaned before it came here shows it.
        let mut forms: Vec<String> =
            texts.iter().flat_map(|text| [(*text).to_owned(), text::clean_to(text, TOGETHER)]).collect();
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort();
        forms.dedup();
        let plain = forms.len();
        let mut inside: Vec<String> = texts.iter().flat_map(|text| encoded(text.as_bytes())).collect();
        inside.sort();
        inside.dedup();
        forms.extend(inside);
        let longest = forms.iter().map(String::len).max().unwrap_or_default();
        // The kind that needs least memory: a secret is no more than a pattern or two for each text.
        let find = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&forms)
            .map_err(|_too_large| NoSecret::Long)?;
        Ok(Self(Some(Arc::new(Forms { find, plain, longest }))))
    }

    /// A text without secrets, clean, at most `limit` bytes.
    #[must_use]
    pub fn outgoing(&self, text: &str, limit: usize) -> String {
        let Some(forms) = &self.0 else { return text::clean_to(text, limit) };
        // Behind what may be shown, so much more that a secret which begins in it is seen whole.
        let shown = text.floor_char_boundary(limit.saturating_mul(LOOKED_AT));
        let seen = text.floor_char_boundary(shown.saturating_add(forms.longest));
        let (shown, seen) = (text.get(..shown).unwrap_or_default(), text.get(..seen).unwrap_or_default());
        let clean = text::clean_to(&mask(shown, &forms.found(seen)), limit);
        // Cleaning may have made one: of a tab, a space.
        mask(&clean, &forms.found(&clean))
    }
}

impl Forms {
    /// Where secrets stand, in order and apart.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for hit in self.find.find_overlapping_iter(text) {
            // Inside a base64 text that is masked whole there may be many.
            if found.last().is_some_and(|last| last.start <= hit.start() && hit.end() <= last.end) {
                continue;
            }
            let hit =
                if hit.pattern().as_usize() < self.plain { hit.range() } else { word(text, hit.range()) };
            found.push(hit);
        }
        found.sort_by_key(|range| range.start);
        found.dedup_by(|next, before| {
            let touches = next.start <= before.end;
            if touches {
                before.end = before.end.max(next.end);
            }
            touches
        });
        found
    }
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

fn mask(text: &str, secrets: &[Range<usize>]) -> String {
    let (mut masked, mut at) = (String::new(), 0);
    for secret in secrets {
        masked.push_str(text.get(at..secret.start).unwrap_or_default());
        if secret.start < text.len() {
            masked.push_str(MASK);
        }
        at = secret.end;
    }
    masked.push_str(text.get(at..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Secrets {
        Secrets::new(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_text_is_cut() {
        let secrets = secrets(&["hunter2"]);
        for length in 0..200 {
            for filler in ["x", " "] {
                let text = secrets.outgoing(&format!("{}hunter2 hunter2", filler.repeat(length)), 10);
                assert!(!text.contains('h') && text.len() <= 10, "{text}");
            }
        }
    }

    #[test]
    fn secrets_are_masked_also_in_base64() {
        assert_eq!(secrets(&["hunter2"]).outgoing("535 hunter2 aHVudGVyMg== no", 99), "535 *** *** no");
    }

    #[test]
    fn the_whole_of_a_base64_text_with_a_secret_in_it_is_masked() {
        for user in ["", "u", "us", "use"] {
            for secret in ["open-sesame", "käse?>~~", "12345", "abcd"] {
                let plain = format!("\0{user}\0{secret}");
                for answer in [
                    BASE64_STANDARD.encode(&plain),
                    BASE64_URL_SAFE.encode(&plain),
                    BASE64_STANDARD.encode(&plain).trim_end_matches('=').to_owned(),
                ] {
                    let masked = secrets(&[secret]).outgoing(&format!("535 <{answer}> no"), 99);
                    assert_eq!(masked, "535 <***> no", "{secret} in {answer}");
                }
            }
        }
    }

    #[test]
    fn a_secret_that_cleaning_makes_is_masked() {
        assert_eq!(secrets(&["correct horse"]).outgoing("1 correct\t horse 2", 99), "1 *** 2");
    }

    #[test]
    fn one_base64_text_with_a_secret_everywhere_is_read_once() {
        let text = BASE64_STANDARD.encode("abc".repeat(80_000));
        let secrets = secrets(&["abcabc", &"x".repeat(200_000)]);
        for _ in 0..100 {
            assert_eq!(secrets.outgoing(&text, 256), "***");
        }
    }

    #[test]
    fn secrets_that_overlap_are_masked_together() {
        assert_eq!(secrets(&["abcdef", "defghi", "ghij"]).outgoing("1 abcdefghij 2", 99), "1 *** 2");
    }

    #[test]
    fn the_mask_itself_is_never_masked_again() {
        let many = vec!["****".to_owned(); 256];
        let masked = Secrets::new(&many).unwrap().outgoing(&"*".repeat(4 << 20), 256);
        assert_eq!(masked, "***");
    }

    #[test]
    fn many_long_secrets_and_a_long_message_cost_little() {
        let many: Vec<String> = (0..250).map(|number| format!("{number:04}").repeat(256)).collect();
        let secrets = Secrets::new(&many).unwrap();
        // It took seconds for each text, and stopped everything else meanwhile.
        for _ in 0..100 {
            let masked = secrets.outgoing(&"0001".repeat(1 << 18), 256);
            assert!(masked.starts_with("***") && masked.len() <= 256);
        }
    }

    #[test]
    fn what_cannot_be_told_from_other_text_is_no_secret() {
        let of = |text: String| Secrets::new(&[text]).map(drop);
        assert_eq!(of("abc".to_owned()), Err(NoSecret::Short));
        assert_eq!(of("x".repeat(TOGETHER + 1)), Err(NoSecret::Long));
        assert_eq!(of(String::new()), Ok(()));
        assert_eq!(format!("{:?}", secrets(&["hunter2"])), "Secrets(…)");
    }
}
