//! One run of a program: what it is given in, a report out. Whatever it does, the report says so.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Map;
use tokio::time::error::Elapsed;
use wasmtime::Engine;

use super::{
    bindings::exports::sonde::check::check as wit,
    contradiction::Contradiction,
    convert,
    cpu::Crowd,
    limits,
    log::Log,
    program::Program,
    state::State,
    store::{failure, store},
};
use crate::{
    catalogue::HostError,
    description::Description,
    grant::Grant,
    host::Host,
    net::Tls,
    report::{Failure, Report, Used},
    secret::Secrets,
    text,
    value::Value,
};

/// What one run of a program is given.
pub struct Run<'a> {
    /// Begins each of its lines in the log: `job NAME: check NAME`.
    pub label: String,
    /// What is to be checked, told to the check as it was written.
    pub host: &'a Host,
    /// TCP port there; none: unknown, the check is told 0.
    pub port: Option<u16>,
    /// What may be reached, `host` and `port` included.
    pub grant: Grant,
    /// Trust in the server's TLS; the check can neither see nor change it.
    pub tls: Arc<Tls>,
    /// From the call on; for its report the check has half a second more.
    pub timeout: Duration,
    /// All that were given or have a default, by name; secrets, too.
    pub parameters: &'a Map<String, serde_json::Value>,
    /// The secrets among them, masked in the log and the report.
    pub secrets: &'a Secrets,
    /// The round's start in Unix seconds.
    pub time: u64,
    /// Letters and digits that no other run anywhere has.
    pub run_id: &'a str,
}

/// Runs a program once. Never fails: what goes wrong is in the report.
pub(super) async fn run(engine: &Engine, crowd: &Crowd, program: &Program, run: Run<'_>) -> Report {
    let start = Instant::now();
    let log = Log::new(run.label, run.secrets.clone(), program.limits.log_lines);
    let state = State::new(program.limits.clone(), run.grant, run.tls, start + run.timeout, log);
    let meter = state.meter.clone();
    let mut store = store(engine, state, crowd);
    let input = wit::Job {
        target: wit::Endpoint { host: run.host.to_string(), port: run.port.unwrap_or_default() },
        parameters: serde_json::Value::Object(run.parameters.clone()).to_string(),
        time: run.time,
        run_id: run.run_id.to_owned(),
    };
    let (fields, failure) = meter
        .count(async {
            let ran = tokio::time::timeout(run.timeout + limits::GRACE, async {
                let instance = program.pre.instantiate_async(&mut store).await?;
                instance.sonde_check_check().call_run(&mut store, &input).await
            });
            let ran = ran.await;
            conclude(ran, &program.description, store.data(), run.timeout, run.secrets)
        })
        .await;
    let state = store.into_data();
    state.end();
    let measured = state.outbound.measured(start.elapsed());
    let used = Used { cpu: meter.used(), memory_bytes: state.limiter.memory_bytes() };
    Report { fields, failure, measured, used }
}

type Ran = Result<wasmtime::Result<wit::Report>, Elapsed>;
type Concluded = (Vec<(String, Value)>, Option<Failure>);

/// What a run comes to: a report as it was announced, or what went wrong; its texts without secrets and as short as they are
/// shown, so that nobody keeps megabytes until the line is written.
fn conclude(
    ran: Ran,
    description: &Description,
    state: &State,
    timeout: Duration,
    secrets: &Secrets,
) -> Concluded {
    let accepted = match ran {
        Ok(Ok(report)) => accept(report, description, state)
            .map_err(|contradiction| Failure::of_host(HostError::CheckReport, contradiction.to_string())),
        Ok(Err(error)) => Err(failure(&error, state)),
        Err(_late) => {
            let text = format!("no report within {timeout:?} and {:?} of grace: stopped", limits::GRACE);
            Err(Failure::of_host(HostError::CheckDeadline, text))
        }
    };
    let (mut fields, mut failure) =
        accepted.unwrap_or_else(|failure| (description.unreported(), Some(failure)));
    let values = fields.iter_mut().map(|(_, value)| value);
    let said = failure.iter_mut().map(|failure| &mut failure.text);
    for text in values.filter_map(Value::as_text_mut).chain(said) {
        *text = secrets.outgoing(text, text::TEXT_BYTES);
    }
    (fields, failure)
}

fn accept(report: wit::Report, description: &Description, state: &State) -> Result<Concluded, Contradiction> {
    let fields = convert::fields(report.fields, description)?;
    let failure = match report.failure {
        None => None,
        Some(wit::Failure { cause: wit::Cause::Network(kind), text }) => {
            Some(Failure::of_host(state.host_error(kind), text))
        }
        Some(wit::Failure { cause: wit::Cause::Judgement(own), text }) => {
            let (outcome, code) = convert::own_failure(own, description)?;
            Some(Failure { outcome, code, text })
        }
    };
    Ok((fields, failure))
}
