//! What a run found, in the host's own terms: no wasm, no sockets, no text format.

use std::time::Duration;

pub use crate::outcome::Outcome;
use crate::{
    catalogue::{ErrorCode, HostError},
    measured::Measured,
    value::Value,
};

/// Why a run did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What kind of failure; never `Success`.
    pub outcome: Outcome,
    /// Its number.
    pub code: ErrorCode,
    /// For people; a check's own clean and without secrets.
    pub text: String,
}

impl Failure {
    /// One that the host names.
    #[must_use]
    pub fn of_host(error: HostError, text: String) -> Self {
        Self { outcome: error.outcome(), code: error.code(), text }
    }
}

/// The result of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What the check reported, or what its description says for a run that could not report.
    pub fields: Vec<(String, Value)>,
    /// Those that have a line, in the check's order: of a kind no two whose tags line protocol writes alike.
    pub parts: Vec<Part>,
    /// How many others there were.
    pub parts_dropped: u32,
    /// None: success.
    pub failure: Option<Failure>,
    /// What the host measured.
    pub measured: Measured,
    /// What the run used up.
    pub used: Used,
}

/// One part of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its kind's name, by the check's description.
    pub kind: String,
    /// By name, in the description's order: clean, without secrets, none empty.
    pub tags: Vec<(String, String)>,
    /// What the check reported; texts clean and without secrets.
    pub fields: Vec<(String, Value)>,
    /// None: it is as it should be.
    pub failure: Option<Failure>,
}

/// What a run of a check used up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Computing, the host's work for the check included.
    pub cpu: Duration,
    /// All linear memories together.
    pub memory_bytes: usize,
}

impl Report {
    /// How the run ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        outcome(self.failure.as_ref())
    }
}

/// What a failure, or none, comes to.
#[must_use]
pub fn outcome(failure: Option<&Failure>) -> Outcome {
    failure.map_or(Outcome::Success, |failure| failure.outcome)
}
