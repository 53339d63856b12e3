//! One run of a program: what it is given in, a report out. Whatever it does, the report says so.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Map;
use tokio::time::{self, error::Elapsed};
use wasmtime::Store;

use super::{
    bindings::{CheckerPre, exports::sonde::check::check as wit},
    cause,
    contradiction::Contradiction,
    cpu::Crowd,
    fields, limits,
    log::Log,
    parts::Reported,
    pool::Place,
    program::Program,
    repeats::Repeats,
    state::State,
    store::{failure, go_on, store},
};
use crate::{
    catalogue::HostError,
    description::Description,
    host::Host,
    net::{NamedEndpoint, Reach},
    report::{Failure, Report, Used},
    secret::Secrets,
    text,
    value::Value,
};

/// What a program is told of a job.
pub struct Input<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Begins each line in the log: `job NAME: check NAME`.
    pub label: String,
    /// What is to be checked, told to the check as it was written.
    pub host: &'a Host,
    /// TCP port there; none: the check has none for it, and is told 0.
    pub port: Option<u16>,
    /// The job's further endpoints.
    pub endpoints: &'a [NamedEndpoint],
    /// All that were given or have a default, by name; secrets, too.
    pub parameters: &'a Arc<Map<String, serde_json::Value>>,
    /// The secrets among them, masked in the log and in whatever is said.
    pub secrets: &'a Secrets,
    /// Of a run, from the call on; for its report the check has half a second more.
    pub timeout: Duration,
}

impl Input<'_> {
    /// As it is before a run: no time, no run.
    pub(super) fn job(&self) -> wit::Job {
        let endpoint = |host: &Host, port: Option<u16>| wit::Endpoint {
            host: host.to_string(),
            port: port.unwrap_or_default(),
        };
        let named = |own: &NamedEndpoint| wit::NamedEndpoint {
            name: own.name.clone(),
            endpoint: endpoint(&own.host, own.port),
        };
        wit::Job {
            name: self.job.to_owned(),
            target: endpoint(self.host, self.port),
            endpoints: self.endpoints.iter().map(named).collect(),
            // Names and values are texts already: nothing in them can be refused.
            parameters: serde_json::to_string(&**self.parameters).unwrap_or_default(),
            round_started_at_s: 0,
            started_at_ms: 0,
            deadline: nanoseconds(self.timeout),
            run_id: String::new(),
        }
    }
}

/// One run.
pub struct Run<'a> {
    /// Of this job.
    pub input: Input<'a>,
    /// What may be reached, the job's own host included, and by which rules; the check can neither see nor change it.
    pub reach: Reach,
    /// The round's start in Unix seconds.
    pub round_started_at_s: u64,
    /// Letters and digits that no other run anywhere has.
    pub run_id: &'a str,
}

/// Runs a program once, linked as `pre` is, in its place. Never fails: what goes wrong is in the report. (No `async fn`: its future
/// would have room for `run`, twice, as long as it waits.)
pub(super) fn run<'a>(
    (pre, place): (&'a CheckerPre<State>, Option<Place>),
    crowd: &Crowd,
    repeats: Option<&Repeats>,
    program: &'a Program,
    run: Run<'a>,
) -> impl Future<Output = Report> + use<'a> {
    let (start, started_at_ms) = (Instant::now(), unix_ms());
    let Input { ref label, secrets, timeout, .. } = run.input;
    let log = Log::new(label.clone(), secrets.clone(), program.limits.log_lines)
        .folding(repeats.map(|repeats| repeats.run(run.input.host.written())));
    let state = State::new(program.limits.clone(), run.reach, start + timeout, log, crowd);
    let (meter, thread_stack) = (state.pace.meter.clone(), state.outbound.thread_stack().clone());
    let job = wit::Job {
        round_started_at_s: run.round_started_at_s,
        started_at_ms,
        deadline: nanoseconds(state.outbound.time()),
        run_id: run.run_id.to_owned(),
        ..run.input.job()
    };
    let store = store(pre.engine(), state);
    async move {
        // The place is kept until nothing of the run is there.
        let (_place, mut store) = (place, store);
        let computing = Box::pin(async {
            let called = Box::pin(async {
                let instance = pre.instantiate_async(&mut store).await?;
                instance.sonde_check_check().call_run(&mut store, &job).await
            });
            let ran = within(timeout, thread_stack.serve(called)).await;
            conclude(ran, &program.description, &mut store, timeout, secrets).await
        });
        let report = meter.count(computing).await;
        let state = store.into_data();
        state.end();
        let measured = state.outbound.measured(start.elapsed());
        let used = Used { cpu: meter.used(), memory_bytes: state.limiter.memory_bytes() };
        Report { measured, used, ..report }
    }
}

/// With its grace, and as much more as we are late ourselves when we learn that its time is over: where the process was stopped, all
/// runs have something to do then. Its connections ask once more what has come (`net::deadline`), which is not to be disturbed.
async fn within<T>(time: Duration, mut called: impl Future<Output = T> + Unpin) -> Result<T, Elapsed> {
    let over = Instant::now() + time;
    match time::timeout_at(over.into(), &mut called).await {
        Ok(ended) => Ok(ended),
        Err(_over) => {
            let late = over.elapsed();
            tokio::task::yield_now().await;
            time::timeout(limits::GRACE + late, called).await
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Now, by the clock on the wall.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

type Ran = Result<wasmtime::Result<wit::Report>, Elapsed>;

/// What a run comes to: a report as it was announced, or what went wrong; its texts without secrets and as short as they are
/// shown, so that nobody keeps megabytes until the lines are written.
async fn conclude(
    ran: Ran,
    description: &Description,
    store: &mut Store<State>,
    timeout: Duration,
    secrets: &Secrets,
) -> Report {
    let accepted = match ran {
        Ok(Ok(report)) => accept(report, description, store, secrets).await,
        Ok(Err(error)) => Err(failure(&error, store.data())),
        Err(_late) => {
            let text = format!("no report within {timeout:?} and {:?} of grace: stopped", limits::GRACE);
            Err(Failure::of_host(HostError::CheckDeadline, text))
        }
    };
    let mut report = accepted.unwrap_or_else(|failure| Report {
        fields: description.unreported(),
        failure: Some(failure),
        ..Report::default()
    });
    let values = report.fields.iter_mut().map(|(_, value)| value);
    let said = report.failure.iter_mut().map(|failure| &mut failure.text);
    for text in values.filter_map(Value::as_text_mut).chain(said) {
        *text = secrets.outgoing(text, text::TEXT_BYTES);
    }
    report
}

async fn accept(
    report: wit::Report,
    description: &Description,
    store: &mut Store<State>,
    secrets: &Secrets,
) -> Result<Report, Failure> {
    let wrong =
        |contradiction: Contradiction| Failure::of_host(HostError::CheckReport, contradiction.to_string());
    let fields = fields::reported(report.fields, &description.fields).map_err(wrong)?;
    let failure = report.failure.map(|failure| cause::failure(failure, description));
    let failure = failure.transpose().map_err(wrong)?;
    let mut reported = Reported::new(description, store.data().limits.lines, secrets);
    for part in report.parts {
        reported.add(part).map_err(wrong)?;
        go_on(store).await?;
    }
    let Reported { parts, dropped: parts_dropped, .. } = reported;
    Ok(Report { fields, parts, parts_dropped, failure, ..Report::default() })
}
