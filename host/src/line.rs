//! One line of InfluxDB line protocol for one run: job, report and alarm in, text out. Pure. Whatever a
//! server or a check says, the line is one line and one point.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::{Map, Value as Json};

use crate::{
    alarm::Alarm,
    job::Job,
    report::{Report, Value},
    text,
};

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
            Value::Float(value) if value.is_finite() => value.to_string(),
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
        description::Description,
        net::{Deny, Tls},
        report::{Failure, Outcome},
        secret::Secrets,
    };

    fn job(name: &str) -> Job {
        Job {
            name: name.to_owned(),
            check: check(),
            host: "mx1".into(),
            port: 25,
            timeout: Duration::from_secs(1),
            parameters: Map::new(),
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

    proptest! {
        #[test]
        fn one_line_in_one_point_out_whatever_anybody_says(name in "\\PC{1,20}|[a-z\\\\,= \"\n\t]{1,12}x", said in any::<String>(), float in any::<f64>()) {
            let mut report = failed(&said);
            report.fields.push(("banner".into(), Value::Text(said.clone())));
            report.fields.push(("x_ms".into(), Value::Float(float)));
            let job = job(&name);
            let line = line(&job, &report, &Alarm::default(), 7);
            prop_assert!(!line.contains('\n'));
            let points: Vec<_> = parse_lines(&line).collect();
            prop_assert_eq!(points.len(), 1);
            let point = points[0].as_ref().unwrap();
            prop_assert_eq!(point.timestamp, Some(7));
            prop_assert_eq!(point.series.measurement.as_str(), "smtp");
            let expected = job.secrets.outgoing(&said, text::TEXT_BYTES);
            let read = point.field_set.iter().find(|(key, _)| key.as_str() == "error");
            match read {
                Some((_, FieldValue::String(read))) => prop_assert_eq!(read.as_str(), expected),
                _ => prop_assert!(expected.is_empty()),
            }
        }
    }
}
