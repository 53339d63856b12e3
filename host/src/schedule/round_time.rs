//! When a round began, by the clock on the wall; how much later it is now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A round's start: the time stamp of all its lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoundTime {
    /// Nanoseconds since the Unix epoch.
    pub unix_ns: i64,
}

impl RoundTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.unix_ns.div_euclid(1_000_000)
    }

    /// What has gone by since then, by the clock on the wall.
    #[must_use]
    pub fn since(self, then: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.unix_ns.saturating_sub(then.unix_ns)).unwrap_or_default())
    }

    pub(super) fn unix_seconds(self) -> u64 {
        u64::try_from(self.unix_ns / 1_000_000_000).unwrap_or_default()
    }
}
