//! The only door to wasm: takes a component and a job, gives a report. Whatever a check does (trap, loop, grow, lie), the
//! report says so and the next run starts from nothing. Refuses components whose imports are not on the list.

mod bindings;
mod convert;
pub(crate) mod engine;
pub(crate) mod limits;
mod network;
mod state;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Once},
    thread,
    time::{Duration, Instant},
};

use bindings::{Checker, CheckerPre, exports::sonde::check::check as wit};
use convert::Contradiction;
use state::{Flood, HasState, State};
use wasmtime::{
    Engine, Store, UpdateDeadline,
    component::{Component, Linker},
};

use crate::{
    catalogue::HostError,
    description::Description,
    job::{Job, TlsRules},
    net::Grant,
    output::{self, Level},
    report::{Failure, Report},
    text,
};

/// The built-in probe, and what it was compiled to.
const SMTP_WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.wasm"));
const SMTP_COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.cwasm"));
/// Name of the built-in probe.
pub use crate::config::sample::SMTP;

/// What a component may import: ours, and what language runtimes link without using it. The latter are traps.
const ALLOWED_IMPORTS: [&str; 6] = [
    "sonde:check/network@0.1.0",
    "sonde:check/log@0.1.0",
    "wasi:cli/",
    "wasi:io/",
    "wasi:clocks/",
    "wasi:random/",
];

/// Of the interface in `wit/`.
const INTERFACE_VERSION: &str = "0.1.0";

/// How long a component may take to describe itself.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a component cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// The engine does not start here.
    Engine(String),
    /// Larger than allowed.
    Size(usize),
    /// Not a component, or of an unknown kind.
    Component(String),
    /// Imports something that no check gets.
    Import(String),
    /// Built for this version of the interface, which is not ours.
    Version(String),
    /// Its own description contradicts itself.
    Description(Contradiction),
    /// It did not describe itself.
    Describe(String),
    /// No compiled form fits and this binary has no compiler.
    NoCompiler,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => write!(f, "the sandbox cannot start: {error}"),
            Self::Size(size) => {
                write!(f, "the component has {size} bytes, at most {} are allowed", limits::COMPONENT_BYTES)
            }
            Self::Component(error) => write!(f, "not a usable component: {error}"),
            Self::Import(name) => write!(f, "the component imports `{name}`, which no check gets"),
            Self::Version(version) => write!(
                f,
                "the component is built for sonde:check@{}; this host speaks sonde:check@{INTERFACE_VERSION}",
                text::clean(version)
            ),
            Self::Description(error) => write!(f, "the component's description is wrong: {error}"),
            Self::Describe(error) => write!(f, "the component does not describe itself: {error}"),
            Self::NoCompiler => f.write_str(
                "it would have to be compiled, and this binary has no compiler (feature `compiler`)",
            ),
        }
    }
}

impl std::error::Error for LoadError {}

/// One usable check.
struct Check {
    pre: CheckerPre<State>,
    description: Arc<Description>,
    imports: Vec<String>,
}

/// The engine and the checks loaded into it; lives as long as the process.
pub struct Sandbox {
    engine: Engine,
    checks: BTreeMap<String, Check>,
    ticker: Once,
}

impl Sandbox {
    /// Starts the engine and loads the built-in probe.
    pub async fn new() -> Result<Self, LoadError> {
        let engine = Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION")))
            .map_err(|error| LoadError::Engine(chain(&error)))?;
        let component = builtin(&engine, SMTP_COMPILED, SMTP_WASM)?;
        let mut sandbox = Self { engine, checks: BTreeMap::new(), ticker: Once::new() };
        sandbox.add(SMTP, component).await?;
        Ok(sandbox)
    }

    /// Compiles a component and adds it under `name`. Needs the feature `compiler`.
    pub async fn load(&mut self, name: &str, wasm: &[u8]) -> Result<(), LoadError> {
        if wasm.len() > limits::COMPONENT_BYTES {
            return Err(LoadError::Size(wasm.len()));
        }
        self.add(name, compile(&self.engine, wasm)?).await
    }

    /// What the check `name` imports, by the interfaces' names.
    #[must_use]
    pub fn imports(&self, name: &str) -> &[String] {
        self.checks.get(name).map(|check| &*check.imports).unwrap_or_default()
    }

    /// What the check `name` tells about itself.
    #[must_use]
    pub fn description(&self, name: &str) -> Option<Arc<Description>> {
        self.checks.get(name).map(|check| Arc::clone(&check.description))
    }

    /// All checks, by name.
    #[must_use]
    pub fn descriptions(&self) -> Vec<Arc<Description>> {
        self.checks.values().map(|check| Arc::clone(&check.description)).collect()
    }

    async fn add(&mut self, name: &str, component: Component) -> Result<(), LoadError> {
        let shape = component.component_type();
        let named = shape.imports(&self.engine).map(|(name, _)| name);
        for name in named.chain(shape.exports(&self.engine).map(|(name, _)| name)) {
            if let Some((_, version)) =
                name.strip_prefix("sonde:check/").and_then(|name| name.split_once('@'))
                && version != INTERFACE_VERSION
            {
                return Err(LoadError::Version(version.to_owned()));
            }
        }
        let mut imports = Vec::new();
        for (import, _) in shape.imports(&self.engine) {
            if !ALLOWED_IMPORTS
                .iter()
                .any(|allowed| import == *allowed || (allowed.ends_with('/') && import.starts_with(allowed)))
            {
                return Err(LoadError::Import(text::clean(import)));
            }
            imports.push(import.to_owned());
        }
        let broken = |error: wasmtime::Error| LoadError::Component(chain(&error));
        let mut linker = Linker::new(&self.engine);
        Checker::add_to_linker::<State, HasState>(&mut linker, |state| state).map_err(broken)?;
        linker.define_unknown_imports_as_traps(&component).map_err(broken)?;
        let pre = CheckerPre::new(linker.instantiate_pre(&component).map_err(broken)?).map_err(broken)?;
        let state = State::new(
            Grant::none(),
            TlsRules::default(),
            Instant::now(),
            format!("check {name}"),
            Vec::new(),
        );
        let mut store = self.store(state);
        let described = tokio::time::timeout(DESCRIBE_TIMEOUT, async {
            let check = pre.instantiate_async(&mut store).await?;
            check.sonde_check_check().call_describe(&mut store).await
        });
        let described = match described.await {
            Ok(Ok(described)) => described,
            Ok(Err(error)) => return Err(LoadError::Describe(failure(&error, store.data()).text)),
            Err(_late) => return Err(LoadError::Describe(format!("nothing within {DESCRIBE_TIMEOUT:?}"))),
        };
        let description = Arc::new(convert::description(described).map_err(LoadError::Description)?);
        let measurement = &description.measurement;
        if self.checks.values().any(|check| check.description.measurement == *measurement) {
            return Err(LoadError::Description(Contradiction::Measurement(measurement.clone())));
        }
        self.checks.insert(name.to_owned(), Check { pre, description, imports });
        Ok(())
    }

    /// Runs a job's check once. Never fails: what goes wrong is in the report.
    ///
    /// `run_id` is unique in the world; `time` is the round's start in Unix seconds.
    pub async fn run(&self, job: &Job, time: u64, run_id: &str) -> Report {
        let Some(check) = self.checks.get(&job.check) else {
            let failure = host_failure(HostError::CheckLoad, format!("there is no check `{}`", job.check));
            return Report { failure: Some(failure), ..Report::default() };
        };
        let start = Instant::now();
        let grant = Grant::new(&job.host, job.port);
        let label = format!("job {}: check {}", job.name, job.check);
        let state = State::new(grant, job.tls.clone(), start + job.timeout, label, job.secrets.clone());
        let mut store = self.store(state);
        let input = wit::Job {
            target: wit::Endpoint { host: job.host.clone(), port: job.port },
            parameters: serde_json::Value::Object(job.parameters.clone()).to_string(),
            time,
            run_id: run_id.to_owned(),
        };
        let ran = tokio::time::timeout(job.timeout + limits::GRACE, async {
            let instance = check.pre.instantiate_async(&mut store).await?;
            instance.sonde_check_check().call_run(&mut store, &input).await
        });
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
        if state.log_lines > limits::LOG_LINES {
            let dropped = state.log_lines - limits::LOG_LINES;
            output::log(Level::Warning, &format!("{}: {dropped} more log lines dropped", state.label));
        }
        state.measured.total = Some(start.elapsed());
        let fields = fields.unwrap_or_else(|| unreported(&check.description));
        Report { fields, failure, measured: state.measured }
    }

    fn store(&self, state: State) -> Store<State> {
        self.tick();
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(limits::CALL_BYTES);
        store.set_max_component_handles(limits::HANDLES);
        store.set_epoch_deadline(1);
        let (mut ticks, mut calls) = (0, 0);
        store.epoch_deadline_callback(move |context| {
            // A tick that passed while the check waited in a call of the host is not its computing.
            let now = context.data().calls;
            if now == calls {
                ticks += 1;
            }
            calls = now;
            if ticks > limits::CPU_TICKS { Err(CpuUsedUp.into()) } else { Ok(UpdateDeadline::Yield(1)) }
        });
        store
    }

    /// One thread for all stores, from the first store on, until the engine is dropped.
    fn tick(&self) {
        self.ticker.call_once(|| {
            let engine = self.engine.weak();
            thread::spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    thread::sleep(limits::TICK);
                }
            });
        });
    }
}

/// Loads code compiled with the binary; where it does not fit this machine, compiles its source.
#[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
fn builtin(engine: &Engine, compiled: &[u8], wasm: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: `compiled` was made by this crate's build script and is part of this binary: as trusted as its own code.
    match unsafe { Component::deserialize(engine, compiled) } {
        Ok(component) => Ok(component),
        #[cfg(feature = "compiler")]
        Err(mismatch) => {
            output::log(Level::Warning, &format!("compiling the built-in check anew: {}", chain(&mismatch)));
            compile(engine, wasm)
        }
        #[cfg(not(feature = "compiler"))]
        Err(_) => compile(engine, wasm),
    }
}

#[cfg(feature = "compiler")]
fn compile(engine: &Engine, wasm: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, wasm).map_err(|error| LoadError::Component(chain(&error)))
}

#[cfg(not(feature = "compiler"))]
fn compile(_engine: &Engine, _wasm: &[u8]) -> Result<Component, LoadError> {
    Err(LoadError::NoCompiler)
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

/// The check computed for too long.
#[derive(Debug)]
struct CpuUsedUp;

impl fmt::Display for CpuUsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the check computed for more than {:?}", limits::TICK * limits::CPU_TICKS)
    }
}

impl std::error::Error for CpuUsedUp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "compiler")]
    #[test]
    fn compiled_code_that_does_not_fit_is_compiled_anew() {
        let engine = Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION"))).unwrap();
        assert!(builtin(&engine, SMTP_COMPILED, SMTP_WASM).is_ok());
        let other = Engine::new(&engine::config("another version")).unwrap();
        assert!(builtin(&other, SMTP_COMPILED, SMTP_WASM).is_ok());
        assert!(builtin(&engine, b"", SMTP_WASM).is_ok());
        assert!(matches!(builtin(&other, SMTP_COMPILED, b""), Err(LoadError::Component(_))));
    }

    #[tokio::test]
    async fn the_built_in_probe_describes_itself() {
        let sandbox = Sandbox::new().await.unwrap();
        let description = sandbox.description(SMTP).unwrap();
        assert_eq!((&*description.name, &*description.measurement), ("smtp", "smtp"));
        assert!(sandbox.description("pop3").is_none());
    }
}
