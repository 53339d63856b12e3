//! A check's words on their way to the operator: levels and texts, or the bytes of its standard output and error, in; at
//! most so many clean log lines without secrets out. What is over is counted.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{bindings::sonde::check::log as wit, limits::LOG_BYTES, state::State};
use crate::{
    output::{self, Level},
    secret::Secrets,
};

/// Bytes of a line on a stream that are looked at: far more than are shown, so that what is shown has no part of a secret.
const LINE_BYTES: usize = 16 * LOG_BYTES;
/// Bytes that a stream takes at once.
const STREAM_BYTES: usize = 4096;

/// The log of one run.
#[derive(Debug)]
pub(crate) struct Log {
    /// Before each line: the job and its check.
    label: String,
    secrets: Secrets,
    allowed: u32,
    lines: AtomicU32,
}

impl Log {
    pub(crate) fn new(label: String, secrets: Secrets, allowed: u32) -> Self {
        Self { label, secrets, allowed, lines: AtomicU32::new(0) }
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        if self.lines.fetch_add(1, Ordering::Relaxed) < self.allowed {
            self.say(level, message);
        }
    }

    /// Says what the host itself has to say about the run: not counted. It may be the check's words all the same, such as a
    /// host that it asked for.
    pub(crate) fn note(&self, message: &str) {
        self.say(Level::Warning, message);
    }

    fn say(&self, level: Level, message: &str) {
        output::log(level, &format!("{}: {}", self.label, self.secrets.outgoing(message, LOG_BYTES)));
    }

    /// Says at the end how many lines are missing.
    pub(crate) fn end(&self) {
        let dropped = self.lines.load(Ordering::Relaxed).saturating_sub(self.allowed);
        if dropped > 0 {
            self.note(&format!("{dropped} more log lines dropped"));
        }
    }
}

impl wit::Host for State {
    async fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.charge_call()?;
        let level = match level {
            wit::Level::Error => Level::Error,
            wit::Level::Warning => Level::Warning,
            wit::Level::Information => Level::Information,
            wit::Level::Debug => Level::Debug,
        };
        self.log.write(level, &message);
        Ok(())
    }
}

/// Standard output or error: its lines go to the log.
pub(crate) struct Stream {
    pub(crate) log: Arc<Log>,
    pub(crate) level: Level,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Of a later interface, which no check gets.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { log: Arc::clone(&self.log), level: self.level, begun: Vec::new() })
    }
}

/// Cuts bytes into lines.
struct Lines {
    log: Arc<Log>,
    level: Level,
    /// Of a line that has no end yet.
    begun: Vec<u8>,
}

impl Lines {
    fn end_line(&mut self) {
        if !self.begun.is_empty() {
            self.log.write(self.level, &String::from_utf8_lossy(&self.begun));
            self.begun.clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Lines {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        for byte in bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.begun.len() < LINE_BYTES {
                self.begun.push(byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_BYTES)
    }
}
