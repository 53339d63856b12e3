use influxdb_line_protocol::{FieldValue, parse_lines};
use proptest::prelude::*;

use super::*;
use crate::{
    alarm::Severity,
    catalogue::HostError,
    check::Check,
    description::{Description, Field, FurtherEndpoint, Part, PartTag, TAG_BYTES, Tag},
    line::{line, lines, longest},
    measured::{Contact, Ending, Measured, Place, TlsFacts},
    report::{Failure, Outcome},
    value::FieldKind,
};

fn job(name: &str) -> Job {
    Job {
        name: name.to_owned(),
        check: check(),
        host: "mx1".parse().unwrap(),
        port: Some(25),
        endpoints: Arc::default(),
        timeout: Duration::from_secs(1),
        parameters: Arc::default(),
        tags: vec![("connection".into(), "plain".into())],
        grants: Vec::new(),
        deny: Deny::default(),
        secrets: Secrets::new(&["hunter2".into()]).unwrap(),
        apart: Apart::default(),
        tls: Arc::new(Tls::default()),
        alarm_limits: Vec::new(),
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
    report.measured.contact.connect = Some(Duration::from_micros(1_500));
    report.measured.total = Some(Duration::from_millis(42));
    report.fields.push(("sequence_code".into(), Value::Integer(0)));
    assert_eq!(
        line(&job("mx 1").point(&report, 7)),
        "smtp,connection=plain,job=mx\\ 1,port=25,result=success,server=mx1 result_code=0i,error_code=0i,\
         connect_time_ms=1.5,total_time_ms=42,sequence_code=0i,alarm_state=0i 7"
    );
}

#[test]
fn a_secret_that_the_server_echoes_is_masked() {
    let line = line(&job("a").point(&failed("535 hunter2"), 7));
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
    let field = |number: usize| {
        Field::plain(&name(100 + number), if number < 50 { FieldKind::Text } else { kinds[number % 4] })
    };
    description.fields = (0..100).map(field).collect();
    let mut job = job(&"=".repeat(256));
    job.host = "a".repeat(256).parse().unwrap();
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
    let contact = Contact {
        dns: Some(time),
        connect: Some(time),
        tls: Some(time),
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
    let endpoint = |number: usize| name(200 + number);
    report.measured = Measured {
        total: Some(time),
        own: Some(time),
        contact: contact.clone(),
        further: (0..4).map(|number| (endpoint(number), contact.clone())).collect(),
    };
    let further = |name: String| FurtherEndpoint { name, required: false, default: None, doc: String::new() };
    description.endpoints = (0..4).map(|number| further(endpoint(number))).collect();
    job.endpoints = (0..4)
        .map(|number| NamedEndpoint {
            name: endpoint(number),
            host: "x".repeat(256).parse().unwrap(),
            port: None,
            tls: Arc::default(),
        })
        .collect();
    job.alarm_limits = vec![Limit::parse("cert_days_left", Severity::Critical, "< 1").unwrap()];
    let ending = Ending { place: Place::Server, subject: worst.clone(), at: 0 };
    report.measured.contact.tls_facts.ends_first = Some(ending);
    let bound = longest(&description);
    job.check.description = Arc::new(description.clone());
    let line = line(&job.point(&report, i64::MIN));
    assert!(line.len() <= bound && bound - line.len() < 5000, "{} of {bound}", line.len());

    // And a part's, with what its job has in front of it.
    let tag = |name: &str| PartTag { name: name.repeat(64), doc: String::new() };
    let part = Part {
        name: "p".repeat(64),
        doc: String::new(),
        tags: vec![tag("s"), tag("t")],
        fields: [&description.fields[..], &[field(200), field(201)]].concat(),
    };
    report.parts = vec![report::Part {
        kind: part.name.clone(),
        tags: part.tags.iter().map(|tag| (tag.name.clone(), "=".repeat(TAG_BYTES))).collect(),
        fields: part.fields.iter().map(|field| (field.name.clone(), value(field))).collect(),
        failure: report.failure.clone(),
    }];
    // As the sandbox hands it over.
    let texts = report.parts[0].fields.iter_mut().filter_map(|(_, value)| value.as_text_mut());
    texts.for_each(|text| text.truncate(text::TEXT_BYTES));
    report.parts[0].failure.as_mut().unwrap().text.truncate(text::TEXT_BYTES);
    // The job's own is the shorter one now.
    description.fields.clear();
    description.parts = vec![part];
    let bound = longest(&description);
    job.alarm_limits =
        vec![Limit { part: Some("p".repeat(64)), ..Limit::parse(&worst, Severity::Warning, "1").unwrap() }];
    job.check.description = Arc::new(description);
    let parts = job.points(&report, i64::MIN).parts;
    let length = self::line(&parts[0]).len();
    assert!(length <= bound && bound - length < 3500, "{length} of {bound}");
}

#[test]
fn a_part_has_a_line_of_its_own_behind_that_of_its_job() {
    let mut job = job("a");
    let kind = Part { name: "box".into(), doc: String::new(), tags: Vec::new(), fields: Vec::new() };
    let mut description = (*job.check.description).clone();
    description.parts = vec![kind];
    job.check.description = Arc::new(description);
    let limit = |field: &str| Limit::parse(field, Severity::Warning, "5").unwrap();
    let of = |part: &str, field: &str| Limit { part: Some(part.into()), ..limit(field) };
    job.alarm_limits = vec![of("box", "count"), of("hop", "count")];
    let part = |name: &str, count: i64, failure: Option<Failure>| report::Part {
        kind: "box".into(),
        tags: vec![("name".into(), name.into())],
        fields: vec![("count".into(), Value::Integer(count))],
        failure,
    };
    let full = failed("full").failure;
    let report = Report {
        parts: vec![part("in box", 3, None), part("out", 7, full)],
        parts_dropped: 2,
        ..Report::default()
    };
    let of_job = "connection=plain,job=a,";
    assert_eq!(
        lines(&job.points(&report, 7)),
        format!(
            "smtp,{of_job}port=25,result=success,server=mx1 result_code=0i,error_code=0i,parts_dropped=2i,alarm_state=3i,\
             alarm=\"no part hop has a line\" 7\n\
             smtp_box,{of_job}name=in\\ box,port=25,result=success,server=mx1 result_code=0i,error_code=0i,count=3i,\
             alarm_state=0i 7\n\
             smtp_box,{of_job}name=out,port=25,result=timeout,server=mx1 result_code=1i,error_code=407i,error=\"full\",\
             count=7i,alarm_state=1i,alarm=\"count 7 > 5\" 7\n"
        )
    );
    let failed = job.points(&failed("gone"), 7);
    assert_eq!(failed.job.field("parts_dropped"), Some(&Value::Integer(0)));
    assert_eq!(failed.job.text("alarm"), "no part box has a line, no part hop has a line");
    assert!(failed.parts.is_empty());
}

proptest! {
    #[test]
    fn one_line_in_one_point_out_whatever_anybody_says(name in "\\PC{1,20}|[a-z\\\\,= \"\n\t]{1,12}x", said in any::<String>(), float in any::<f64>()) {
        let mut report = failed(&said);
        report.fields.push(("banner".into(), Value::Text(said.clone())));
        report.fields.push(("x_ms".into(), Value::Float(float)));
        let job = job(&name);
        let line = line(&job.point(&report, 7));
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

#[test]
fn what_an_alarm_says_of_a_certificate_is_clean_and_without_secrets() {
    let ending = Ending { place: Place::Server, subject: "CN=hunter2".into(), at: 0 };
    let mut report = Report::default();
    report.measured.contact.tls_facts =
        TlsFacts { days_left: Some(3), ends_first: Some(ending), ..TlsFacts::default() };
    let alarm_limits = vec![Limit::parse("cert_days_left", Severity::Warning, "< 7").unwrap()];
    let point = Job { alarm_limits, ..job("a") }.point(&report, 7);
    assert_eq!(point.field("alarm_state"), Some(&Value::Integer(1)));
    assert_eq!(point.text("alarm"), "cert_days_left 3 < 7 (ends first: the server's own certificate CN=***)");
}

#[test]
fn a_line_has_what_was_measured_of_each_endpoint_and_where_that_is() {
    let named = NamedEndpoint {
        name: "imap".to_owned(),
        host: "IMAP1".parse().unwrap(),
        port: Some(993),
        tls: Arc::default(),
    };
    let mut report = Report::default();
    let connect = |micros| Contact { connect: Some(Duration::from_micros(micros)), ..Contact::default() };
    report.measured.contact = connect(1_500);
    report.measured.further = vec![("imap".to_owned(), connect(2_500))];
    let alarm_limits = vec![Limit::parse("imap_connect_time_ms", Severity::Critical, "2").unwrap()];
    let job = Job { port: None, endpoints: [named].into(), alarm_limits, ..job("a") };
    assert_eq!(
        line(&job.point(&report, 7)),
        "smtp,connection=plain,imap_server=IMAP1,job=a,result=success,server=mx1 result_code=0i,error_code=0i,\
         connect_time_ms=1.5,imap_connect_time_ms=2.5,alarm_state=2i,alarm=\"imap_connect_time_ms 2.5 > 2\" 7"
    );
}
