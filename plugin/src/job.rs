//! What to check; mirrors `job` in `wit/check.wit`, with its parameters read.

use crate::parameters::Parameters;

/// One job, for one run.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The host that it grants.
    pub host: &'a str,
    /// The port that it grants.
    pub port: u16,
    /// What the operator set.
    pub parameters: &'a Parameters,
    /// When the round began, in Unix seconds: the mail's date.
    pub time: u64,
    /// Different for every run anywhere: makes the mail's Message-ID unique.
    pub run_id: &'a str,
}
