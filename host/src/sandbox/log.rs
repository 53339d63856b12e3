//! A check's words on their way to the operator: levels and texts, or the bytes of its standard output and error, in; at
//! most so many clean log lines without secrets out. What is over is counted.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use super::{calls::Calls, limits::LOG_BYTES, repeats::Repeating};
use crate::{
    output::{self, Level},
    secret::{Secrets, sequence::Sequence},
    text::counted,
};

/// Bytes that a stream takes at once: little enough to be read between two looks at a computing check, even as thousands of
/// lines.
const STREAM_BYTES: usize = 4096;

/// The log of one run. Says at its end what it held back, and how many lines are missing.
#[derive(Debug)]
pub(crate) struct Log {
    /// Before each line: the job and its check.
    label: String,
    secrets: Secrets,
    allowed: u32,
    /// None: each line is shown.
    repeating: Option<Repeating>,
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
        Self { label, secrets, allowed, repeating: None, lines: Mutex::new(Lines { count: 0, sequence }) }
    }

    /// Leaves out what earlier runs said.
    pub(super) fn folding(mut self, repeating: Option<Repeating>) -> Self {
        self.repeating = repeating;
        self
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        let mut lines = self.lines();
        lines.count = lines.count.saturating_add(1);
        let shown = lines.count <= self.allowed;
        // One that is not shown may still be the rest of what was begun: it is read, and nothing of it is kept.
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
            let line = format!("{}: {line}", self.label);
            let fold = |repeating: &Repeating| repeating.fold(&(level, &line), Instant::now());
            match self.repeating.as_ref().map_or(Some(0), fold) {
                None => {}
                Some(0) => output::log(level, &line),
                Some(more) => output::log(level, &format!("{line} … and {more} more times")),
            }
        }
    }
}

/// After the run, and on nobody's bill: no more than the lines that a check may write, each read before.
impl Drop for Log {
    fn drop(&mut self) {
        let (held, count) = {
            let mut lines = self.lines();
            (lines.sequence.end(), lines.count)
        };
        self.say(held);
        let dropped = count.saturating_sub(self.allowed);
        if dropped > 0 {
            self.note(&format!("{} dropped", counted(dropped as usize, "more log line")));
        }
    }
}

/// Standard output or error: its lines go to the log, whichever of its handles writes a part of them.
#[derive(Clone)]
pub(crate) struct Stream {
    line: Arc<Line>,
    calls: Calls,
}

impl Stream {
    pub(crate) fn new(log: &Arc<Log>, level: Level, calls: &Calls) -> Self {
        let line = Line { log: Arc::clone(log), level, begun: Mutex::default() };
        Self { line: Arc::new(line), calls: calls.clone() }
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
        self.calls.charge(bytes.len()).map_err(|flood| StreamError::Trap(flood.into()))?;
        // Nobody else sees to it that a check keeps to what it was told.
        if bytes.len() > STREAM_BYTES {
            return Err(StreamError::trap("wrote more to a stream than it takes at once"));
        }
        self.line.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{calls::Flood, limits::HOST_CALLS};

    fn stream(calls: &Calls) -> Stream {
        let log = Log::new("x".to_owned(), Secrets::default(), 0);
        Stream::new(&Arc::new(log), Level::Debug, calls)
    }

    #[test]
    fn a_stream_takes_no_more_at_once_than_it_says() {
        let mut stream = stream(&Calls::default());
        let most = stream.check_write().unwrap();
        assert!(stream.write(vec![b'x'; most].into()).is_ok());
        assert!(matches!(stream.write(vec![b'x'; most + 1].into()), Err(StreamError::Trap(_))));
    }

    #[test]
    fn writing_counts_as_a_call() {
        let calls = Calls::default();
        let (mut stream, mut other) = (stream(&calls), stream(&calls));
        for _ in 0..HOST_CALLS / 2 {
            assert!(stream.write("x".into()).is_ok() && other.write("x".into()).is_ok());
        }
        for stream in [&mut stream, &mut other] {
            assert!(matches!(stream.write("x".into()), Err(StreamError::Trap(trap)) if trap.is::<Flood>()));
        }
    }
}
