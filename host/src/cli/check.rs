//! `sonde check`: a server and the parts of a job as arguments in; a picture or lines out.

use std::{
    collections::BTreeMap, env, future::ready, io::IsTerminal, mem, path::PathBuf, process::ExitCode,
    sync::Arc,
};

use clap::{Args, ValueEnum};

use super::{
    arguments::{self, parameters, sandbox},
    exit::{Refusal, print},
    failures,
};
use crate::{
    alarm::State,
    check::Check,
    config::{self, AdHoc},
    host::without_brackets,
    job::Job,
    line,
    net::{NoTls, Tls},
    output::{self, Level},
    point::{Point, Points},
    regular,
    report::Report,
    sandbox::{SMTP, Sandbox},
    schedule::{self, RoundTime},
    tls_rules::{TlsRules, TlsVersion, Verify},
    value::Value,
    waterfall,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Output {
    Waterfall,
    Influx,
    Json,
}

#[derive(Args)]
pub(super) struct Arguments {
    /// Host name or address
    host: String,
    /// Name of a built-in check, or a component's file
    #[arg(long, value_name = "CHECK", default_value = SMTP)]
    check: String,
    /// TCP port (default 25; 465 with --connection tls)
    #[arg(long)]
    port: Option<String>,
    /// plain, starttls or tls
    #[arg(long)]
    connection: Option<String>,
    /// Sender of the test mail
    #[arg(long)]
    from: Option<String>,
    /// Recipient of the test mail; repeat for more; without one no mail is sent
    #[arg(long)]
    to: Vec<String>,
    /// Subject of the test mail
    #[arg(long)]
    subject: Option<String>,
    /// Body of the test mail, HTML
    #[arg(long)]
    body: Option<String>,
    /// User name for AUTH
    #[arg(long)]
    username: Option<String>,
    /// File with the password: an argument would show in the process list
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Any other parameter of the check, see `sonde describe`; a secret also as '{ file = "…" }', '{ env = "…" }' or '{ credential = "…" }'
    #[arg(short = 'p', long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Host of a further endpoint of the check, see `sonde describe`; by itself its default applies: of a built-in check, and
    /// otherwise if it is HOST or a name below
    #[arg(long = "endpoint", value_name = "NAME=HOST")]
    endpoints: Vec<String>,
    /// Alarm limits on a field, of the job or of its parts: a number (more than), or "< 30" and the like
    #[arg(long = "limit", value_name = "[PART.]FIELD=WARNING[,CRITICAL]")]
    alarm_limits: Vec<String>,
    /// Time for the whole check
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: String,
    /// full, report or off: what a bad certificate does
    #[arg(long, value_enum, default_value = "full")]
    verify: Verify,
    /// PEM file of further trusted roots
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Name that the certificate must have, instead of HOST
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Least TLS version
    #[arg(long, value_enum, default_value = "1.2")]
    min_version: TlsVersion,
    /// What to print (default: waterfall on a terminal, else influx)
    #[arg(long, value_enum)]
    output: Option<Output>,
    /// Exit with 1 if the check fails, a critical limit is broken, or a limited value was not measured
    #[arg(long)]
    fail: bool,
}

pub(super) async fn check(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let sandbox = Arc::new(sandbox()?);
    let check = arguments::check(&sandbox, &arguments.check).await?;
    let job = job(&arguments, &check)?.validated().await.map_err(|error| error.to_string())?;
    for doubt in config::doubts(&job.alarm_limits) {
        output::log(Level::Warning, &doubt.to_string());
    }
    let terminal = std::io::stdout().is_terminal();
    let output = arguments.output.unwrap_or(if terminal { Output::Waterfall } else { Output::Influx });
    let time = RoundTime::now();
    let report = run_once(&sandbox, job.clone(), time).await?;
    let points = job.points(&report, time.unix_ns);
    let text = match output {
        Output::Influx => line::lines(&points),
        Output::Json => line::json_lines(&points),
        Output::Waterfall => picture(&job, &report, &points, terminal),
    };
    if output != Output::Waterfall {
        failures::log_first(&points.job);
    }
    print(&text)?;
    // What they hold goes with the process: to take it down before takes longer.
    mem::forget((sandbox.clone(), check.clone()));
    // As a plugin of Nagios would fail.
    let bad = [State::Critical, State::Unknown].map(|state| Value::Integer(state.code()));
    let is_bad = |point: &&Point| point.field("alarm_state").is_some_and(|state| bad.contains(state));
    let alarm = points.all().find(is_bad);
    let fails = arguments.fail && (report.failure.is_some() || alarm.is_some());
    // Of a failed check the log has the reason; the picture has both.
    if let (true, None, Some(point)) = (fails && output != Output::Waterfall, &report.failure, alarm) {
        output::log(Level::Warning, &format!("job {}: alarm: {}", job.name, point.text("alarm")));
    }
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(super) async fn run_once(sandbox: &Arc<Sandbox>, job: Job, time: RoundTime) -> Result<Report, Refusal> {
    let mut reports = schedule::round(sandbox, [ready(job)], 1, time);
    reports
        .recv()
        .await
        .map(|ended| ended.report)
        .ok_or_else(|| "the check ended without a report".to_owned())
}

pub(super) fn picture(job: &Job, report: &Report, points: &Points, terminal: bool) -> String {
    let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let ends_first = report.measured.contact.tls_facts.ends_first.as_ref();
    let ends_first = ends_first.map(|ending| job.shown(&ending.to_string()));
    waterfall::render(points, &job.check.description, ends_first.as_deref(), colour)
}

fn given_twice(key: &str) -> Refusal {
    format!("{key}: given by its own flag and by -p")
}

fn job<'a>(arguments: &Arguments, check: &'a Check) -> Result<AdHoc<'a>, Refusal> {
    let mut parameters = parameters(&arguments.parameters)?;
    let mut read = BTreeMap::new();
    let mut set = |key: &str, value: Option<String>| match value
        .map(|value| parameters.insert(key.to_owned(), value))
    {
        Some(Some(_other)) => Err(given_twice(key)),
        _ => Ok(()),
    };
    set("port", arguments.port.clone())?;
    set("connection", arguments.connection.clone())?;
    set("from", arguments.from.clone())?;
    set("to", (!arguments.to.is_empty()).then(|| arguments.to.join(",")))?;
    set("subject", arguments.subject.clone())?;
    set("body", arguments.body.clone())?;
    set("username", arguments.username.clone())?;
    if let Some(path) = &arguments.password_file {
        if parameters.contains_key("password") {
            return Err(given_twice("password"));
        }
        if !check.description.parameters.iter().any(|parameter| parameter.name == "password") {
            let instead = "of another secret `-p KEY='{ file = \"…\" }'` names the file";
            return Err(format!(
                "--password-file: check `{}` has no parameter `password`: {instead}",
                check.name
            ));
        }
        let secret = config::secret_or_pipe(path);
        let secret = secret.map_err(|error| format!("--password-file {}: {error}", path.display()))?;
        read.insert("password".to_owned(), secret);
    }
    let certificates = |path: &PathBuf| {
        let pem = regular::bytes_or_pipe(path, config::PEM_BYTES);
        pem.map_err(|error| format!("--ca-file {}: {error}", path.display()))
    };
    let tls = TlsRules {
        verify: arguments.verify,
        server_name: arguments.server_name.clone(),
        min_version: arguments.min_version,
        ca_pem: arguments.ca_file.as_ref().map(certificates).transpose()?,
        crl_pem: None,
        client: None,
    };
    // The job knows no file.
    if let Some(path) = &arguments.ca_file
        && let Err(NoTls::CaFile(wrong)) = Tls::new(&tls)
    {
        return Err(format!("--ca-file {}: {wrong}", path.display()));
    }
    let endpoints = arguments::endpoints(&arguments.endpoints)?;
    let timeout = config::duration(&arguments.timeout).map_err(|error| format!("--timeout: {error}"))?;
    let alarm_limits = arguments.alarm_limits.clone();
    let host = &arguments.host;
    // As tag `server` has it.
    let name = without_brackets(host);
    Ok(AdHoc { timeout, parameters, read, endpoints, tls, alarm_limits, ..AdHoc::new(name, check, host) })
}
