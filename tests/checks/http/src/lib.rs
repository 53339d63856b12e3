//! HTTP: asks a web server for a page; its status, the time to the first byte, and whether the body contains a text
//! (HTTP/1.0, so that the body ends with the connection: RFC 9112).

#![cfg(target_family = "wasm")]

// What `sonde new` writes beside a check.
#[path = "../../../../host/kit/rust/src/sonde.rs"]
mod sonde;
mod wit {
    wit_bindgen::generate!({ path: "../../../wit", world: "checker" });
}

use sonde::*;

const NOT_HTTP: u32 = 1000;
const STATUS: u32 = 1001;
const BODY: u32 = 1002;
const READ_BYTES: u32 = 65_536;
const REPLY_BYTES: usize = 1 << 20;

struct Http;

wit::export!(Http with_types_in wit);

impl Check for Http {
    fn description() -> Description {
        use {FieldKind::*, ParameterKind as Kind};
        Description {
            parameters: vec![
                parameter("connection", Kind::Text, "plain", "Plain text, or TLS.")
                    .choices(&["plain", "tls"]),
                parameter("port", Kind::Port, 80, "TCP port.").when("connection", "tls", 443),
                parameter("path", Kind::Text, "/", "What to ask for."),
                parameter("status", Kind::Integer, 200, "Status that is right."),
                parameter("match", Kind::Text, "", "Text that the body must contain."),
            ],
            fields: vec![
                field("status", Integer, "", "Status of the reply."),
                field("body_bytes", Integer, "B", "Length of the body; 1 MiB of a reply is read."),
                phase("first_byte_time_ms", "The request to the reply's first byte."),
                field("transfer_time_ms", Float, "ms", "The request to the reply's end."),
            ],
            errors: vec![
                error(NOT_HTTP, "not-http", "What the server says is not HTTP."),
                error(STATUS, "unexpected-status", "The status is another."),
                error(BODY, "no-match", "The body does not contain the text."),
            ],
            ..description("http", env!("CARGO_PKG_VERSION"), "http", "Asks a web server for a page.")
        }
    }

    fn judge(_: &Job, given: &Json) -> Vec<Refusal> {
        if given["path"].as_str().is_some_and(|path| path.starts_with('/')) {
            return Vec::new();
        }
        let text = "expected a path that begins with `/`".into();
        vec![Refusal { subject: Subject::Parameter("path".into()), text }]
    }

    fn measure(job: &Job, given: &Json, report: &mut Report) -> Result<(), Failure> {
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
                report.set("first_byte_time_ms", ms(asked_at, received.received_at));
            }
            reply.extend_from_slice(&received.bytes);
            if received.bytes.is_empty() {
                report.set("transfer_time_ms", ms(asked_at, received.received_at));
                break;
            }
        }

        let fail = |kind, code, what: String| Err(failed(kind, code, format!("GET {path}: {what}")));
        let reply = String::from_utf8_lossy(&reply);
        let status = reply.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let (Some(status), Some((_, body))) = (status, reply.split_once("\r\n\r\n")) else {
            let begin: String = reply.chars().take(80).collect();
            return fail(FailureKind::ProtocolError, NOT_HTTP, format!("no HTTP reply: {begin:?}"));
        };
        report.set("status", Value::Integer(status));
        report.set("body_bytes", Value::Integer(body.len() as i64));
        let (expected, wanted) = (&given["status"], text("match"));
        if expected.as_i64() != Some(status) {
            return fail(FailureKind::Rejected, STATUS, format!("{status} and not {expected}"));
        }
        if !body.contains(wanted) {
            return fail(FailureKind::StringMismatch, BODY, format!("no {wanted:?} in the body"));
        }
        Ok(())
    }
}
