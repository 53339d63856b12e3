//! A job, as it runs: already valid, with every default filled in and every secret read; with a report in, the point of its
//! line out.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use crate::{
    alarm::{self, Limit},
    check::Check,
    grant::{Deny, Endpoint, Grant},
    host::Host,
    net::Tls,
    point::Point,
    report::Report,
    sandbox::{Run, Sandbox},
    secret::Secrets,
    text,
    value::Value,
};

/// One job.
#[derive(Clone)]
pub struct Job {
    /// Tag `job`.
    pub name: String,
    /// What it runs.
    pub check: Check,
    /// Host name or address, IPv6 without brackets: tag `server`, and what the sandbox grants together with `port`.
    pub host: Host,
    /// TCP port: tag `port`; none: unknown, the check cannot run.
    pub port: Option<u16>,
    /// What the check may reach besides.
    pub grants: Vec<Endpoint>,
    /// What nothing reaches: the configuration's, the same for all jobs.
    pub deny: Deny,
    /// Soft deadline, from the job's own start.
    pub timeout: Duration,
    /// What the check gets, for all hosts of the job; contains secrets, hence no derived `Debug`.
    pub parameters: Arc<Map<String, Json>>,
    /// The check's tags, from its parameters: clean, without secrets, no longer than a field's text.
    pub tags: Vec<(String, String)>,
    /// Every secret among the parameters, to be masked wherever text leaves us.
    pub secrets: Secrets,
    /// Trust in the server's TLS, shared with the jobs that have the same; a check can neither see nor change it.
    pub tls: Arc<Tls>,
    /// On measured values: what breaks them is the line's alarm.
    pub alarm_limits: Vec<Limit>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("check", &self.check.name)
            .field("host", &self.host.written())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// Runs its check once. Never fails: what goes wrong is in the report. `time` is the round's start in Unix seconds, `run_id`
    /// unique in the world.
    pub async fn run(&self, sandbox: &Sandbox, time: u64, run_id: &str) -> Report {
        let program = match &self.check.program {
            Ok(program) => program,
            Err(failure) => {
                let fields = self.check.description.unreported();
                return Report { fields, failure: Some(failure.clone()), ..Report::default() };
            }
        };
        let run = Run {
            label: format!("job {}: check {}", self.name, self.check.name),
            host: &self.host,
            port: self.port,
            grant: Grant::new(&self.host, self.port, &self.grants).denying(&self.deny),
            tls: Arc::clone(&self.tls),
            timeout: self.timeout,
            parameters: &self.parameters,
            secrets: &self.secrets,
            time,
            run_id,
        };
        sandbox.run(program, run).await
    }

    /// The point of a run's line: what the host says of it, what the check says, and what the job's alarm limits say of both.
    #[must_use]
    pub fn point(&self, report: &Report, time_ns: i64) -> Point {
        let mut fields = self.fields(report);
        let alarm = alarm::judge(&self.alarm_limits, &fields, &report.measured.tls_facts);
        fields.push(("alarm_state".to_owned(), Value::Integer(alarm.state.code())));
        // It may name a certificate, in the server's words.
        let said = self.shown(&alarm.text);
        if !said.is_empty() {
            fields.push(("alarm".to_owned(), Value::Text(said)));
        }
        let mut tags: BTreeMap<String, String> = self.tags.iter().cloned().collect();
        tags.insert("job".to_owned(), self.name.clone());
        tags.insert("server".to_owned(), self.host.to_string());
        if let Some(port) = self.port {
            tags.insert("port".to_owned(), port.to_string());
        }
        tags.insert("result".to_owned(), report.outcome().name().to_owned());
        Point { measurement: self.check.description.measurement.clone(), tags, fields, time_ns }
    }

    /// A text as it is shown: clean, short, and without the job's secrets.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        self.secrets.outgoing(text, text::TEXT_BYTES)
    }

    fn fields(&self, report: &Report) -> Vec<(String, Value)> {
        let failure = report.failure.as_ref();
        let code = failure.map_or(0, |failure| i64::from(failure.code.0));
        let of_host = [
            ("result_code", Some(Value::Integer(report.outcome().code()))),
            ("error_code", Some(Value::Integer(code))),
            ("error", failure.map(|failure| Value::Text(failure.text.clone()))),
        ];
        let of_host = of_host.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let of_host = of_host.chain(report.measured.fields()).map(|(name, value)| (name.to_owned(), value));
        let mut fields: Vec<_> = of_host.chain(report.fields.iter().cloned()).collect();
        for text in fields.iter_mut().filter_map(|(_, value)| value.as_text_mut()) {
            *text = self.shown(text);
        }
        // An empty text says nothing.
        fields.retain(|(_, value)| *value != Value::Text(String::new()));
        fields
    }
}

#[cfg(test)]
mod tests;
