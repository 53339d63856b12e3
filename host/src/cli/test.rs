//! `sonde test`: a check, by name or file, in; a table of what it does with all kinds of servers out, and exit code 1 if it
//! does not always report.

use std::{process::ExitCode, sync::Arc};

use clap::Args;

use super::{
    arguments::{self, endpoints, parameters, sandbox},
    exit::{Refusal, print},
};
use crate::{
    config,
    conformance::{self, Subject},
    host::Host,
    sandbox::Limits,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// The component's file, or the name of a built-in check
    check: String,
    /// Parameter of its jobs, see `sonde describe`; a secret also as '{ file = "…" }', '{ env = "…" }' or '{ credential = "…" }'
    #[arg(short = 'p', long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// A real server: it is talked to as it is, and through a network that cuts, stalls and trickles
    #[arg(long, value_name = "HOST:PORT")]
    against: Option<String>,
    /// A real server of a further endpoint of the check, at the port of its parameter; the others say yes to everything
    #[arg(long = "endpoint", value_name = "NAME=HOST")]
    endpoints: Vec<String>,
    /// Time for each run
    #[arg(long, value_name = "TIME", default_value = "2s")]
    timeout: String,
}

pub(super) async fn test(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let sandbox = Arc::new(sandbox()?);
    let check = arguments::check(&sandbox, &arguments.check).await?;
    let subject = Subject {
        sandbox: &sandbox,
        check: &check,
        parameters: &parameters(&arguments.parameters)?,
        endpoints: &endpoints(&arguments.endpoints)?,
        timeout: config::duration(&arguments.timeout).map_err(|error| format!("--timeout: {error}"))?,
        against: arguments.against.as_deref().map(server).transpose()?,
    };
    let verdicts = conformance::run(&subject).await.map_err(|error| error.to_string())?;
    print(&conformance::table(&verdicts, &check.description, &Limits::default()))?;
    let missed = verdicts.iter().any(|verdict| verdict.miss.is_some());
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn server(text: &str) -> Result<(String, u16), Refusal> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or("--against: expected HOST:PORT")?;
    let host = Host::bracketed(host).map_err(|expected| format!("--against: HOST: expected {expected}"))?;
    Ok((host.ascii().to_owned(), port))
}
