//! A component's file, and what it must be.

use std::path::PathBuf;

use super::limits::Limits;

/// A component's file, and how it may run.
#[derive(Clone, Debug)]
pub struct Source {
    /// By which jobs call it.
    pub name: String,
    /// Of the component.
    pub path: PathBuf,
    /// What it must be, where only one will do.
    pub pinned: Option<Pinned>,
    /// What each run may use up.
    pub limits: Limits,
}

/// What an operator looked at, and nothing else is to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pinned {
    /// SHA-256 of the component, in lower-case hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of its description, in the same: see [`Description::sha256`].
    pub description_sha256: String,
    /// Measurement of its lines.
    pub measurement: String,
}
