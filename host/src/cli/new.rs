//! `sonde new` and `sonde wit`: what the author of a check begins with, written into a folder.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::exit::{Refusal, print};
use crate::kit::{self, Language};

#[derive(Args)]
pub(super) struct Arguments {
    /// Name of the check and of the folder: lower-case letters, digits and `-`
    name: String,
    /// What it is written in; with other languages begin with `sonde wit`
    #[arg(long, value_enum)]
    language: Language,
}

pub(super) fn new(arguments: &Arguments) -> Result<ExitCode, Refusal> {
    let Arguments { name, language } = arguments;
    kit::project(Path::new("."), name, *language).map_err(|error| error.to_string())?;
    print(&format!("{name}: begun; its README.md says how to build, test and use it\n"))
}

#[derive(Args)]
pub(super) struct Interface {
    /// The folder
    folder: PathBuf,
}

pub(super) fn wit(arguments: &Interface) -> Result<ExitCode, Refusal> {
    let folder = &arguments.folder;
    kit::wit(folder).map_err(|error| error.to_string())?;
    print(&format!("{}: {} files of the interface\n", folder.display(), kit::WIT.len()))
}
