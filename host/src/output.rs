//! The only module that prints: metrics and what a person asked for on standard output, the log on standard error in the
//! form that Telegraf understands, one line each.

mod descriptor;
mod log;
mod progress;
mod writer;

use std::io;

use nix::sys::stat::{SFlag, fstat};

pub use self::{
    log::{apart as log_apart, flush as flush_log},
    progress::{Progress, is_seen},
    writer::Writer,
};
use crate::text;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Level {
    /// Something is broken.
    Error,
    /// A check failed, or something will break.
    Warning,
    /// Worth knowing.
    Information,
    /// For the author of a check.
    Debug,
}

/// Writes all of `text` at once: whoever reads must see whole lines as soon as they are there.
pub fn write(text: &str) -> io::Result<()> {
    descriptor::write_all(&io::stdout().lock(), text.as_bytes())
}

/// Bytes that wait in the pipe that standard output is, or 0.
#[must_use]
pub fn unread() -> u64 {
    let stdout = io::stdout();
    let is_pipe =
        fstat(&stdout).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode).contains(SFlag::S_IFIFO));
    if is_pipe { rustix::io::ioctl_fionread(&stdout).unwrap_or_default() } else { 0 }
}

/// Writes one line to the log. That nobody reads it is no reason to stop, nor to wait.
pub fn log(level: Level, text: &str) {
    let prefix = match level {
        Level::Error => "E! ",
        Level::Warning => "W! ",
        Level::Information => "I! ",
        Level::Debug => "D! ",
    };
    log::write(format!("{prefix}{}\n", text::clean_to(text, log::LINE_BYTES - prefix.len())));
}
