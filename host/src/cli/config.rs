//! `sonde config`: a sample of a configuration out; or one in, and what `run` would refuse of it.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

use super::{
    arguments::{built_in, sandbox},
    exit::{Refusal, print},
    load,
};
use crate::{config, text::counted};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Prints a commented sample
    Sample,
    /// Reads a configuration as `run` would, and runs nothing
    Check {
        /// The configuration
        file: PathBuf,
    },
}

pub(super) async fn config(command: Command) -> Result<ExitCode, Refusal> {
    match command {
        Command::Sample => print(&config::sample::sample(&built_in(&sandbox()?).await?.description)),
        Command::Check { file } => {
            let jobs = load::strictly(&load::read(&file)?).await?;
            print(&format!("{}: {}, no error\n", file.display(), counted(jobs, "job")))
        }
    }
}
