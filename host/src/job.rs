//! A job, as it runs: already valid, with every default filled in and every secret read; with a report in, the points of
//! its lines out.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value as Json};

use crate::{
    alarm::{self, Limit, State},
    check::Check,
    description::{PARTS_DROPPED, SERVER_TAG, part_measurement},
    grant::{Deny, Endpoint, Grant},
    host::Host,
    measured::of_endpoint,
    net::{NamedEndpoint, Reach, Tls},
    point::{Point, Points},
    report::{self, Failure, Report},
    sandbox::{self, Input, Judge, Run, Sandbox, Unfit},
    secret::{Secrets, apart::Apart},
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
    /// TCP port: tag `port`; none: the check has none for its host, or cannot run.
    pub port: Option<u16>,
    /// Its further endpoints, in the order of the description.
    pub endpoints: Arc<[NamedEndpoint]>,
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
    /// Which of them are not to be written to whom.
    pub apart: Apart,
    /// Trust in the server's TLS, shared with the jobs that have the same; a check can neither see nor change it.
    pub tls: Arc<Tls>,
    /// On measured values: what breaks them is its line's alarm.
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
            input: self.input(),
            reach: Reach::new(
                Grant::new(&self.host, self.port, &self.grants).denying(&self.deny),
                Arc::clone(&self.tls),
            )
            .naming(&self.endpoints, &self.apart),
            round_started_at_s: time,
            run_id,
        };
        sandbox.run(program, run).await
    }

    /// Lets its check judge it: what a parameter's kind does not say. Of a check without a program nothing is asked.
    pub async fn validate(&self) -> Result<(), Unfit> {
        match &self.check.program {
            Ok(program) => sandbox::validate(program, &self.input()).await,
            Err(_) => Ok(()),
        }
    }

    /// The same, of one of many.
    pub async fn validate_by(&self, judge: &mut Judge) -> Result<(), Unfit> {
        match &self.check.program {
            Ok(program) => judge.judge(program, &self.input()).await,
            Err(_) => Ok(()),
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            job: &self.name,
            label: format!("job {}: check {}", self.name, self.check.name),
            host: &self.host,
            port: self.port,
            endpoints: &self.endpoints,
            parameters: &self.parameters,
            secrets: &self.secrets,
            timeout: self.timeout,
        }
    }

    /// The points of a run's lines: its own, then those of its parts, with the tags of the job.
    #[must_use]
    pub fn points(&self, report: &Report, time_ns: i64) -> Points {
        let job = self.point(report, time_ns);
        let parts = report.parts.iter().map(|part| self.part(part, &job)).collect();
        Points { job, parts }
    }

    /// What the host says of a run, what the check says, and what the job's alarm limits say of both.
    fn point(&self, report: &Report, time_ns: i64) -> Point {
        let mut fields = self.fields(report);
        let alarm = alarm::judge(&self.alarm_limits, &fields, &report.measured, &report.parts);
        // It may name a certificate, in the server's words.
        push_alarm(&mut fields, alarm.state, self.shown(&alarm.text));
        let mut tags: BTreeMap<String, String> = self.tags.iter().cloned().collect();
        tags.insert("job".to_owned(), self.name.clone());
        tags.insert("server".to_owned(), self.host.to_string());
        if let Some(port) = self.port {
            tags.insert("port".to_owned(), port.to_string());
        }
        for endpoint in &*self.endpoints {
            tags.insert(of_endpoint(&endpoint.name, SERVER_TAG), endpoint.host.to_string());
        }
        tags.insert("result".to_owned(), report.outcome().name().to_owned());
        Point { measurement: self.check.description.measurement.clone(), tags, fields, time_ns }
    }

    /// The same of a part, which is clean already; its line stands beside that of the job.
    fn part(&self, part: &report::Part, job: &Point) -> Point {
        let own_fields = part.fields.iter().cloned();
        let mut fields: Vec<_> = outcome_fields(part.failure.as_ref()).chain(own_fields).collect();
        let alarm = alarm::judge_part(&self.alarm_limits, &part.kind, &fields);
        push_alarm(&mut fields, alarm.state, self.shown(&alarm.text));
        let mut tags = job.tags.clone();
        tags.extend(part.tags.iter().cloned());
        tags.insert("result".to_owned(), report::outcome(part.failure.as_ref()).name().to_owned());
        let measurement = part_measurement(&job.measurement, &part.kind);
        Point { measurement, tags, fields, time_ns: job.time_ns }
    }

    /// A text as it is shown: clean, short, and without the job's secrets.
    #[must_use]
    pub fn shown(&self, text: &str) -> String {
        self.secrets.outgoing(text, text::TEXT_BYTES)
    }

    fn fields(&self, report: &Report) -> Vec<(String, Value)> {
        let has_parts = !self.check.description.parts.is_empty();
        let dropped = has_parts.then(|| Value::Integer(report.parts_dropped.into()));
        let dropped = dropped.map(|dropped| (PARTS_DROPPED.name.to_owned(), dropped));
        let of_host = outcome_fields(report.failure.as_ref()).chain(dropped).chain(report.measured.fields());
        let mut fields: Vec<_> = of_host.chain(report.fields.iter().cloned()).collect();
        for text in fields.iter_mut().filter_map(|(_, value)| value.as_text_mut()) {
            *text = self.shown(text);
        }
        // An empty text says nothing.
        fields.retain(|(_, value)| *value != Value::Text(String::new()));
        fields
    }
}

/// What the host says of how a run or a part of it ended; without a text that says nothing.
fn outcome_fields(failure: Option<&Failure>) -> impl Iterator<Item = (String, Value)> {
    let code = failure.map_or(0, |failure| i64::from(failure.code.0));
    let text = failure.map(|failure| failure.text.clone()).filter(|text| !text.is_empty());
    let fields = [
        ("result_code", Some(Value::Integer(report::outcome(failure).code()))),
        ("error_code", Some(Value::Integer(code))),
        ("error", text.map(Value::Text)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

/// What the limits say of a line.
fn push_alarm(fields: &mut Vec<(String, Value)>, state: State, said: String) {
    fields.push(("alarm_state".to_owned(), Value::Integer(state.code())));
    if !said.is_empty() {
        fields.push(("alarm".to_owned(), Value::Text(said)));
    }
}

#[cfg(test)]
mod tests;
