//! Times as people write them: a text in, a time out, or what is expected. Refuses none at all and more than ten minutes.

use std::time::Duration;

/// The longest time-out: a run that takes longer is not a check.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);

/// Reads `10s`, `500ms`, `2m`; says what is expected otherwise.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let duration = number.parse::<u64>().ok().and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    });
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST_TIMEOUT)
        .ok_or_else(|| "a time such as \"10s\", \"500ms\" or \"2m\", at most 10m".to_owned())
}
