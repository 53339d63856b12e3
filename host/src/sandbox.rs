//! The only door to wasm: a component's file in, a check out; a job in, a report out. Whatever a check does (trap, loop,
//! grow, lie), the report says so and the next run starts from nothing.

pub(crate) mod bindings;
pub mod cache;
pub(crate) mod compile;
pub(crate) mod convert;
mod cpu;
pub(crate) mod engine;
pub(crate) mod limits;
mod load;
mod log;
mod network;
mod state;
#[cfg(feature = "compiler")]
mod structure;
mod wasi;

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bindings::{CheckerPre, exports::sonde::check::check as wit};
pub use compile::Compiler;
use convert::Contradiction;
use cpu::{Busy, Crowd};
pub use limits::Limits;
pub(crate) use load::IMPORTS;
pub use load::LoadError;
use log::Log;
use serde_json::Map;
use state::{Flood, State};
use tokio::time::error::Elapsed;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::{
    catalogue::HostError,
    description::Description,
    grant::Grant,
    net::Tls,
    report::{Failure, Report, Used, Value},
    secret::Secrets,
    text,
};

/// What the built-in probe was compiled to.
const SMTP_COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.cwasm"));
/// Name of the built-in probe, a job's check where none is named.
pub const SMTP: &str = "smtp";

/// Where a check comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Origin {
    BuiltIn,
    File,
}

/// A component's file, and how it may run.
#[derive(Clone, Debug)]
pub struct Source {
    /// By which jobs call it.
    pub name: String,
    /// Of the component.
    pub path: PathBuf,
    /// What it must be, where only one will do.
    pub pinned: Option<Pinned>,
    /// What each run may use up.
    pub limits: Limits,
}

/// What an operator looked at, and nothing else is to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pinned {
    /// SHA-256 of the component, in hexadecimal digits.
    pub sha256: String,
    /// SHA-256 of its description: see [`Description::sha256`].
    pub description_sha256: String,
    /// Measurement of its lines.
    pub measurement: String,
}

/// A component that can run: compiled, linked, described.
pub struct Program {
    pre: CheckerPre<State>,
    description: Arc<Description>,
    imports: Vec<String>,
    sha256: Option<String>,
    limits: Limits,
}

impl Program {
    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Arc<Description> {
        &self.description
    }

    /// What it imports, by the interfaces' names.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The digest of its component; none: it is built in.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }
}

/// What one run of a program is given.
pub struct Run<'a> {
    /// Whose run it is, for the log.
    pub label: String,
    /// The host to check, as the check sees it.
    pub host: &'a str,
    /// Its port.
    pub port: Option<u16>,
    /// What may be reached.
    pub grant: Grant,
    /// How its TLS is trusted.
    pub tls: Arc<Tls>,
    /// From now on.
    pub timeout: Duration,
    /// By name.
    pub parameters: &'a Map<String, serde_json::Value>,
    /// What must show in no output.
    pub secrets: &'a Secrets,
    /// The round's start in Unix seconds.
    pub time: u64,
    /// Unique in the world.
    pub run_id: &'a str,
}

/// Where components run; lives as long as the process.
pub struct Sandbox {
    engine: Engine,
    crowd: Crowd,
}

impl Sandbox {
    /// Starts the engine.
    pub fn new() -> Result<Self, LoadError> {
        let engine = Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION")))
            .map_err(|error| LoadError::Engine(chain(&error)))?;
        tick(&engine);
        Ok(Self { engine, crowd: Crowd::default() })
    }

    /// Loads the built-in probe.
    pub async fn built_in(&self) -> Result<Program, LoadError> {
        let component = compile::builtin(&self.engine, SMTP_COMPILED, sonde_smtp_component::WASM)?;
        let loaded = load::Loaded { component, sha256: None };
        load::program(self, SMTP, loaded, Origin::BuiltIn, Limits::default()).await
    }

    /// Loads a component's file, on a thread of its own as far as that takes long: however many are loaded, none holds up
    /// the others or a run.
    pub async fn load(&self, source: &Source, compiler: &Arc<Compiler>) -> Result<Program, LoadError> {
        let loaded = compile::file(&self.engine, source, compiler).await?;
        let program = load::program(self, &source.name, loaded, Origin::File, source.limits.clone()).await?;
        if let Some(pinned) = &source.pinned {
            load::is_pinned(program.description(), pinned)?;
        }
        Ok(program)
    }

    /// Runs a program once. Never fails: what goes wrong is in the report.
    pub async fn run(&self, program: &Program, run: Run<'_>) -> Report {
        let start = Instant::now();
        let log = Log::new(run.label, run.secrets.clone(), program.limits.log_lines);
        let state = State::new(program.limits.clone(), run.grant, run.tls, start + run.timeout, log);
        let meter = state.meter.clone();
        let mut store = store(&self.engine, state, &self.crowd);
        let input = wit::Job {
            target: wit::Endpoint { host: run.host.to_owned(), port: run.port.unwrap_or_default() },
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
        let mut state = store.into_data();
        state.end();
        let total = start.elapsed();
        state.measured.total = Some(total);
        state.measured.own = Some(total.saturating_sub(state.clock.waited()));
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
    Failure::of_host(kind, chain(error))
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
        let program = Sandbox::new().unwrap().built_in().await.unwrap();
        // What configurations refuse to other checks.
        assert_eq!((&*program.description.name, &*program.description.measurement), (SMTP, SMTP));
    }
}
