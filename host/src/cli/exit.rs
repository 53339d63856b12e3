//! How a command ends: with an exit code, or refused, which is said once.

use std::process::ExitCode;

use crate::output::{self, Level};

/// What ends the program early, with exit code 2.
pub(super) type Refusal = String;

pub(super) fn refuse(refusal: &str) -> ExitCode {
    output::log(Level::Error, refusal);
    ExitCode::from(2)
}

/// Prints text that is no metric.
pub(super) fn print(text: &str) -> Result<ExitCode, Refusal> {
    match output::write(text) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("standard output: {error}")),
    }
}
