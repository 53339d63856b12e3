//! The only door to wasm: takes a component and a job, gives a report. Whatever a check does (trap, loop, grow, lie), the
//! report says so and the next run starts from nothing. A check that cannot be loaded reports that, for each of its jobs.

mod bindings;
pub mod cache;
mod compile;
mod convert;
mod cpu;
pub(crate) mod engine;
pub(crate) mod limits;
mod load;
mod log;
mod network;
mod state;
mod wasi;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bindings::{CheckerPre, exports::sonde::check::check as wit};
use cache::{Cache, CacheError};
use convert::Contradiction;
use cpu::{Busy, Crowd};
pub use limits::Limits;
pub(crate) use load::IMPORTS;
pub use load::LoadError;
use log::Log;
use state::{Flood, State};
use tokio::task;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::{
    catalogue::HostError,
    description::Description,
    job::Job,
    net::Grant,
    report::{Failure, Report, Used},
    text,
};

/// The built-in probe, and what it was compiled to.
const SMTP_WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.wasm"));
const SMTP_COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.cwasm"));
/// Name of the built-in probe.
pub use crate::config::sample::SMTP;

/// Where a check comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    BuiltIn,
    /// A file with this digest.
    File(String),
}

/// A check's file, and how it may run.
#[derive(Clone, Debug)]
pub struct Source {
    /// By which jobs call it.
    pub name: String,
    /// Of the component.
    pub path: PathBuf,
    /// The component's digest, where only one will do.
    pub sha256: Option<String>,
    /// What each run may use up.
    pub limits: Limits,
}

/// One usable check.
struct Check {
    origin: Origin,
    pre: CheckerPre<State>,
    description: Arc<Description>,
    imports: Vec<String>,
    limits: Limits,
}

/// The engine and the checks loaded into it; lives as long as the process.
pub struct Sandbox {
    engine: Engine,
    crowd: Crowd,
    checks: BTreeMap<String, Check>,
    /// Checks that could not be loaded, and why.
    broken: BTreeMap<String, Failure>,
}

impl Sandbox {
    /// Starts the engine and loads the built-in probe.
    pub async fn new() -> Result<Self, LoadError> {
        let engine = Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION")))
            .map_err(|error| LoadError::Engine(chain(&error)))?;
        tick(&engine);
        let component = compile::builtin(&engine, SMTP_COMPILED, SMTP_WASM)?;
        let crowd = Crowd::default();
        let smtp = load::check(&engine, &crowd, SMTP, &component, Origin::BuiltIn, Limits::default()).await?;
        let checks = BTreeMap::from([(SMTP.to_owned(), smtp)]);
        Ok(Self { engine, crowd, checks, broken: BTreeMap::new() })
    }

    /// Loads components' files, each under its name and all at once, so that none holds up the others; says of each, in their
    /// order, whether it can be used. Without a cache they are compiled anew; without the feature `compiler` they must be in
    /// the cache.
    pub async fn load(
        &mut self,
        sources: Vec<Source>,
        cache: &Arc<Result<Cache, CacheError>>,
    ) -> Vec<Result<(), LoadError>> {
        let mut loading = Vec::new();
        for source in sources {
            let (engine, crowd, cache) = (self.engine.clone(), self.crowd.clone(), Arc::clone(cache));
            let name = source.name.clone();
            loading
                .push((name, task::spawn(async move { load::file(&engine, &crowd, source, &cache).await })));
        }
        let mut loaded = Vec::new();
        for (name, check) in loading {
            let panicked = |error| Err(LoadError::Component(format!("the host failed over it: {error}")));
            let check = check.await.unwrap_or_else(panicked);
            loaded.push(check.and_then(|check| self.add(name, check)));
        }
        loaded
    }

    /// Every job of the check `name` reports that it could not be loaded.
    pub fn refuse(&mut self, name: &str, error: &LoadError) {
        let text = format!("check `{name}`: {error}");
        self.broken.insert(name.to_owned(), host_failure(error.host_error(), text));
    }

    /// The check could not be loaded.
    #[must_use]
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.contains_key(name)
    }

    /// What the check `name` imports, by the interfaces' names.
    #[must_use]
    pub fn imports(&self, name: &str) -> &[String] {
        self.checks.get(name).map(|check| &*check.imports).unwrap_or_default()
    }

    /// The digest of the component of the check `name`; none: it is built in, or there is none.
    #[must_use]
    pub fn sha256(&self, name: &str) -> Option<&str> {
        match &self.checks.get(name)?.origin {
            Origin::BuiltIn => None,
            Origin::File(sha256) => Some(sha256),
        }
    }

    /// What the check `name` tells about itself.
    #[must_use]
    pub fn description(&self, name: &str) -> Option<Arc<Description>> {
        let known = self.checks.get(name).map(|check| Arc::clone(&check.description));
        known.or_else(|| self.is_broken(name).then(|| Arc::new(Description::unknown(name))))
    }

    /// All usable checks, by name.
    #[must_use]
    pub fn descriptions(&self) -> Vec<Arc<Description>> {
        self.checks.values().map(|check| Arc::clone(&check.description)).collect()
    }

    fn add(&mut self, name: String, check: Check) -> Result<(), LoadError> {
        let measurement = &check.description.measurement;
        // A component may be declared more than once, with other limits; two write no measurement together.
        let taken =
            |known: &Check| known.description.measurement == *measurement && known.origin != check.origin;
        if self.checks.values().any(taken) {
            return Err(LoadError::Description(Contradiction::Measurement(measurement.clone())));
        }
        self.checks.insert(name, check);
        Ok(())
    }

    /// Runs a job's check once. Never fails: what goes wrong is in the report.
    ///
    /// `run_id` is unique in the world; `time` is the round's start in Unix seconds.
    pub async fn run(&self, job: &Job, time: u64, run_id: &str) -> Report {
        let Some(check) = self.checks.get(&job.check) else {
            let unknown = || host_failure(HostError::CheckLoad, format!("there is no check `{}`", job.check));
            let failure = self.broken.get(&job.check).cloned().unwrap_or_else(unknown);
            return Report { failure: Some(failure), ..Report::default() };
        };
        let start = Instant::now();
        let label = format!("job {}: check {}", job.name, job.check);
        let log = Log::new(label, job.secrets.clone(), check.limits.log_lines);
        let grant = Grant::new(&job.host, job.port, &job.grants);
        let state = State::new(check.limits.clone(), grant, Arc::clone(&job.tls), start + job.timeout, log);
        let meter = state.meter.clone();
        let mut store = store(&self.engine, state, &self.crowd);
        let input = wit::Job {
            target: wit::Endpoint { host: job.host.clone(), port: job.port },
            parameters: serde_json::Value::Object(job.parameters.clone()).to_string(),
            time,
            run_id: run_id.to_owned(),
        };
        let ran = meter.count(tokio::time::timeout(job.timeout + limits::GRACE, async {
            let instance = check.pre.instantiate_async(&mut store).await?;
            instance.sonde_check_check().call_run(&mut store, &input).await
        }));
        let ran = ran.await;
        let mut state = store.into_data();
        let (fields, failure) = match ran {
            Ok(Ok(report)) => match accept(report, &check.description, &state) {
                Ok((fields, failure)) => (Some(fields), failure),
                Err(contradiction) => {
                    (None, Some(host_failure(HostError::CheckReport, contradiction.to_string())))
                }
            },
            Ok(Err(error)) => (None, Some(failure(&error, &state))),
            Err(_late) => {
                let text =
                    format!("no report within {:?} and {:?} of grace: stopped", job.timeout, limits::GRACE);
                (None, Some(host_failure(HostError::CheckDeadline, text)))
            }
        };
        state.end();
        let total = start.elapsed();
        state.measured.total = Some(total);
        state.measured.own = Some(total.saturating_sub(state.clock.waited()));
        let fields = fields.unwrap_or_else(|| unreported(&check.description));
        let used = Used { cpu: meter.used(), memory_bytes: state.limiter.memory_bytes() };
        Report { fields, failure, measured: state.measured, used }
    }
}

/// A store in which a check's computing is bounded, and which gives way to others at every tick. One of several that have
/// computed for more than a tick also stays aside for a while, or the others would wait for a turn of each.
fn store(engine: &Engine, state: State, crowd: &Crowd) -> Store<State> {
    let (meter, cpu_time) = (state.meter.clone(), state.limits.cpu_time);
    let (crowd, mut busy) = (crowd.clone(), None);
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits::CALL_BYTES);
    store.set_max_component_handles(limits::HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let used = meter.running();
        if used > cpu_time {
            return Err(CpuUsedUp(cpu_time).into());
        }
        if used < limits::TICK {
            return Ok(UpdateDeadline::Yield(1));
        }
        let busy: &mut Busy = busy.get_or_insert_with(|| crowd.enter());
        Ok(match busy.pause(limits::TICK) {
            Duration::ZERO => UpdateDeadline::Yield(1),
            pause => UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(pause))),
        })
    });
    store
}

/// One thread for all stores, until the engine is dropped.
fn tick(engine: &Engine) {
    let engine = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(limits::TICK);
        }
    });
}

type Accepted = (Vec<(String, crate::report::Value)>, Option<Failure>);

fn accept(report: wit::Report, description: &Description, state: &State) -> Result<Accepted, Contradiction> {
    let fields = convert::fields(report.fields, description)?;
    let failure = match report.failure {
        None => None,
        Some(wit::Failure { cause: wit::Cause::Network(kind), text }) => {
            Some(host_failure(state.host_error(kind), text))
        }
        Some(wit::Failure { cause: wit::Cause::Judgement(own), text }) => {
            let (outcome, code) = convert::own_failure(own, description)?;
            Some(Failure { outcome, code, text })
        }
    };
    Ok((fields, failure))
}

fn unreported(description: &Description) -> Vec<(String, crate::report::Value)> {
    let known =
        |field: &crate::description::Field| Some((field.name.clone(), field.when_unreported.clone()?));
    description.fields.iter().filter_map(known).collect()
}

fn host_failure(error: HostError, text: String) -> Failure {
    Failure { outcome: error.outcome(), code: error.code(), text }
}

/// What a trap means.
fn failure(error: &wasmtime::Error, state: &State) -> Failure {
    let kind = if error.is::<CpuUsedUp>() {
        HostError::CheckCpu
    } else if state.limiter.refused {
        HostError::CheckMemory
    } else if error.is::<Flood>() {
        HostError::CheckLimit
    } else {
        HostError::CheckTrapped
    };
    host_failure(kind, chain(error))
}

/// An error with its causes, clean: it may contain text of the component's author.
fn chain(error: &wasmtime::Error) -> String {
    text::clean(&error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

/// The check computed for longer than this.
#[derive(Debug)]
struct CpuUsedUp(Duration);

impl fmt::Display for CpuUsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the check computed for more than {:?}", self.0)
    }
}

impl std::error::Error for CpuUsedUp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_built_in_probe_describes_itself() {
        let sandbox = Sandbox::new().await.unwrap();
        let description = sandbox.description(SMTP).unwrap();
        assert_eq!((&*description.name, &*description.measurement), ("smtp", "smtp"));
        assert!(sandbox.description("pop3").is_none());
    }
}
