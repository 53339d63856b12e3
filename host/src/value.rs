//! A value on a line, and what kinds there are.

use std::time::Duration;

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Signed 64-bit.
    Integer(i64),
    /// Finite double.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// UTF-8; a check's own clean and without secrets.
    Text(String),
}

impl Value {
    /// Milliseconds with microsecond resolution.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
    pub fn milliseconds(time: Duration) -> Self {
        Self::Float(time.as_micros() as f64 / 1000.0)
    }

    /// The value as a number, for alarm limits.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "limits are compared as doubles; codes and milliseconds are small"
    )]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Boolean(_) | Self::Text(_) => None,
        }
    }

    /// The text, to be changed.
    pub fn as_text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Integer(_) | Self::Float(_) | Self::Boolean(_) => None,
        }
    }
}

/// What a field's value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// Signed 64-bit.
    Integer,
    /// Finite double.
    Float,
    /// `true` or `false`.
    Boolean,
    /// UTF-8.
    Text,
}

impl FieldKind {
    /// As tables show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }
}
