//! `sonde compile`: a configuration in; its checks' code in the cache out, so that no run has to compile them. Refuses a cache
//! that cannot keep it before anything is compiled, and one from which nothing can be run behind that.

use std::{io, path::Path, process::ExitCode};

use super::{
    arguments::sandbox,
    exit::{Refusal, print},
    load,
};
use crate::{
    config::{Plan, Watched},
    output::{self, Level},
    sandbox::cache::{Cache, CacheError},
    text::counted,
};

/// Compiles a configuration's checks and sees that they are kept: a run without them would compile them again.
pub(super) async fn compile(path: &Path) -> Result<ExitCode, Refusal> {
    let plan = load::read(path, &mut Watched::default())?;
    let not_kept = |what: &str, why: &str| {
        output::log(Level::Error, &format!("{}: {what} is not kept: {why}", path.display()));
        Ok(ExitCode::FAILURE)
    };
    // A configuration without components needs none.
    let cache = match (!plan.checks.is_empty()).then(|| open(&plan)).transpose() {
        Ok(cache) => cache,
        Err(error) => return not_kept("what is compiled", &error.to_string()),
    };
    load::strictly(&plan).await?;
    let sandbox = sandbox()?;
    for check in &plan.checks {
        if let Some(Err(error)) = cache.as_ref().map(|cache| sandbox.uses(cache, check.sha256())) {
            let why = match error {
                // It was compiled a moment ago.
                CacheError::Io(_, error) if error.kind() == io::ErrorKind::NotFound => {
                    "a warning above says why".to_owned()
                }
                _ => error.to_string(),
            };
            return not_kept(&format!("check `{}`", check.source.name), &why);
        }
    }
    print(&format!("{}: {} compiled and kept\n", path.display(), counted(plan.checks.len(), "check")))
}

/// The cache, if it keeps all checks or takes those that it does not.
fn open(plan: &Plan) -> Result<Cache, CacheError> {
    let cache = Cache::open(load::cache_folder(plan))?;
    if plan.checks.iter().any(|check| cache.keeps(check.sha256()).is_err()) {
        cache.takes_more()?;
    }
    Ok(cache)
}
