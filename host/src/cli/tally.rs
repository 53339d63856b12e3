//! What runs came to: their reports in; how many there were, how many of each result, and how many checks were stopped, out.

use std::fmt;

use crate::{
    catalogue::HostError,
    report::{Outcome, Report},
    text::counted,
};

/// Errors of a check that its sandbox has ended.
const STOPPED: [HostError; 5] = [
    HostError::CheckTrapped,
    HostError::CheckDeadline,
    HostError::CheckCpu,
    HostError::CheckMemory,
    HostError::CheckLimit,
];

/// Runs that are over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Of each result, in the order of their numbers.
    by_outcome: [usize; Outcome::ALL.len()],
    /// Whose check crashed, or used up more than it may.
    pub(super) traps: usize,
}

impl Tally {
    pub(super) fn add(&mut self, report: &Report) {
        let outcome = report.outcome();
        for (known, count) in Outcome::ALL.iter().zip(&mut self.by_outcome) {
            *count += usize::from(*known == outcome);
        }
        let code = report.failure.as_ref().map(|failure| failure.code);
        self.traps += usize::from(STOPPED.iter().any(|stopped| Some(stopped.code()) == code));
    }

    /// All of them.
    pub(super) fn runs(&self) -> usize {
        self.by_outcome.iter().sum()
    }

    /// All but those that went as they should.
    pub(super) fn failed(&self) -> usize {
        let of = |outcome: &Outcome| *outcome != Outcome::Success;
        self.counts().filter(|(outcome, _)| of(outcome)).map(|(_, count)| count).sum()
    }

    fn counts(&self) -> impl Iterator<Item = (Outcome, usize)> {
        Outcome::ALL.into_iter().zip(self.by_outcome)
    }
}

/// As a person reads it.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", counted(self.runs(), "job"))?;
        for (at, (outcome, count)) in self.counts().filter(|(_, count)| *count > 0).enumerate() {
            write!(f, "{} {count} {}", if at == 0 { ":" } else { "," }, outcome.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Failure;

    #[test]
    fn runs_are_counted_by_result_and_those_whose_check_was_stopped() {
        let of =
            |error| Report { failure: Some(Failure::of_host(error, String::new())), ..Report::default() };
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "0 jobs");
        tally.add(&Report::default());
        assert_eq!(tally.to_string(), "1 job: 1 success");
        for error in
            [HostError::CheckCpu, HostError::CheckJob, HostError::ReadTimeout, HostError::ReadTimeout]
        {
            tally.add(&of(error));
        }
        assert_eq!(tally.to_string(), "5 jobs: 1 success, 2 timeout, 2 check_error");
        assert_eq!((tally.runs(), tally.failed(), tally.traps), (5, 4, 1));
    }
}
