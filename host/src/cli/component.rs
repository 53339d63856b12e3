//! A component's file, looked at before anyone trusts it: it describes itself in the sandbox, without any network.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{Refusal, Tables, described, parameters, print, sandbox};
use crate::{
    component, config, describe,
    sandbox::{
        Limits, Sandbox, Source,
        cache::{self, Cache},
    },
    text,
};

/// A built-in check's name has neither.
pub(super) fn is_file(check: &str) -> bool {
    check.contains(['/', '.'])
}

/// Loads it under the name of its file; gives that and the digest.
pub(super) async fn load(path: &Path) -> Result<(String, String, Sandbox), Refusal> {
    let name = text::clean(&path.display().to_string());
    let read = component::read(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut sandbox = sandbox().await?;
    let cache = Arc::new(Cache::open(cache::usual_folder()));
    // The digest: what is shown and what was read are one.
    let sha256 = Some(read.sha256.clone());
    let source = Source { name: name.clone(), path: path.to_owned(), sha256, limits: Limits::default() };
    for loaded in sandbox.load(vec![source], &cache).await {
        loaded.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok((name, read.sha256, sandbox))
}

pub(super) async fn describe(path: &Path, output: Tables) -> Result<ExitCode, Refusal> {
    let (name, sha256, sandbox) = load(path).await?;
    let (description, imports) = (described(&sandbox, &name)?, sandbox.imports(&name));
    match output {
        Tables::Markdown => {
            let facts = describe::component(&name, &sha256, imports);
            print(&format!("{facts}\n{}", describe::markdown(&description)))
        }
        Tables::Json => {
            print(&format!("{:#}\n", describe::json(&description, Some((&name, &sha256, imports)))))
        }
    }
}

pub(super) async fn pin(path: &Path, host: &str, given: &[String]) -> Result<ExitCode, Refusal> {
    let (name, sha256, sandbox) = load(path).await?;
    let given = parameters(given)?;
    let pinned = config::sample::pinned(&*described(&sandbox, &name)?, &name, &sha256, host, &given);
    print(&pinned.map_err(|error| error.to_string())?)
}
