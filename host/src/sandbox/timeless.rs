//! What a component says before any run: its description, and its judgement of a job. Each is a function of its bytes and of
//! what it is given: it sees no clock and no chance, has no network, cannot wait, and gets the same limits wherever it is.

use tokio::time::{error::Elapsed, timeout};
use wasmtime::{Engine, Store};

use super::{
    bindings::{CheckerPre, exports::sonde::check::check as wit},
    contradiction::Contradiction,
    cpu::Crowd,
    limits::{self, Limits},
    log::Log,
    program::Program,
    run::Input,
    state::State,
    store::{failure, store},
};
use crate::{catalogue::HostError, report::Failure, secret::Secrets, text};

/// Why a job cannot be run, in its check's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The parameter that is wrong.
    pub parameter: String,
    /// What is wrong with it; without secrets.
    pub text: String,
}

/// Why a job is not run.
#[derive(Clone, Debug, PartialEq)]
pub enum Unfit {
    /// Its check says so.
    Refused(Refusal),
    /// Its check does not judge it.
    Unjudged(Failure),
}

pub(super) async fn describe(
    engine: &Engine,
    crowd: &Crowd,
    name: &str,
    pre: &CheckerPre<State>,
    log_lines: u32,
) -> Result<wit::Description, Failure> {
    let mut store = timeless(engine, crowd, Log::new(format!("check {name}"), Secrets::default(), log_lines));
    let meter = store.data().meter.clone();
    let said = meter.count(timeout(limits::DESCRIBE_TIME, async {
        let check = pre.instantiate_async(&mut store).await?;
        check.sonde_check_check().call_describe(&mut store).await
    }));
    conclude(said.await, &store)
}

/// Lets a program judge a job.
pub(super) async fn validate(
    engine: &Engine,
    crowd: &Crowd,
    program: &Program,
    input: &Input<'_>,
) -> Result<(), Unfit> {
    let log = Log::new(input.label.clone(), input.secrets.clone(), program.limits.log_lines);
    let mut store = timeless(engine, crowd, log);
    let (meter, job) = (store.data().meter.clone(), input.job());
    let said = meter.count(timeout(limits::DESCRIBE_TIME, async {
        let check = program.pre.instantiate_async(&mut store).await?;
        check.sonde_check_check().call_validate(&mut store, &job).await
    }));
    // Whatever it says, also the name of a parameter.
    let unjudged = |failure: Failure| {
        let text = input.secrets.outgoing(&failure.text, text::TEXT_BYTES);
        Unfit::Unjudged(Failure { text, ..failure })
    };
    let said = conclude(said.await, &store).map_err(unjudged)?;
    let Some(wit::Refusal { parameter, text }) = said else { return Ok(()) };
    if !program.description.parameters.iter().any(|known| known.name == parameter) {
        let wrong = Contradiction::RefusalOfNothing(text::clean(&parameter));
        return Err(unjudged(Failure::of_host(HostError::CheckReport, wrong.to_string())));
    }
    Err(Unfit::Refused(Refusal { parameter, text: input.secrets.outgoing(&text, text::TEXT_BYTES) }))
}

fn timeless(engine: &Engine, crowd: &Crowd, log: Log) -> Store<State> {
    let limits = Limits { cpu_time: limits::DESCRIBE_CPU_TIME, ..Limits::default() };
    let mut store = store(engine, State::timeless(limits, log), crowd);
    store.set_hostcall_fuel(limits::DESCRIPTION_BYTES);
    store
}

fn conclude<T>(said: Result<wasmtime::Result<T>, Elapsed>, store: &Store<State>) -> Result<T, Failure> {
    match said {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(error)) => Err(failure(&error, store.data())),
        Err(_late) => {
            let text = format!("nothing within {:?}", limits::DESCRIBE_TIME);
            Err(Failure::of_host(HostError::CheckDeadline, text))
        }
    }
}
