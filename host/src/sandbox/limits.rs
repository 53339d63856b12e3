//! What one run may use up: constants with their reasons, the memory limiter, and the counters that calls are charged to.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// One linear memory; the built-in probe needs 2 MiB, language runtimes up to 16.
pub(crate) const MEMORY_BYTES: usize = 64 << 20;
/// Entries of one table; only function pointers live there.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// Instances, tables and memories of one component; toolchains make a handful.
pub(crate) const INSTANCES: usize = 32;
/// Time between two looks at a computing check.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// Ticks that a check may compute in: half a second where an SMTP session takes under one millisecond.
pub(crate) const CPU_TICKS: u32 = 50;
/// From the soft deadline, when network calls return, to the hard one: time to report what was measured.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// Calls into the host; a slow peer that sends single bytes costs one a byte, up to the largest reply.
pub(crate) const HOST_CALLS: u32 = 100_000;
/// Connections opened in one run.
pub(crate) const CONNECTIONS: u32 = 8;
/// Bytes received and sent in one run, each.
pub(crate) const TRAFFIC_BYTES: u64 = 16 << 20;
/// Bytes of one read.
pub(crate) const READ_BYTES: u32 = 64 << 10;
/// Bytes that one call may hand from the check to the host, its report included.
pub(crate) const CALL_BYTES: usize = 4 << 20;
/// Resource handles alive at once.
pub(crate) const HANDLES: usize = 64;
/// Log lines kept of one run.
pub(crate) const LOG_LINES: u32 = 20;
/// Bytes of a log line.
pub(crate) const LOG_BYTES: usize = 512;
/// Size of a component.
pub(crate) const COMPONENT_BYTES: usize = 64 << 20;

/// Refuses growth past the limits, and remembers that it did: a check may hide the refusal behind a trap of its own.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// Growth was refused.
    pub(crate) refused: bool,
}

impl Limiter {
    fn judge(&mut self, allowed: bool) -> bool {
        self.refused |= !allowed;
        allowed
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.judge(desired <= MEMORY_BYTES))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.judge(desired <= TABLE_ELEMENTS))
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}
