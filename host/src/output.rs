//! The only module that prints: metrics and what a person asked for on standard output, the log on standard error in the
//! form that Telegraf understands, one line each.

use std::io::{self, Write};

use crate::text;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

/// The longest log line, its end not counted: Telegraf stops reading at 64 KiB.
const LOG_BYTES: usize = 2048;

/// Writes all of `text` at once and flushes: the agent must see whole lines as soon as they are there.
pub fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes one line to the log. That nobody reads it is no reason to stop.
pub fn log(level: Level, text: &str) {
    let prefix = match level {
        Level::Error => "E! ",
        Level::Warning => "W! ",
        Level::Information => "I! ",
        Level::Debug => "D! ",
    };
    let line = format!("{prefix}{}\n", text::clean_to(text, LOG_BYTES - prefix.len()));
    let _unread: Result<(), io::Error> = io::stderr().lock().write_all(line.as_bytes());
}
