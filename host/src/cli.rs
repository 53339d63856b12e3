//! The command line: arguments in, exit code out. 0: ran, also when checks failed; 1: `check --fail` or `demo` did not
//! succeed; 2: usage or configuration.

mod check;
mod component;
#[cfg(feature = "demo")]
mod demo;
mod load;
mod run;
mod stop;
mod test;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand, ValueEnum};

use self::check::{CheckArguments, check};
#[cfg(feature = "compiler")]
use crate::sandbox::compile::child as compile_child;
use crate::{
    check::Check,
    config, describe,
    description::Description,
    kit::{self, Language},
    net,
    output::{self, Level},
    sandbox::{SMTP, Sandbox},
    text,
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
    #[cfg(feature = "demo")]
    Demo,
    /// Prints or checks a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints what a check takes and reports; of a file also what it imports. It gets no network
    Describe {
        /// Name of a built-in check, or a component's file
        #[arg(default_value = SMTP)]
        check: String,
        /// Form of the tables
        #[arg(long, value_enum, default_value = "markdown")]
        output: Tables,
    },
    /// Prints the configuration that pins a component to its digest, and a job for it
    Pin {
        /// The component's file
        file: PathBuf,
        /// Host of the job
        #[arg(long, default_value = "host.example.org")]
        host: String,
        /// Parameter of the job, see `sonde describe`
        #[arg(short = 'p', long = "parameter", value_name = "KEY=VALUE")]
        parameters: Vec<String>,
    },
    /// Begins a check: a folder with the interface and a small working example
    New {
        /// Name of the check and of the folder: lower-case letters, digits and `-`
        name: String,
        /// What it is written in; with other languages begin with `sonde wit`
        #[arg(long, value_enum)]
        language: Language,
    },
    /// Writes the interface that a check implements (WIT) into a folder
    Wit {
        /// The folder
        folder: PathBuf,
    },
    /// Tests a check with servers that are absent, silent, broken, hostile; exits with 1 if it does not always report
    Test(test::TestArguments),
    /// What this program starts itself with: a component in, its code out
    #[cfg(feature = "compiler")]
    #[command(name = compile_child::COMMAND, hide = true)]
    CompileComponent,
    /// Compiles the checks of a configuration into the cache, so that no run has to
    Compile {
        /// Configuration (TOML)
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Tables {
    Markdown,
    Json,
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

/// What ends the program early; said once, with exit code 2.
type Refusal = String;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "compiler")]
    if matches!(cli.command, Command::CompileComponent) {
        return compile_child::main();
    }
    net::start();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the runtime does not start: {error}")),
    };
    let ended = runtime.block_on(async {
        match cli.command {
            Command::Check(arguments) => check(*arguments).await,
            Command::Run { config } => run::run(&config).await,
            #[cfg(feature = "demo")]
            Command::Demo => demo::demo().await,
            Command::Config(ConfigCommand::Sample) => {
                print(&config::sample::sample(&built_in(&sandbox()?).await?.description))
            }
            Command::Config(ConfigCommand::Check { file }) => {
                let jobs = load::strictly(&file).await?;
                print(&format!("{}: {} jobs, no error\n", file.display(), jobs.len()))
            }
            Command::Compile { config } => load::compile(&config).await,
            Command::Describe { check, output } if component::is_file(&check) => {
                component::describe(&PathBuf::from(check), output).await
            }
            Command::Describe { check, output } => {
                print(&tables(&named(&sandbox()?, &check).await?.description, output))
            }
            Command::Pin { file, host, parameters } => component::pin(&file, &host, &parameters).await,
            Command::New { name, language } => {
                kit::project(Path::new("."), &name, language).map_err(|error| error.to_string())?;
                print(&format!("{name}: begun; its README.md says how to build, test and use it\n"))
            }
            Command::Wit { folder } => {
                kit::wit(&folder).map_err(|error| error.to_string())?;
                print(&format!("{}: {} files of the interface\n", folder.display(), kit::WIT.len()))
            }
            Command::Test(arguments) => test::test(arguments).await,
            #[cfg(feature = "compiler")]
            Command::CompileComponent => unreachable!("answered before"),
        }
    });
    // A name look-up that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(Duration::ZERO);
    ended.unwrap_or_else(|refusal| refuse(&refusal))
}

fn refuse(refusal: &str) -> ExitCode {
    output::log(Level::Error, refusal);
    ExitCode::from(2)
}

fn sandbox() -> Result<Sandbox, Refusal> {
    Sandbox::new().map_err(|error| error.to_string())
}

async fn built_in(sandbox: &Sandbox) -> Result<Check, Refusal> {
    sandbox.built_in().await.map_err(|error| error.to_string())
}

/// The built-in check of this name.
async fn named(sandbox: &Sandbox, name: &str) -> Result<Check, Refusal> {
    if name == SMTP {
        return built_in(sandbox).await;
    }
    Err(format!("there is no check `{}`; built in: {SMTP}", text::clean(name)))
}

/// `KEY=VALUE`, each key once.
fn parameters(pairs: &[String]) -> Result<BTreeMap<String, String>, Refusal> {
    let mut parameters = BTreeMap::new();
    for pair in pairs {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("-p {}: expected KEY=VALUE", text::clean(pair)))?;
        if parameters.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("-p {}: given twice", text::clean(key)));
        }
    }
    Ok(parameters)
}

fn tables(description: &Description, output: Tables) -> String {
    match output {
        Tables::Markdown => describe::markdown(description),
        Tables::Json => format!("{:#}\n", describe::json(description)),
    }
}

/// Prints text that is no metric.
fn print(text: &str) -> Result<ExitCode, Refusal> {
    match output::write(text) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(format!("standard output: {error}")),
    }
}
