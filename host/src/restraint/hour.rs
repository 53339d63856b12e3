//! The runs of one job in the last hour: the moments of those that were begun in, whether one more may be out.

use std::collections::VecDeque;

/// So long a run counts: an hour, but for a moment. Rounds that are a minute apart come a little sooner or later each, and of sixty
/// in an hour one that comes sooner must not be left out.
const HOUR_MS: i64 = 60 * 60_000 - EARLY_MS;
/// How much sooner a round may come: more than newlines of an agent are off, and little beside the minute between sixty of them.
const EARLY_MS: i64 = 5_000;

/// Runs in Unix milliseconds, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Hour {
    runs: VecDeque<i64>,
    /// Somebody was told that there are enough of them.
    pub(super) is_told: bool,
}

impl Hour {
    /// As they were remembered, however they were written.
    pub(super) fn of(mut runs_ms: Vec<i64>) -> Self {
        runs_ms.sort_unstable();
        Self { runs: runs_ms.into(), is_told: false }
    }

    /// Whether one more may begin, of so many.
    pub(super) fn admits(&mut self, most: usize, now_ms: i64) -> bool {
        for run in &mut self.runs {
            // The clock may have been set back.
            *run = (*run).min(now_ms);
        }
        self.runs.retain(|run| now_ms.saturating_sub(*run) < HOUR_MS);
        self.runs.len() < most
    }

    /// One begins.
    pub(super) fn begin(&mut self, now_ms: i64) {
        self.runs.push_back(now_ms);
    }

    /// One that was to begin then does not.
    pub(super) fn take_back(&mut self, now_ms: i64) {
        if let Some(at) = self.runs.iter().rposition(|run| *run == now_ms) {
            self.runs.remove(at);
        }
    }

    pub(super) fn runs_ms(&self) -> Vec<i64> {
        self.runs.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn in_no_hour_there_are_more_runs_than_allowed() {
        let mut hour = Hour::default();
        let mut runs = Vec::new();
        for minute in 0..300 {
            if hour.admits(4, minute * MINUTE) {
                hour.begin(minute * MINUTE);
                runs.push(minute);
            }
        }
        assert_eq!(runs[..9], [0, 1, 2, 3, 60, 61, 62, 63, 120]);
        assert_eq!(hour.runs_ms().len(), 4);
    }

    #[test]
    fn of_as_many_rounds_an_hour_as_allowed_each_is_in_though_they_are_not_exact() {
        for (most, apart) in [(60, MINUTE), (1, 60 * MINUTE)] {
            let mut hour = Hour::default();
            for (round, off) in (0..300).zip([0, -1, 3, -4_900, 0, 90].iter().cycle()) {
                let now_ms = round * apart + off;
                assert!(hour.admits(most, now_ms), "{most}: {round}");
                hour.begin(now_ms);
            }
            assert!(!hour.admits(most, 300 * apart - 5_100));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_holds_a_job_back_for_an_hour_at_most() {
        let mut hour = Hour::of(vec![i64::MAX, i64::MIN, 900 * MINUTE]);
        assert!(!hour.admits(2, 0));
        assert!(!hour.admits(2, 59 * MINUTE));
        assert!(hour.admits(2, 60 * MINUTE));
    }

    #[test]
    fn a_run_that_does_not_begin_does_not_count() {
        let mut hour = Hour::default();
        hour.begin(5);
        hour.take_back(4);
        assert!(!hour.admits(1, 6));
        hour.take_back(5);
        assert!(hour.admits(1, 6));
    }
}
