//! What a check tells about the parts of its runs: their kinds, and which measurements are whose lines. Pure.

use serde_json::{Value as Json, json};

use super::Field;

/// The longest value of a part's tag: it is a server's, and every other one is a series of its own.
pub const TAG_BYTES: usize = 128;

/// A tag of a part, whose value comes from the run.
#[derive(Clone, Debug, PartialEq)]
pub struct PartTag {
    /// Its key on the line: lower-case letters, digits and `_`, a letter first, at most 64 bytes; none that is on the line
    /// already.
    pub name: String,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
}

/// A kind of parts: each part of a run is a line of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Lower-case letters, digits and `_`, a letter first; no field's name.
    pub name: String,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
    /// What tells parts of this kind from each other: one or two.
    pub tags: Vec<PartTag>,
    /// What a part may contain, at most 256; no phases, and nothing for runs that could not report.
    pub fields: Vec<Field>,
}

impl Part {
    /// All of it, for a digest.
    pub(super) fn json(&self) -> Json {
        let tags: Vec<_> = self.tags.iter().map(|own| json!([own.name, own.doc])).collect();
        let fields: Vec<_> = self.fields.iter().map(Field::json).collect();
        json!([self.name, self.doc, tags, fields])
    }
}

/// The measurement of the lines of parts of this kind.
#[must_use]
pub fn part_measurement(of_check: &str, kind: &str) -> String {
    format!("{of_check}_{kind}")
}

/// Lines of the measurement `other` could be those of a check with the measurement `own`, or of its parts. Of two checks
/// neither may be so, whatever their parts are called: `a` with a part `b_c`, and `a_b` with a part `c`, would write the same.
#[must_use]
pub fn is_within(other: &str, own: &str) -> bool {
    other.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn two_measurements_that_are_not_within_each_other_have_no_part_in_common(
            one in "[a-c_]{1,4}", other in "[a-c_]{1,4}", part in "[a-c_]{1,4}", other_part in "[a-c_]{1,4}"
        ) {
            let lines = |own: &str, part: &str| [own.to_owned(), part_measurement(own, part)];
            let common = lines(&one, &part).iter().any(|line| lines(&other, &other_part).contains(line));
            prop_assert!(!common || is_within(&one, &other) || is_within(&other, &one));
        }
    }

    #[test]
    fn a_measurement_is_within_another_up_to_a_whole_word() {
        for (other, expected) in [("imap", true), ("imap_mailbox", true), ("imaps", false), ("ima", false)] {
            assert_eq!(is_within(other, "imap"), expected, "{other}");
        }
    }
}
