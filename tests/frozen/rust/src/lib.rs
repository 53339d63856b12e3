//! A check that uses every item of the interface, for `rust.wasm`: see the README.

mod sonde;
mod wit {
    wit_bindgen::generate!({ path: "../wit", world: "checker" });
}

use sonde::*;
use wit::sonde::check::{log, network::ErrorKind};

const UNEXPECTED: u32 = 1000;

struct Frozen;

wit::export!(Frozen with_types_in wit);

impl Check for Frozen {
    fn description() -> Description {
        use {FieldKind::*, ParameterKind as Kind};
        let at_second = |parameter| Parameter { endpoint: Some("second".into()), ..parameter };
        let fields = |fields: [(&str, FieldKind, Value); 4]| -> Vec<FieldDescription> {
            let unreported = |(name, kind, value)| FieldDescription {
                when_unreported: Some(value),
                ..field(name, kind, "", "A value of its kind.")
            };
            fields.map(unreported).into()
        };
        Description {
            parameters: vec![
                parameter("port", Kind::Port, Json::Null, "TCP port."),
                at_second(
                    parameter("second_port", Kind::Port, 1, "TCP port of the second.").when("mode", "b", 2),
                ),
                at_second(parameter("token", Kind::Secret, "", "What only the second is told.")),
                parameter("mode", Kind::Text, "a", "One of two.").choices(&["a", "b"]),
                parameter("whole", Kind::Integer, 1, "A whole number."),
                parameter("half", Kind::Number, 0.5, "A number."),
                parameter("yes", Kind::Boolean, true, "A choice."),
                parameter("texts", Kind::TextList, json!(["x"]), "Texts."),
                parameter(
                    "codes",
                    Kind::IntegerList,
                    json!([220]),
                    "Codes that the first line may begin with.",
                ),
                parameter("tls", Kind::Boolean, false, "Whether TLS begins behind the first line."),
                parameter("pause", Kind::Duration, 250, "How long to wait for what comes unasked."),
                parameter("want", Kind::Table, json!({ "text": "" }), "`text`: what the line must contain."),
                Parameter {
                    required: false,
                    ..parameter("absent", Kind::Text, Json::Null, "Absent unless given.")
                },
            ],
            fields: [
                vec![phase("greeting_time_ms", "From connected to the line's end.")],
                fields([
                    ("whole", Integer, Value::Integer(0)),
                    ("half", Float, Value::Float(0.0)),
                    ("yes", Boolean, Value::Boolean(false)),
                    ("greeting", Text, Value::Text("none".into())),
                ]),
            ]
            .concat(),
            tags: vec![TagDescription {
                name: "mode".into(),
                parameter: "mode".into(),
                doc: "One of two.".into(),
            }],
            endpoints: vec![EndpointDescription {
                name: "second".into(),
                required: false,
                default: Some("{host}".into()),
                doc: "Says a line as well.".into(),
            }],
            parts: vec![PartDescription {
                name: "line".into(),
                doc: "A line that came.".into(),
                tags: vec![PartTag { name: "of".into(), doc: "Whose it is.".into() }],
                fields: vec![
                    field("line_time_ms", Float, "ms", "From connected to its end."),
                    field("bytes", Integer, "B", "Its length."),
                    field("expected", Boolean, "", "It is as wanted."),
                    field("peer", Text, "", "With TLS what is known of who says it; else the address that it is said to."),
                    field("line", Text, "", "The line."),
                ],
            }],
            errors: vec![error(UNEXPECTED, "unexpected-line", "The line is not as wanted.")],
            ..description("frozen", "1.0.0", "frozen", "Reads a line of each of its endpoints.")
        }
    }

    fn judge(job: &Job, given: &Json) -> Vec<Refusal> {
        let known = |(key, value): (&String, &Json)| key == "text" && value.is_string();
        let mut refused = Vec::new();
        let mut refuse = |subject, text: &str| refused.push(Refusal { subject, text: text.into() });
        // No time passes here, and no run has a name.
        if (job.round_started_at_s, job.started_at_ms, &*job.run_id) != (0, 0, "") {
            refuse(Subject::Job, "a time in `validate`");
        }
        if !given["want"].as_object().is_some_and(|want| want.iter().all(known)) {
            refuse(Subject::Parameter("want".into()), "expected `text` and a text");
        }
        if job.target.host == "192.0.2.1" {
            refuse(Subject::Host, "not this one");
        }
        if job.endpoints.iter().any(|second| second.endpoint.host == "192.0.2.1") {
            refuse(Subject::Endpoint("second".into()), "nor here");
        }
        if job.deadline < 1_000_000_000 {
            refuse(Subject::Timeout, "expected 1s at least");
        }
        refused
    }

    fn measure(job: &Job, given: &Json, report: &mut Report) -> Result<(), Failure> {
        log::write(log::Level::Information, &format!("{} runs", job.name));
        report.set("whole", Value::Integer(given["whole"].as_i64().unwrap_or_default()));
        report.set("half", Value::Float(given["half"].as_f64().unwrap_or_default()));
        report.set("yes", Value::Boolean(given["yes"].as_bool().unwrap_or_default()));
        let first = line("target", &job.target, given)?;
        for field in &first.fields {
            match (&*field.name, &field.value) {
                ("line_time_ms", time) => report.set("greeting_time_ms", time.clone()),
                ("line", text) => report.set("greeting", text.clone()),
                _ => {}
            }
        }
        let failure = first.failure.clone();
        report.parts.push(first);
        for NamedEndpoint { name, endpoint } in &job.endpoints {
            report.parts.push(line(name, endpoint, given)?);
        }
        failure.map_or(Ok(()), Err)
    }
}

/// The line that somebody says, as a part.
fn line(of: &str, endpoint: &Endpoint, given: &Json) -> Result<Part, Failure> {
    let connection = Connection::connect(endpoint)?;
    let mut lines = Lines::new(&connection, UNEXPECTED);
    let line = lines.next(of)?;
    // What comes unasked; nothing is not an error.
    let pause = given["pause"].as_u64().and_then(|ms| u32::try_from(ms).ok());
    let unasked = match connection.read(1024, pause) {
        Ok(received) => received.bytes.len(),
        Err(error) if error.kind == ErrorKind::WaitEnded => 0,
        Err(error) => return Err(error.into()),
    };
    let said_at = connection.write(b"EHLO frozen\r\n")?;
    let peer = if given["tls"] == true {
        let secured = connection.start_tls()?;
        let in_order = secured.started_at + secured.wait_ns <= secured.secured_at && said_at <= secured.started_at;
        let shown = !(secured.version.is_empty() || secured.cipher.is_empty() || secured.group.is_empty());
        match secured.verification {
            _ if !in_order || !shown => "?".into(),
            Verification::Verified => "verified".into(),
            Verification::Skipped => "skipped".into(),
            Verification::Failed(error) => format!("{:?}", error.kind),
        }
    } else {
        connection.opened().local_address
    };
    // A single number is a list of one.
    let codes = given["codes"].as_array().map_or(std::slice::from_ref(&given["codes"]), Vec::as_slice);
    let begins = codes.iter().any(|code| line.starts_with(&code.to_string()));
    let expected =
        begins && line.contains(given["want"]["text"].as_str().unwrap_or_default()) && unasked == 0;
    let field = |name: &str, value| Field { name: name.into(), value };
    Ok(Part {
        name: "line".into(),
        tags: vec![TagValue { name: "of".into(), value: of.into() }],
        fields: vec![
            field("line_time_ms", ms(connection.opened().connected_at, lines.at)),
            field("bytes", Value::Integer(line.len() as i64)),
            field("expected", Value::Boolean(expected)),
            field("peer", Value::Text(peer)),
            field("line", Value::Text(line.clone())),
        ],
        failure: (!expected)
            .then(|| failed(FailureKind::StringMismatch, UNEXPECTED, format!("{of}: {line:?}"))),
    })
}
