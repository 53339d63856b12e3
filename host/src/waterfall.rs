//! A picture of one run for a terminal: a point in, at most 80 columns of text out. Pure.

mod columns;

use std::fmt::Write as _;

use self::columns::{cut, wrap};
use crate::{description::Description, point::Point, report::Outcome, text, value::Value};

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

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";

fn time(point: &Point, field: &str) -> Option<f64> {
    let time = point.field(field)?.as_number()?;
    time.is_finite().then_some(time.max(0.0))
}

fn shown(point: &Point, name: &str) -> Option<String> {
    let shown = match point.field(name)? {
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Text(value) => text::clean(value),
    };
    Some(shown).filter(|shown| !shown.is_empty())
}

fn joined(point: &Point, names: &[&str]) -> String {
    names.iter().filter_map(|name| shown(point, name)).collect::<Vec<_>>().join("  ")
}

/// What the check says beside times, by name.
fn said(point: &Point, check: &Description) -> String {
    let own = check.fields.iter().filter(|field| field.unit != MILLISECONDS);
    let named = own.filter_map(|field| {
        let unit = if field.unit.is_empty() { String::new() } else { format!(" {}", field.unit) };
        Some(format!("{} {}{unit}", field.name, shown(point, &field.name)?))
    });
    named.collect::<Vec<_>>().join("  ")
}

/// A phase's name, from its field's.
fn label(field: &str) -> &str {
    let name = field.strip_suffix("_ms").unwrap_or(field);
    name.strip_suffix("_time").unwrap_or(name)
}

/// Draws it, with what is known of the certificate that ends first. `colour` only for a terminal that wants it.
#[must_use]
pub fn render(point: &Point, check: &Description, ends_first: Option<&str>, colour: bool) -> String {
    let result = point.tag("result");
    let success = result == Outcome::Success.name();
    let painted =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mark = if success { GREEN } else { RED };
    let (server, port) = (point.tag("server"), point.tag("port"));
    let title = if port.is_empty() { server.to_owned() } else { format!("{server}:{port}") };
    let title = cut(&text::clean(&title), WIDTH - 2 - result.len());
    let mut picture = format!("{title}  {}\n", painted(mark, result));

    let measured = measured(point, check);
    let sum: f64 = measured.iter().map(|(_, time)| time).sum();
    let total = time(point, TOTAL).unwrap_or(sum).max(sum);
    let last = point.field("phase").filter(|_| !success);
    let mut begin = 0.0;
    for (phase, time) in measured {
        let phase = label(phase);
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

    for (label, code, text) in [
        ("ip", None, joined(point, &["ip"])),
        (&*cut(&check.name, LABEL), None, said(point, check)),
        ("tls", None, joined(point, &["tls_version", "tls_cipher", "tls_group"])),
        ("cert", None, certificate(point, ends_first)),
        ("verify", Some(RED), joined(point, &["verify_error"])),
        ("alarm", Some(YELLOW), joined(point, &["alarm"])),
        ("error", Some(RED), if success { String::new() } else { joined(point, &["error_code", "error"]) }),
    ] {
        for (number, line) in wrap(&text, TEXT, LINES).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let line = code.map_or_else(|| line.clone(), |code| painted(code, line));
            let _infallible = writeln!(picture, "  {label:<LABEL$} {line}");
        }
    }
    picture
}

fn measured<'a>(point: &Point, check: &'a Description) -> Vec<(&'a str, f64)> {
    let own = check.fields.iter().filter(|field| field.phase).map(|field| field.name.as_str());
    let mut phases: Vec<&str> = BEFORE.into_iter().chain(own).chain([OWN]).collect();
    if let Some(at) = phases.iter().position(|phase| *phase == STARTTLS && time(point, phase).is_some()) {
        // The handshake's place, from the third to behind that.
        phases.get_mut(BEFORE.len() - 1..=at).unwrap_or_default().rotate_left(1);
    }
    phases.into_iter().filter_map(|phase| Some((phase, time(point, phase)?))).collect()
}

fn certificate(point: &Point, ends_first: Option<&str>) -> String {
    let days = match point.field("cert_days_left") {
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
    let issuer = shown(point, "cert_issuer").map(|issuer| format!("the server's own is issued by {issuer}"));
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
mod tests {
    use super::{columns::width, *};
    use crate::{description::Field, value::FieldKind};

    fn point(server: &str, fields: &[(String, Value)], outcome: Outcome) -> Point {
        let tags = [("server", server), ("port", "25"), ("result", outcome.name())];
        Point {
            measurement: "smtp".to_owned(),
            tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            fields: fields.to_vec(),
            time_ns: 7,
        }
    }

    fn drawn(server: &str, fields: &[(String, Value)], outcome: Outcome, colour: bool) -> String {
        let phase = |name: &str| Field {
            name: format!("{name}_time_ms"),
            kind: FieldKind::Float,
            unit: "ms".to_owned(),
            doc: String::new(),
            when_unreported: None,
            phase: true,
        };
        let mut check = Description::unknown("smtp");
        check.fields = ["banner", "ehlo", "starttls", "rcpt", "quit"].map(phase).into();
        check.fields.push(Field { phase: false, ..phase("transfer") });
        for (name, kind, unit) in [
            ("banner", FieldKind::Text, ""),
            ("reply_code", FieldKind::Integer, ""),
            ("size", FieldKind::Integer, "B"),
        ] {
            check.fields.push(Field {
                name: name.to_owned(),
                kind,
                unit: unit.to_owned(),
                phase: false,
                ..phase("")
            });
        }
        render(&point(server, fields, outcome), &check, None, colour)
    }

    fn float(name: &str, value: f64) -> (String, Value) {
        (name.to_owned(), Value::Float(value))
    }

    fn word(name: &str, value: &str) -> (String, Value) {
        (name.to_owned(), Value::Text(value.to_owned()))
    }

    fn good() -> Vec<(String, Value)> {
        vec![
            float("dns_time_ms", 2.0),
            float("connect_time_ms", 8.0),
            float("tls_time_ms", 20.0),
            float("banner_time_ms", 10.0),
            float("quit_time_ms", 0.0),
            float("total_time_ms", 50.0),
            word("banner", "mx1 ESMTP"),
            ("reply_code".to_owned(), Value::Integer(250)),
            ("size".to_owned(), Value::Integer(7)),
            word("tls_version", "TLSv1.3"),
            word("tls_cipher", "TLS13_AES_256_GCM_SHA384"),
            ("cert_days_left".to_owned(), Value::Integer(30)),
            word("cert_issuer", "CN=Authority"),
            ("error_code".to_owned(), Value::Integer(0)),
        ]
    }

    fn foreign(said: &str) -> Vec<(String, Value)> {
        let times = ["connect", "tls", "banner", "ehlo", "starttls", "rcpt", "total"];
        let texts =
            ["banner", "tls_cipher", "cert_issuer", "verify_error", "alarm", "error", "queue_id", "ip"];
        let mut fields: Vec<_> = texts.iter().map(|name| word(name, &said.repeat(300))).collect();
        for (at, value) in
            [f64::MAX, 0.0, 1_234_567.891, -5.0, f64::MAX, 999_999.999_9, 3.0].iter().enumerate()
        {
            fields.push(float(&format!("{}_time_ms", times[at]), *value));
        }
        for name in ["reply_code", "cert_days_left", "error_code"] {
            fields.push((name.to_owned(), Value::Integer(i64::MIN)));
        }
        fields
    }

    fn rows(picture: &str) -> Vec<&str> {
        picture.lines().skip(1).map(|line| line.get(2..10).unwrap_or_default().trim_end()).collect()
    }

    #[test]
    fn every_line_fits_80_columns_whatever_is_in_it() {
        for said in ["mx ", "é", "邮件", "🦀", "word-without-end", "\u{1b}[31m\r\n\u{202e}"] {
            let picture = drawn(&said.repeat(99), &foreign(said), Outcome::ConnectionFailed, false);
            for line in picture.lines() {
                assert!(width(&line.replace(['█', '─', '├', '┤'], "-")) <= 80, "{line}");
            }
        }
    }

    #[test]
    fn without_colour_there_is_no_escape_code() {
        let picture = drawn("\u{1b}[2J", &foreign("\u{1b}[31m"), Outcome::Timeout, false);
        assert!(!picture.contains(|c: char| c.is_control() && c != '\n'), "{picture:?}");
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let painted = drawn("a", &good(), Outcome::Success, true);
        assert!(painted.contains("\x1b[32msuccess\x1b[0m"), "{painted}");
        let mut bare = painted;
        for code in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, drawn("a", &good(), Outcome::Success, false));
    }

    #[test]
    fn phases_that_were_not_measured_are_left_out() {
        let picture = drawn("a", &good(), Outcome::Success, false);
        let expected = ["dns", "connect", "tls", "banner", "quit", "total", "smtp", "tls", "cert"];
        assert_eq!(rows(&picture), expected, "{picture}");
        assert!(picture.contains("  smtp     banner mx1 ESMTP  reply_code 250  size 7 B\n"), "{picture}");
        assert_eq!(drawn("a", &[], Outcome::DnsError, false), "a:25  dns_error\n");
    }

    #[test]
    fn what_is_no_phase_is_in_no_bar() {
        let mut fields = good();
        fields.push(float("transfer_time_ms", 30.0));
        let picture = drawn("a", &fields, Outcome::Success, false);
        assert!(!picture.contains("transfer"), "{picture}");
    }

    #[test]
    fn tls_comes_behind_starttls_where_there_is_one() {
        let mut fields = good();
        fields.push(float("starttls_time_ms", 1.0));
        let picture = drawn("a", &fields, Outcome::Success, false);
        assert_eq!(rows(&picture)[..6], ["dns", "connect", "banner", "starttls", "tls", "quit"], "{picture}");
    }

    #[test]
    fn bars_follow_each_other_on_one_axis() {
        let picture = drawn("a", &good(), Outcome::Success, false);
        let bars: Vec<(usize, usize)> = picture
            .lines()
            .filter(|line| line.contains('█'))
            .map(|line| {
                let cells: Vec<char> = line.chars().skip(LABEL + 3).collect();
                let from = cells.iter().position(|c| *c == '█').unwrap();
                (from, cells.iter().filter(|c| **c == '█').count())
            })
            .collect();
        assert_eq!(bars, [(0, 2), (2, 9), (11, 22), (33, 11), (44, 1)], "{picture}");
    }

    #[test]
    fn a_long_error_is_broken_between_words_and_not_lost() {
        let error = "connection refused by somebody ".repeat(8);
        let fields = [("error_code".to_owned(), Value::Integer(7)), word("error", &error)];
        let picture = drawn("a", &fields, Outcome::ConnectionFailed, false);
        let words: Vec<&str> = picture.lines().skip(1).flat_map(str::split_whitespace).collect();
        assert_eq!(words.join(" "), format!("error 7 {}", error.trim()));
    }

    #[test]
    fn a_certificate_that_ended_is_not_said_to_last() {
        let days = |days| {
            let fields = [("cert_days_left".to_owned(), Value::Integer(days))];
            certificate(&point("a", &fields, Outcome::Success), None)
        };
        assert_eq!(days(1), "1 day left");
        assert_eq!(days(-3), "ended within the last 3 days");
    }

    #[test]
    fn the_certificate_that_ends_first_is_named() {
        let fields = [("cert_days_left".to_owned(), Value::Integer(5)), word("cert_issuer", "CN=R3")];
        assert_eq!(
            certificate(
                &point("a", &fields, Outcome::Success),
                Some("ends first: the root certificate CN=CA")
            ),
            "5 days left, ends first: the root certificate CN=CA, the server's own is issued by CN=R3"
        );
    }
}
