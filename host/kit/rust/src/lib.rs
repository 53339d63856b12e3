//! NAME: reads the first line that a server says, times it, and looks whether it contains a text.

wit_bindgen::generate!({ path: "wit", world: "checker" });

use exports::sonde::check::check::{
    Cause, Description, ErrorDescription, Failure, FailureKind, Field, FieldDescription, FieldKind,
    Guest, Job, OwnFailure, Parameter, ParameterKind, Report, Value,
};
use sonde::check::network::{Connection, Endpoint, Error, Instant};

const UNEXPECTED: u32 = 1000;
const LINE_BYTES: u32 = 4096;

struct Check;

export!(Check);

fn parameter(name: &str, kind: ParameterKind, default: Option<&str>, doc: &str) -> Parameter {
    Parameter {
        name: name.into(),
        kind,
        required: default.is_none(),
        default: default.map(Into::into),
        conditional_defaults: Vec::new(),
        choices: Vec::new(),
        single_line: true,
        doc: doc.into(),
    }
}

/// What is in milliseconds here is a phase of the run.
fn field(name: &str, kind: FieldKind, unit: &str, doc: &str) -> FieldDescription {
    FieldDescription {
        name: name.into(),
        kind,
        unit: unit.into(),
        doc: doc.into(),
        when_unreported: None,
        phase: unit == "ms",
    }
}

impl Guest for Check {
    fn describe() -> Description {
        Description {
            name: "NAME".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            measurement: "MEASUREMENT".into(),
            doc: "Reads the first line that a server says.".into(),
            parameters: vec![
                parameter("port", ParameterKind::Port, None, "TCP port."),
                parameter(
                    "expect",
                    ParameterKind::Text,
                    Some("\"\""),
                    "Text that the line must contain.",
                ),
            ],
            fields: vec![
                field(
                    "greeting_time_ms",
                    FieldKind::Float,
                    "ms",
                    "From connected to the line's end.",
                ),
                field("greeting", FieldKind::Text, "", "The line."),
            ],
            tags: Vec::new(),
            errors: vec![ErrorDescription {
                code: UNEXPECTED,
                name: "unexpected-greeting".into(),
                doc: "The line does not contain `expect`.".into(),
            }],
        }
    }

    fn run(job: Job) -> Report {
        let parameters: serde_json::Value =
            serde_json::from_str(&job.parameters).unwrap_or_default();
        let expect = parameters["expect"].as_str().unwrap_or_default();
        let (line, elapsed_ns) = match first_line(&job.target) {
            Ok(read) => read,
            Err(Error { kind, text }) => {
                return Report {
                    fields: Vec::new(),
                    failure: Some(Failure {
                        cause: Cause::Network(kind),
                        text,
                    }),
                };
            }
        };
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        let failure = (text.is_empty() || !text.contains(expect)).then(|| Failure {
            cause: Cause::Judgement(OwnFailure {
                kind: FailureKind::StringMismatch,
                code: UNEXPECTED,
            }),
            text: format!("expected {expect:?} in {text:?}"),
        });
        let fields = vec![
            Field {
                name: "greeting_time_ms".into(),
                value: Value::Float(elapsed_ns as f64 / 1e6),
            },
            Field {
                name: "greeting".into(),
                value: Value::Text(text),
            },
        ];
        Report { fields, failure }
    }
}

/// The line, and the nanoseconds from connected to its end.
fn first_line(target: &Endpoint) -> Result<(Vec<u8>, Instant), Error> {
    let connection = Connection::connect(target)?;
    let connected_at = connection.opened().connected_at;
    let mut line = Vec::new();
    loop {
        let received = connection.read(LINE_BYTES, None)?;
        line.extend(&received.bytes);
        if received.bytes.is_empty() || line.ends_with(b"\n") || line.len() >= LINE_BYTES as usize {
            return Ok((line, received.received_at - connected_at));
        }
    }
}
