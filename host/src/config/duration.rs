//! Times of the configuration's own: a text in, a time out, or what is expected. Refuses none at all and more than ten minutes.

use std::time::Duration;

use crate::span;

/// The longest time-out: a run that takes longer is not a check.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);

/// Reads `10s`, `500ms`, `2m`; says what is expected otherwise.
pub fn duration(text: &str) -> Result<Duration, String> {
    span::milliseconds(text)
        .map(Duration::from_millis)
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST_TIMEOUT)
        .ok_or_else(|| "a time such as \"10s\", \"500ms\" or \"2m\", at most 10m".to_owned())
}
