//! A component that can run.

use std::{fmt, sync::Arc};

use super::{bindings::CheckerPre, limits::Limits, state::State};
use crate::description::Description;

/// Name of the built-in probe, a job's check where none is named.
pub const SMTP: &str = "smtp";

/// A component that can run: compiled, linked, described.
pub struct Program {
    pub(super) pre: CheckerPre<State>,
    /// The same where there are places for it; none: there are none, or it is too large.
    pub(super) pooled: Option<CheckerPre<State>>,
    pub(super) description: Arc<Description>,
    pub(super) imports: Vec<String>,
    pub(super) sha256: Option<String>,
    pub(super) limits: Limits,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.description.name).finish_non_exhaustive()
    }
}

impl Program {
    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// What it imports, by the interfaces' names.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether one of its runs has the memory and the stack that another had before, wiped.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.pooled.is_some()
    }

    /// The digest of its component; none: it is built in.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }
}
