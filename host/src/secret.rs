//! Secrets: a job's texts in; any text without them out, in one pass over its beginning, however many they are and whatever
//! they look like. Refuses secrets that are too short to be told from other text, or too long to be looked for.
//!
//! Only letters count: hidden characters and white space, which cleaning and wrapping change, may stand between them or not.
//!
//! This is against accidents. Who holds a secret and means harm writes it in a way that nobody looks for.

pub mod apart;
mod finder;
mod forms;
mod mask;
mod search;
pub mod sequence;
mod size;

use std::fmt;

pub use self::size::{NoSecret, judge};
use self::{forms::Forms, search::Search};
use crate::text;

/// What a job's secrets look like.
#[derive(Clone, Default)]
pub struct Secrets(Option<Forms>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Of these texts; an empty one is none.
    pub fn new(texts: &[String]) -> Result<Self, NoSecret> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        if texts.is_empty() {
            return Ok(Self(None));
        }
        judge(texts.iter().copied())?;
        Ok(Self(Some(Forms::of(&texts)?)))
    }

    /// A text without secrets, clean, at most `limit` bytes.
    #[must_use]
    pub fn outgoing(&self, text: &str, limit: usize) -> String {
        let Some(forms) = &self.0 else { return text::clean_to(text, limit) };
        let mut search = Search::new(forms);
        let seen = search.read(text, limit);
        search.masked(&seen, limit)
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
    use proptest::prelude::*;

    use super::{size::TOGETHER, *};

    fn secrets(texts: &[&str]) -> Secrets {
        Secrets::new(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_stands_before_a_secret_is_shown_wherever_what_is_looked_at_ends() {
        let secrets = Secrets::new(&["open-sesame".to_owned()]).unwrap();
        let said =
            |hidden: usize| secrets.outgoing(&format!("535 hello {}open-sesame", "\0".repeat(hidden)), 256);
        for hidden in [3000, 4070, 4085, 4086, 4087, 5000] {
            assert!(said(hidden).starts_with("535 hell"), "{hidden}: {:?}", said(hidden));
        }
    }

    #[test]
    fn no_part_of_a_secret_is_left_where_a_text_is_cut() {
        let secrets = secrets(&["hunter2", "hit horse"]);
        for (length, filler) in (0..200).flat_map(|length| [(length, "x"), (length, " ")]) {
            for written in ["hunter2 hunter2", "hit horse", "hit\thorse", "hit  \r\n horse", "hithorse"] {
                let text = secrets.outgoing(&format!("{}{written}", filler.repeat(length)), 10);
                assert!(
                    !text.contains(['h', 'o']) && text.len() <= 10,
                    "{written:?} behind {length}: {text}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_secret_is_found_whatever_hidden_characters_stand_in_it(
            hidden in prop::collection::vec("[\\x00-\\x20\u{ad}\u{200b}\u{2060}\u{3000}\u{fe0f}]{0,3}", 10)
        ) {
            let mut spread = String::new();
            for (c, hidden) in "open-sesam".chars().zip(&hidden) {
                spread.push(c);
                spread.push_str(hidden);
            }
            spread.push('e');
            prop_assert_eq!(secrets(&["open-sesame"]).outgoing(&format!("<{spread}>"), 99), "<***>");
            prop_assert_eq!(secrets(&[&spread]).outgoing("<open-sesame>", 99), "<***>");
            prop_assert_eq!(secrets(&[&spread]).outgoing(&format!("<{}>", text::clean_to(&spread, 99)), 99), "<***>");
        }
    }

    #[test]
    fn hidden_characters_push_no_secret_out_of_sight() {
        let text = format!("<open-{}sesame>", "\u{200b}".repeat(100_000));
        assert_eq!(secrets(&["open-sesame"]).outgoing(&text, 99), "<***");
    }

    #[test]
    fn a_secret_is_masked_where_it_is_quoted() {
        let text = format!("{:?} {}", "a\"b\nc\\d", serde_json::json!({ "password": "a\"b\nc\\d" }));
        assert_eq!(secrets(&["a\"b\nc\\d"]).outgoing(&text, 99), "\"***\" {\"password\":\"***\"}");
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
    fn a_key_in_front_of_a_base64_text_is_shown() {
        for (said, shown) in [
            ("password=aHVudGVyMg==", "password=***"),
            ("a=AHVzZXIAaHVudGVyMg==&b=c", "a=***&b=c"),
            ("aHVudGVyMg==aHVudGVyMg", "***"),
            // Which may be of the text itself.
            ("user/aHVudGVyMg", "***"),
        ] {
            assert_eq!(secrets(&["hunter2"]).outgoing(said, 99), shown);
        }
    }

    #[test]
    fn white_space_may_stand_anywhere_in_a_secret_or_nowhere() {
        for secret in [
            "correct horse",
            "correcthorse",
            "correct\thorse",
            " correct  horse\n",
            "c o r r e c t h o r s e",
        ] {
            for written in [
                "correct horse",
                "correct\t horse",
                "correcthorse",
                "correct\u{a0}horse",
                "cor\r\n    recthorse",
            ] {
                let masked = secrets(&[secret]).outgoing(&format!("1 {written} 2"), 99);
                assert_eq!(masked, "1 *** 2", "{secret:?} as {written:?}");
            }
        }
    }

    #[test]
    fn the_longest_of_the_secrets_that_end_together_is_masked() {
        let secrets = secrets(&["mnop", "klmnop", "opklmnop", "efghijklmnop", "ghijklmnop"]);
        assert_eq!(secrets.outgoing("1 efghijklmnop 2 klmnop 3 abmnop", 99), "1 *** 2 *** 3 ab***");
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
        assert_eq!(of("abc\u{200b}\0".to_owned()), Err(NoSecret::Short));
        assert_eq!(of(" a b\tc ".to_owned()), Err(NoSecret::Short));
        assert_eq!(of("x".repeat(TOGETHER + 1)), Err(NoSecret::Long));
        assert_eq!(of(String::new()), Ok(()));
        assert_eq!(format!("{:?}", secrets(&["hunter2"])), "Secrets(…)");
    }
}
