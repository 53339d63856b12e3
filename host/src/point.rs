//! A point: one line's value, from whatever it was made to whatever prints it; and those of a run. Texts are clean, short and
//! without secrets.

use std::collections::BTreeMap;

use crate::value::Value;

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The measurement.
    pub measurement: String,
    /// Tags, by name.
    pub tags: BTreeMap<String, String>,
    /// Fields, in the order in which they are shown.
    pub fields: Vec<(String, Value)>,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: i64,
}

/// What the lines of a run say.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    /// Its job's own.
    pub job: Point,
    /// One for each of its parts, in their order.
    pub parts: Vec<Point>,
}

impl Points {
    /// All, in the order of the lines.
    pub fn all(&self) -> impl Iterator<Item = &Point> {
        std::iter::once(&self.job).chain(&self.parts)
    }
}

impl Point {
    /// A tag's value; empty where there is none.
    #[must_use]
    pub fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    /// A field's value.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A field's text; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.field(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }
}
