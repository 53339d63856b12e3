//! A point as text: as one line of InfluxDB line protocol, or as JSON. Pure. Whatever a server or a check says, the line is
//! one line and one point, and no longer than its check's description allows.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};

use crate::{
    description::{Description, HOST_TAGS, host_fields},
    point::Point,
    text,
    value::{FieldKind, Value},
};

/// The longest line that a check may announce: readers of lines, such as agents, mostly give up at 64 KiB.
pub const LINE_BYTES: usize = 64 << 10;
/// A text or a tag's value as it is written, where all of it must be escaped.
const WRITTEN_BYTES: usize = 2 * text::TEXT_BYTES;
/// The longest numbers, `-9223372036854775808i` and `-2.2250738585072014e-308`.
const NUMBER_BYTES: usize = 24;

/// Bytes that a check's lines have at most, whatever is reported.
#[must_use]
pub fn longest(check: &Description) -> usize {
    let own_tags = check.tags.iter().map(|tag| tag.name.as_str());
    let tags =
        HOST_TAGS.iter().map(|tag| tag.0).chain(own_tags).map(|name| ",=".len() + name.len() + WRITTEN_BYTES);
    let own_fields = check.fields.iter().map(|field| (field.name.as_str(), field.kind));
    let fields = host_fields().map(|field| (field.name, field.kind)).chain(own_fields).map(|(name, kind)| {
        let value = match kind {
            FieldKind::Integer | FieldKind::Float | FieldKind::Boolean => NUMBER_BYTES,
            FieldKind::Text => "\"\"".len() + WRITTEN_BYTES,
        };
        ",=".len() + name.len() + value
    });
    check.measurement.len() + tags.sum::<usize>() + fields.sum::<usize>() + " ".len() + NUMBER_BYTES
}

/// What tells a job's lines from those of other jobs, as line protocol carries it: two jobs with the same could overwrite
/// each other's.
#[must_use]
pub fn series(job: &str, host: &str) -> [String; 2] {
    [job, host].map(|value| name(value, true))
}

/// The line, without its end. An empty tag and a float that is no number are left out: they are an error to every reader.
#[must_use]
pub fn line(point: &Point) -> String {
    let mut line = name(&point.measurement, false);
    for (key, value) in &point.tags {
        let value = name(value, true);
        if !value.is_empty() {
            line.push(',');
            line.push_str(&name(key, true));
            line.push('=');
            line.push_str(&value);
        }
    }
    let mut separator = ' ';
    for (key, value) in &point.fields {
        let written = match value {
            Value::Integer(value) => format!("{value}i"),
            Value::Float(value) if value.is_finite() => float(*value),
            Value::Float(_) => continue,
            Value::Boolean(value) => value.to_string(),
            Value::Text(value) => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        line.push(separator);
        line.push_str(&name(key, true));
        line.push('=');
        line.push_str(&written);
        separator = ',';
    }
    let _infallible = write!(line, " {}", point.time_ns);
    line
}

/// A float, in scientific notation where it would have many zeros.
fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

/// A measurement, key or tag value: control characters become `_`, and no `\` ends it, since nothing can escape that.
fn name(text: &str, equals: bool) -> String {
    let mut name = String::new();
    for c in text.trim_end_matches('\\').chars() {
        if c.is_control() {
            name.push('_');
            continue;
        }
        if c == ',' || c == ' ' || (c == '=' && equals) {
            // A backslash in front of an escape would be read as part of it.
            while name.ends_with('\\') {
                name.pop();
            }
            name.push('\\');
        }
        name.push(c);
    }
    name
}

/// The same as JSON.
#[must_use]
pub fn json(point: &Point) -> String {
    let value = |value: &Value| match value {
        Value::Integer(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Boolean(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
    };
    let fields: Map<_, _> = point.fields.iter().map(|(name, of)| (name.clone(), value(of))).collect();
    serde_json::json!({
        "measurement": point.measurement,
        "tags": point.tags,
        "fields": fields,
        "time_ns": point.time_ns,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use influxdb_line_protocol::{FieldValue, parse_lines};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_point_is_one_line_whatever_is_in_it(
            measurement in "\\PC{1,20}",
            tag in "\\PC{1,20}|[a-z\\\\,= \"\n\t]{1,12}x",
            said in "[^\n]*",
            float in any::<f64>(),
        ) {
            prop_assert!(self::float(float).len() <= NUMBER_BYTES);
            let point = Point {
                measurement: format!("m{measurement}"),
                tags: [("job".to_owned(), tag), ("none".to_owned(), String::new())].into(),
                fields: vec![
                    ("count".to_owned(), Value::Integer(-1)),
                    ("said".to_owned(), Value::Text(said.clone())),
                    ("x_ms".to_owned(), Value::Float(float)),
                ],
                time_ns: 7,
            };
            let line = line(&point);
            prop_assert!(!line.contains('\n'));
            let points: Vec<_> = parse_lines(&line).collect();
            prop_assert_eq!(points.len(), 1);
            let read = points[0].as_ref().unwrap();
            prop_assert_eq!(read.timestamp, Some(7));
            let field = |name: &str| {
                read.field_set.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.clone())
            };
            prop_assert_eq!(field("count"), Some(FieldValue::I64(-1)));
            let text = field("said");
            prop_assert!(matches!(&text, Some(FieldValue::String(text)) if text.as_str() == said), "{text:?}");
            prop_assert_eq!(field("x_ms"), float.is_finite().then_some(FieldValue::F64(float)));
        }
    }
}
