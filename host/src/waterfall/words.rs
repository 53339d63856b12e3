//! Values of a point as words: the point and names in, text out; what is not there or says nothing is left out.

use crate::{description::Field, point::Point, text, value::Value};

pub(super) fn shown(point: &Point, name: &str) -> Option<String> {
    let shown = match point.field(name)? {
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Text(value) => text::clean(value),
    };
    Some(shown).filter(|shown| !shown.is_empty())
}

pub(super) fn joined(point: &Point, names: &[&str]) -> String {
    names.iter().filter_map(|name| shown(point, name)).collect::<Vec<_>>().join("  ")
}

/// A check's own fields, by name and with their units.
pub(super) fn said<'a>(
    point: &'a Point,
    fields: impl Iterator<Item = &'a Field> + 'a,
) -> impl Iterator<Item = String> + 'a {
    fields.filter_map(|field| {
        let unit = if field.unit.is_empty() { String::new() } else { format!(" {}", field.unit) };
        Some(format!("{} {}{unit}", field.name, shown(point, &field.name)?))
    })
}
