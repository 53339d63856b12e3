//! How long a run has computed, and how long it stays aside for the others on its thread: the CPU time of the thread while the
//! run's future is polled, so that waiting costs nothing and a call into the host costs what the host computes for it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

/// What one run has used. Written and read by the thread that polls it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    /// Of the polls that ended, in nanoseconds.
    used: AtomicU64,
    /// The thread's CPU time when the current poll began.
    began: AtomicU64,
}

fn thread_time() -> u64 {
    // Fails only for a clock that does not exist.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Meter {
    /// Used so far; to be called while the run is polled.
    pub(crate) fn running(&self) -> Duration {
        let current = thread_time().saturating_sub(self.0.began.load(Ordering::Relaxed));
        Duration::from_nanos(self.0.used.load(Ordering::Relaxed) + current)
    }

    /// Used since the others had their turn; to be called while the run is polled.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_nanos(thread_time().saturating_sub(self.0.began.load(Ordering::Relaxed)))
    }

    /// Used in all, once the run is over.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.0.used.load(Ordering::Relaxed))
    }

    /// Runs a future and counts what it computes.
    pub(crate) async fn count<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let began = thread_time();
            self.0.began.store(began, Ordering::Relaxed);
            let polled = future.as_mut().poll(context);
            self.0.used.fetch_add(thread_time().saturating_sub(began), Ordering::Relaxed);
            polled
        })
        .await
    }
}

/// How many runs compute for long on a thread, so that however many they are, the others there have nearly half of the time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd(Arc<AtomicU32>);

thread_local! {
    static HERE: Crowd = Crowd::default();
}

impl Crowd {
    /// Of this thread, which what runs on it never leaves.
    pub(crate) fn here() -> Self {
        HERE.with(Self::clone)
    }

    /// One more, until it is dropped.
    pub(crate) fn enter(&self) -> Busy {
        self.0.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }
}

/// A run that computes for long.
#[derive(Debug)]
pub(crate) struct Busy(Crowd);

impl Busy {
    /// How long it stays aside after a turn of this length: two turns of each of the others.
    pub(crate) fn pause(&self, turn: Duration) -> Duration {
        turn * self.0.0.load(Ordering::Relaxed).saturating_sub(1).saturating_mul(2)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_compute_the_longer_each_stays_aside() {
        let (crowd, turn) = (Crowd::default(), Duration::from_millis(10));
        let first = crowd.enter();
        assert_eq!(first.pause(turn), Duration::ZERO);
        let others = [crowd.enter(), crowd.enter()];
        assert_eq!(first.pause(turn), turn * 4);
        drop(others);
        assert_eq!(first.pause(turn), Duration::ZERO);
    }

    #[tokio::test]
    async fn computing_counts_and_waiting_does_not() {
        let meter = Meter::default();
        let compute = || {
            let until = thread_time() + 20_000_000;
            while thread_time() < until {}
        };
        meter
            .count(async {
                compute();
                tokio::time::sleep(Duration::from_millis(200)).await;
                compute();
                assert!(meter.running() >= Duration::from_millis(40));
            })
            .await;
        assert!((Duration::from_millis(40)..Duration::from_millis(150)).contains(&meter.used()), "{meter:?}");
    }
}
