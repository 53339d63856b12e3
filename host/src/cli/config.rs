//! `sonde config`: a sample of a configuration out; or one in, and what `run` would refuse of it.

use std::{mem, path::PathBuf, process::ExitCode};

use clap::Subcommand;

use super::{
    arguments::{Share, built_in, sandbox},
    exit::{Refusal, print},
    load,
};
use crate::{
    config::{self, Watched},
    text::counted,
};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Prints a commented sample
    Sample,
    /// Reads a configuration as `run` would, and runs nothing
    Check {
        /// The configuration
        file: PathBuf,
        #[command(flatten)]
        share: Share,
    },
}

pub(super) async fn config(command: Command) -> Result<ExitCode, Refusal> {
    match command {
        Command::Sample => print(&config::sample::sample(&built_in(&sandbox()?).await?.description)),
        Command::Check { file, share } => {
            let shard = share.shard()?;
            let plan = load::read(&file, &mut Watched::default())?;
            let jobs = load::strictly(&plan).await?;
            let own = shard.map_or_else(String::new, |shard| {
                let own = plan.jobs.iter().filter(|job| shard.has(job.name(), job.host())).count();
                format!(", {own} of them in share {shard}")
            });
            // The program ends here: to take thousands of jobs down would take a tenth of reading them.
            mem::forget(plan);
            print(&format!("{}: {}{own}, no error\n", file.display(), counted(jobs, "job")))
        }
    }
}
