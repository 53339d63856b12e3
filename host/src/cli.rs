//! The command line: arguments in, exit code out. 0: ran, also when checks failed; 1: `check --fail` or `demo` did not
//! succeed; 2: usage or configuration.

use std::{
    collections::BTreeMap,
    env, fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task, time,
};

use crate::{
    alarm,
    component::{self, Component},
    config::{self, ConfigError},
    demo::{self, server::Server},
    describe,
    description::Description,
    job::{Config, Job, TlsRules, TlsVersion, Verify},
    line, net,
    output::{self, Level},
    report::{Outcome, Report, Value},
    sandbox::{SMTP, Sandbox},
    schedule::{self, RoundTime},
    text, waterfall,
};

/// Runs sandboxed checks of mail servers (and of whatever else a check is written for) and prints InfluxDB line protocol.
#[derive(Parser)]
#[command(name = "sonde", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks one server now: a picture on a terminal, line protocol into a pipe
    Check(Box<CheckArguments>),
    /// Runs every job of a configuration once and prints one line for each
    Run {
        /// Configuration (TOML); `sonde config sample` prints one
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Starts a small mail server on loopback and probes it in every mode
    Demo,
    /// Prints or checks a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints what a check takes and reports, as Markdown tables; of a file also what it imports. It gets no network
    Describe {
        /// Name of a built-in check, or a component's file
        #[arg(default_value = SMTP)]
        check: String,
    },
    /// Prints the configuration that pins a component to its digest, and a job for it
    Pin {
        /// The component's file
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Prints a commented sample
    Sample,
    /// Reads a configuration as `run` would, and runs nothing
    Check {
        /// The configuration
        file: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Output {
    Waterfall,
    Influx,
    Json,
}

#[derive(Args)]
struct CheckArguments {
    /// Host name or address
    host: String,
    /// TCP port (default 25; 465 with --connection tls)
    #[arg(long)]
    port: Option<u16>,
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
    /// Any other parameter of the check, see `sonde describe`
    #[arg(short = 'p', long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Alarm limits on a field: a number (more than), or "< 30" and the like
    #[arg(long = "limit", value_name = "FIELD=WARNING[,CRITICAL]")]
    limits: Vec<String>,
    /// Time for the whole check
    #[arg(long, value_name = "TIME", default_value = "10s")]
    timeout: String,
    /// full, report or off: what a bad certificate does
    #[arg(long, value_enum, default_value = "full")]
    verify: VerifyArgument,
    /// PEM file of further trusted roots
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Name that the certificate must have, instead of HOST
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Least TLS version
    #[arg(long, value_enum, default_value = "1.2")]
    min_version: VersionArgument,
    /// What to print (default: waterfall on a terminal, else influx)
    #[arg(long, value_enum)]
    output: Option<Output>,
    /// Exit with 1 if the check fails
    #[arg(long)]
    fail: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum VerifyArgument {
    Full,
    Report,
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum VersionArgument {
    #[value(name = "1.2")]
    V12,
    #[value(name = "1.3")]
    V13,
}

/// How long a line may take to be written after SIGTERM: enough where somebody reads.
const LAST_LINE: Duration = Duration::from_millis(500);

/// What ends the program early; said once, with exit code 2.
type Refusal = String;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the runtime does not start: {error}")),
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Check(arguments) => check(*arguments).await,
            Command::Run { config } => run(&config).await,
            Command::Demo => demo().await,
            Command::Config(ConfigCommand::Sample) => {
                let sandbox = sandbox().await?;
                print(&config::sample::sample(&sandbox.descriptions()))
            }
            Command::Config(ConfigCommand::Check { file }) => {
                let config = load(&file, &mut sandbox().await?).await?;
                print(&format!("{}: {} jobs, no error\n", file.display(), config.jobs.len()))
            }
            Command::Describe { check } if is_file(&check) => {
                let (component, sandbox) = inspect(Path::new(&check)).await?;
                let description = described(&sandbox, &check)?;
                let facts = describe::component(&check, &component.sha256, sandbox.imports(&check));
                print(&format!("{facts}\n{}", describe::markdown(&description)))
            }
            Command::Pin { file } => {
                let name = file.display().to_string();
                let (component, sandbox) = inspect(&file).await?;
                print(&config::sample::pinned(&*described(&sandbox, &name)?, &name, &component.sha256))
            }
            Command::Describe { check } => {
                let description = described(&sandbox().await?, &check)?;
                print(&describe::markdown(&description))
            }
        }
    });
    // A name look-up that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(Duration::ZERO);
    ended.unwrap_or_else(|refusal| refuse(&refusal))
}

/// A built-in check's name has neither.
fn is_file(check: &str) -> bool {
    check.contains(['/', '.'])
}

fn refuse(refusal: &str) -> ExitCode {
    output::log(Level::Error, refusal);
    ExitCode::from(2)
}

async fn sandbox() -> Result<Sandbox, Refusal> {
    Sandbox::new().await.map_err(|error| error.to_string())
}

fn described(sandbox: &Sandbox, check: &str) -> Result<Arc<Description>, Refusal> {
    let known =
        || sandbox.descriptions().iter().map(|check| check.name.clone()).collect::<Vec<_>>().join(", ");
    sandbox
        .description(check)
        .ok_or_else(|| format!("there is no check `{}`; built in: {}", text::clean(check), known()))
}

async fn load(path: &Path, sandbox: &mut Sandbox) -> Result<Config, Refusal> {
    let refuse = |error: ConfigError| error.to_string();
    let draft = config::read(path).map_err(refuse)?;
    for check in draft.checks().map_err(refuse)? {
        let loaded = sandbox.load(&check.name, &check.wasm).await;
        loaded.map_err(|error| refuse(draft.refuse_component(&check.name, error.to_string())))?;
    }
    draft.jobs(&|name| sandbox.description(name), &net::check_tls_rules).map_err(refuse)
}

/// Loads a component under its file's name, to look at it.
async fn inspect(path: &Path) -> Result<(Component, Sandbox), Refusal> {
    let name = path.display().to_string();
    let component =
        component::read(path).map_err(|error| format!("cannot read {}: {error}", text::clean(&name)))?;
    let mut sandbox = sandbox().await?;
    let loaded = sandbox.load(&name, &component.wasm).await;
    loaded.map_err(|error| format!("{}: {error}", text::clean(&name)))?;
    Ok((component, sandbox))
}

/// Prints text that is no metric.
fn print(text: &str) -> Result<ExitCode, Refusal> {
    match output::write(text) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("standard output: {error}")),
    }
}

async fn run(path: &Path) -> Result<ExitCode, Refusal> {
    let mut sandbox = sandbox().await?;
    let config = load(path, &mut sandbox).await?;
    let sandbox = Arc::new(sandbox);
    let round = RoundTime::now();
    let jobs = config.jobs.len();
    let mut done = 0;
    let mut stop = Stop {
        signal: signal(SignalKind::terminate()).map_err(|error| format!("SIGTERM: {error}"))?,
        came: false,
    };
    let mut reports = schedule::round(&sandbox, config.jobs, config.max_concurrent, round);
    // The agent's patience is over: what is done stands, and a status of 0 lets it keep that.
    let stopped = |done| {
        let without = jobs - done;
        output::log(Level::Warning, &format!("stopped by SIGTERM: {without} of {jobs} jobs have no line"));
        Ok(ExitCode::SUCCESS)
    };
    loop {
        let (job, report) = tokio::select! {
            // What has been reported is printed first.
            biased;
            report = reports.recv() => match report {
                Some(report) => report,
                None => return Ok(ExitCode::SUCCESS),
            },
            () = stop.wait() => return stopped(done),
        };
        let description = described(&sandbox, &job.check)?;
        // On a thread of its own: where nobody reads, a write waits, and neither the other checks nor SIGTERM may.
        let mut writing = task::spawn_blocking(move || {
            log_failure(&job, &report);
            let alarm = alarm::judge(&job.limits, &line::fields(&job, &report));
            print(&format!("{}\n", line::line(&job, &description, &report, &alarm, round.unix_ns)))
        });
        let written = tokio::select! {
            biased;
            written = &mut writing => written,
            () = stop.wait() => match time::timeout(LAST_LINE, writing).await {
                Ok(written) => written,
                Err(_unread) => return stopped(done),
            },
        };
        written.map_err(|error| format!("writing a line: {error}"))??;
        done += 1;
    }
}

/// SIGTERM, which once it came stays.
struct Stop {
    signal: Signal,
    came: bool,
}

impl Stop {
    async fn wait(&mut self) {
        if !self.came {
            self.signal.recv().await;
            self.came = true;
        }
    }
}

/// A failed check is logged once; our own faults as errors.
fn log_failure(job: &Job, report: &Report) {
    if let Some(failure) = &report.failure {
        let level = if failure.outcome == Outcome::CheckError { Level::Error } else { Level::Warning };
        let said = text::mask(&text::clean(&failure.text), &job.secrets);
        output::log(
            level,
            &format!("job {}: {}:{}: {}: {said}", job.name, job.host, job.port, failure.outcome.name()),
        );
    }
}

async fn check(arguments: CheckArguments) -> Result<ExitCode, Refusal> {
    let sandbox = Arc::new(sandbox().await?);
    let description = described(&sandbox, SMTP)?;
    let job = ad_hoc(&arguments, &description)?;
    let terminal = std::io::stdout().is_terminal();
    let output = arguments.output.unwrap_or(if terminal { Output::Waterfall } else { Output::Influx });
    let time = RoundTime::now();
    let report = sandbox_run(&sandbox, job.clone(), time).await?;
    let alarm = alarm::judge(&job.limits, &line::fields(&job, &report));
    let text = match output {
        Output::Influx => format!("{}\n", line::line(&job, &description, &report, &alarm, time.unix_ns)),
        Output::Json => format!("{}\n", line::json(&job, &description, &report, &alarm, time.unix_ns)),
        Output::Waterfall => picture(&job, &report, terminal),
    };
    if output != Output::Waterfall {
        log_failure(&job, &report);
    }
    print(&text)?;
    Ok(if arguments.fail && report.failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn sandbox_run(sandbox: &Arc<Sandbox>, job: Job, time: RoundTime) -> Result<Report, Refusal> {
    let mut reports = schedule::round(sandbox, vec![job], 1, time);
    reports
        .recv()
        .await
        .map(|(_, report)| report)
        .ok_or_else(|| "the check ended without a report".to_owned())
}

fn picture(job: &Job, report: &Report, terminal: bool) -> String {
    let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut fields = line::fields(job, report);
    let alarm = alarm::judge(&job.limits, &fields);
    if !alarm.text.is_empty() {
        fields.push(("alarm".to_owned(), Value::Text(alarm.text)));
    }
    waterfall::render(&format!("{}:{}", job.host, job.port), &fields, report.outcome(), colour)
}

fn ad_hoc(arguments: &CheckArguments, description: &Description) -> Result<Job, Refusal> {
    let mut parameters = BTreeMap::new();
    for pair in &arguments.parameters {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("-p {}: expected KEY=VALUE", text::clean(pair)))?;
        parameters.insert(key.to_owned(), value.to_owned());
    }
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            parameters.insert(key.to_owned(), value);
        }
    };
    set("port", arguments.port.map(|port| port.to_string()));
    set("connection", arguments.connection.clone());
    set("from", arguments.from.clone());
    set("to", (!arguments.to.is_empty()).then(|| arguments.to.join(",")));
    set("subject", arguments.subject.clone());
    set("body", arguments.body.clone());
    set("username", arguments.username.clone());
    if let Some(path) = &arguments.password_file {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("--password-file {}: {error}", path.display()))?;
        set(
            "password",
            Some(
                text.strip_suffix('\n')
                    .map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text))
                    .to_owned(),
            ),
        );
    }
    let read =
        |path: &PathBuf| fs::read(path).map_err(|error| format!("--ca-file {}: {error}", path.display()));
    let tls = TlsRules {
        verify: match arguments.verify {
            VerifyArgument::Full => Verify::Full,
            VerifyArgument::Report => Verify::Report,
            VerifyArgument::Off => Verify::Off,
        },
        server_name: arguments.server_name.clone(),
        min_version: match arguments.min_version {
            VersionArgument::V12 => TlsVersion::V12,
            VersionArgument::V13 => TlsVersion::V13,
        },
        ca_pem: arguments.ca_file.as_ref().map(read).transpose()?,
        client: None,
    };
    net::check_tls_rules(&tls)?;
    let timeout = config::duration(&arguments.timeout).map_err(|error| format!("--timeout: {error}"))?;
    config::ad_hoc(
        &arguments.host,
        SMTP,
        &arguments.host,
        timeout,
        &parameters,
        tls,
        &arguments.limits,
        description,
    )
    .map_err(|error| error.to_string())
}

async fn demo() -> Result<ExitCode, Refusal> {
    let sandbox = Arc::new(sandbox().await?);
    let description = described(&sandbox, SMTP)?;
    let server =
        Server::start().await.map_err(|error| format!("the demonstration server does not start: {error}"))?;
    let terminal = std::io::stdout().is_terminal();
    let mut unexpected = 0;
    for case in demo::cases(&server) {
        let mut parameters = case.parameters.clone();
        parameters.insert("port".to_owned(), case.port.to_string());
        let tls = TlsRules { ca_pem: Some(server.ca_pem.clone().into_bytes()), ..TlsRules::default() };
        let job = config::ad_hoc(
            "demo",
            SMTP,
            "127.0.0.1",
            Duration::from_secs(10),
            &parameters,
            tls,
            &[],
            &description,
        )
        .map_err(|error| error.to_string())?;
        let time = RoundTime::now();
        let report = sandbox_run(&sandbox, job.clone(), time).await?;
        let alarm = alarm::judge(&job.limits, &line::fields(&job, &report));
        let line = line::line(&job, &description, &report, &alarm, time.unix_ns);
        print(&format!("\n{}\n{}{line}\n", case.title, picture(&job, &report, terminal)))?;
        let sequence =
            report.fields.iter().find(|(name, _)| name == "sequence_code").map(|(_, value)| value.clone());
        if report.outcome() != case.expected || sequence != Some(Value::Integer(case.expected_sequence)) {
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
