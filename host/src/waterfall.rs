//! A picture of one run for a terminal: its points in, at most 80 columns of text out. Pure.

mod colour;
mod columns;
mod parts;
mod words;

use std::fmt::Write as _;

use self::{
    colour::{CYAN, GREEN, RED, YELLOW},
    columns::{cut, wrap},
    words::{joined, said, shown},
};
use crate::{
    description::{Description, SERVER_TAG},
    host::with_port,
    measured::of_endpoint,
    point::{Point, Points},
    report::Outcome,
    text,
    value::Value,
};

/// Columns of the whole picture.
const WIDTH: usize = 80;
/// Columns before the bars: two of margin, the label, a space.
const LABEL: usize = 8;
/// Columns of the bars.
const BARS: usize = WIDTH - LABEL - 3 - 14;
/// Columns of the text beside a label.
const TEXT: usize = WIDTH - LABEL - 3;
/// Lines of one text.
const LINES: usize = 6;
/// What the host measures before a check's own phases. The handshake moves behind a phase of this name where there is one: it
/// is how protocols ask for it.
const BEFORE: [&str; 3] = ["dns_time_ms", "connect_time_ms", "tls_time_ms"];
const STARTTLS: &str = "starttls_time_ms";
/// What was ours, at any time; last, so that all of them make up the total.
const OWN: &str = "own_time_ms";
const TOTAL: &str = "total_time_ms";
/// Unit of the times.
const MILLISECONDS: &str = "ms";

fn time(point: &Point, field: &str) -> Option<f64> {
    let time = point.field(field)?.as_number()?;
    time.is_finite().then_some(time.max(0.0))
}

/// Where a further endpoint is, and what its TLS came to.
fn endpoint(point: &Point, name: &str) -> String {
    let of = |field: &str| of_endpoint(name, field);
    let server = Some(text::clean(point.tag(&of(SERVER_TAG)))).filter(|server| !server.is_empty());
    let fields = ["ip", "tls_version", "tls_cipher", "tls_group"].map(|field| shown(point, &of(field)));
    let certificate = Some(certificate(point, None, of)).filter(|text| !text.is_empty());
    server.into_iter().chain(fields.into_iter().flatten()).chain(certificate).collect::<Vec<_>>().join("  ")
}

/// A phase's name, from its field's.
fn label(field: &str) -> &str {
    let name = field.strip_suffix("_ms").unwrap_or(field);
    name.strip_suffix("_time").unwrap_or(name)
}

/// Draws it, with what is known of the certificate that ends first. `colour` only for a terminal that wants it.
#[must_use]
pub fn render(points: &Points, check: &Description, ends_first: Option<&str>, colour: bool) -> String {
    let point = &points.job;
    let result = point.tag("result");
    let success = result == Outcome::Success.name();
    let painted =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mark = if success { GREEN } else { RED };
    let (server, port) = (point.tag("server"), point.tag("port"));
    let title = if port.is_empty() { server.to_owned() } else { with_port(server, port) };
    let title = cut(&text::clean(&title), WIDTH - 2 - result.len());
    let mut picture = format!("{title}  {}\n", painted(mark, result));

    let measured = measured(point, check);
    let sum: f64 = measured.iter().map(|(_, time)| time).sum();
    let total = time(point, TOTAL).unwrap_or(sum).max(sum);
    let last = point.field("phase").filter(|_| !success);
    let mut begin = 0.0;
    for (phase, time) in measured {
        let phase = label(&phase);
        let failed = matches!(last, Some(Value::Text(last)) if last == phase);
        let from = column(begin, total).min(BARS - 1);
        let length = column(begin + time, total).saturating_sub(from).max(1);
        let bar = painted(if failed { RED } else { CYAN }, &"█".repeat(length));
        let (before, after) = (" ".repeat(from), " ".repeat(BARS - from - length));
        let _infallible =
            writeln!(picture, "  {:<LABEL$} {before}{bar}{after} {}", cut(phase, LABEL), milliseconds(time));
        begin += time;
    }
    if let Some(total) = time(point, TOTAL) {
        let axis = "─".repeat(BARS - 2);
        let _infallible = writeln!(picture, "  {:<LABEL$} ├{axis}┤ {}", "total", milliseconds(total));
    }

    let others = check.fields.iter().filter(|field| field.unit != MILLISECONDS);
    let own = said(point, others).collect::<Vec<_>>().join("  ");
    let row = |label: &str, code: Option<&'static str>, text: String| (cut(label, LABEL), code, text);
    let mut rows = vec![
        row("ip", None, joined(point, &["ip"])),
        row(&check.name, None, own),
        row("tls", None, joined(point, &["tls_version", "tls_cipher", "tls_group"])),
        row("cert", None, certificate(point, ends_first, str::to_owned)),
        row("verify", Some(RED), joined(point, &["verify_error"])),
    ];
    for further in &check.endpoints {
        rows.push(row(&further.name, None, endpoint(point, &further.name)));
        rows.push(row("verify", Some(RED), joined(point, &[&of_endpoint(&further.name, "verify_error")])));
    }
    rows.push(row("alarm", Some(YELLOW), joined(point, &["alarm"])));
    let error = if success { String::new() } else { joined(point, &["error_code", "error"]) };
    rows.push(row("error", Some(RED), error));
    rows.extend(parts::rows(points, check).into_iter().map(|(label, code, text)| row(label, code, text)));
    for (label, code, text) in &rows {
        for (number, line) in wrap(text, TEXT, LINES).iter().enumerate() {
            let label = if number == 0 { label.as_str() } else { "" };
            let line = code.map_or_else(|| line.clone(), |code| painted(code, line));
            let _infallible = writeln!(picture, "  {label:<LABEL$} {line}");
        }
    }
    picture
}

/// Times by their fields. To reach a further endpoint is one, by the endpoint's name: nobody knows when in the run it was.
fn measured(point: &Point, check: &Description) -> Vec<(String, f64)> {
    let own = check.fields.iter().filter(|field| field.phase).map(|field| field.name.as_str());
    let mut phases: Vec<&str> = BEFORE.into_iter().chain(own).chain([OWN]).collect();
    if let Some(at) = phases.iter().position(|phase| *phase == STARTTLS && time(point, phase).is_some()) {
        // The handshake's place, from the third to behind that.
        phases.get_mut(BEFORE.len() - 1..=at).unwrap_or_default().rotate_left(1);
    }
    let reached = check.endpoints.iter().filter_map(|endpoint| {
        let times = BEFORE.iter().filter_map(|field| time(point, &of_endpoint(&endpoint.name, field)));
        Some((endpoint.name.clone(), times.reduce(|sum, time| sum + time)?))
    });
    let phases = phases.into_iter().filter_map(|phase| Some((phase.to_owned(), time(point, phase)?)));
    reached.chain(phases).collect()
}

/// By its fields, whatever they are called in this place.
fn certificate(point: &Point, ends_first: Option<&str>, called: impl Fn(&str) -> String) -> String {
    let days = match point.field(&called("cert_days_left")) {
        Some(Value::Integer(days)) => {
            let plural = if days.unsigned_abs() == 1 { "" } else { "s" };
            let number = days.unsigned_abs();
            Some(if *days < 0 {
                format!("ended within the last {number} day{plural}")
            } else {
                format!("{number} day{plural} left")
            })
        }
        _ => None,
    };
    let issuer =
        shown(point, &called("cert_issuer")).map(|issuer| format!("the server's own is issued by {issuer}"));
    let ends_first = ends_first.map(text::clean);
    days.into_iter().chain(ends_first).chain(issuer).collect::<Vec<_>>().join(", ")
}

/// Always 13 columns.
fn milliseconds(time: f64) -> String {
    let number = if time < 999_999.0 { format!("{time:.3}") } else { format!("{time:.3e}") };
    format!("{number:>10} ms")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "0 to BARS; a quotient of zeros becomes 0"
)]
fn column(time: f64, total: f64) -> usize {
    (time / total * BARS as f64).round().clamp(0.0, BARS as f64) as usize
}

#[cfg(test)]
mod tests;
