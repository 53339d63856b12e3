//! `sonde describe`: a check in, what it takes and reports out; of a component's file also what it is and imports. It gets no
//! network.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{
    arguments::{self, sandbox},
    exit::{Refusal, print},
};
use crate::{describe, sandbox::SMTP};

#[derive(Args)]
pub(super) struct Arguments {
    /// Name of a built-in check, or a component's file
    #[arg(default_value = SMTP)]
    check: String,
    /// Form of the tables
    #[arg(long, value_enum, default_value = "markdown")]
    output: Tables,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Tables {
    Markdown,
    Json,
}

pub(super) async fn describe(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let check = arguments::check(&sandbox()?, &arguments.check).await?;
    let is_file = arguments::is_file(&arguments.check);
    let description = &check.description;
    print(&match (arguments.output, is_file) {
        (Tables::Markdown, false) => describe::markdown(description),
        (Tables::Markdown, true) => {
            format!("{}\n{}", describe::component(&check), describe::markdown(description))
        }
        (Tables::Json, false) => format!("{:#}\n", describe::json(description)),
        (Tables::Json, true) => format!("{:#}\n", describe::component_json(&check)),
    })
}
