//! A check as jobs hold it: its name, what it says of itself, and its program, or why there is none. Immutable: a round goes
//! on with what it began with.

use std::{fmt, sync::Arc};

use crate::{
    catalogue::HostError,
    description::Description,
    report::Failure,
    sandbox::{Code, Compiler, LoadError, Program, SMTP, Sandbox, Source},
};

/// One check.
#[derive(Clone)]
pub struct Check {
    /// By which jobs call it.
    pub name: String,
    /// What it says of itself.
    pub description: Arc<Description>,
    /// What runs; else what each of its jobs reports.
    pub program: Result<Arc<Program>, Failure>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Check {
    /// The one that is built in.
    pub async fn built_in(sandbox: &Sandbox) -> Result<Self, LoadError> {
        Ok(Self::usable(SMTP, sandbox.built_in().await?))
    }

    /// Of a component's file.
    pub async fn load(
        sandbox: &Sandbox,
        source: &Source,
        compiler: &Arc<Compiler>,
    ) -> Result<Self, LoadError> {
        Ok(Self::usable(&source.name, sandbox.load(source, compiler).await?))
    }

    /// Of a component's code, once that is there.
    pub async fn described(sandbox: &Sandbox, source: &Source, code: Code) -> Result<Self, LoadError> {
        Ok(Self::usable(&source.name, sandbox.described(source, code).await?))
    }

    fn usable(name: &str, program: Program) -> Self {
        let description = Arc::clone(program.description());
        Self { name: name.to_owned(), description, program: Ok(Arc::new(program)) }
    }

    /// Of a component that could not be loaded.
    #[must_use]
    pub fn unloaded(name: &str, error: &LoadError) -> Self {
        Self::unknown(name, error.host_error(), format!("check `{name}`: {error}"))
    }

    /// One of which nothing is known but why it cannot run.
    #[must_use]
    pub fn unknown(name: &str, error: HostError, text: String) -> Self {
        let description = Arc::new(Description::unknown(name));
        Self { name: name.to_owned(), description, program: Err(Failure::of_host(error, text)) }
    }

    /// The same check, for a job that it cannot run.
    #[must_use]
    pub fn unfit(&self, error: HostError, text: String) -> Self {
        Self { program: Err(Failure::of_host(error, text)), ..self.clone() }
    }
}
