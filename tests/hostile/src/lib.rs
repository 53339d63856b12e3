//! A check that does harm in the way its parameter `harm` names.

#![cfg(target_family = "wasm")]
#![allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code, and harm"
)]

wit_bindgen::generate!({ path: "../../wit", world: "checker" });

use exports::sonde::check::check::*;
use sonde::check::{
    log,
    network::{Connection, Endpoint, ErrorKind},
};

struct Component;

export!(Component);

fn parameter(name: &str, kind: ParameterKind, default: &str) -> Parameter {
    Parameter {
        name: name.into(),
        kind,
        required: false,
        default: Some(default.into()),
        conditional_defaults: Vec::new(),
        choices: Vec::new(),
        single_line: true,
        doc: String::new(),
    }
}

fn field(name: &str, kind: FieldKind, when_unreported: Option<Value>) -> FieldDescription {
    FieldDescription { name: name.into(), kind, unit: String::new(), doc: String::new(), when_unreported }
}

impl Guest for Component {
    fn describe() -> Description {
        Description {
            name: "hostile".into(),
            version: "0".into(),
            measurement: "hostile".into(),
            doc: String::new(),
            parameters: vec![
                parameter("harm", ParameterKind::Text, "\"none\""),
                parameter("port", ParameterKind::Port, "1"),
                parameter("password", ParameterKind::Secret, "\"\""),
            ],
            fields: vec![
                field("state", FieldKind::Integer, Some(Value::Integer(-1))),
                field("time_ms", FieldKind::Float, None),
                field("said", FieldKind::Text, None),
            ],
            tags: Vec::new(),
            errors: vec![ErrorDescription { code: 1000, name: "harm".into(), doc: String::new() }],
        }
    }

    fn run(job: Job) -> Report {
        let parameters: serde_json::Value = serde_json::from_str(&job.parameters).unwrap();
        let mut report = Report { fields: vec![report("state", Value::Integer(1))], failure: None };
        let mut say = |text: String| report.fields.push(self::report("said", Value::Text(text)));
        let connect = |host: &str, port| Connection::connect(&Endpoint { host: host.into(), port });
        match parameters["harm"].as_str().unwrap() {
            "none" => {}
            "loop" => loop {
                std::hint::black_box(0);
            },
            "trap" => panic!("\x1b[31mharm\nE! forged"),
            "stack" => drop(recurse(1)),
            "bloat" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                }
            }
            "huge-report" => say("x".repeat(8 << 20)),
            "long-report" => say("x".repeat(1 << 20)),
            "flood-log" => {
                (0..50_000).for_each(|_| log::write(log::Level::Error, "\x1b[31mharm\nsmtp forged=1\u{202e}"))
            }
            "flood-calls" => loop {
                log::write(log::Level::Debug, "");
            },
            "unannounced" => report.fields.push(self::report("result", Value::Integer(0))),
            "twice" => report.fields.push(self::report("state", Value::Integer(2))),
            "retyped" => report.fields = vec![self::report("state", Value::Text("0i".into()))],
            "not-a-number" => report.fields.push(self::report("time_ms", Value::Float(f64::NAN))),
            "forged-code" => {
                let cause = Cause::Judgement(OwnFailure { kind: FailureKind::Rejected, code: 201 });
                report.failure = Some(Failure { cause, text: String::new() });
            }
            "forged-line" => say("\",state=9i 1\nsmtp,job=x state=1i\\".into()),
            "secret" => say(parameters["password"].as_str().unwrap().into()),
            "elsewhere" => {
                let errors =
                    [("127.0.0.2", job.target.port), (&job.target.host, 22), ("169.254.169.254", 80)]
                        .map(|(host, port)| connect(host, port).map(drop).unwrap_err());
                say(format!("{}", errors.iter().filter(|error| error.kind == ErrorKind::Denied).count()));
            }
            "connections" => {
                let open: Vec<_> = (0..1000).map(|_| connect(&job.target.host, job.target.port)).collect();
                let limited = open
                    .iter()
                    .filter(|open| matches!(open, Err(error) if error.kind == ErrorKind::LimitExceeded));
                say(format!("{}", limited.count()));
            }
            "silence" => {
                let connection = connect(&job.target.host, job.target.port).unwrap();
                let silent = connection.read(u32::MAX, Some(u32::MAX)).unwrap_err();
                report.failure = Some(Failure { cause: Cause::Network(silent.kind), text: silent.text });
            }
            "environment" => say(format!("{:?}", std::env::vars().count())),
            "clock" => say(format!("{:?}", std::time::SystemTime::now())),
            other => panic!("no such harm: {other}"),
        }
        report
    }
}

fn report(name: &str, value: Value) -> Field {
    Field { name: name.into(), value }
}

fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 {
        return 0;
    }
    let frame = [depth; 512];
    std::hint::black_box(&frame)[usize::try_from(depth % 512).unwrap()] + recurse(depth + 1)
}
