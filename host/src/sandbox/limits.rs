//! What one run may use up: limits with their reasons, and what watches over the growth of memories and tables.
//!
//! What the host itself holds for a run is bounded by these limits as well, and is far less than a check's memory: what one call
//! hands over (`CALL_BYTES`), until it returns; a judged report, of 256 bytes a text and no more parts than lines (`Limits::lines`);
//! of a log line that is held back or has no end yet, what is looked at for secrets; a table of `HANDLES`; the connections' buffers.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// What an operator may set for a check; each of its runs starts with all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// All linear memories together. The built-in probe needs 2 MiB, language runtimes up to 16.
    pub memory_bytes: usize,
    /// Computing, the host's work for the check included. An SMTP session takes under one millisecond.
    pub cpu_time: Duration,
    /// The longest `timeout` that a job of the check may have.
    pub wall_time: Duration,
    /// Attempts at a connection.
    pub connections: u32,
    /// Bytes received and sent, each, as they cross the socket.
    pub traffic_bytes: u64,
    /// Log lines kept, the check's standard output and error included.
    pub log_lines: u32,
    /// Metrics lines of a run, the job's own included; the others are for its parts.
    pub lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu_time: Duration::from_millis(500),
            wall_time: Duration::from_mins(10),
            connections: 8,
            traffic_bytes: 16 << 20,
            log_lines: 20,
            // Who lets a check have further lines, each of a series of its own, says how many.
            lines: 1,
        }
    }
}

/// Entries of all tables; only function pointers live there.
pub(crate) const TABLE_ELEMENTS: usize = 50_000;
/// Instances and tables of one component; toolchains make a handful.
pub(crate) const INSTANCES: usize = 32;
/// Memories of one component: each reserves gigabytes of addresses, of which a process has not without end.
pub(crate) const MEMORIES: usize = 8;
/// Time between two looks at a computing check.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// From the soft deadline, when network calls return, to the hard one: time to report what was measured.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// Calls into the host; a slow peer that sends single bytes costs one a byte, up to the largest reply.
pub(crate) const HOST_CALLS: u32 = 100_000;
/// Written to standard output or error, they count as one call more: reading all that a run may write there takes about a turn.
pub(crate) const WRITTEN_BYTES: usize = 64;
/// Bytes of one read.
pub(crate) const READ_BYTES: u32 = 64 << 10;
/// Bytes that one call may hand from the check to the host, its report included, as the host then holds them.
pub(crate) const CALL_BYTES: usize = 4 << 20;
/// The same of a call while it describes itself, the description included, or judges a job: every job has a share of what it says,
/// and people read it.
pub(crate) const DESCRIPTION_BYTES: usize = 256 << 10;
/// Resource handles alive at once: connections, and the streams of a language's runtime.
pub(crate) const HANDLES: usize = 256;
/// Connections that an operator may allow a run: the handles, without sixteen for a runtime's own streams and waits.
pub(crate) const CONNECTIONS: u32 = 240;
/// Metrics lines of a run that nobody keeps: of the built-in check, and of a component that is looked at.
pub(crate) const LINES: u32 = 64;
/// Metrics lines that an operator may allow a run: each is one more series, or several, of whatever stores them.
pub(crate) const MOST_LINES: u32 = 256;
/// Bytes of a log line.
pub(crate) const LOG_BYTES: usize = 512;
/// Denied connections of a run that get a line in the log each; the others are counted.
pub(crate) const DENIED_LINES: u32 = 3;
/// Random bytes of one call: enough for any key, too little to keep the host busy.
pub(crate) const RANDOM_BYTES: u64 = 4096;
/// Steps of the clock that a check reads: fine enough to measure with, too coarse to watch the host's caches.
pub(crate) const CLOCK_STEP: Duration = Duration::from_micros(100);
/// Size of a component.
pub(crate) const COMPONENT_BYTES: usize = 64 << 20;
/// Compiling one component, by the clock: whatever else computes goes first.
pub(crate) const COMPILE_TIME: Duration = Duration::from_mins(10);
/// Computing meanwhile, on all cores together; a language's runtime takes seconds.
pub(crate) const COMPILE_CPU_TIME: Duration = Duration::from_mins(2);
/// Address space meanwhile.
pub(crate) const COMPILE_MEMORY_BYTES: u64 = 2 << 30;
/// Describing itself, or judging a job: there is nothing to wait for, but another check may be computing.
pub(crate) const DESCRIBE_TIME: Duration = Duration::from_secs(2);
/// Computing meanwhile; a language's runtime needs two milliseconds. All checks of a configuration describe themselves
/// before its first round.
pub(crate) const DESCRIBE_CPU_TIME: Duration = Duration::from_millis(200);

/// Bytes of data that the process may have at least: with less, what begins a thread or a run finds no memory, and ends the program
/// or leaves it standing.
pub(crate) const LEAST_DATA: u64 = 32 << 20;

/// Refuses growth past the limits, and remembers that it did: a check may hide the refusal behind a trap of its own.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// Bytes that all memories may have together.
    allowed: usize,
    memory: usize,
    elements: usize,
    /// Growth of this was refused.
    pub(crate) refused: Option<Growth>,
}

/// What grows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Growth {
    Memory,
    Table,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { allowed: limits.memory_bytes, ..Self::default() }
    }

    /// What the memories have. They never shrink: also the most that they had.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory
    }
}

/// Adds growth to a sum; false where it would pass the limit.
fn grow(sum: &mut usize, current: usize, desired: usize, allowed: usize) -> bool {
    let grown = sum.saturating_add(desired.saturating_sub(current));
    if grown <= allowed {
        *sum = grown;
    }
    grown <= allowed
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = grow(&mut self.memory, current, desired, self.allowed);
        if !granted {
            self.refused = Some(Growth::Memory);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = grow(&mut self.elements, current, desired, TABLE_ELEMENTS);
        if !granted {
            self.refused = Some(Growth::Table);
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}
