//! What a check is made of: a description without ceremony, failures that `?` hands on, a report that keeps what was set
//! before them, and a reader of lines. Yours to change.

#![allow(dead_code, unused_imports)] // No check needs all of it.

pub use crate::wit::exports::sonde::check::check::*;
pub use crate::wit::sonde::check::network::{Connection, Endpoint, Error, Instant, Received, Verification};
pub use serde_json::{Value as Json, json};

const LINE_BYTES: u32 = 8192;

/// A check; `wit::export!(Name with_types_in wit)` makes it the component's. `given` are the job's parameters.
pub trait Check {
    fn description() -> Description;

    /// All that is wrong with a job, which then cannot be run.
    fn judge(_job: &Job, _given: &Json) -> Vec<Refusal> {
        Vec::new()
    }

    /// Fills the report. What is in it stays there if this fails, by the check's own judgement or because a network call does.
    fn measure(job: &Job, given: &Json, report: &mut Report) -> Result<(), Failure>;
}

impl<T: Check> Guest for T {
    fn describe() -> Description {
        T::description()
    }

    fn validate(job: Job) -> Vec<Refusal> {
        T::judge(&job, &serde_json::from_str(&job.parameters).unwrap_or_default())
    }

    fn run(job: Job) -> Report {
        let given = serde_json::from_str(&job.parameters).unwrap_or_default();
        let mut report = Report { fields: Vec::new(), parts: Vec::new(), failure: None };
        report.failure = T::measure(&job, &given, &mut report).err();
        report
    }
}

pub fn description(name: &str, version: &str, measurement: &str, doc: &str) -> Description {
    let [name, version, measurement, doc] = [name, version, measurement, doc].map(Into::into);
    let (parameters, fields, tags) = (Vec::new(), Vec::new(), Vec::new());
    let (endpoints, parts, errors) = (Vec::new(), Vec::new(), Vec::new());
    Description { name, version, measurement, doc, parameters, fields, tags, endpoints, parts, errors }
}

/// The job must give it where the default is `Json::Null`.
pub fn parameter(name: &str, kind: ParameterKind, default: impl Into<Json>, doc: &str) -> Parameter {
    let (default, [name, doc]) = (default.into(), [name, doc].map(Into::into));
    let required = default.is_null();
    let default = (!required).then(|| default.to_string());
    let (conditional_defaults, choices, endpoint) = (Vec::new(), Vec::new(), None);
    Parameter {
        name,
        kind,
        required,
        default,
        conditional_defaults,
        choices,
        single_line: true,
        endpoint,
        doc,
    }
}

impl Parameter {
    pub fn choices(self, choices: &[&str]) -> Self {
        Self { choices: choices.iter().map(|&choice| choice.into()).collect(), ..self }
    }

    /// The default where another parameter has this value.
    pub fn when(mut self, parameter: &str, equals: impl Into<Json>, default: impl Into<Json>) -> Self {
        let (equals, default) = (equals.into().to_string(), default.into().to_string());
        self.conditional_defaults.push(ConditionalDefault { parameter: parameter.into(), equals, default });
        self
    }
}

pub fn field(name: &str, kind: FieldKind, unit: &str, doc: &str) -> FieldDescription {
    let [name, unit, doc] = [name, unit, doc].map(Into::into);
    FieldDescription { name, kind, unit, doc, when_unreported: None, phase: false }
}

pub fn phase(name: &str, doc: &str) -> FieldDescription {
    FieldDescription { phase: true, ..field(name, FieldKind::Float, "ms", doc) }
}

pub fn error(code: u32, name: &str, doc: &str) -> ErrorDescription {
    ErrorDescription { code, name: name.into(), doc: doc.into() }
}

/// The check's own judgement.
pub fn failed(kind: FailureKind, code: u32, text: impl Into<String>) -> Failure {
    Failure { cause: Cause::Judgement(OwnFailure { kind, code }), text: text.into() }
}

impl From<Error> for Failure {
    fn from(Error { kind, text }: Error) -> Self {
        Self { cause: Cause::Network(kind), text }
    }
}

impl Report {
    /// Once or anew.
    pub fn set(&mut self, name: &str, value: Value) {
        self.fields.retain(|field| field.name != name);
        self.fields.push(Field { name: name.into(), value });
    }
}

/// Milliseconds from one instant to another.
pub fn ms(begin: Instant, end: Instant) -> Value {
    Value::Float(end.saturating_sub(begin) as f64 / 1e6)
}

/// Reads what a peer says. Fails with `code` where it closes, or says too much, inside a line.
pub struct Lines<'a> {
    connection: &'a Connection,
    code: u32,
    unread: Vec<u8>,
    /// When the end of the last line arrived.
    pub at: Instant,
}

impl<'a> Lines<'a> {
    pub fn new(connection: &'a Connection, code: u32) -> Self {
        Self { connection, code, unread: Vec::new(), at: 0 }
    }

    /// The next line, without white space around it. `what` is for the failure.
    pub fn next(&mut self, what: &str) -> Result<String, Failure> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim().into());
            }
            let Received { bytes, received_at } = self.connection.read(LINE_BYTES, None)?;
            if bytes.is_empty() || self.unread.len() > LINE_BYTES as usize {
                let why = if bytes.is_empty() { "the peer closes" } else { "the line is too long" };
                let text = format!("{what}: {why}, after {} bytes of it", self.unread.len());
                return Err(failed(FailureKind::ProtocolError, self.code, text));
            }
            self.unread.extend(bytes);
            self.at = received_at;
        }
    }
}
