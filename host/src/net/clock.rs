//! A run's time: moments in; instants since its beginning out, and how much of its time passed in waiting for others.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A run's beginning, that all its instants count from, and its waits since.
pub(super) struct RunClock {
    start: Instant,
    waits: Mutex<Waits>,
}

struct Waits {
    sum: Duration,
    /// What lies before is counted already: two connections may have been waited for at the same time.
    counted_until: Instant,
}

impl RunClock {
    /// Starts now.
    pub(super) fn start() -> Self {
        let start = Instant::now();
        let waits = Waits { sum: Duration::ZERO, counted_until: start };
        Self { start, waits: Mutex::new(waits) }
    }

    /// Since then.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How long the run has waited for name servers and peers.
    pub(super) fn waited(&self) -> Duration {
        self.waits().sum
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// Counts a wait, once however often it is told.
    pub(super) fn count_wait(&self, from: Instant, until: Instant) {
        let mut waits = self.waits();
        let uncounted = from.max(waits.counted_until);
        waits.sum += until.saturating_duration_since(uncounted);
        waits.counted_until = waits.counted_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_waited_for_once() {
        let clock = RunClock::start();
        let at = |milliseconds| clock.start + Duration::from_millis(milliseconds);
        clock.count_wait(at(10), at(30));
        clock.count_wait(at(20), at(40));
        clock.count_wait(at(15), at(35));
        assert_eq!(clock.waited(), Duration::from_millis(30));
        clock.count_wait(at(60), at(50));
        assert_eq!(clock.waited(), Duration::from_millis(30));
        clock.count_wait(at(60), at(61));
        assert_eq!(clock.waited(), Duration::from_millis(31));
    }
}
