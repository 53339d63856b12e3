//! Arguments that several commands have: a check by its name or file in, the check out; `KEY=VALUE` in, parameters out; `--shard`
//! in, a share of the jobs out.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use clap::{ArgMatches, Args, Command, FromArgMatches, error};
use nix::unistd::gethostname;

use super::exit::Refusal;
use crate::{
    check::Check,
    config::{self, Shard},
    sandbox::{Compiler, Limits, LoadError, SMTP, Sandbox, Source, cache, limits::LINES},
    text,
};

/// Of one command, declared when it is asked for: to declare those of all takes longer than to read them.
pub(super) struct Deferred<T>(pub(super) T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(T::augment_args)
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(given: &ArgMatches) -> error::Result<Self> {
        T::from_arg_matches(given).map(Self)
    }

    fn update_from_arg_matches(&mut self, given: &ArgMatches) -> error::Result<()> {
        self.0.update_from_arg_matches(given)
    }
}

pub(super) fn sandbox() -> Result<Sandbox, Refusal> {
    Sandbox::new().map_err(|error| error.to_string())
}

pub(super) async fn built_in(sandbox: &Sandbox) -> Result<Check, Refusal> {
    Check::built_in(sandbox).await.map_err(|error| error.to_string())
}

/// A built-in check's name has neither.
pub(super) fn is_file(check: &str) -> bool {
    check.contains(['/', '.'])
}

/// The built-in check of this name, or the component in this file.
pub(super) async fn check(sandbox: &Sandbox, named: &str) -> Result<Check, Refusal> {
    if is_file(named) {
        return component(sandbox, Path::new(named)).await;
    }
    if named == SMTP {
        return built_in(sandbox).await;
    }
    Err(format!("there is no check `{}`; built in: {SMTP}", text::clean(named)))
}

/// A component, as a check of the name of its file.
pub(super) async fn component(sandbox: &Sandbox, path: &Path) -> Result<Check, Refusal> {
    let name = path.display().to_string();
    let compiler = Arc::new(Compiler::new(cache::usual_folder()));
    let limits = Limits { lines: LINES, ..Limits::default() };
    let source = Source { name: name.clone(), path: path.to_owned(), pinned: None, limits };
    Check::load(sandbox, &source, &compiler).await.map_err(|error| match error {
        // It says which.
        LoadError::Unreadable(..) => error.to_string(),
        error => format!("{name}: {error}"),
    })
}

/// Each key once.
pub(super) fn parameters(pairs: &[String]) -> Result<BTreeMap<String, String>, Refusal> {
    by_key(pairs, "-p", "KEY=VALUE")
}

/// Each endpoint once.
pub(super) fn endpoints(pairs: &[String]) -> Result<BTreeMap<String, String>, Refusal> {
    by_key(pairs, "--endpoint", "NAME=HOST")
}

fn by_key(pairs: &[String], flag: &str, expected: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut by_key = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{flag} {}: expected {expected}", text::clean(pair)))?;
        if by_key.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("{flag} {}: given twice", text::clean(key)));
        }
    }
    Ok(by_key)
}

/// None: it was not given.
pub(super) fn interval(text: Option<&str>) -> Result<Option<Duration>, Refusal> {
    text.map(config::interval).transpose().map_err(|expected| format!("--interval: expected {expected}"))
}

// Which of the jobs. (Said to the help, it would take the place of what the command does.)
#[derive(Args)]
pub(super) struct Share {
    /// Only share K of N of the jobs, from 0/N on: N agents with one configuration run each job once. auto/N: K is the number at
    /// the end of the host name
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
}

impl Share {
    /// None: all of them.
    pub(super) fn shard(&self) -> Result<Option<Shard>, Refusal> {
        let Some(text) = &self.shard else { return Ok(None) };
        // One that is no text has no number at its end either.
        let host_name = || gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let shard = Shard::read(text, host_name);
        shard.map(Some).map_err(|error| format!("--shard {}: {error}", text::clean(text)))
    }
}
