//! Rounds of a schedule of its own: the clock on the wall in, the time of the round that is due out. Ticks are multiples of the
//! interval since the Unix epoch, whatever a round before took. A tick that was missed is not made up for, nor is one of before
//! the start; a clock that is set back brings none again at once, and none is later than an interval and a half.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

use tokio::time::{self, Instant};

use super::round_time::RoundTime;

/// How often the clock on the wall is looked at, which somebody may set meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// Ticks to come.
#[derive(Debug)]
pub struct Ticks {
    /// In nanoseconds.
    interval: i64,
    /// By which rounds are late, each the same.
    delay: i64,
    began: Instant,
    /// The tick that was had, or let go.
    last: i64,
    /// When one was had.
    at: Option<Instant>,
    missed: u64,
}

impl Ticks {
    /// From the next one on, each late by a time that is the same as long as this lives, by chance, and less than `jitter` and the
    /// interval.
    #[must_use]
    pub fn every(interval: Duration, jitter: Duration) -> Self {
        let jitter = i64::try_from(jitter.min(interval).as_nanos()).unwrap_or(i64::MAX).max(1);
        let chance = i64::try_from(RandomState::new().hash_one(()) >> 1).unwrap_or_default();
        let delay = chance % jitter;
        Self::since(interval, delay, now(delay), Instant::now())
    }

    /// By a clock on the wall that is so late.
    fn since(interval: Duration, delay: i64, wall: RoundTime, began: Instant) -> Self {
        let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX).max(1);
        let last = wall.unix_ns.div_euclid(interval) * interval;
        Self { interval, delay, began, last, at: None, missed: 0 }
    }

    /// Those right before the last one that was had.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Waits for the next one. Nothing is lost where nobody waits any more.
    pub async fn next(&mut self) -> RoundTime {
        loop {
            let now = now(self.delay);
            if let Some(tick) = self.look(now, Instant::now()) {
                return tick;
            }
            let left = self.interval - now.unix_ns.rem_euclid(self.interval);
            time::sleep(Duration::from_nanos(left.unsigned_abs()).min(LOOK)).await;
        }
    }

    /// The tick that is due, by both clocks.
    fn look(&mut self, wall: RoundTime, now: Instant) -> Option<RoundTime> {
        let tick = wall.unix_ns.div_euclid(self.interval) * self.interval;
        if tick == self.last {
            return None;
        }
        let (is_back, before) = (tick < self.last, self.last);
        self.last = tick;
        // What is so late was before the start: the program before this one may have had it, by a delay of its own.
        let is_of_before = now.duration_since(self.began) <= Duration::from_nanos(self.delay.unsigned_abs());
        // Half an interval: however the clock is set, the next but one is due again.
        let is_soon = self.at.is_some_and(|at| {
            now.duration_since(at) < Duration::from_nanos(self.interval.unsigned_abs() / 2)
        });
        if is_of_before || is_back || is_soon {
            return None;
        }
        self.at = Some(now);
        self.missed = tick.saturating_sub(before).div_euclid(self.interval).unsigned_abs().saturating_sub(1);
        Some(RoundTime { unix_ns: tick })
    }
}

/// What the clock on the wall showed so long ago.
fn now(delay: i64) -> RoundTime {
    RoundTime { unix_ns: RoundTime::now().unix_ns - delay }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The ticks, in seconds, of a clock on the wall that shows these, in tenths of a second, when so many have gone by.
    fn ticks(start: i64, shown: impl Fn(i64) -> i64, tenths: i64) -> Vec<i64> {
        late_ticks(0, start, shown, tenths)
    }

    /// The same where rounds are late by so many tenths of a second.
    fn late_ticks(delay: i64, start: i64, shown: impl Fn(i64) -> i64, tenths: i64) -> Vec<i64> {
        let wall = |tenths: i64| RoundTime { unix_ns: (tenths - delay) * SECOND / 10 };
        let (interval, began) = (Duration::from_secs(10), Instant::now());
        let mut ticks = Ticks::since(interval, delay * SECOND / 10, wall(start), began);
        let at = |gone: i64| began + Duration::from_millis(gone.unsigned_abs() * 100);
        (0..tenths)
            .filter_map(|gone| ticks.look(wall(shown(gone)), at(gone)))
            .map(|tick| tick.unix_ns / SECOND)
            .collect()
    }

    #[test]
    fn ticks_are_multiples_of_the_interval_from_the_next_one_on() {
        assert_eq!(ticks(1_003, |gone| 1_003 + gone, 400), [110, 120, 130, 140]);
        assert_eq!(ticks(1_000, |gone| 1_000 + gone, 150), [110]);
        // Before the epoch.
        assert_eq!(ticks(-155, |gone| -155 + gone, 200), [-10, 0]);
    }

    #[test]
    fn a_tick_of_before_the_start_does_not_come_however_late_rounds_are() {
        for delay in 0..100 {
            for start in 1_000..1_100 {
                let had = late_ticks(delay, start, |gone| start + gone, 400);
                // The next one is 110, however far its time is.
                let most = (start + 399 - delay) / 100;
                let all: Vec<_> = (11..=most).map(|tick| tick * 10).collect();
                assert_eq!(had, all, "{start} late by {delay}");
            }
        }
    }

    #[test]
    fn what_was_missed_is_counted_where_time_goes_on() {
        let wall = |second: i64| RoundTime { unix_ns: second * SECOND };
        let began = Instant::now();
        let mut ticks = Ticks::since(Duration::from_secs(10), 0, wall(100), began);
        let mut had = |second: i64, gone: u64| {
            let had = ticks.look(wall(second), began + Duration::from_secs(gone));
            had.map(|tick| (tick.unix_ns / SECOND, ticks.missed()))
        };
        assert_eq!(had(111, 11), Some((110, 0)));
        assert_eq!(had(155, 55), Some((150, 3)));
        assert_eq!(had(160, 60), Some((160, 0)));
        // Set back: none is missing, and none before the next one.
        assert_eq!((had(122, 82), had(131, 91)), (None, Some((130, 0))));
    }

    #[test]
    fn what_was_slept_through_is_not_made_up_for() {
        assert_eq!(
            ticks(1_000, |gone| if gone < 150 { 1_000 + gone } else { 5_000 + gone }, 260),
            [110, 510, 520]
        );
    }

    #[test]
    fn a_clock_that_is_set_back_brings_no_tick_twice_in_a_row_and_no_long_silence() {
        // By half a second, just behind a tick.
        let shown = |gone: i64| if gone <= 100 { 1_000 + gone } else { 995 + gone };
        assert_eq!(ticks(1_000, shown, 320), [110, 120, 130]);
        // By an hour.
        let shown = |gone: i64| if gone < 150 { 40_000 + gone } else { 4_000 + gone };
        assert_eq!(ticks(40_000, shown, 420), [4_010, 420, 430, 440]);
        // To and fro without end.
        let shown = |gone: i64| 1_000 + gone + if gone % 7 < 3 { -300 } else { 0 };
        assert!(ticks(1_000, shown, 1_000).len() <= 20);
    }

    #[test]
    fn a_clock_that_is_set_forward_by_little_brings_no_two_ticks_at_once() {
        let shown = |gone: i64| if gone < 105 { 1_000 + gone } else { 1_090 + gone };
        assert_eq!(ticks(1_000, shown, 320), [110, 130, 140]);
    }
}
