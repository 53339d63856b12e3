//! What a session found: fields by name, and why it failed. Its own error codes stand in [`crate::describe`].

use crate::transport::{ErrorKind, Instant};

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A code.
    Integer(i64),
    /// Milliseconds.
    Float(f64),
    /// Words.
    Text(String),
}

/// What kind of failure it is; mirrors `failure-kind` in `wit/check.wit`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "documented case by case in wit/check.wit")]
pub enum Kind {
    Timeout,
    ReadFailed,
    TlsError,
    Rejected,
    AuthFailed,
    ProtocolError,
}

/// What a failure comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A call of the network.
    Network(ErrorKind),
    /// Our own judgement: its kind and one of our codes.
    Own(Kind, u32),
}

/// A failed session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What it comes from.
    pub cause: Cause,
    /// What was tried, on what, what came.
    pub text: String,
}

/// What a session found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// In the order in which they were set.
    pub fields: Vec<(&'static str, Value)>,
    /// None: success.
    pub failure: Option<Failure>,
}

impl Report {
    /// Sets a field, once or anew.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, value));
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Sets a time, in milliseconds with microsecond resolution.
    pub fn set_time(&mut self, name: &'static str, nanoseconds: u64) {
        self.set(name, Value::Float(milliseconds(nanoseconds)));
    }

    /// Sets a time between two instants.
    pub fn set_span(&mut self, name: &'static str, from: Instant, to: Instant) {
        self.set_time(name, to.saturating_sub(from));
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
fn milliseconds(nanoseconds: u64) -> f64 {
    (nanoseconds / 1_000) as f64 / 1_000.0
}
