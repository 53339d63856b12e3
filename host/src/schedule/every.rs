//! When a job with a time of its own is due: that time, whose it is, and rounds in; in which of them it is due out. Time is parted
//! into windows of that length, and the first round in each is the job's. Where windows begin depends on the job's name and host
//! alone: jobs are spread, and it is the same in every process.

use std::time::Duration;

use super::round_time::RoundTime;

/// Windows begin halfway between multiples of this. An agent's rounds mostly come at the multiples, a little sooner or later, and
/// must not fall into the next window.
const STEP: Duration = Duration::from_secs(10);
/// The same for jobs that are due within a minute.
const SHORT_STEP: Duration = Duration::from_secs(1);

/// A job's own time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Every {
    /// In nanoseconds, as all.
    length: i64,
    begin: i64,
}

impl Every {
    /// Of the job with this name and host.
    #[must_use]
    pub fn new(length: Duration, name: &str, host: &str) -> Self {
        let step = nanoseconds(if length < Duration::from_mins(1) { SHORT_STEP } else { STEP });
        let length = nanoseconds(length);
        // The same in each version of this program, on each machine.
        let hash = blake3::hash(format!("{name}\0{host}").as_bytes());
        let number =
            hash.as_bytes().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let steps = (length / step).max(1).unsigned_abs();
        let begin = i64::try_from(number % steps).unwrap_or_default() * step + step / 2;
        Self { length, begin }
    }

    fn window(self, time: RoundTime) -> i64 {
        time.unix_ns.saturating_sub(self.begin).div_euclid(self.length)
    }

    /// In this round.
    #[must_use]
    pub fn is_due(self, before: Before, round: RoundTime) -> bool {
        match before {
            Before::Unknown => true,
            Before::Last(last) => self.is_another(last, round),
            Before::Apart(interval) => {
                let interval = nanoseconds(interval);
                // The one that it stands for, a little sooner or later.
                let unix_ns = round.unix_ns.saturating_add(interval / 2).div_euclid(interval) * interval;
                self.is_another(RoundTime { unix_ns: unix_ns - interval }, RoundTime { unix_ns })
            }
        }
    }

    /// A clock that is set back is no reason to wait; a round whose time is a little before that of the last one is no reason to
    /// run twice.
    fn is_another(self, last: RoundTime, round: RoundTime) -> bool {
        let (last, round) = (self.window(last), self.window(round));
        round > last || last - round > 1
    }
}

/// What is known of the rounds before one.
#[derive(Clone, Copy, Debug)]
pub enum Before {
    /// Nothing: each job is due.
    Unknown,
    /// They were this far apart, about.
    Apart(Duration),
    /// In which the job ran last, or when it came.
    Last(RoundTime),
}

/// At least one.
fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const FIVE: Duration = Duration::from_mins(5);

    /// Of rounds at these seconds, the places of those that are a job's.
    fn rounds(every: Every, seconds: &[f64]) -> Vec<usize> {
        let mut last = RoundTime { unix_ns: 1_700_000_000 * SECOND };
        let due = |(place, second): (usize, &f64)| {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
            let round = RoundTime { unix_ns: 1_700_000_000 * SECOND + (second * 1e9) as i64 };
            every.is_due(Before::Last(last), round).then(|| {
                last = round;
                place
            })
        };
        seconds.iter().enumerate().filter_map(due).collect()
    }

    #[test]
    fn a_job_every_five_minutes_is_in_every_fifth_round_of_a_minute_though_they_are_not_exact() {
        let late: Vec<f64> = (1..600).map(|minute| f64::from(minute) * 60.0).collect();
        // A little sooner or later each.
        let inexact: Vec<f64> =
            late.iter().zip([0.0, 4.9, -4.9, 0.01, -0.2].iter().cycle()).map(|(a, b)| a + b).collect();
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            let every = Every::new(FIVE, name, "mx1.example.org");
            let had = rounds(every, &late);
            assert!(had.windows(2).all(|pair| pair[1] - pair[0] == 5) && had[0] < 5, "{had:?}");
            assert_eq!(rounds(every, &inexact), had);
        }
    }

    #[test]
    fn jobs_are_spread_over_their_time_and_each_stays_where_it_is() {
        let begins: BTreeSet<i64> =
            (0..300).map(|number| Every::new(FIVE, &format!("job {number}"), "h").begin).collect();
        assert!(
            begins.len() > 25 && begins.iter().all(|begin| begin % (10 * SECOND) == 5 * SECOND),
            "{begins:?}"
        );
        // What is changed here moves everybody's jobs.
        assert_eq!(Every::new(FIVE, "mx1", "mx1.example.org").begin / SECOND, 55);
    }

    #[test]
    fn a_job_whose_time_is_shorter_than_a_round_is_in_each() {
        let every = Every::new(Duration::from_secs(30), "a", "h");
        assert_eq!(rounds(every, &[60.0, 120.0, 180.0, 240.0]), [0, 1, 2, 3]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_job_wait() {
        let every = Every::new(Duration::from_hours(24), "a", "h");
        let last = RoundTime { unix_ns: 1_700_000_000 * SECOND };
        assert!(every.is_due(Before::Last(last), RoundTime { unix_ns: 0 }));
    }

    proptest! {
        /// However far apart rounds are, by memory or without.
        #[test]
        fn each_window_that_has_a_round_has_one_run(
            every in 1_u64..5_000, apart in prop::collection::vec(0.001_f64..400.0, 1..200), name in "[a-z]{1,3}",
        ) {
            let every = Every::new(Duration::from_secs(every), &name, "h");
            let seconds: Vec<f64> = apart.iter().scan(0.0, |at, apart| { *at += apart; Some(*at) }).collect();
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
            let window = |second: f64| every.window(RoundTime { unix_ns: 1_700_000_000 * SECOND + (second * 1e9) as i64 });
            let had: Vec<i64> = rounds(every, &seconds).iter().map(|place| window(seconds[*place])).collect();
            let mut all: Vec<i64> = seconds.iter().map(|second| window(*second)).collect();
            all.dedup();
            // That in which it began has had its round.
            all.retain(|own| *own != window(0.0));
            prop_assert_eq!(had, all);
        }

        #[test]
        fn alone_it_is_in_one_round_of_each_window(
            rounds in 2_i64..50, seconds in 1_i64..600, name in "[a-z]{1,3}", off in prop::collection::vec(-0.4_f64..0.4, 200),
        ) {
            let interval = Duration::from_secs(seconds.unsigned_abs());
            let every = Every::new(interval * u32::try_from(rounds).unwrap(), &name, "h");
            let due: Vec<i64> = off.iter().zip(1_000_000_i64..).filter(|(off, number)| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "seconds of a test")]
                let unix_ns = number * seconds * SECOND + (*off * seconds as f64 * 1e9) as i64;
                every.is_due(Before::Apart(interval), RoundTime { unix_ns })
            }).map(|(_, number)| number).collect();
            prop_assert!(due.windows(2).all(|pair| pair[1] - pair[0] == rounds), "{:?}", due);
            prop_assert!(i64::try_from(due.len()).unwrap() >= 200 / rounds, "{:?}", due);
        }
    }

    #[test]
    fn a_round_whose_time_is_a_little_before_that_of_the_last_one_is_no_reason_to_run_twice() {
        let every = Every::new(Duration::from_mins(5), "a", "h");
        let at = |second: i64| RoundTime { unix_ns: second * SECOND };
        // The first round of some window.
        let first = (0..=300).map(at).find(|round| every.window(*round) > every.window(at(0))).unwrap();
        let just_before = RoundTime { unix_ns: first.unix_ns - SECOND };
        assert!(every.is_due(Before::Last(just_before), first));
        assert!(!every.is_due(Before::Last(first), just_before));
    }
}
