//! Lines of output, taken apart by a parser that is not ours.

use std::collections::BTreeMap;

use influxdb_line_protocol::{FieldValue, parse_lines};

/// A line of output, taken apart by a parser that is not ours.
#[derive(Debug)]
pub struct Point {
    /// Of the line.
    pub measurement: String,
    /// By name.
    pub tags: BTreeMap<String, String>,
    /// By name.
    pub fields: BTreeMap<String, FieldText>,
}

/// A field as text, with its type.
pub type FieldText = (char, String);

/// Each line of `text` as a point; there must be no other line.
pub fn points(text: &str) -> Vec<Point> {
    text.lines()
        .map(|line| {
            let parsed: Vec<_> = parse_lines(line).collect();
            assert_eq!(parsed.len(), 1, "{line}");
            let point = parsed.into_iter().next().unwrap().unwrap_or_else(|error| panic!("{error}: {line}"));
            let tags = point.series.tag_set.iter().flatten();
            Point {
                measurement: point.series.measurement.to_string(),
                tags: tags.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
                fields: point
                    .field_set
                    .iter()
                    .map(|(key, value)| {
                        let value = match value {
                            FieldValue::I64(value) => ('i', value.to_string()),
                            FieldValue::F64(value) => ('f', value.to_string()),
                            FieldValue::String(value) => ('s', value.to_string()),
                            FieldValue::Boolean(value) => ('b', value.to_string()),
                            FieldValue::U64(value) => panic!("{key}: {value} without a sign"),
                        };
                        (key.to_string(), value)
                    })
                    .collect(),
            }
        })
        .collect()
}

impl Point {
    /// An integer field.
    pub fn code(&self, name: &str) -> i64 {
        let (kind, value) = self.fields.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert_eq!(*kind, 'i', "{name}");
        value.parse().unwrap()
    }

    /// A time; none: it was not measured.
    pub fn time(&self, name: &str) -> Option<f64> {
        self.fields.get(name).map(|(_, value)| value.parse().unwrap())
    }

    /// A text field; empty: there is none.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |(_, value)| value)
    }

    /// Result, sequence, response and error code.
    pub fn outcome(&self) -> (&str, i64, i64, i64) {
        (
            &self.tags["result"],
            self.code("sequence_code"),
            self.code("response_code"),
            self.code("error_code"),
        )
    }
}
