//! The only door to wasm: a component's file in, a check out; a job in, a report out. Whatever a check does (trap, loop,
//! grow, lie), the report says so and the next run starts from nothing.

pub(crate) mod bindings;
pub mod cache;
mod calls;
mod cause;
pub(crate) mod compile;
pub(crate) mod contradiction;
pub(crate) mod convert;
mod cpu;
pub(crate) mod engine;
mod error;
pub(crate) mod fields;
mod imports;
mod in_place;
mod kinds;
pub(crate) mod limits;
mod load;
mod log;
mod names;
mod pace;
pub(crate) mod parts;
mod pool;
mod program;
mod repeats;
mod run;
mod source;
mod state;
mod store;
#[cfg(feature = "compiler")]
mod structure;
mod timeless;
mod wasi;

use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use wasmtime::Engine;

pub(crate) use self::load::IMPORTS;
use self::{
    cache::{Cache, CacheError},
    cpu::Crowd,
    limits::LINES,
    pool::Pool,
    repeats::Repeats,
};
pub use self::{
    compile::{Code, Compiler},
    error::LoadError,
    limits::Limits,
    program::{Program, SMTP},
    run::{Input, Run},
    source::{Pinned, Source},
    timeless::{Blamed, Judge, Refusal, Unfit, validate},
};
use crate::{
    net::{NameServers, Resolver},
    output::{self, Level},
    report::Report,
};

/// Where components run; lives as long as the process.
pub struct Sandbox {
    engine: Engine,
    /// None: each run has its memories and its stack for itself, new.
    pool: Option<Arc<Pool>>,
    resolver: Arc<Resolver>,
    /// None: runs say what they say.
    repeats: Option<Repeats>,
}

impl Sandbox {
    /// Starts the engine. Refuses to where it, or a thread of it, would die on the way.
    pub fn new() -> Result<Self, LoadError> {
        if let Some(bytes) = getrlimit(Resource::Data).current
            && bytes < limits::LEAST_DATA
        {
            let (mib, least) = (bytes >> 20, limits::LEAST_DATA >> 20);
            return Err(LoadError::Engine(format!(
                "data is limited to {mib} MiB (LimitDATA= of the agent's unit, `ulimit -d`), and it needs {least}"
            )));
        }
        let engine = in_place::engine(engine::config(env!("SONDE_ENGINE_VERSION")))
            .map_err(|error| LoadError::Engine(error::chain(&error)))?;
        store::tick(&engine).map_err(|error| LoadError::Engine(store::no_thread(&error)))?;
        Ok(Self { engine, pool: None, resolver: Arc::default(), repeats: None })
    }

    /// The same, whose runs have names looked up by these.
    #[must_use]
    pub fn asking(&self, name_servers: NameServers) -> Self {
        let (engine, pool, repeats) = (self.engine.clone(), self.pool.clone(), self.repeats.clone());
        Self { engine, pool, resolver: Arc::new(Resolver::new(name_servers)), repeats }
    }

    /// The same, with places in which one run follows the other: for programs that are loaded from now on, where there are many runs.
    #[must_use]
    pub fn pooling(self) -> Self {
        match Pool::new() {
            Ok(pool) => Self { pool: Some(Arc::new(pool)), ..self },
            Err(error) => {
                let text = format!("each run maps memory of its own, which takes more computing: {error}");
                output::log(Level::Information, &text);
                self
            }
        }
    }

    /// The same, whose runs leave out of the log what earlier ones said: where there is round after round.
    #[must_use]
    pub fn folding(self) -> Self {
        Self { repeats: Some(Repeats::default()), ..self }
    }

    /// Loads the built-in probe.
    pub async fn built_in(&self) -> Result<Program, LoadError> {
        let loaded = compile::smtp(&self.engine, self.pool.as_ref())?;
        self.program(SMTP, loaded, Limits { lines: LINES, ..Limits::default() }).await
    }

    /// Says why a component's code in a cache would not be used here, if it would not.
    pub fn uses(&self, cache: &Cache, sha256: &str) -> Result<(), CacheError> {
        cache.loads(&self.engine, sha256)
    }

    /// Loads a component's file, on a thread of its own as far as that takes long: however many are loaded, none holds up
    /// the others or a run.
    pub async fn load(&self, source: &Source, compiler: &Arc<Compiler>) -> Result<Program, LoadError> {
        self.described(source, self.code(source, compiler).await?).await
    }

    /// The first half of it: the file becomes code.
    pub async fn code(&self, source: &Source, compiler: &Arc<Compiler>) -> Result<Code, LoadError> {
        compile::file(&self.engine, self.pool.as_ref(), source, compiler).await
    }

    /// The second: the code describes itself.
    pub async fn described(&self, source: &Source, code: Code) -> Result<Program, LoadError> {
        let program = self.program(&source.name, code, source.limits.clone()).await?;
        if let Some(pinned) = &source.pinned {
            load::is_pinned(program.description(), pinned)?;
        }
        Ok(program)
    }

    async fn program(&self, name: &str, code: Code, limits: Limits) -> Result<Program, LoadError> {
        load::program(&self.engine, &Crowd::here(), name, code, limits).await
    }

    /// Runs a program once. Never fails: what goes wrong is in the report.
    pub fn run<'a>(&self, program: &'a Program, run: Run<'a>) -> impl Future<Output = Report> + use<'a> {
        let reach = run.reach.asking(&self.resolver);
        let pooled = program.pooled.as_ref().and_then(|pre| Some((pre, self.pool.as_ref()?.place()?)));
        let place = pooled.map_or((&program.pre, None), |(pre, place)| (pre, Some(place)));
        run::run(place, &Crowd::here(), self.repeats.as_ref(), program, Run { reach, ..run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_built_in_probe_describes_itself() {
        let program = Sandbox::new().unwrap().built_in().await.unwrap();
        // What configurations refuse to other checks.
        assert_eq!((&*program.description.name, &*program.description.measurement), (SMTP, SMTP));
        let of_ours = |import: &String| import.starts_with("sonde:check/");
        assert!(program.imports.iter().all(of_ours), "{:?}", program.imports);
    }

    #[tokio::test]
    async fn the_built_in_probe_says_what_it_said_when_the_program_was_built() {
        let program = Sandbox::new().unwrap().built_in().await.unwrap();
        let described = timeless::describe(&Crowd::here(), SMTP, &program.pre, 0).await.unwrap();
        assert_eq!(convert::description(described).unwrap(), **program.description());
    }
}
