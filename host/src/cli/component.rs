//! A component's file, looked at before anyone trusts it: it describes itself in the sandbox, without any network.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{Refusal, Tables, described, parameters, print, sandbox};
use crate::{
    config, describe,
    sandbox::{
        Limits, Sandbox, Source,
        cache::{self, Cache},
    },
};

/// A built-in check's name has neither.
pub(super) fn is_file(check: &str) -> bool {
    check.contains(['/', '.'])
}

/// Loads it under the name of its file; gives that.
pub(super) async fn load(path: &Path) -> Result<(String, Sandbox), Refusal> {
    let name = path.display().to_string();
    let mut sandbox = sandbox().await?;
    let cache = Arc::new(Cache::open(cache::usual_folder()));
    let (path, limits) = (path.to_owned(), Limits::default());
    for loaded in sandbox.load(vec![Source { name: name.clone(), path, sha256: None, limits }], &cache).await
    {
        loaded.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok((name, sandbox))
}

pub(super) async fn describe(path: &Path, output: Tables) -> Result<ExitCode, Refusal> {
    let (name, sandbox) = load(path).await?;
    let description = described(&sandbox, &name)?;
    let (sha256, imports) = (sandbox.sha256(&name).unwrap_or_default(), sandbox.imports(&name));
    match output {
        Tables::Markdown => {
            let facts = describe::component(&name, sha256, imports);
            print(&format!("{facts}\n{}", describe::markdown(&description)))
        }
        Tables::Json => {
            print(&format!("{:#}\n", describe::json(&description, Some((&name, sha256, imports)))))
        }
    }
}

pub(super) async fn pin(path: &Path, host: &str, given: &[String]) -> Result<ExitCode, Refusal> {
    let given = parameters(given)?;
    if path.to_str().is_none() {
        return Err(format!("{}: a configuration can only name a file in UTF-8", path.display()));
    }
    let (name, sandbox) = load(path).await?;
    let sha256 = sandbox.sha256(&name).unwrap_or_default();
    let pinned = config::sample::pinned(&*described(&sandbox, &name)?, &name, sha256, host, &given);
    print(&pinned.map_err(|error| error.to_string())?)
}
