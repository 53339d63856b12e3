//! The kinds of parameters: a value, as the check gets it, in; whether it is of the kind, the texts in it, and how a
//! configuration has it, out.

use serde_json::Value as Json;

use crate::span;

/// The longest duration that a parameter can have, in milliseconds: a day. It may be more than a run takes – how old a mail may
/// be, say –, and what takes days is counted in days, by a whole number.
pub const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;
/// Levels of a table: itself, and each object or list in another. As `wit/check.wit` has it; no shape that people write by hand
/// needs more, and whoever walks through it, in whatever language, needs little stack.
pub const TABLE_LEVELS: usize = 8;

/// What a parameter's value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParameterKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts, or one text.
    TextList,
    /// A list of whole numbers, or one.
    IntegerList,
    /// A time span, in whole milliseconds.
    Duration,
    /// An object of texts, numbers, `true`, `false`, and lists and objects of those.
    Table,
    /// A text that appears in no output.
    Secret,
    /// The granted port.
    Port,
}

impl ParameterKind {
    /// As tables show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::TextList => "list of texts",
            Self::IntegerList => "list of integers",
            Self::Duration => "duration",
            Self::Table => "table",
            Self::Secret => "secret",
            Self::Port => "port",
        }
    }

    /// A check gets a list of it, however it is written.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self, Self::TextList | Self::IntegerList)
    }

    /// Its values may be restricted to some.
    #[must_use]
    pub fn has_choices(self) -> bool {
        matches!(self, Self::Text | Self::TextList)
    }

    /// The value is one of the kind. Looks no deeper into it than a table may go.
    pub(super) fn has(self, value: &Json) -> bool {
        let all =
            |is: fn(&Json) -> bool| is(value) || value.as_array().is_some_and(|list| list.iter().all(is));
        match self {
            Self::Text | Self::Secret => value.is_string(),
            Self::TextList => all(Json::is_string),
            Self::Integer => is_whole(value),
            Self::IntegerList => all(is_whole),
            Self::Number => is_number(value),
            Self::Boolean => value.is_boolean(),
            Self::Duration => value.as_u64().is_some_and(|span| span <= LONGEST_MS),
            Self::Table => value.is_object() && is_within(value, TABLE_LEVELS),
            Self::Port => value.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
        }
    }

    /// Two values of the kind are the same to its check: `5` and `5.0`, or a text and a list of it alone.
    #[must_use]
    pub fn is_same(self, one: &Json, other: &Json) -> bool {
        if self.is_list() { are_same(&items(one), &items(other)) } else { is_same(one, other) }
    }

    /// A value of the kind as a configuration has it.
    #[must_use]
    pub fn written(self, value: &Json) -> Json {
        match (self, value.as_u64()) {
            (Self::Duration, Some(span)) => Json::from(span::text(span)),
            _ => value.clone(),
        }
    }
}

/// The greatest whole number that a parameter can have, and below zero the least: beyond it, JSON's numbers are not the same in
/// all languages (RFC 8259 section 6).
pub const MOST_WHOLE: i64 = (1 << 53) - 1;

fn is_whole(value: &Json) -> bool {
    value.as_i64().is_some_and(|number| (-MOST_WHOLE..=MOST_WHOLE).contains(&number))
}

/// What a list has in it, however it is written: an empty text is an empty list.
#[must_use]
pub fn items(value: &Json) -> Vec<&Json> {
    match value {
        Json::Array(list) => list.iter().collect(),
        Json::String(text) if text.is_empty() => Vec::new(),
        one => vec![one],
    }
}

fn are_same(one: &[&Json], other: &[&Json]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
}

/// Whether a number was written with a point says nothing.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        // Whole ones are so small that each has a double of its own.
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            are_same(&one.iter().collect::<Vec<_>>(), &other.iter().collect::<Vec<_>>())
        }
        (Json::Object(one), Json::Object(other)) => {
            let in_other = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(in_other)
        }
        _ => one == other,
    }
}

/// A number that TOML has as well.
fn is_number(value: &Json) -> bool {
    is_whole(value) || value.is_f64()
}

/// No more levels than these, and nothing that TOML does not have.
fn is_within(value: &Json, levels: usize) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(_) | Json::String(_) => true,
        Json::Number(_) => is_number(value),
        Json::Array(list) => levels > 0 && list.iter().all(|inner| is_within(inner, levels - 1)),
        Json::Object(table) => levels > 0 && table.values().all(|inner| is_within(inner, levels - 1)),
    }
}

/// All texts in a value of any kind, keys included.
pub(super) fn texts(value: &Json) -> Vec<&str> {
    match value {
        Json::String(text) => vec![text],
        Json::Array(list) => list.iter().flat_map(texts).collect(),
        Json::Object(table) => {
            table.iter().flat_map(|(key, inner)| [vec![key.as_str()], texts(inner)].concat()).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An object in which lists and objects stand in each other, of so many levels.
    fn nested(levels: usize) -> Json {
        (1..levels).fold(json!({ "a": 1 }), |inner, level| {
            if level + 1 < levels && level % 2 == 1 { json!([inner]) } else { json!({ "a": inner }) }
        })
    }

    #[test]
    fn each_kind_has_its_values_and_no_others() {
        use ParameterKind::{Duration, Integer, IntegerList, Number, Table};
        for (kind, value, expected) in [
            (IntegerList, json!([1, -2]), true),
            (IntegerList, json!([]), true),
            (IntegerList, json!(7), true),
            (IntegerList, json!([1, "2"]), false),
            (IntegerList, json!([1.5]), false),
            (IntegerList, json!([[1]]), false),
            (IntegerList, json!("1"), false),
            (IntegerList, json!([u64::MAX]), false),
            (Duration, json!(0), true),
            (Duration, json!(LONGEST_MS), true),
            (Duration, json!(LONGEST_MS + 1), false),
            (Duration, json!(-1), false),
            (Duration, json!(0.5), false),
            (Duration, json!("20s"), false),
            (Table, json!({}), true),
            (Table, json!({ "a": [1, "b", 0.5, true, { "": [] }] }), true),
            (Table, json!([]), false),
            (Table, json!("a"), false),
            (Table, json!({ "a": null }), false),
            (Table, json!({ "a": u64::MAX }), false),
            (Integer, json!(u64::MAX), false),
            (Number, json!(u64::MAX), false),
            (Number, json!(-0.5), true),
        ] {
            assert_eq!(kind.has(&value), expected, "{kind:?}: {value}");
        }
    }

    #[test]
    fn a_table_itself_is_the_first_of_its_eight_levels() {
        assert_eq!(nested(3), json!({ "a": [{ "a": 1 }] }));
        for (levels, expected) in [(1, true), (2, true), (8, true), (9, false), (100, false)] {
            assert_eq!(ParameterKind::Table.has(&nested(levels)), expected, "{levels}");
        }
    }

    #[test]
    fn the_texts_of_a_value_are_all_texts_and_keys_in_it() {
        assert_eq!(texts(&json!({ "a": ["b", { "c": 1 }, [true, "d"]] })), ["a", "b", "c", "d"]);
        assert_eq!(texts(&json!("a")), ["a"]);
    }

    #[test]
    fn a_value_is_the_same_however_it_is_written() {
        use ParameterKind::{IntegerList, Number, Table, Text, TextList};
        for (kind, one, other, expected) in [
            (Number, json!(5), json!(5.0), true),
            (Number, json!(0), json!(-0.0), true),
            (Number, json!(0.5), json!(0.5), true),
            (Number, json!(5), json!(5.5), false),
            (Number, json!(MOST_WHOLE), json!(9_007_199_254_740_990.0), false),
            (Table, json!({ "a": [5, { "b": 1.0 }] }), json!({ "a": [5.0, { "b": 1 }] }), true),
            (Table, json!({ "a": 5 }), json!({ "a": 5, "b": 1 }), false),
            (Table, json!({ "a": [5] }), json!({ "a": 5 }), false),
            (TextList, json!("a"), json!(["a"]), true),
            (TextList, json!(""), json!([]), true),
            (TextList, json!(["a", "b"]), json!(["b", "a"]), false),
            (IntegerList, json!(7), json!([7]), true),
            (Text, json!("5"), json!(5), false),
        ] {
            assert_eq!(kind.is_same(&one, &other), expected, "{kind:?}: {one}, {other}");
            assert_eq!(kind.is_same(&other, &one), expected, "{kind:?}: {other}, {one}");
        }
    }

    #[test]
    fn a_configuration_has_a_duration_as_text() {
        assert_eq!(ParameterKind::Duration.written(&json!(20_000)), json!("20s"));
        assert_eq!(ParameterKind::Integer.written(&json!(20_000)), json!(20_000));
    }
}
