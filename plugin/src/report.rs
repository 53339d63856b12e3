//! What a session found: fields, and why it failed.

use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    transport::{ErrorKind, Instant},
};

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A code.
    Integer(i64),
    /// A time, in whole microseconds: what is summed is what stands on the line.
    Time(u64),
    /// Words.
    Text(String),
}

/// What a failure comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A call of the network.
    Network(ErrorKind),
    /// Our own judgement.
    Own(Kind, ErrorCode),
}

impl Cause {
    /// Our own judgement, of the kind that the code's row says.
    #[must_use]
    pub const fn own(code: ErrorCode) -> Self {
        Self::Own(code.row().kind, code)
    }
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
    pub fields: Vec<(Field, Value)>,
    /// None: success.
    pub failure: Option<Failure>,
}

impl Report {
    /// Sets a field, once or anew.
    pub fn set(&mut self, field: Field, value: Value) {
        self.remove(field);
        self.fields.push((field, value));
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    /// Leaves a field out again.
    pub fn remove(&mut self, field: Field) {
        self.fields.retain(|(known, _)| *known != field);
    }

    /// A time, in microseconds; 0: there is none.
    #[must_use]
    pub fn time(&self, field: Field) -> u64 {
        match self.get(field) {
            Some(Value::Time(microseconds)) => *microseconds,
            _ => 0,
        }
    }

    /// Adds what was waited between two instants to a time.
    pub fn add_wait(&mut self, field: Field, from: Instant, to: Instant) {
        let waited = to.saturating_sub(from) / 1_000;
        self.set(field, Value::Time(self.time(field) + waited));
    }
}
