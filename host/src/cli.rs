//! The command line: arguments in, exit code out. 0: ran, also when checks failed; 1: `check --fail`, `test`, `compile` or
//! `demo` did not succeed; 2: usage or configuration.

mod arguments;
mod awaited;
mod check;
mod clock;
mod coming;
mod compile;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod describe;
mod execd;
mod exit;
mod failures;
mod input;
mod load;
mod machine;
mod new;
mod pin;
mod reload;
mod rounds;
mod run;
mod self_metrics;
mod start;
mod stop;
mod tally;
mod test;
mod watch;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use self::{arguments::Deferred, exit::refuse};
#[cfg(feature = "compiler")]
use crate::sandbox::compile::child;
use crate::{
    net,
    output::{self, Level},
};

/// What is said where the kernel does not stamp. Not in each round of an agent that starts a program for it, which may show one line
/// of it alone.
const NO_STAMPS: &str = "this system does not stamp what arrives: times are less exact";
/// How long the program stays for the rest of its log: enough where somebody reads.
const LAST_LOG: Duration = Duration::from_millis(100);

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
    Check(Deferred<Box<check::Arguments>>),
    /// Runs every job of a configuration once and prints one line for each
    Run(Deferred<run::Arguments>),
    /// Runs the jobs of a configuration whenever the agent that keeps this running asks for it, or at an interval
    Execd(Deferred<execd::Arguments>),
    /// Starts a small mail server on loopback and probes it in every mode
    #[cfg(feature = "demo")]
    Demo,
    /// Prints or checks a configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Prints what a check takes and reports; of a file also what it imports. It gets no network
    Describe(Deferred<describe::Arguments>),
    /// Prints the configuration that pins a component to its digest, and a job for it
    Pin(Deferred<pin::Arguments>),
    /// Begins a check: a folder with the interface and a small working example
    New(Deferred<new::Arguments>),
    /// Writes the interface that a check implements (WIT) into a folder
    Wit(Deferred<new::Interface>),
    /// Tests a check with servers that are absent, silent, broken, hostile; exits with 1 if it does not always report
    Test(Deferred<test::Arguments>),
    /// Compiles the checks of a configuration into the cache, so that no run has to
    Compile {
        /// Configuration (TOML)
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
    /// What this program starts itself with: a component in, its code out
    #[cfg(feature = "compiler")]
    #[command(name = child::COMMAND, hide = true)]
    CompileComponent,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "compiler")]
    if matches!(cli.command, Command::CompileComponent) {
        return child::main();
    }
    let stamps = net::start();
    if let Err(refusal) = start::prepare() {
        return refuse(&refusal);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the runtime does not start: {error}")),
    };
    if let (Err(error), Command::Check(_) | Command::Execd(_)) = (stamps, &cli.command) {
        output::log(Level::Warning, &format!("{NO_STAMPS} (SO_TIMESTAMPNS: {error})"));
    }
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Check(Deferred(arguments)) => check::check(*arguments).await,
            Command::Run(Deferred(arguments)) => run::run(arguments).await,
            Command::Execd(Deferred(arguments)) => execd::execd(arguments).await,
            #[cfg(feature = "demo")]
            Command::Demo => demo::demo().await,
            Command::Config(command) => config::config(command).await,
            Command::Describe(Deferred(arguments)) => describe::describe(arguments).await,
            Command::Pin(Deferred(arguments)) => pin::pin(arguments).await,
            Command::New(Deferred(arguments)) => new::new(&arguments),
            Command::Wit(Deferred(arguments)) => new::wit(&arguments),
            Command::Test(Deferred(arguments)) => test::test(arguments).await,
            Command::Compile { config } => compile::compile(&config).await,
            #[cfg(feature = "compiler")]
            Command::CompileComponent => unreachable!("answered before"),
        }
    });
    // A name look-up that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(Duration::ZERO);
    let code = ended.unwrap_or_else(|refusal| refuse(&refusal));
    output::flush_log(LAST_LOG);
    code
}
