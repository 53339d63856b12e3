//! A configuration and its checks: a file in; jobs, and a sandbox with everything that they call, out.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{Refusal, print, sandbox};
use crate::{
    config::{self, Declared, Known},
    job::Config,
    output::{self, Level},
    sandbox::{
        LoadError, Sandbox, Source,
        cache::{self, Cache},
    },
};

/// Refuses the configuration for a check that cannot be loaded.
pub(super) async fn strictly(path: &Path) -> Result<(Config, Sandbox), Refusal> {
    load(path, |_, check, error| Err(check.refuse(error.to_string()).to_string())).await
}

/// Lets the jobs of such a check report it, and the others run.
pub(super) async fn leniently(path: &Path) -> Result<(Config, Sandbox), Refusal> {
    load(path, |sandbox, check, error| {
        output::log(Level::Error, &check.refuse(error.to_string()).to_string());
        sandbox.refuse(&check.name, error);
        Ok(())
    })
    .await
}

async fn load(
    path: &Path,
    failed: impl Fn(&mut Sandbox, &Declared, &LoadError) -> Result<(), Refusal>,
) -> Result<(Config, Sandbox), Refusal> {
    let draft = config::read(path).map_err(|error| error.to_string())?;
    let mut sandbox = sandbox().await?;
    if !draft.checks.is_empty() {
        let cache = Arc::new(Cache::open(draft.cache_dir.clone().or_else(cache::usual_folder)));
        let loaded = sandbox.load(draft.checks.iter().map(source).collect(), &cache).await;
        for (check, loaded) in draft.checks.iter().zip(loaded) {
            if let Err(error) = loaded {
                failed(&mut sandbox, check, &error)?;
            }
        }
    }
    let describe = |name: &str| {
        if sandbox.is_broken(name) {
            Some(Known::Broken)
        } else {
            sandbox.description(name).map(Known::Usable)
        }
    };
    let config = draft.jobs(&describe).map_err(|error| error.to_string())?;
    Ok((config, sandbox))
}

/// Compiles a configuration's checks and sees that they are kept: a run without them would compile them again.
pub(super) async fn compile(path: &Path) -> Result<ExitCode, Refusal> {
    let draft = config::read(path).map_err(|error| error.to_string())?;
    strictly(path).await?;
    let cache = Cache::open(draft.cache_dir.or_else(cache::usual_folder));
    for check in &draft.checks {
        let kept = cache.as_ref().map_err(ToString::to_string);
        let kept = kept
            .and_then(|cache| cache.keeps(&check.sha256.to_lowercase()).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            let text = format!("{}: check `{}` is not kept: {error}", path.display(), check.name);
            output::log(Level::Error, &text);
            return Ok(ExitCode::FAILURE);
        }
    }
    let count = draft.checks.len();
    print(&format!("{}: {count} check{} compiled\n", path.display(), if count == 1 { "" } else { "s" }))
}

fn source(check: &Declared) -> Source {
    Source {
        name: check.name.clone(),
        path: check.component.clone(),
        sha256: Some(check.sha256.clone()),
        limits: check.limits.clone(),
    }
}
