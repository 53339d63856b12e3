//! `sonde compile`: a configuration in; its checks' code in the cache out, so that no run has to compile them.

use std::{path::Path, process::ExitCode};

use super::{
    exit::{Refusal, print},
    load,
};
use crate::{
    config,
    output::{self, Level},
    sandbox::cache::{self, Cache},
};

/// Compiles a configuration's checks and sees that they are kept: a run without them would compile them again.
pub(super) async fn compile(path: &Path) -> Result<ExitCode, Refusal> {
    let plan = config::read(path).map_err(|error| error.to_string())?;
    load::strictly(path).await?;
    let cache = Cache::open(plan.cache_dir.or_else(cache::usual_folder));
    for check in &plan.checks {
        let kept = cache.as_ref().map_err(ToString::to_string);
        let kept = kept.and_then(|cache| cache.keeps(&check.sha256).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            let text = format!("{}: check `{}` is not kept: {error}", path.display(), check.source.name);
            output::log(Level::Error, &text);
            return Ok(ExitCode::FAILURE);
        }
    }
    let count = plan.checks.len();
    print(&format!("{}: {count} check{} compiled\n", path.display(), if count == 1 { "" } else { "s" }))
}
