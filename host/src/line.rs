//! One line of InfluxDB line protocol for one run: job, report and alarm in, text out. Pure. Whatever a
//! server or a check says, the line is one line and one point, and no longer than its check's description allows.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::{Map, Value as Json};

use crate::{
    alarm::Alarm,
    description::{Description, FieldKind, HOST_FIELDS, HOST_TAGS},
    job::Job,
    report::{Report, Value},
    text,
};

/// The longest line that a check may announce: readers of lines, such as agents, mostly give up at 64 KiB.
pub const LINE_BYTES: usize = 64 << 10;
/// A text or a tag's value as it is written, where all of it must be escaped.
const WRITTEN_BYTES: usize = 2 * text::TEXT_BYTES;
/// The longest numbers, `-9223372036854775808i` and `-2.2250738585072014e-308`.
const NUMBER_BYTES: usize = 24;

/// Bytes that a check's lines have at most, whatever is reported.
#[must_use]
pub fn longest(check: &Description) -> usize {
    let own_tags = check.tags.iter().map(|tag| tag.name.as_str());
    let tags =
        HOST_TAGS.iter().map(|tag| tag.0).chain(own_tags).map(|name| ",=".len() + name.len() + WRITTEN_BYTES);
    let own_fields = check.fields.iter().map(|field| (field.name.as_str(), field.kind));
    let fields = HOST_FIELDS.iter().map(|field| (field.0, field.1)).chain(own_fields).map(|(name, kind)| {
        let value = match kind {
            FieldKind::Integer | FieldKind::Float | FieldKind::Boolean => NUMBER_BYTES,
            FieldKind::Text => "\"\"".len() + WRITTEN_BYTES,
        };
        ",=".len() + name.len() + value
    });
    check.measurement.len() + tags.sum::<usize>() + fields.sum::<usize>() + " ".len() + NUMBER_BYTES
}

/// All fields of a line but those of the alarm, which judges them: texts clean and without secrets.
#[must_use]
pub fn fields(job: &Job, report: &Report) -> Vec<(String, Value)> {
    let mut fields = Vec::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.push((name.to_owned(), value));
        }
    };
    let measured = &report.measured;
    let facts = &measured.tls_facts;
    let said = |text: &Option<String>| text.clone().map(Value::Text);
    let failure = report.failure.as_ref();
    add("result_code", Some(Value::Integer(report.outcome().code())));
    add("error_code", Some(Value::Integer(failure.map_or(0, |failure| i64::from(failure.code.0)))));
    add("error", failure.map(|failure| Value::Text(failure.text.clone())));
    add("dns_time_ms", measured.dns.map(milliseconds));
    add("connect_time_ms", measured.connect.map(milliseconds));
    add("tls_time_ms", measured.tls.map(milliseconds));
    add("total_time_ms", measured.total.map(milliseconds));
    add("own_time_ms", measured.own.map(milliseconds));
    add("ip", measured.ip.map(|ip| Value::Text(ip.to_string())));
    add("tls_version", said(&facts.version));
    add("tls_cipher", said(&facts.cipher));
    add("tls_group", said(&facts.group));
    add("cert_days_left", facts.days_left.map(Value::Integer));
    add("cert_not_after", facts.not_after.map(Value::Integer));
    add("cert_chain_days_left", facts.chain_days_left.map(Value::Integer));
    add("cert_life_left_percent", facts.life_left_percent.map(Value::Integer));
    add("cert_issuer", said(&facts.issuer));
    add("verify_error", said(&facts.verify_error));
    for (name, value) in &report.fields {
        add(name, Some(value.clone()));
    }
    for text in fields.iter_mut().filter_map(|(_, value)| value.as_text_mut()) {
        *text = job.secrets.outgoing(text, text::TEXT_BYTES);
    }
    // An empty text says nothing.
    fields.retain(|(_, value)| *value != Value::Text(String::new()));
    fields
}

/// Milliseconds with microsecond resolution.
#[expect(clippy::cast_precision_loss, reason = "2^53 µs are 285 years")]
fn milliseconds(time: Duration) -> Value {
    Value::Float(time.as_micros() as f64 / 1000.0)
}

fn all_fields(job: &Job, report: &Report, alarm: &Alarm) -> Vec<(String, Value)> {
    let mut fields = fields(job, report);
    fields.push(("alarm_state".to_owned(), Value::Integer(alarm.state.code())));
    if !alarm.text.is_empty() {
        fields.push(("alarm".to_owned(), Value::Text(job.secrets.outgoing(&alarm.text, text::TEXT_BYTES))));
    }
    fields
}

/// The same tags on every line of a job but `result`, sorted by name.
fn tags(job: &Job, report: &Report) -> BTreeMap<String, String> {
    let mut tags: BTreeMap<String, String> = job.tags.iter().cloned().collect();
    tags.insert("job".to_owned(), job.name.clone());
    tags.insert("server".to_owned(), job.host.clone());
    if job.port != 0 {
        tags.insert("port".to_owned(), job.port.to_string());
    }
    tags.insert("result".to_owned(), report.outcome().name().to_owned());
    tags
}

/// What tells a job's lines from those of other jobs, as line protocol carries it: two jobs with the same could overwrite
/// each other's.
#[must_use]
pub fn series(job: &str, host: &str) -> [String; 2] {
    [job, host].map(|value| name(value, true))
}

fn begin(measurement: &str, tags: BTreeMap<String, String>) -> String {
    let mut line = name(measurement, false);
    for (key, value) in tags {
        let value = name(&value, true);
        // An empty tag is an error to every reader.
        if !value.is_empty() {
            line.push(',');
            line.push_str(&name(&key, true));
            line.push('=');
            line.push_str(&value);
        }
    }
    line
}

/// The line, without its end.
#[must_use]
pub fn line(job: &Job, report: &Report, alarm: &Alarm, time_ns: i64) -> String {
    let mut line = begin(&job.check.description.measurement, tags(job, report));
    let mut separator = ' ';
    for (key, value) in all_fields(job, report, alarm) {
        let written = match value {
            Value::Integer(value) => format!("{value}i"),
            Value::Float(value) if value.is_finite() => float(value),
            Value::Float(_) => continue,
            Value::Boolean(value) => value.to_string(),
            Value::Text(value) => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        };
        line.push(separator);
        line.push_str(&name(&key, true));
        line.push('=');
        line.push_str(&written);
        separator = ',';
    }
    let _infallible = write!(line, " {time_ns}");
    line
}

/// A float, in scientific notation where it would have many zeros.
fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) { format!("{value:e}") } else { value.to_string() }
}

/// A measurement, key or tag value: control characters become `_`, and no `\` ends it, since nothing can escape that.
fn name(text: &str, equals: bool) -> String {
    let mut name = String::new();
    for c in text.trim_end_matches('\\').chars() {
        if c.is_control() {
            name.push('_');
            continue;
        }
        if c == ',' || c == ' ' || (c == '=' && equals) {
            // A backslash in front of an escape would be read as part of it.
            while name.ends_with('\\') {
                name.pop();
            }
            name.push('\\');
        }
        name.push(c);
    }
    name
}

/// The same as JSON, for `--output json`.
#[must_use]
pub fn json(job: &Job, report: &Report, alarm: &Alarm, time_ns: i64) -> String {
    let mut fields = Map::new();
    for (name, value) in all_fields(job, report, alarm) {
        let value = match value {
            Value::Integer(value) => Json::from(value),
            Value::Float(value) => Json::from(value),
            Value::Boolean(value) => Json::from(value),
            Value::Text(value) => Json::from(value),
        };
        fields.insert(name, value);
    }
    serde_json::json!({
        "measurement": job.check.description.measurement,
        "tags": tags(job, report),
        "fields": fields,
        "time_ns": time_ns,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use influxdb_line_protocol::{FieldValue, parse_lines};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        catalogue::HostError,
        check::Check,
        description::{Field, Tag},
        net::{Deny, Tls},
        report::{Failure, Measured, Outcome, TlsFacts},
        secret::Secrets,
    };

    fn job(name: &str) -> Job {
        Job {
            name: name.to_owned(),
            check: check(),
            host: "mx1".into(),
            port: 25,
            timeout: Duration::from_secs(1),
            parameters: Arc::default(),
            tags: vec![("connection".into(), "plain".into())],
            grants: Vec::new(),
            deny: Deny::default(),
            secrets: Secrets::new(&["hunter2".into()]).unwrap(),
            tls: Arc::new(Tls::default()),
            limits: Vec::new(),
        }
    }

    fn check() -> Check {
        let description = Description { measurement: "smtp".into(), ..Description::unknown("smtp") };
        let program = Err(Failure::of_host(HostError::CheckLoad, String::new()));
        Check { name: "smtp".into(), description: Arc::new(description), program }
    }

    fn failed(text: &str) -> Report {
        let error = HostError::ReadTimeout;
        Report {
            failure: Some(Failure { outcome: Outcome::Timeout, code: error.code(), text: text.to_owned() }),
            ..Report::default()
        }
    }

    #[test]
    fn a_line_has_its_tags_sorted_and_its_types_marked() {
        let mut report = Report::default();
        report.measured.connect = Some(Duration::from_micros(1_500));
        report.measured.total = Some(Duration::from_millis(42));
        report.fields.push(("sequence_code".into(), Value::Integer(0)));
        assert_eq!(
            line(&job("mx 1"), &report, &Alarm::default(), 7),
            "smtp,connection=plain,job=mx\\ 1,port=25,result=success,server=mx1 result_code=0i,error_code=0i,\
             connect_time_ms=1.5,total_time_ms=42,sequence_code=0i,alarm_state=0i 7"
        );
    }

    #[test]
    fn a_secret_that_the_server_echoes_is_masked() {
        let line = line(&job("a"), &failed("535 hunter2"), &Alarm::default(), 7);
        assert!(line.contains("error=\"535 ***\""), "{line}");
    }

    #[test]
    fn the_longest_line_is_no_longer_than_announced() {
        let worst = "\"".repeat(300);
        let name = |number: usize| format!("{number:a>64}");
        let mut description = Description::unknown("smtp");
        description.measurement = "m".repeat(64);
        let tag = |number| Tag { name: name(number), parameter: String::new(), doc: String::new() };
        description.tags = (0..40).map(tag).collect();
        let kinds = [FieldKind::Text, FieldKind::Float, FieldKind::Integer, FieldKind::Boolean];
        let field = |number: usize| Field {
            name: name(100 + number),
            kind: if number < 50 { FieldKind::Text } else { kinds[number % 4] },
            unit: String::new(),
            doc: String::new(),
            when_unreported: None,
        };
        description.fields = (0..100).map(field).collect();
        let mut job = job(&"=".repeat(256));
        job.host = ",".repeat(256);
        job.tags = description.tags.iter().map(|tag| (tag.name.clone(), "=".repeat(256))).collect();
        let mut report = failed(&worst);
        let value = |field: &Field| match field.kind {
            FieldKind::Text => Value::Text(worst.clone()),
            FieldKind::Float => Value::Float(-f64::MIN_POSITIVE),
            FieldKind::Integer => Value::Integer(i64::MIN),
            FieldKind::Boolean => Value::Boolean(false),
        };
        report.fields = description.fields.iter().map(|field| (field.name.clone(), value(field))).collect();
        let time = Duration::from_micros(u64::MAX / 1000);
        let some = |text: &String| Some(text.clone());
        report.measured = Measured {
            dns: Some(time),
            connect: Some(time),
            tls: Some(time),
            total: Some(time),
            own: Some(time),
            ip: Some("fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap()),
            tls_facts: TlsFacts {
                version: some(&worst),
                cipher: some(&worst),
                group: some(&worst),
                not_after: Some(i64::MIN),
                days_left: Some(i64::MIN),
                chain_days_left: Some(i64::MIN),
                life_left_percent: Some(i64::MIN),
                issuer: some(&worst),
                verify_error: some(&worst),
                ..TlsFacts::default()
            },
        };
        let alarm = Alarm { text: worst.clone(), ..Alarm::default() };
        let longest = longest(&description);
        job.check.description = Arc::new(description);
        let line = line(&job, &report, &alarm, i64::MIN);
        assert!(line.len() <= longest && longest - line.len() < 2000, "{} of {longest}", line.len());
    }

    proptest! {
        #[test]
        fn one_line_in_one_point_out_whatever_anybody_says(name in "\\PC{1,20}|[a-z\\\\,= \"\n\t]{1,12}x", said in any::<String>(), float in any::<f64>()) {
            let mut report = failed(&said);
            report.fields.push(("banner".into(), Value::Text(said.clone())));
            report.fields.push(("x_ms".into(), Value::Float(float)));
            prop_assert!(self::float(float).len() <= NUMBER_BYTES);
            let job = job(&name);
            let line = line(&job, &report, &Alarm::default(), 7);
            prop_assert!(!line.contains('\n'));
            let points: Vec<_> = parse_lines(&line).collect();
            prop_assert_eq!(points.len(), 1);
            let point = points[0].as_ref().unwrap();
            prop_assert_eq!(point.timestamp, Some(7));
            prop_assert_eq!(point.series.measurement.as_str(), "smtp");
            let written = point.field_set.iter().find(|(key, _)| key.as_str() == "x_ms");
            prop_assert_eq!(written.map(|(_, value)| value.clone()), float.is_finite().then_some(FieldValue::F64(float)));
            let expected = job.secrets.outgoing(&said, text::TEXT_BYTES);
            let read = point.field_set.iter().find(|(key, _)| key.as_str() == "error");
            match read {
                Some((_, FieldValue::String(read))) => prop_assert_eq!(read.as_str(), expected),
                _ => prop_assert!(expected.is_empty()),
            }
        }
    }
}
