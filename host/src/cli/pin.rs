//! `sonde pin`: a component's file in; the configuration that pins it to what it is and says, and a job for it, out.

use std::{
    path::{self, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    arguments::{component, endpoints, parameters, sandbox},
    exit::{Refusal, print},
};
use crate::{
    config::{self, AdHoc, ConfigError, Problem},
    host::Host,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// The component's file
    file: PathBuf,
    /// Host of the job
    #[arg(long, default_value = "host.example.org")]
    host: String,
    /// Parameter of the job, see `sonde describe`; a secret also as '{ file = "…" }', '{ env = "…" }' or '{ credential = "…" }'
    #[arg(short = 'p', long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Host of a further endpoint of the job; those that the check has by default are written as well
    #[arg(long = "endpoint", value_name = "NAME=HOST")]
    endpoints: Vec<String>,
}

pub(super) async fn pin(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let Arguments { file, host, parameters: given, endpoints: named } = arguments;
    let (given, named) = (parameters(&given)?, endpoints(&named)?);
    Host::bracketed(&host).map_err(|expected| format!("--host: expected {expected}"))?;
    // Wherever the configuration comes to stand.
    let name = path::absolute(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let name = name.to_str();
    let name =
        name.ok_or_else(|| format!("{}: a configuration can only name a file in UTF-8", file.display()))?;
    let sandbox = sandbox()?;
    let check = component(&sandbox, &file).await?;
    let endpoints = config::sample::endpoints(&check.description, &host, &named);
    let (parameters, named) = (given.clone(), endpoints.clone());
    let job = AdHoc { parameters, endpoints: named, ..AdHoc::new(&check.name, &check, &host) };
    match job.validated().await {
        // What is missing is for the operator to fill in.
        Ok(_) | Err(ConfigError { problem: Problem::Missing, .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    let pinned = config::sample::pinned(&check, name, &host, &given, &endpoints);
    print(&pinned.map_err(|error| error.to_string())?)
}
