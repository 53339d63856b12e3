//! Secrets of several endpoints: which of them each may be told in; whether what is about to be written to one has another's in
//! it, out – in the forms in which secrets are masked, whatever pieces it is written in.
//!
//! A secret that is also one of the endpoint's own, or part of one, is not looked for: it could not be told from that. Nor is a
//! short one: honest text may contain it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    str,
    sync::Arc,
};

use super::{
    finder::Seeker,
    forms::{Forms, standard},
    size::NoSecret,
};
use crate::text::Letters;

/// Fewer letters than this, such as `test` or `admin`, stand in honest text by chance.
const LETTERS: usize = 6;

/// What several endpoints must not be told, each by its number.
#[derive(Clone, Default)]
pub struct Apart(Arc<[Kept]>);

/// Secrets that the same endpoints may be told.
struct Kept {
    known: Vec<usize>,
    forms: Forms,
}

impl Apart {
    /// Of the secrets of each endpoint.
    pub fn new(of_endpoints: &[Vec<String>]) -> Result<Self, NoSecret> {
        let letters = |text: &String| Letters::of(text).text().to_owned();
        let of_endpoints: Vec<Vec<(&str, String)>> = of_endpoints
            .iter()
            .map(|own| own.iter().map(|text| (text.as_str(), letters(text))).collect())
            .collect();
        let mut kept: BTreeMap<Vec<usize>, BTreeSet<&str>> = BTreeMap::new();
        let is_long = |(_, letters): &&(&str, String)| letters.chars().count() >= LETTERS;
        for (text, letters) in of_endpoints.iter().flatten().filter(is_long) {
            let has_it =
                |own: &Vec<(&str, String)>| own.iter().any(|(_, own)| own.contains(letters.as_str()));
            let known: Vec<usize> = of_endpoints
                .iter()
                .enumerate()
                .filter(|(_, own)| has_it(own))
                .map(|(number, _)| number)
                .collect();
            if known.len() < of_endpoints.len() {
                kept.entry(known).or_default().insert(text);
            }
        }
        let kept = kept.into_iter().map(|(known, texts)| {
            let texts: Vec<&str> = texts.into_iter().collect();
            Ok(Kept { known, forms: Forms::of(&texts)? })
        });
        Ok(Self(kept.collect::<Result<Vec<_>, NoSecret>>()?.into()))
    }

    /// For what is written to an endpoint; none: it may be told everything.
    #[must_use]
    pub fn watch(&self, endpoint: usize) -> Option<Watch> {
        let others = self.0.iter().filter(|kept| !kept.known.contains(&endpoint));
        let seekers: Vec<_> =
            others.map(|kept| [Seeker::new(&kept.forms.plain), Seeker::new(&kept.forms.encoded)]).collect();
        (!seekers.is_empty()).then_some(Watch { seekers, rest: Vec::new() })
    }
}

/// What was written to an endpoint so far, as far as it may be the beginning of another's secret.
#[derive(Clone)]
pub struct Watch {
    /// For secrets as they are, and in base64.
    seekers: Vec<[Seeker; 2]>,
    /// The beginning of a character.
    rest: Vec<u8>,
}

impl Watch {
    /// With these bytes a secret is whole.
    pub fn finds(&mut self, bytes: &[u8]) -> bool {
        let bytes = if self.rest.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            Cow::Owned([&std::mem::take(&mut self.rest)[..], bytes].concat())
        };
        for chunk in bytes.utf8_chunks() {
            if self.reads(Letters::of(chunk.valid()).text().as_bytes()) {
                return true;
            }
            let invalid = chunk.invalid();
            let goes_on = str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            // Only at the end of all of them a character can go on.
            if goes_on {
                invalid.clone_into(&mut self.rest);
            } else if self.reads(invalid) {
                return true;
            }
        }
        false
    }

    fn reads(&mut self, letters: &[u8]) -> bool {
        self.seekers.iter_mut().any(|[plain, encoded]| {
            plain.finds(letters.iter().copied())
                || encoded.finds(letters.iter().map(|letter| standard(*letter)))
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
    use proptest::prelude::*;

    use super::*;

    fn apart(of_endpoints: &[&[&str]]) -> Apart {
        let texts = |own: &&[&str]| own.iter().map(ToString::to_string).collect();
        Apart::new(&of_endpoints.iter().map(texts).collect::<Vec<_>>()).unwrap()
    }

    fn found(apart: &Apart, endpoint: usize, pieces: &[&[u8]]) -> bool {
        apart.watch(endpoint).is_some_and(|mut watch| pieces.iter().any(|piece| watch.finds(piece)))
    }

    #[test]
    fn a_secret_of_another_endpoint_is_found_plain_quoted_and_in_base64() {
        let apart = apart(&[&["open-sesame"], &["hun\"ter2~?"]]);
        for user in ["", "u", "us", "use"] {
            let answer = format!("\0{user}\0hun\"ter2~?");
            for written in [
                format!("LOGIN {user} hun\"ter2~?\r\n"),
                format!("LOGIN \"{user}\" \"hun\\\"ter2~?\"\r\n"),
                BASE64_STANDARD.encode(&answer),
                BASE64_URL_SAFE_NO_PAD.encode(&answer),
            ] {
                assert!(found(&apart, 0, &[written.as_bytes()]), "{written}");
                assert!(!found(&apart, 1, &[written.as_bytes()]), "{written}");
            }
        }
        assert!(found(&apart, 1, &[b"\xff\x0bopen-sesame\xc3"]) && !found(&apart, 0, &[b"open-sesame"]));
    }

    #[test]
    fn what_an_endpoint_knows_itself_is_not_looked_for_there() {
        // The same, and one that begins with another.
        let apart = apart(&[&["open-sesame"], &["open-sesame"], &["open-sesame-2"]]);
        assert!(apart.watch(1).is_some_and(|mut watch| watch.finds(b"open-sesame-2")));
        for endpoint in [0, 1, 2] {
            assert!(!found(&apart, endpoint, &[b"open-sesame"]), "{endpoint}");
        }
        assert!(!found(&apart, 2, &[b"open-sesame-2"]));
        assert!(apart.watch(2).is_none());
    }

    #[test]
    fn a_short_secret_stops_no_honest_text() {
        for (secret, is_found) in [("test", false), ("tests", false), ("testss", true)] {
            let apart = apart(&[&[secret], &[]]);
            assert_eq!(found(&apart, 1, &[b"Subject: tests, testss\r\n"]), is_found, "{secret}");
        }
    }

    #[test]
    fn where_there_is_one_endpoint_nothing_is_looked_for() {
        assert!(apart(&[&["open-sesame", "hunter2"]]).watch(0).is_none());
        assert!(Apart::default().watch(0).is_none());
        assert!(apart(&[&[], &["open-sesame"]]).watch(1).is_none());
    }

    proptest! {
        #[test]
        fn a_secret_is_found_in_whatever_pieces_it_is_written(
            secret in "[a-zé\u{ad} ]{4,12}x[0-9]{5}", cuts in prop::collection::vec(0..80_usize, 0..6), encoded in any::<bool>(),
            before in prop::collection::vec(any::<u8>(), 0..9)
        ) {
            let apart = apart(&[&[&secret], &[]]);
            let secret = if encoded { BASE64_STANDARD.encode(&secret) } else { secret };
            let written = [&before[..], b"\n", secret.as_bytes(), b"\r\n"].concat();
            let (mut rest, mut pieces) = (&written[..], Vec::new());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert!(found(&apart, 1, &pieces));
            prop_assert!(!found(&apart, 0, &pieces));
        }
    }
}
