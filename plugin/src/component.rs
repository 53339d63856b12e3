//! The component: the host's calls in, descriptions and reports out. Conversions only, and the host's connection as a transport.

use std::panic;

use crate::{
    bindings::{
        exports::sonde::check::check as wit,
        sonde::check::{log, network},
    },
    describe, dialogue,
    error::{self, ErrorCode},
    field::{self, Field, FieldKind},
    job::Job,
    parameters::{Invalid, Parameters},
    report::{Cause, Report, Value},
    transport::{ErrorKind, Fault, Instant, Secured, Transport},
};

/// Bytes of one call: a mail, encoded, may be more than the 4 MiB that one may hand over.
const WRITE_BYTES: usize = 256 << 10;

struct Component;

#[expect(unsafe_code, reason = "the generated exports, under their names")]
mod exports {
    use super::Component;

    crate::bindings::export!(Component);
}

impl wit::Guest for Component {
    fn describe() -> wit::Description {
        wit::Description {
            name: describe::NAME.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            measurement: describe::NAME.into(),
            doc: describe::DOC.into(),
            parameters: describe::PARAMETERS.iter().map(parameter).collect(),
            fields: Field::ALL.iter().map(|from| field(from.row())).collect(),
            tags: describe::TAGS
                .iter()
                .map(|(name, parameter, doc)| wit::TagDescription {
                    name: (*name).into(),
                    parameter: (*parameter).into(),
                    doc: (*doc).into(),
                })
                .collect(),
            endpoints: Vec::new(),
            parts: Vec::new(),
            errors: ErrorCode::ALL.iter().map(|from| error(from.row())).collect(),
        }
    }

    fn validate(job: wit::Job) -> Vec<wit::Refusal> {
        let refused = Parameters::read(&job.parameters).err().unwrap_or_default();
        refused.iter().map(refusal).collect()
    }

    fn run(job: wit::Job) -> wit::Report {
        // Without it a panic would only be a trap; the message says where.
        panic::set_hook(Box::new(|info| log::write(log::Level::Error, &info.to_string())));
        let report = match Parameters::read(&job.parameters) {
            Ok(parameters) => {
                let job = Job {
                    host: &job.target.host,
                    port: job.target.port,
                    parameters: &parameters,
                    time: job.round_started_at_s,
                    run_id: &job.run_id,
                };
                dialogue::run(&mut Host(None), &job)
            }
            Err(invalid) => {
                let told: Vec<_> =
                    invalid.iter().map(|wrong| format!("{}: {wrong}", wrong.parameter())).collect();
                dialogue::invalid(told.join("; "))
            }
        };
        convert(report)
    }
}

fn parameter(from: &describe::Parameter) -> wit::Parameter {
    let conditional = |(parameter, equals, default): &(&str, &str, &str)| wit::ConditionalDefault {
        parameter: (*parameter).into(),
        equals: (*equals).into(),
        default: (*default).into(),
    };
    wit::Parameter {
        name: from.name.into(),
        kind: from.kind,
        required: false,
        default: Some(from.default.into()),
        conditional_defaults: from.conditional_defaults.iter().map(conditional).collect(),
        choices: from.choices.iter().map(|choice| (*choice).into()).collect(),
        single_line: from.single_line,
        endpoint: None,
        doc: from.doc.into(),
    }
}

fn field(from: field::Row) -> wit::FieldDescription {
    let (kind, unit) = match from.kind {
        FieldKind::Time | FieldKind::Phase => (wit::FieldKind::Float, "ms"),
        FieldKind::Code | FieldKind::CodeAlways => (wit::FieldKind::Integer, ""),
        FieldKind::Text => (wit::FieldKind::Text, ""),
    };
    wit::FieldDescription {
        name: from.name.into(),
        kind,
        unit: unit.into(),
        doc: from.doc.into(),
        when_unreported: (from.kind == FieldKind::CodeAlways).then_some(wit::Value::Integer(-1)),
        phase: from.kind == FieldKind::Phase,
    }
}

fn refusal(from: &Invalid) -> wit::Refusal {
    wit::Refusal { subject: wit::Subject::Parameter(from.parameter().into()), text: from.to_string() }
}

fn error(from: error::Row) -> wit::ErrorDescription {
    wit::ErrorDescription { code: from.number, name: from.name.into(), doc: from.doc.into() }
}

fn convert(report: Report) -> wit::Report {
    let value = |value| match value {
        Value::Integer(value) => wit::Value::Integer(value),
        Value::Time(microseconds) => wit::Value::Float(milliseconds(microseconds)),
        Value::Text(value) => wit::Value::Text(value),
    };
    wit::Report {
        fields: report
            .fields
            .into_iter()
            .map(|(field, from)| wit::Field { name: field.row().name.into(), value: value(from) })
            .collect(),
        parts: Vec::new(),
        failure: report.failure.map(|failure| wit::Failure {
            cause: match failure.cause {
                Cause::Network(kind) => wit::Cause::Network(kind),
                Cause::Own(kind, code) => {
                    wit::Cause::Judgement(wit::OwnFailure { kind, code: code.row().number })
                }
            },
            text: failure.text,
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53: 285 years")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}

fn from_wit(error: network::Error) -> Fault {
    Fault { kind: error.kind, text: error.text }
}

/// The host's connection, once it is open.
struct Host(Option<network::Connection>);

impl Host {
    fn connection(&self) -> Result<&network::Connection, Fault> {
        self.0.as_ref().ok_or_else(|| Fault { kind: ErrorKind::InvalidState, text: "not connected".into() })
    }
}

impl Transport for Host {
    fn connect(&mut self, host: &str, port: u16) -> Result<Instant, Fault> {
        let to = network::Endpoint { host: host.into(), port };
        let connection = network::Connection::connect(&to).map_err(from_wit)?;
        let connected_at = connection.opened().connected_at;
        self.0 = Some(connection);
        Ok(connected_at)
    }

    fn start_tls(&mut self) -> Result<Secured, Fault> {
        let secured = self.connection()?.start_tls().map_err(from_wit)?;
        let verify_error = match secured.verification {
            network::Verification::Failed(error) => Some(error.text),
            network::Verification::Verified | network::Verification::Skipped => None,
        };
        Ok(Secured { at: secured.secured_at, wait: secured.wait_ns, verify_error })
    }

    fn read(&mut self, max: u32, wait_ms: Option<u32>) -> Result<(Vec<u8>, Instant), Fault> {
        let received = self.connection()?.read(max, wait_ms).map_err(from_wit)?;
        Ok((received.bytes, received.received_at))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Instant, Fault> {
        let connection = self.connection()?;
        let (first, rest) = bytes.split_at(bytes.len().min(WRITE_BYTES));
        let sent_at = connection.write(first).map_err(from_wit)?;
        for piece in rest.chunks(WRITE_BYTES) {
            connection.write(piece).map_err(from_wit)?;
        }
        Ok(sent_at)
    }
}
