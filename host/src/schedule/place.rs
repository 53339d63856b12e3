//! Places of jobs: each has one run at a time. A job whose turn it is in; out, whether it runs still and since when, in which round
//! it ran last, and how many jobs have no line yet, for whoever ends them all.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::watch, time::Instant};

use super::round_time::RoundTime;
use crate::text::counted;

/// A job's place in all rounds: it has one run at a time.
#[derive(Clone, Debug, Default)]
pub struct Place(Arc<Seat>);

#[derive(Debug, Default)]
struct Seat {
    state: Mutex<State>,
    /// Runs whose lines are not written yet.
    owed: AtomicUsize,
    missing: Missing,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The round in which it ran.
    last: Option<RoundTime>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Free,
    /// For its check, its turn, or room.
    Waits,
    Runs(Instant),
}

/// How many jobs have no line of a run that was begun.
#[derive(Clone, Debug, Default)]
pub struct Missing(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    of: AtomicUsize,
    left: AtomicUsize,
}

/// Lines of a run that are not written yet; those of one that is dropped will never be, and are not missing.
#[derive(Debug)]
pub struct Unwritten(Arc<Seat>);

/// A place that is taken, from a round's begin until its report was taken.
#[derive(Debug)]
pub(super) struct Taken {
    place: Place,
    number: u64,
    unended: watch::Sender<BTreeSet<u64>>,
}

impl Place {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its job runs, or waits for its turn.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.state().stage != Stage::Free
    }

    /// Since when its job runs.
    #[must_use]
    pub fn runs_since(&self) -> Option<Instant> {
        match self.state().stage {
            Stage::Runs(since) => Some(since),
            Stage::Free | Stage::Waits => None,
        }
    }

    /// The round in which its job ran last, of those since the place is there.
    #[must_use]
    pub fn last(&self) -> Option<RoundTime> {
        self.state().last
    }

    /// For the run of this number; none: its job has one already.
    pub(super) fn take(&self, number: u64, unended: &watch::Sender<BTreeSet<u64>>) -> Option<Taken> {
        let mut state = self.state();
        if state.stage != Stage::Free {
            return None;
        }
        state.stage = Stage::Waits;
        unended.send_if_modified(|unended| unended.insert(number));
        Some(Taken { place: self.clone(), number, unended: unended.clone() })
    }
}

impl Taken {
    /// Its run begins, in the round of this time.
    pub(super) fn begin(&self, time: RoundTime) {
        *self.place.state() = State { stage: Stage::Runs(Instant::now()), last: Some(time) };
    }

    /// The lines that it will have.
    pub(super) fn unwritten(&self) -> Unwritten {
        let seat = Arc::clone(&self.place.0);
        if seat.owed.fetch_add(1, Ordering::Relaxed) == 0 {
            seat.missing.0.left.fetch_add(1, Ordering::Relaxed);
        }
        Unwritten(seat)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.place.state().stage = Stage::Free;
        self.unended.send_if_modified(|unended| unended.remove(&self.number));
    }
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        if self.0.owed.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.missing.0.left.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Missing {
    /// The place of one more job that is counted here.
    #[must_use]
    pub fn place(&self) -> Place {
        Place(Arc::new(Seat { missing: self.clone(), ..Seat::default() }))
    }

    /// There are so many jobs.
    pub fn count_of(&self, jobs: usize) {
        self.0.of.store(jobs, Ordering::Relaxed);
    }

    /// Each job has its lines.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) == 0
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, of] = [&self.0.left, &self.0.of].map(|count| count.load(Ordering::Relaxed));
        let verb = if left == 1 { "has" } else { "have" };
        // Jobs that no configuration has any more may still run.
        write!(f, "{left} of {} {verb} no line", counted(of.max(left), "job"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_line_is_counted_once_however_many_of_its_lines_are_not_written() {
        let (missing, unended) = (Missing::default(), watch::Sender::new(BTreeSet::new()));
        missing.count_of(3);
        let [one, other] = [missing.place(), missing.place()];
        let taken = one.take(1, &unended).unwrap();
        let first = taken.unwritten();
        assert!(one.is_taken() && one.take(2, &unended).is_none());
        assert_eq!(missing.to_string(), "1 of 3 jobs has no line");
        drop(taken);
        // Its next run may begin while the lines of the last one wait.
        let lines =
            [one.take(3, &unended).unwrap().unwritten(), other.take(4, &unended).unwrap().unwritten()];
        assert_eq!(missing.to_string(), "2 of 3 jobs have no line");
        drop(first);
        assert_eq!(missing.to_string(), "2 of 3 jobs have no line");
        drop(lines);
        assert!(missing.is_none() && unended.borrow().is_empty());
    }
}
