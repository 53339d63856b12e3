//! Rounds that nobody asks for: the interval of the command line, and those of the configurations that come, in; the time of each
//! round, and a line for the log where some were missed, out.

use std::time::Duration;

use crate::{
    output::{self, Level},
    schedule::{RoundTime, Ticks},
    text::counted,
};

const NO_INTERVAL: &str =
    "`jitter` of [daemon] has no effect without an interval: a round that is asked for begins at once";
const CUT: &str =
    "`jitter` of [daemon] is not less than --interval: rounds are late by less than that interval";

/// Of rounds without an agent.
pub(super) struct Clock {
    /// Above that of any configuration.
    flag: Option<Duration>,
    interval: Option<Duration>,
    jitter: Duration,
    ticks: Option<Ticks>,
    /// Some were, before the last one.
    has_missed: bool,
}

impl Clock {
    pub(super) fn new(flag: Option<Duration>) -> Self {
        Self { flag, interval: None, jitter: Duration::ZERO, ticks: None, has_missed: false }
    }

    /// By the interval and the jitter of a configuration.
    pub(super) fn set(&mut self, (interval, jitter): (Option<Duration>, Duration)) {
        let interval = self.flag.or(interval);
        // The same goes on: a tick that is due is not lost.
        if (interval, jitter) != (self.interval, self.jitter) {
            (self.interval, self.jitter) = (interval, jitter);
            self.ticks = interval.map(|interval| Ticks::every(interval, jitter));
            match interval {
                None if !jitter.is_zero() => output::log(Level::Warning, NO_INTERVAL),
                Some(interval) if jitter >= interval => output::log(Level::Warning, CUT),
                _ => {}
            }
        }
    }

    /// There are no rounds of its own.
    pub(super) fn is_still(&self) -> bool {
        self.interval.is_none()
    }

    /// The time of the next round.
    pub(super) async fn tick(&mut self) -> RoundTime {
        match &mut self.ticks {
            Some(ticks) => ticks.next().await,
            None => std::future::pending().await,
        }
    }

    /// Says how many were missed before the last one. Once, where it goes on.
    pub(super) fn log_missed(&mut self) {
        let missed = self.ticks.as_ref().map_or(0, Ticks::missed);
        if missed > 0 && !self.has_missed {
            let text = format!(
                "{} of the interval missed: the machine slept or was too busy, or its clock was set",
                counted(usize::try_from(missed).unwrap_or(usize::MAX), "tick")
            );
            output::log(Level::Warning, &text);
        }
        self.has_missed = missed > 0;
    }
}
