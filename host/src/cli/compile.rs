//! `sonde compile`: a configuration in; its checks' code in the cache out, so that no run has to compile them. Refuses a cache
//! that cannot keep it before anything is compiled.

use std::{io, path::Path, process::ExitCode};

use super::{
    exit::{Refusal, print},
    load,
};
use crate::{
    config::Plan,
    output::{self, Level},
    sandbox::cache::{Cache, CacheError},
    text::counted,
};

/// Compiles a configuration's checks and sees that they are kept: a run without them would compile them again.
pub(super) async fn compile(path: &Path) -> Result<ExitCode, Refusal> {
    let plan = load::read(path)?;
    let not_kept = |what: &str, error: &CacheError| {
        let why = match error {
            // It was compiled a moment ago.
            CacheError::Io(_, error) if error.kind() == io::ErrorKind::NotFound => {
                "a warning above says why".into()
            }
            _ => error.to_string(),
        };
        output::log(Level::Error, &format!("{}: {what} is not kept: {why}", path.display()));
        Ok(ExitCode::FAILURE)
    };
    // A configuration without components needs none.
    let opened = match (!plan.checks.is_empty()).then(|| open(&plan)).transpose() {
        Ok(opened) => opened,
        Err(error) => return not_kept("what is compiled", &error),
    };
    load::strictly(&plan).await?;
    let (cache, kept) = opened.unzip();
    for check in &plan.checks {
        if let Some(Err(error)) = cache.as_ref().map(|cache| cache.keeps(&check.sha256)) {
            return not_kept(&format!("check `{}`", check.source.name), &error);
        }
    }
    let kept = kept.unwrap_or_default();
    let compiled = counted(plan.checks.len() - kept, "check");
    let before = if kept > 0 { format!(", {kept} kept before") } else { String::new() };
    print(&format!("{}: {compiled} compiled{before}\n", path.display()))
}

/// The cache, if it keeps all checks or takes those that it does not; and how many it keeps.
fn open(plan: &Plan) -> Result<(Cache, usize), CacheError> {
    let cache = Cache::open(load::cache_folder(plan))?;
    let kept = plan.checks.iter().filter(|check| cache.keeps(&check.sha256).is_ok()).count();
    if kept < plan.checks.len() {
        cache.takes_more()?;
    }
    Ok((cache, kept))
}
