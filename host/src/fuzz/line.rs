//! The lines of a run, and lines of the log: secrets, names and what a server and a check say. Each line is one line and one
//! point, no longer than announced, and of a series of its own; all texts are clean and short, and show no secret, however it is cut into lines.

use std::{collections::BTreeMap, sync::Arc};

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, Engine as _};
use influxdb_line_protocol::{FieldValue, parse_lines};

use super::input::Draw;
use crate::{
    alarm::{Limit, Severity},
    catalogue::HostError,
    check::Check,
    config::AdHoc,
    description::{
        Description, Field, OWN_MEASUREMENT, OwnError, Parameter, ParameterKind, Part, PartTag, TAG_BYTES,
        Tag,
    },
    job::Job,
    line as written,
    measured::{Ending, Place, TlsFacts},
    point::Point,
    report::{Failure, Report},
    sandbox::{bindings::exports::sonde::check::check as wit, parts::Reported},
    secret::{Secrets, sequence::Sequence},
    text,
    value::{FieldKind, Value},
};

/// Letters that only secrets have, those that only other texts have, and what may stand in both.
const SECRET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789~^ \t";
const OTHER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ .,:\t\r\n";
/// Bytes of a line in the log: few, so that many are cut.
const LOG_BYTES: usize = 24;

fn of(letters: &[u8], draw: &mut Draw<'_>) -> String {
    draw.some().iter().map(|byte| char::from(letters[usize::from(*byte) % letters.len()])).collect()
}

/// A secret with characters in it that nobody sees, or that stand where it is wrapped.
fn hidden(secret: &str, draw: &mut Draw<'_>) -> String {
    let (apart, hidden) =
        (draw.below(5) + 1, ["\u{200b}", "\t", "\u{ad}\u{2060}", "\0", " ", " \r\n  "][draw.below(6)]);
    let mut text = String::new();
    for (at, c) in secret.chars().enumerate() {
        text.push_str(if at % apart == 0 { hidden } else { "" });
        text.push(c);
    }
    text
}

/// A text in which secrets stand, also in base64, apart from words of other letters.
fn spoken(secrets: &[String], draw: &mut Draw<'_>) -> String {
    let secrets: Vec<&String> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    let mut text = String::new();
    for _ in 0..draw.below(24) {
        let Some(secret) = secrets.get(draw.below(secrets.len())) else {
            text.push_str(&of(OTHER, draw));
            continue;
        };
        // What stands beside a secret in an answer: in base64, letters of others.
        let (before, behind) = ("\0".repeat(draw.below(6)), "\0".repeat(draw.below(6)));
        let answer = format!("{before}{secret}{behind}");
        let part = match draw.below(7) {
            0 => of(OTHER, draw),
            1 => (*secret).clone(),
            2 => format!(" {} ", BASE64_STANDARD.encode(answer)),
            3 => format!(" {} ", BASE64_URL_SAFE.encode(answer)),
            4 => format!(" {} ", BASE64_STANDARD_NO_PAD.encode(answer)),
            5 => of(b" ", draw).repeat(draw.byte().into()),
            _ => hidden(secret, draw),
        };
        text.push_str(&part);
    }
    text
}

fn description() -> Description {
    let port = Parameter { default: Some(25.into()), ..Parameter::plain("port", ParameterKind::Port) };
    let shown = Parameter { default: Some("".into()), ..Parameter::plain("shown", ParameterKind::Text) };
    Description {
        measurement: "drawn".to_owned(),
        parameters: vec![port, shown],
        fields: vec![Field::plain("said", FieldKind::Text), Field::plain("count", FieldKind::Integer)],
        tags: vec![Tag { name: "shown".to_owned(), parameter: "shown".to_owned(), doc: String::new() }],
        parts: vec![Part {
            name: "part".to_owned(),
            doc: String::new(),
            tags: vec![PartTag { name: "which".to_owned(), doc: String::new() }],
            fields: vec![Field::plain("said", FieldKind::Text)],
        }],
        errors: vec![OwnError { code: 1000, name: "said".to_owned(), doc: String::new() }],
        ..Description::unknown(OWN_MEASUREMENT)
    }
}

/// A job of a check with this description, with these secrets.
fn job(name: &str, shown: &str, secrets: Secrets, description: Description) -> Option<Job> {
    let given = BTreeMap::from([("shown".to_owned(), shown.to_owned())]);
    let unloaded = Check::unknown("drawn", HostError::CheckLoad, String::new());
    let check = Check { description: Arc::new(description), ..unloaded };
    let job = AdHoc { parameters: given, ..AdHoc::new(name, &check, "mx1") }.job().ok()?;
    Some(Job { secrets, ..job })
}

pub fn line(data: &[u8]) {
    let mut draw = Draw::new(data);
    let arbitrary = draw.below(2) == 1;
    let count = draw.below(5);
    let secrets: Vec<String> =
        (0..count).map(|_| if arbitrary { draw.text() } else { of(SECRET, &mut draw) }).collect();
    let Ok(known) = Secrets::new(&secrets) else { return };
    // A job's name and what a tag shows are the operator's words.
    let (name, shown) = (draw.text(), draw.text());
    let name = if name.is_empty() { "x" } else { &name };
    let Some(job) = job(name, &shown, known, description()) else { return };
    let said = |draw: &mut Draw<'_>| if arbitrary { draw.text() } else { spoken(&secrets, draw) };
    let (error, field) = (said(&mut draw), said(&mut draw));
    let (alarm, issuer) = (said(&mut draw), said(&mut draw));
    let mut report = Report { fields: vec![("said".into(), Value::Text(field))], ..Report::default() };
    report.fields.push(("count".into(), Value::Integer(draw.number().into())));
    let number = f64::from_bits(u64::from_be_bytes(draw.bytes(8).try_into().unwrap_or_default()));
    report.fields.push(("number".into(), Value::Float(number)));
    // What an alarm says of a certificate is the server's as well.
    let ends_first = Some(Ending { place: Place::Server, subject: alarm, at: 0 });
    let facts = TlsFacts { issuer: Some(issuer), days_left: Some(1), ends_first, ..TlsFacts::default() };
    report.measured.contact.tls_facts = facts;
    let of = HostError::ALL[draw.below(HostError::ALL.len())];
    report.failure = Some(Failure { outcome: of.outcome(), code: of.code(), text: error });
    let masked = job.secrets.clone();
    let alarm_limits = Limit::parse("cert_days_left", Severity::Warning, "< 7").into_iter().collect();
    if !arbitrary {
        log(&masked, &secrets, &mut draw);
    }
    let mut part = || wit::Part {
        name: "part".to_owned(),
        tags: vec![wit::TagValue { name: "which".to_owned(), value: said(&mut draw) }],
        fields: vec![wit::Field { name: "said".to_owned(), value: wit::Value::Text(said(&mut draw)) }],
        failure: Some(wit::Failure {
            cause: wit::Cause::Judgement(wit::OwnFailure { kind: wit::FailureKind::Rejected, code: 1000 }),
            text: said(&mut draw),
        }),
    };
    let description = description();
    let mut reported = Reported::new(&description, 3, &masked);
    (0..3).for_each(|_| reported.add(part()).unwrap());
    (report.parts, report.parts_dropped) = (reported.parts, reported.dropped);
    let points = Job { alarm_limits, ..job }.points(&report, 7);
    let mut series: Vec<String> = points.all().map(|point| one(point, &secrets, arbitrary)).collect();
    assert_eq!(series.len() + usize::try_from(report.parts_dropped).unwrap(), 4, "{points:?}");
    series.sort();
    series.dedup();
    assert_eq!(series.len(), points.all().count(), "{points:?}");
}

/// One of the lines, as others read it; gives its series.
fn one(point: &Point, secrets: &[String], arbitrary: bool) -> String {
    let line = written::line(point);
    assert!(line.len() <= written::longest(&description()), "{} bytes", line.len());
    assert!(!line.contains(['\n', '\r', '\0']), "{line:?}");
    let points: Vec<_> = parse_lines(&line).collect();
    let [Ok(read)] = &points[..] else { panic!("{line:?} is {points:?}") };
    assert_eq!(
        (read.series.measurement.as_str(), read.timestamp),
        (&*point.measurement, Some(7)),
        "{line:?}"
    );
    let json: serde_json::Value = serde_json::from_str(&written::json(point)).unwrap();
    // A mask is made of stars.
    let leaks = |text: &str| {
        let stands =
            |secret: &&String| !secret.is_empty() && !secret.contains('*') && text.contains(&***secret);
        secrets.iter().find(stands).cloned()
    };
    if let Some(which) = json["tags"]["which"].as_str() {
        assert!(which.len() <= TAG_BYTES && !text::has_hidden(which), "{which:?}");
        assert_eq!(leaks(which), None, "{which:?}");
        assert!(arbitrary || !shows_secret(which), "{which:?} shows a part of one of {secrets:?}");
    }
    for (key, value) in &read.field_set {
        let FieldValue::String(text) = value else { continue };
        let text = text.as_str();
        assert!(text.len() <= text::TEXT_BYTES && !text::has_hidden(text), "{key}: {text:?}");
        assert_eq!(json["fields"][key.as_str()], text, "{key}");
        assert_eq!(leaks(text), None, "{key}: {text:?}");
        let foreign = if key.as_str() == "alarm" { of_alarm(text) } else { text };
        assert!(arbitrary || !shows_secret(foreign), "{key}: {text:?} shows a part of one of {secrets:?}");
    }
    let of_fields = line.find(" result_code=").expect("a line has a result");
    line[..of_fields].to_owned()
}

/// What of an alarm are a server's words.
fn of_alarm(text: &str) -> &str {
    let begin = "cert_days_left 1 < 7 (ends first: the server's own certificate";
    text.strip_prefix(begin).unwrap_or_default().trim_end_matches(')')
}

/// There is a letter in it that only secrets have.
fn shows_secret(text: &str) -> bool {
    text.contains(|c: char| c != '*' && !OTHER.contains(&u8::try_from(c).unwrap_or_default()))
}

/// The same in the log, cut into lines anywhere; not in base64, of whose letters some show bits of what is beside a secret.
fn log(known: &Secrets, secrets: &[String], draw: &mut Draw<'_>) {
    let text: String = (0..draw.below(16))
        .map(|_| match secrets.get(draw.below(secrets.len() + 1)) {
            None => of(OTHER, draw),
            Some(secret) if draw.below(2) == 0 => secret.clone(),
            Some(secret) => hidden(secret, draw),
        })
        .collect();
    let (mut sequence, mut rest, mut lines) = (Sequence::new(known, LOG_BYTES), &*text, 0);
    let mut shown = Vec::new();
    while !rest.is_empty() {
        let end = rest.ceil_char_boundary((draw.below(48) + 1).min(rest.len()));
        shown.extend(sequence.push(Some(lines), &rest[..end]));
        (rest, lines) = (&rest[end..], lines + 1);
    }
    shown.extend(sequence.end());
    assert!(shown.iter().map(|(line, _)| *line).eq(0..lines), "{shown:?}");
    for (_, line) in &shown {
        assert!(line.len() <= LOG_BYTES && !text::has_hidden(line), "{line:?}");
        assert!(!shows_secret(line), "{shown:?} shows a part of one of {secrets:?}");
    }
}
