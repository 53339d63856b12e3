//! Times of the configuration's own: a text in, a time out, or what is expected. Refuses time-outs of none at all and of more than
//! ten minutes, and intervals below a second and above a day.

use std::{ops::RangeInclusive, time::Duration};

use crate::span;

/// A time-out: a run that takes longer is not a check.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(10);
/// From one round to the next: what is shorter loads a server more than it says of it, what is longer may as well be started.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// Reads `10s`, `500ms`, `2m`; says what is expected otherwise.
pub fn duration(text: &str) -> Result<Duration, String> {
    within(text, &TIMEOUTS)
        .ok_or_else(|| "a time such as \"10s\", \"500ms\" or \"2m\", at most 10m".to_owned())
}

/// The same of the time between rounds.
pub fn interval(text: &str) -> Result<Duration, String> {
    within(text, &INTERVALS).ok_or_else(|| "a time such as \"60s\" or \"5m\", from 1s to 1440m".to_owned())
}

/// The same of the longest time by which rounds are late.
pub(super) fn jitter(text: &str) -> Result<Duration, String> {
    within(text, &(Duration::ZERO..=*INTERVALS.end()))
        .ok_or_else(|| "a time such as \"20s\", less than the interval".to_owned())
}

fn within(text: &str, allowed: &RangeInclusive<Duration>) -> Option<Duration> {
    span::milliseconds(text).map(Duration::from_millis).filter(|time| allowed.contains(time))
}
