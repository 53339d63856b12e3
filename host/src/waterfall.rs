//! A picture of one run for a terminal: a line's fields in, at most 80 columns of text out. Pure.

use std::fmt::Write as _;

use crate::report::{Outcome, Value};

/// Columns of the whole picture.
const WIDTH: usize = 80;
/// Columns of the bars.
const BARS: usize = 48;
/// Phases in the order in which they happen; TLS moves behind STARTTLS where there is one.
const PHASES: [&str; 12] = [
    "dns", "connect", "tls", "banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "message", "quit",
];

fn time(fields: &[(String, Value)], phase: &str) -> Option<f64> {
    let name = format!("{phase}_time_ms");
    fields.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_number())
}

fn shown(fields: &[(String, Value)], name: &str) -> Option<String> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| match value {
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Text(value) => value.clone(),
    })
}

/// Draws it. `colour` only for a terminal that wants it.
#[must_use]
pub fn render(title: &str, fields: &[(String, Value)], outcome: Outcome, colour: bool) -> String {
    let paint =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mark = if outcome == Outcome::Success { "32" } else { "31" };
    let mut phases = PHASES.to_vec();
    if time(fields, "starttls").is_some() {
        phases.retain(|phase| *phase != "tls");
        phases.insert(5, "tls");
    }
    let measured: Vec<(&str, f64)> =
        phases.iter().filter_map(|phase| Some((*phase, time(fields, phase)?.max(0.0)))).collect();
    let sum: f64 = measured.iter().map(|(_, time)| time).sum();
    let total = time(fields, "total").unwrap_or(sum).max(sum).max(f64::MIN_POSITIVE);

    let mut picture = format!("{}  {}\n", cut(title, WIDTH - 20), paint(mark, outcome.name()));
    let mut begin = 0.0;
    for (phase, time) in &measured {
        let from = column(begin, total).min(BARS - 1);
        let length = column(begin + time, total).saturating_sub(from).clamp(1, BARS - from);
        let bar = format!(
            "{}{}{}",
            " ".repeat(from),
            paint("36", &"█".repeat(length)),
            " ".repeat(BARS - from - length)
        );
        let _infallible = writeln!(picture, "  {phase:<9}{bar} {:>12} ms", format!("{time:.3}"));
        begin += time;
    }
    if let Some(total) = time(fields, "total") {
        let _infallible =
            writeln!(picture, "  {:<9}{} {:>12} ms", "total", " ".repeat(BARS), format!("{total:.3}"));
    }
    for (label, names) in [
        ("server", ["banner", "ip"].as_slice()),
        ("reply", &["reply_code", "enhanced_status", "queue_id"]),
        ("tls", &["tls_version", "tls_cipher"]),
        ("cert", &["cert_days_left", "cert_issuer"]),
        ("verify", &["verify_error"]),
        ("alarm", &["alarm"]),
        ("error", &["error_code", "error"]),
    ] {
        if label == "error" && outcome == Outcome::Success {
            continue;
        }
        let words: Vec<String> = names
            .iter()
            .filter_map(|name| {
                let shown = shown(fields, name)?;
                Some(if *name == "cert_days_left" { format!("{shown} days left,") } else { shown })
            })
            .collect();
        if !words.is_empty() {
            let _infallible = writeln!(picture, "  {label:<9}{}", cut(&words.join("  "), WIDTH - 11));
        }
    }
    picture
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 to BARS"
)]
fn column(time: f64, total: f64) -> usize {
    (time / total * BARS as f64).round().clamp(0.0, BARS as f64) as usize
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<(String, Value)> {
        let float = |name: &str, value| (name.to_owned(), Value::Float(value));
        vec![
            float("connect_time_ms", 1.0),
            float("banner_time_ms", 1_234_567.891),
            float("quit_time_ms", 0.0),
            float("total_time_ms", 1_234_569.0),
            ("banner".to_owned(), Value::Text("mx ".repeat(80))),
            ("error_code".to_owned(), Value::Integer(407)),
            ("error".to_owned(), Value::Text("é".repeat(120))),
        ]
    }

    #[test]
    fn it_fits_80_columns_whatever_is_in_it() {
        let picture = render(&"host".repeat(40), &fields(), Outcome::Timeout, false);
        for line in picture.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(picture.contains("banner") && !picture.contains("ehlo"), "{picture}");
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        assert!(!render("a", &fields(), Outcome::Timeout, false).contains('\x1b'));
        assert!(render("a", &fields(), Outcome::Success, true).contains("\x1b[32msuccess"));
    }
}
