//! A tag or a field of a check's lines, as text for people: its name and what is said of it in; a row of a table, or JSON, out.

use serde_json::{Value as Json, json};

use super::cell::cell;
use crate::value::FieldKind;

/// Above rows of tags.
pub(super) const TAGS: &str = "| tag | meaning |\n|---|---|";
/// Above rows of fields.
pub(super) const FIELDS: &str = "| field | kind | unit | meaning |\n|---|---|---|---|";

pub(super) fn tag_row(name: &str, doc: &str) -> String {
    format!("| `{name}` | {} |", cell(doc))
}

pub(super) fn tag_json(name: &str, doc: &str) -> Json {
    json!({ "name": name, "doc": doc })
}

pub(super) fn field_row(name: &str, kind: FieldKind, unit: &str, doc: &str) -> String {
    format!("| `{name}` | {} | {} | {} |", kind.name(), cell(unit), cell(doc))
}

pub(super) fn field_json(name: &str, kind: FieldKind, unit: &str, doc: &str) -> Json {
    json!({ "name": name, "kind": kind.name(), "unit": unit, "doc": doc })
}
