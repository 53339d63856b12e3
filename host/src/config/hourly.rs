//! `max_per_hour` in; how many runs of a job may begin in an hour out. Refuses what allows none, and what holds nothing back.

use super::error::{At, Problem};

/// One a minute: a mail server minds no more than that, and each is remembered for an hour.
const MOST: u8 = 60;

pub(super) fn runs(number: i64) -> Result<u8, At> {
    let runs = u8::try_from(number).ok().filter(|number| (1..=MOST).contains(number));
    let expected = || Problem::Expected(format!("a whole number, 1 to {MOST}"));
    runs.ok_or_else(|| At::key("max_per_hour", expected()))
}
