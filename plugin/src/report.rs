//! What a session found: fields by name, and why it failed. Its own error codes stand in [`crate::describe`].

use crate::transport::{ErrorKind, Instant};

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
        self.remove(name);
        self.fields.push((name, value));
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Leaves a field out again.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(known, _)| *known != name);
    }

    /// A time, in microseconds; 0: there is none.
    #[must_use]
    pub fn time(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Value::Time(microseconds)) => *microseconds,
            _ => 0,
        }
    }

    /// Adds what was waited between two instants to a time.
    pub fn add_wait(&mut self, name: &'static str, from: Instant, to: Instant) {
        let waited = to.saturating_sub(from) / 1_000;
        self.set(name, Value::Time(self.time(name) + waited));
    }
}
