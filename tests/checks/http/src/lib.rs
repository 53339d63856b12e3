//! HTTP: asks a web server for a page; its status, the time to the first byte, and whether the body contains a text
//! (HTTP/1.0, so that the body ends with the connection: RFC 9112).

#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "checker" });

use exports::sonde::check::check::*;
use sonde::check::network::{Connection, Error, Instant};

const NOT_HTTP: u32 = 1000;
const STATUS: u32 = 1001;
const BODY: u32 = 1002;
const READ_BYTES: u32 = 65_536;
const REPLY_BYTES: usize = 1 << 20;

struct Check;

export!(Check);

/// What was measured, and what ended it.
#[derive(Default)]
struct Page {
    fields: Vec<Field>,
    failure: Option<Failure>,
}

impl Page {
    fn set(&mut self, name: &str, value: Value) {
        self.fields.push(Field { name: name.into(), value });
    }

    fn fail(&mut self, kind: FailureKind, code: u32, text: String) {
        self.failure = Some(Failure { cause: Cause::Judgement(OwnFailure { kind, code }), text });
    }

    fn time(&mut self, name: &str, from: Instant, to: Instant) {
        self.set(name, Value::Float(to.saturating_sub(from) as f64 / 1e6));
    }
}

fn ask(job: &Job, page: &mut Page) -> Result<(), Error> {
    let given: serde_json::Value = serde_json::from_str(&job.parameters).unwrap_or_default();
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    let connection = Connection::connect(&job.target)?;
    if text("connection") == "tls" {
        connection.start_tls()?;
    }
    let (host, path) = (&job.target.host, text("path").replace(' ', "%20"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: sonde\r\n\r\n");
    let asked_at = connection.write(request.as_bytes())?;
    let mut reply = Vec::new();
    while reply.len() < REPLY_BYTES {
        let received = connection.read(READ_BYTES, None)?;
        if reply.is_empty() && !received.bytes.is_empty() {
            page.time("first_byte_time_ms", asked_at, received.received_at);
        }
        reply.extend_from_slice(&received.bytes);
        if received.bytes.is_empty() {
            page.time("transfer_time_ms", asked_at, received.received_at);
            break;
        }
    }

    let reply = String::from_utf8_lossy(&reply);
    let status = reply.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let (Some(status), Some((_, body))) = (status, reply.split_once("\r\n\r\n")) else {
        let begin: String = reply.chars().take(80).collect();
        page.fail(FailureKind::ProtocolError, NOT_HTTP, format!("GET {path}: no HTTP reply: {begin:?}"));
        return Ok(());
    };
    page.set("status", Value::Integer(status));
    page.set("body_bytes", Value::Integer(body.len() as i64));
    let (expected, wanted) = (&given["status"], text("match"));
    if expected.as_i64() != Some(status) {
        page.fail(FailureKind::Rejected, STATUS, format!("GET {path}: {status} and not {expected}"));
    } else if !body.contains(wanted) {
        page.fail(FailureKind::StringMismatch, BODY, format!("GET {path}: no {wanted:?} in the body"));
    }
    Ok(())
}

fn parameter(name: &str, kind: ParameterKind, default: &str, doc: &str) -> Parameter {
    let text = |text: &str| text.to_owned();
    let at_tls =
        ConditionalDefault { parameter: text("connection"), equals: text("\"tls\""), default: text("443") };
    Parameter {
        name: text(name),
        required: false,
        default: Some(text(default)),
        conditional_defaults: if kind == ParameterKind::Port { vec![at_tls] } else { vec![] },
        choices: if name == "connection" { vec![text("plain"), text("tls")] } else { vec![] },
        kind,
        single_line: true,
        doc: text(doc),
    }
}

fn field((name, kind, unit, doc): (&str, FieldKind, &str, &str)) -> FieldDescription {
    let phase = name == "first_byte_time_ms";
    let [name, unit, doc] = [name, unit, doc].map(ToOwned::to_owned);
    FieldDescription { name, kind, unit, doc, when_unreported: None, phase }
}

fn error((code, name, doc): (u32, &str, &str)) -> ErrorDescription {
    ErrorDescription { code, name: name.into(), doc: doc.into() }
}

impl Guest for Check {
    fn describe() -> Description {
        let fields = [
            ("status", FieldKind::Integer, "", "Status of the reply."),
            ("body_bytes", FieldKind::Integer, "B", "Length of the body; 1 MiB of a reply is read."),
            ("first_byte_time_ms", FieldKind::Float, "ms", "The request to the reply's first byte."),
            ("transfer_time_ms", FieldKind::Float, "ms", "The request to the reply's end."),
        ];
        let errors = [
            (NOT_HTTP, "not-http", "What the server says is not HTTP."),
            (STATUS, "unexpected-status", "The status is another."),
            (BODY, "no-match", "The body does not contain the text."),
        ];
        Description {
            name: "http".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            measurement: "http".into(),
            doc: "Asks a web server for a page.".into(),
            parameters: vec![
                parameter("connection", ParameterKind::Text, "\"plain\"", "Plain text, or TLS."),
                parameter("port", ParameterKind::Port, "80", "TCP port."),
                parameter("path", ParameterKind::Text, "\"/\"", "What to ask for."),
                parameter("status", ParameterKind::Integer, "200", "Status that is right."),
                parameter("match", ParameterKind::Text, "\"\"", "Text that the body must contain."),
            ],
            fields: fields.map(field).into(),
            tags: Vec::new(),
            errors: errors.map(error).into(),
        }
    }

    fn run(job: Job) -> Report {
        let mut page = Page::default();
        if let Err(Error { kind, text }) = ask(&job, &mut page) {
            page.failure = Some(Failure { cause: Cause::Network(kind), text });
        }
        Report { fields: page.fields, failure: page.failure }
    }
}
