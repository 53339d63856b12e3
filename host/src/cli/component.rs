//! A component's file, looked at before anyone trusts it: it describes itself in the sandbox, without any network.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{Refusal, Tables, parameters, print, sandbox};
use crate::{
    check::Check,
    config, describe,
    sandbox::{Compiler, Limits, Sandbox, Source, cache},
};

/// A built-in check's name has neither.
pub(super) fn is_file(check: &str) -> bool {
    check.contains(['/', '.'])
}

/// Loads it, as a check of the name of its file.
pub(super) async fn load(sandbox: &Sandbox, path: &Path) -> Result<Check, Refusal> {
    let name = path.display().to_string();
    let compiler = Arc::new(Compiler::new(cache::usual_folder()));
    let source =
        Source { name: name.clone(), path: path.to_owned(), pinned: None, limits: Limits::default() };
    sandbox.load(&source, &compiler).await.map_err(|error| format!("{name}: {error}"))
}

pub(super) async fn describe(path: &Path, output: Tables) -> Result<ExitCode, Refusal> {
    let check = load(&sandbox()?, path).await?;
    match output {
        Tables::Markdown => {
            print(&format!("{}\n{}", describe::component(&check), describe::markdown(&check.description)))
        }
        Tables::Json => print(&format!("{:#}\n", describe::component_json(&check))),
    }
}

pub(super) async fn pin(path: &Path, host: &str, given: &[String]) -> Result<ExitCode, Refusal> {
    let given = parameters(given)?;
    let name = path.to_str();
    let name =
        name.ok_or_else(|| format!("{}: a configuration can only name a file in UTF-8", path.display()))?;
    let check = load(&sandbox()?, path).await?;
    let pinned = config::sample::pinned(&check, name, host, &given);
    print(&pinned.map_err(|error| error.to_string())?)
}
