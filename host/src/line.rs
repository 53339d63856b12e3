//! A point as text: as one line of InfluxDB line protocol, or as JSON. Pure. Whatever a server or a check says, the line is
//! one line and one point, and no longer than its check's description allows.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value as Json};

use crate::{
    description::{Description, OUTCOME_FIELDS, Part, TAG_BYTES, part_measurement},
    point::{Point, Points},
    text,
    value::{FieldKind, Value},
};

/// The longest line that a check may announce: readers of lines, such as agents, mostly give up at 64 KiB.
pub const LINE_BYTES: usize = 64 << 10;
/// A line of the built-in check has about as many.
const USUAL_BYTES: usize = 512;
/// The longest numbers, `-9223372036854775808i` and `-2.2250738585072014e-308`.
const NUMBER_BYTES: usize = 24;
/// What is escaped in a tag's value.
const ESCAPED: [char; 3] = [',', ' ', '='];

/// Bytes that a check's lines have at most, those of its parts included, whatever is reported.
#[must_use]
pub fn longest(check: &Description) -> usize {
    let own = check.fields.iter().map(|field| (field.name.len(), field.kind));
    let of_endpoints = check.endpoint_fields().map(|(name, field, _)| (name.len(), field.kind));
    let of_host = check.host_fields().map(|field| (field.name.len(), field.kind)).chain(of_endpoints);
    let job = bytes(&check.measurement, tags_of_job(check), of_host.chain(own));
    check.parts.iter().map(|part| longest_of(part, check)).fold(job, usize::max)
}

/// The same of its parts of one kind.
fn longest_of(part: &Part, check: &Description) -> usize {
    let own = part.tags.iter().map(|tag| (tag.name.len(), TAG_BYTES));
    let tags = tags_of_job(check).chain(own);
    let own = part.fields.iter().map(|field| (field.name.len(), field.kind));
    let fields = OUTCOME_FIELDS.iter().map(|field| (field.name.len(), field.kind)).chain(own);
    bytes(&part_measurement(&check.measurement, &part.name), tags, fields)
}

/// The tags of every line of a job: bytes of their names, and of their values.
fn tags_of_job(check: &Description) -> impl Iterator<Item = (usize, usize)> {
    let own = check.tags.iter().map(|tag| tag.name.len());
    check.host_tags().map(|(name, _)| name.len()).chain(own).map(|name| (name, text::TEXT_BYTES))
}

/// Bytes that a line has at most with tags of so long names and values, and fields of so long names and these kinds.
fn bytes(
    measurement: &str,
    tags: impl Iterator<Item = (usize, usize)>,
    fields: impl Iterator<Item = (usize, FieldKind)>,
) -> usize {
    let tags = tags.map(|(name, value)| ",=".len() + name + written(value));
    let fields = fields.map(|(name, kind)| {
        let value = match kind {
            FieldKind::Integer | FieldKind::Float | FieldKind::Boolean => NUMBER_BYTES,
            FieldKind::Text => "\"\"".len() + written(text::TEXT_BYTES),
        };
        ",=".len() + name + value
    });
    measurement.len() + tags.sum::<usize>() + fields.sum::<usize>() + " ".len() + NUMBER_BYTES
}

/// Bytes of a text as it is written, where all of it must be escaped.
const fn written(bytes: usize) -> usize {
    2 * bytes
}

/// What tells a job's lines from those of other jobs, as agents and databases read it: two jobs with the same could overwrite
/// each other's.
#[must_use]
pub fn series(job: &str, host: &str) -> [String; 2] {
    [job, host].map(read_tag)
}

/// A tag's value as its readers have it: two that are the same there cannot be told apart. Empty: the tag is left out. What line
/// protocol cannot carry is replaced as on the line; and where anything is escaped, `\"` is `"`, for which Telegraf's own parser
/// (`plugins/parsers/influx/escape.go`) takes it.
#[must_use]
pub fn read_tag(value: &str) -> String {
    let mut written = String::new();
    push_name(&mut written, value, true);
    if written.contains(ESCAPED) { written.replace("\\\"", "\"") } else { written }
}

/// The lines of a run, each with its end: the job's own first.
#[must_use]
pub fn lines(points: &Points) -> String {
    points.all().map(|point| line(point) + "\n").collect()
}

/// The line, without its end. An empty tag and a float that is no number are left out: they are an error to every reader.
#[must_use]
pub fn line(point: &Point) -> String {
    let mut line = String::with_capacity(USUAL_BYTES);
    push_name(&mut line, &point.measurement, false);
    for (key, value) in &point.tags {
        let end = line.len();
        line.push(',');
        push_name(&mut line, key, true);
        line.push('=');
        let before = line.len();
        push_name(&mut line, value, true);
        if line.len() == before {
            line.truncate(end);
        }
    }
    let mut separator = ' ';
    for (key, value) in &point.fields {
        if matches!(value, Value::Float(value) if !value.is_finite()) {
            continue;
        }
        line.push(separator);
        push_name(&mut line, key, true);
        line.push('=');
        push_value(&mut line, value);
        separator = ',';
    }
    let _infallible = write!(line, " {}", point.time_ns);
    line
}

fn push_value(line: &mut String, value: &Value) {
    let _infallible = match value {
        Value::Integer(value) => write!(line, "{value}i"),
        Value::Float(value) => push_float(line, *value),
        Value::Boolean(value) => write!(line, "{value}"),
        Value::Text(value) => {
            line.push('"');
            for c in value.chars() {
                if matches!(c, '\\' | '"') {
                    line.push('\\');
                }
                line.push(c);
            }
            line.push('"');
            Ok(())
        }
    };
}

/// A float, in scientific notation where it would have many zeros.
fn push_float(line: &mut String, value: f64) -> fmt::Result {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) {
        write!(line, "{value:e}")
    } else {
        write!(line, "{value}")
    }
}

/// A measurement, key or tag value: control characters become `_`, and no `\` ends it, since nothing can escape that.
fn push_name(line: &mut String, text: &str, equals: bool) {
    let start = line.len();
    for c in text.trim_end_matches('\\').chars() {
        if c.is_control() {
            line.push('_');
            continue;
        }
        if c == ',' || c == ' ' || (c == '=' && equals) {
            // A backslash in front of an escape would be read as part of it.
            while line.len() > start && line.ends_with('\\') {
                line.pop();
            }
            line.push('\\');
        }
        line.push(c);
    }
}

/// The same as [`lines`], as JSON: an object a line.
#[must_use]
pub fn json_lines(points: &Points) -> String {
    points.all().map(|point| json(point) + "\n").collect()
}

/// The same as [`line`], as JSON.
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
    use std::collections::HashMap;

    use influxdb_line_protocol::{FieldValue, parse_lines};
    use proptest::prelude::*;

    use super::*;

    /// What Telegraf's own parser makes of a tag's value as it is written.
    fn telegraf(written: &str) -> String {
        let (mut read, mut rest) = (String::new(), written);
        if !written.contains(ESCAPED) {
            return written.to_owned();
        }
        while let Some(first) = rest.chars().next() {
            let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            let one = escaped.filter(|second| matches!(second, ',' | '"' | ' ' | '=')).unwrap_or(first);
            read.push(one);
            rest = &rest[one.len_utf8() + usize::from(one != first)..];
        }
        read
    }

    #[test]
    fn two_names_are_the_same_where_telegraf_reads_the_same() {
        let (mut names, mut by_series, mut by_telegraf) =
            (vec![String::new()], HashMap::new(), HashMap::new());
        for _ in 0..5 {
            let longer = |name: &String| ['\\', '"', ' ', ',', '=', 'a'].map(|last| format!("{name}{last}"));
            names = names.iter().flat_map(longer).collect();
            for name in &names {
                let mut written = String::new();
                push_name(&mut written, name, true);
                let (series, read) = (series("job", name), telegraf(&written));
                assert_eq!(*by_series.entry(series.clone()).or_insert_with(|| read.clone()), read, "{name}");
                assert_eq!(*by_telegraf.entry(read).or_insert_with(|| series.clone()), series, "{name}");
            }
        }
        assert_eq!(series("a \"x", ""), series("a \\\"x", ""));
        assert_ne!(series("a\"x", ""), series("a\\\"x", ""));
    }

    proptest! {
        #[test]
        fn a_point_is_one_line_whatever_is_in_it(
            measurement in "\\PC{1,20}",
            tag in "\\PC{1,20}|[a-z\\\\,= \"\n\t]{1,12}x",
            said in "[^\n]*",
            float in any::<f64>(),
        ) {
            let mut number = String::new();
            push_float(&mut number, float).unwrap();
            prop_assert!(number.len() <= NUMBER_BYTES);
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
