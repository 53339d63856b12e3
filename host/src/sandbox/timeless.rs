//! What a component says before any run: its description, and its judgement of a job. Each is a function of its bytes and of
//! what it is given: it sees no clock and no chance, has no network, cannot wait, and gets the same limits wherever it is.

mod judge;

use tokio::time::{error::Elapsed, timeout};
use wasmtime::{Engine, Store};

pub use self::judge::Judge;
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
use crate::{
    catalogue::HostError,
    description::Description,
    report::Failure,
    secret::{Secrets, sequence::Sequence},
    text,
};

/// Refusals of a job that are told: nobody mends more at once.
const TOLD: usize = 16;

/// Of a refusal without a text.
const SAYS_NOTHING: &str = "the check does not say why";

/// What of a job is wrong: parameters and endpoints by their names in the description.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Blamed {
    /// A parameter.
    Parameter(String),
    /// Its own host.
    Host,
    /// The host of a further endpoint, or that it has one or none.
    Endpoint(String),
    /// Its time-out.
    Timeout,
    /// None of these alone.
    Job,
}

/// Why a job cannot be run, in its check's words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// What is wrong.
    pub blamed: Blamed,
    /// What is wrong with it; without secrets.
    pub text: String,
}

impl Blamed {
    /// Its key in the table of a job whose own host stands at `host`; none: it is the whole.
    #[must_use]
    pub fn key(&self, host: &str) -> Option<String> {
        match self {
            Self::Parameter(name) => Some(format!("parameters.{name}")),
            Self::Host => Some(host.to_owned()),
            Self::Endpoint(name) => Some(format!("endpoints.{name}")),
            Self::Timeout => Some("timeout".to_owned()),
            Self::Job => None,
        }
    }
}

impl Refusal {
    /// With its key.
    #[must_use]
    pub fn told(&self, host: &str) -> String {
        self.blamed.key(host).map(|key| format!("{key}: ")).unwrap_or_default() + &self.text
    }
}

/// Why a job is not run.
#[derive(Clone, Debug, PartialEq)]
pub enum Unfit {
    /// Its check says so: the first of its reasons, and the others.
    Refused(Refusal, Vec<Refusal>),
    /// Its check does not judge it.
    Unjudged(Failure),
}

pub(super) async fn describe(
    crowd: &Crowd,
    name: &str,
    pre: &CheckerPre<State>,
    log_lines: u32,
) -> Result<wit::Description, Failure> {
    let mut store =
        timeless(pre.engine(), crowd, Log::new(format!("check {name}"), Secrets::default(), log_lines));
    let meter = store.data().pace.meter.clone();
    let said = meter.count(Box::pin(timeout(limits::DESCRIBE_TIME, async {
        let check = pre.instantiate_async(&mut store).await?;
        check.sonde_check_check().call_describe(&mut store).await
    })));
    conclude(said.await, &store)
}

/// Lets a program judge a job. Refuses one that the program refuses, or does not judge.
pub async fn validate(program: &Program, input: &Input<'_>) -> Result<(), Unfit> {
    let log = Log::new(input.label.clone(), input.secrets.clone(), program.limits.log_lines);
    let mut store = timeless(program.pre.engine(), &Crowd::here(), log);
    let (meter, job) = (store.data().pace.meter.clone(), input.job());
    let said = meter.count(Box::pin(timeout(limits::DESCRIBE_TIME, async {
        let check = program.pre.instantiate_async(&mut store).await?;
        check.sonde_check_check().call_validate(&mut store, &job).await
    })));
    // Whatever it says, also the name of a parameter.
    let unjudged = |failure: Failure| {
        let text = input.secrets.outgoing(&failure.text, text::TEXT_BYTES);
        Unfit::Unjudged(Failure { text, ..failure })
    };
    let said = conclude(said.await, &store).map_err(unjudged)?;
    // They are read one after the other.
    let (mut texts, mut told) = (Sequence::new(input.secrets, text::TEXT_BYTES), Vec::new());
    for wit::Refusal { subject, text } in said.into_iter().take(TOLD) {
        let blamed = blamed(subject, &program.description)
            .map_err(|wrong| unjudged(Failure::of_host(HostError::CheckReport, wrong.to_string())))?;
        told.extend(texts.push(Some(blamed), if text.trim().is_empty() { SAYS_NOTHING } else { &text }));
    }
    told.extend(texts.end());
    let mut refusals = told.into_iter().map(|(blamed, text)| Refusal { blamed, text });
    match refusals.next() {
        None => Ok(()),
        Some(first) => Err(Unfit::Refused(first, refusals.collect())),
    }
}

/// What a refusal is about, which must be there.
fn blamed(from: wit::Subject, description: &Description) -> Result<Blamed, Contradiction> {
    let nothing = |what, name: String| Err(Contradiction::RefusalOfNothing(what, text::clean(&name)));
    Ok(match from {
        wit::Subject::Parameter(name) if !description.parameters.iter().any(|known| known.name == name) => {
            return nothing("parameter", name);
        }
        wit::Subject::Endpoint(name) if !description.endpoints.iter().any(|known| known.name == name) => {
            return nothing("endpoint", name);
        }
        wit::Subject::Parameter(name) => Blamed::Parameter(name),
        wit::Subject::Endpoint(name) => Blamed::Endpoint(name),
        wit::Subject::Host => Blamed::Host,
        wit::Subject::Timeout => Blamed::Timeout,
        wit::Subject::Job => Blamed::Job,
    })
}

fn timeless(engine: &Engine, crowd: &Crowd, log: Log) -> Store<State> {
    let limits = Limits { cpu_time: limits::DESCRIBE_CPU_TIME, ..Limits::default() };
    let mut store = store(engine, State::timeless(limits, log, crowd));
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
