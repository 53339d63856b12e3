//! A check's words on their way to the operator: levels and texts, or the bytes of its standard output and error, in; at
//! most so many clean log lines without secrets out. What is over is counted.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::limits::LOG_BYTES;
use crate::{
    output::{self, Level},
    secret::{Secrets, Sequence},
};

/// Bytes that a stream takes at once.
const STREAM_BYTES: usize = 4096;

/// The log of one run. Says at its end what it held back, and how many lines are missing.
#[derive(Debug)]
pub(crate) struct Log {
    /// Before each line: the job and its check.
    label: String,
    secrets: Secrets,
    allowed: u32,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    count: u32,
    /// A secret may go on in the next line, whoever writes it.
    sequence: Sequence<Level>,
}

impl Log {
    pub(crate) fn new(label: String, secrets: Secrets, allowed: u32) -> Self {
        let sequence = Sequence::new(&secrets, LOG_BYTES);
        Self { label, secrets, allowed, lines: Mutex::new(Lines { count: 0, sequence }) }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        let mut lines = self.lines();
        lines.count = lines.count.saturating_add(1);
        let shown = lines.count <= self.allowed;
        // One that is not shown may still be the rest of what was begun.
        if shown || !lines.sequence.is_empty() {
            self.say(lines.sequence.push(shown.then_some(level), message));
        }
    }

    /// Says what the host itself has to say about the run: not counted. It may be the check's words all the same, such as a
    /// host that it asked for.
    pub(crate) fn note(&self, message: &str) {
        self.say(vec![(Level::Warning, self.secrets.outgoing(message, LOG_BYTES))]);
    }

    fn say(&self, lines: Vec<(Level, String)>) {
        for (level, line) in lines {
            output::log(level, &format!("{}: {line}", self.label));
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (held, count) = {
            let mut lines = self.lines();
            (lines.sequence.end(), lines.count)
        };
        self.say(held);
        let dropped = count.saturating_sub(self.allowed);
        if dropped > 0 {
            self.note(&format!("{dropped} more log lines dropped"));
        }
    }
}

/// Standard output or error: its lines go to the log, whichever of its handles writes a part of them.
#[derive(Clone)]
pub(crate) struct Stream(Arc<Line>);

impl Stream {
    pub(crate) fn new(log: &Arc<Log>, level: Level) -> Self {
        Self(Arc::new(Line { log: Arc::clone(log), level, begun: Mutex::default() }))
    }
}

/// A line that has no end yet.
struct Line {
    log: Arc<Log>,
    level: Level,
    begun: Mutex<Vec<u8>>,
}

impl Line {
    fn write(&self, bytes: &[u8]) {
        let most = self.log.lines().sequence.of_use();
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = most.saturating_sub(begun.len());
            begun.extend(text.iter().take(room));
            if text.len() < part.len() {
                self.end(&mut begun);
            }
        }
    }

    fn end(&self, begun: &mut Vec<u8>) {
        if !begun.is_empty() {
            self.log.write(self.level, &String::from_utf8_lossy(begun));
            begun.clear();
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut begun = mem::take(&mut self.begun).into_inner().unwrap_or_else(PoisonError::into_inner);
        self.end(&mut begun);
    }
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
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Stream {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_BYTES)
    }
}
