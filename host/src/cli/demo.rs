//! `sonde demo`: our own mail server, probed in every mode; a picture and a line for each out, and exit code 1 if one is not as
//! it must be.

use std::{io::IsTerminal, process::ExitCode, sync::Arc};

use super::{
    arguments::{built_in, sandbox},
    check::{picture, run_once},
    exit::{Refusal, print},
};
use crate::{
    config,
    demo::{self, server::Server},
    line,
    output::{self, Level},
    schedule::RoundTime,
    tls_rules::TlsRules,
    value::Value,
};

pub(super) async fn demo() -> Result<ExitCode, Refusal> {
    let sandbox = Arc::new(sandbox()?);
    let smtp = built_in(&sandbox).await?;
    let server =
        Server::start().await.map_err(|error| format!("the demonstration server does not start: {error}"))?;
    let terminal = std::io::stdout().is_terminal();
    let mut unexpected = 0;
    for case in demo::cases(&server) {
        let tls = TlsRules { ca_pem: Some(server.ca_pem.clone().into_bytes()), ..TlsRules::default() };
        let job = config::AdHoc {
            parameters: case.parameters,
            tls,
            ..config::AdHoc::new("demo", &smtp, "127.0.0.1")
        };
        let job = job.validated().await.map_err(|error| error.to_string())?;
        let time = RoundTime::now();
        let report = run_once(&sandbox, job.clone(), time).await?;
        let points = job.points(&report, time.unix_ns);
        let picture = picture(&job, &report, &points, terminal);
        print(&format!("\n{}\n{picture}{}", case.title, line::lines(&points)))?;
        let sequence = Value::Integer(case.expected_sequence);
        if report.outcome() != case.expected || points.job.field("sequence_code") != Some(&sequence) {
            unexpected += 1;
            output::log(
                Level::Error,
                &format!(
                    "{}: expected {} at step {}",
                    case.title,
                    case.expected.name(),
                    case.expected_sequence
                ),
            );
        }
    }
    Ok(if unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
