//! How long a run has computed, and how long it stays aside for the others on its thread: the CPU time of the thread while the
//! run's future is polled, so that waiting costs nothing and a call into the host costs what the host computes for it. That time
//! costs a system call to read, the time of day none: a poll that is over in a moment counts with that.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

use super::limits;

/// A poll that is over sooner was hardly ever interrupted for long: whoever takes a processor keeps it for longer.
const BRIEF_NS: u64 = 250_000;

/// What one run has used. Written and read by the thread that polls it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    /// Of the polls that ended, in nanoseconds.
    used: AtomicU64,
    /// When the current poll began.
    began: AtomicU64,
}

/// A thread's computing: its CPU time at the last look, and what was counted since.
#[derive(Clone, Copy, Debug)]
struct Looked {
    cpu_time: u64,
    counted: u64,
}

thread_local! {
    static LOOKED: Cell<Looked> = Cell::new(Looked { cpu_time: time(ClockId::CLOCK_THREAD_CPUTIME_ID), counted: 0 });
}

fn time(clock: ClockId) -> u64 {
    // Fails only for a clock that does not exist.
    let time = clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds that the thread has computed since then, and what is to be known when more is counted. A moment counts as a whole.
/// Of a longer time the thread's own clock says what it computed, less what was counted since the last look: that is also what it
/// did beside runs since, but no more than the time that has gone by.
fn computed(began: u64) -> (u64, Looked) {
    let gone_by = time(ClockId::CLOCK_MONOTONIC).saturating_sub(began);
    let looked = LOOKED.get();
    if gone_by < BRIEF_NS {
        return (gone_by, Looked { counted: looked.counted + gone_by, ..looked });
    }
    let cpu_time = time(ClockId::CLOCK_THREAD_CPUTIME_ID);
    let uncounted = cpu_time.saturating_sub(looked.cpu_time).saturating_sub(looked.counted);
    (uncounted.min(gone_by), Looked { cpu_time, counted: 0 })
}

impl Meter {
    /// Used so far; to be called while the run is polled.
    pub(crate) fn running(&self) -> Duration {
        Duration::from_nanos(self.0.used.load(Ordering::Relaxed)) + self.turn()
    }

    /// Used since the others had their turn; to be called while the run is polled.
    pub(crate) fn turn(&self) -> Duration {
        let (current, _) = computed(self.0.began.load(Ordering::Relaxed));
        Duration::from_nanos(current)
    }

    /// Used in all, once the run is over.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.0.used.load(Ordering::Relaxed))
    }

    /// Runs a future and counts what it computes. (An `async fn` would have room for it twice.)
    pub(crate) fn count<F: Future + Unpin>(&self, mut future: F) -> impl Future<Output = F::Output> {
        poll_fn(move |context| {
            // The first look of a thread is before its first poll.
            LOOKED.with(|_looked| ());
            let began = time(ClockId::CLOCK_MONOTONIC);
            self.0.began.store(began, Ordering::Relaxed);
            let polled = Pin::new(&mut future).poll(context);
            let (used, looked) = computed(began);
            LOOKED.set(looked);
            self.0.used.fetch_add(used, Ordering::Relaxed);
            polled
        })
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
    /// How long it stays aside after this turn of the run: two such turns of each of the others. What the engine does for a check
    /// cannot be interrupted, so that a turn may be longer than a tick.
    pub(crate) fn pause(&self, run: &Meter) -> Duration {
        run.turn().max(limits::TICK) * self.0.0.load(Ordering::Relaxed).saturating_sub(1).saturating_mul(2)
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
        let (crowd, run) = (Crowd::default(), Meter::default());
        run.0.began.store(time(ClockId::CLOCK_MONOTONIC), Ordering::Relaxed);
        let first = crowd.enter();
        assert_eq!(first.pause(&run), Duration::ZERO);
        let others = [crowd.enter(), crowd.enter()];
        assert_eq!(first.pause(&run), limits::TICK * 4);
        drop(others);
        assert_eq!(first.pause(&run), Duration::ZERO);
    }

    #[tokio::test]
    async fn who_has_a_long_turn_stays_aside_for_longer() {
        let (crowd, run) = (Crowd::default(), Meter::default());
        let (first, _other) = (crowd.enter(), crowd.enter());
        run.count(Box::pin(async {
            compute(100_000_000);
            assert!(first.pause(&run) >= Duration::from_millis(200), "{:?}", first.pause(&run));
        }))
        .await;
    }

    fn compute(nanoseconds: u64) {
        let now = || time(ClockId::CLOCK_THREAD_CPUTIME_ID);
        let until = now() + nanoseconds;
        while now() < until {}
    }

    #[tokio::test]
    async fn what_computes_in_many_moments_has_its_own_and_who_is_held_up_beside_it_does_not() {
        let (brief, held_up) = (Meter::default(), Meter::default());
        brief
            .count(Box::pin(async {
                for _ in 0..500 {
                    compute(100_000);
                    tokio::task::yield_now().await;
                }
            }))
            .await;
        held_up.count(Box::pin(async { std::thread::sleep(Duration::from_millis(200)) })).await;
        assert!(brief.used() >= Duration::from_millis(49), "{brief:?}");
        assert!(held_up.used() < Duration::from_millis(20), "{held_up:?}");
    }

    #[tokio::test]
    async fn computing_counts_and_waiting_does_not() {
        let meter = Meter::default();
        meter
            .count(Box::pin(async {
                compute(20_000_000);
                tokio::time::sleep(Duration::from_millis(200)).await;
                compute(20_000_000);
                assert!(meter.running() >= Duration::from_millis(40));
            }))
            .await;
        assert!((Duration::from_millis(40)..Duration::from_millis(150)).contains(&meter.used()), "{meter:?}");
    }
}
