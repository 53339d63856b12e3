//! What belongs to one run: its grant, its deadline, its counters and what was measured. Dropped with the store.

use std::time::Instant;

use wasmtime::component::{HasData, ResourceTable};

use super::{
    bindings::sonde::check::{log, network::ErrorKind},
    limits::{self, Limiter},
};
use crate::{
    catalogue::HostError,
    job::{Secret, TlsRules},
    net::{Grant, RunClock},
    output::{self, Level},
    report::Measured,
    text,
};

/// A store's data.
pub(crate) struct State {
    pub(crate) limiter: Limiter,
    pub(crate) table: ResourceTable,
    pub(crate) grant: Grant,
    pub(crate) tls: TlsRules,
    pub(crate) clock: RunClock,
    pub(crate) deadline: Instant,
    pub(crate) measured: Measured,
    pub(crate) calls: u32,
    pub(crate) connections: u32,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) faults: Vec<(ErrorKind, HostError)>,
    /// Before each log line: the job and its check.
    pub(crate) label: String,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) log_lines: u32,
}

impl State {
    pub(crate) fn new(
        grant: Grant,
        tls: TlsRules,
        deadline: Instant,
        label: String,
        secrets: Vec<Secret>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        Self {
            limiter: Limiter::default(),
            table,
            grant,
            tls,
            clock: RunClock::start(),
            deadline,
            measured: Measured::default(),
            calls: 0,
            connections: 0,
            received: 0,
            sent: 0,
            faults: Vec::new(),
            label,
            secrets,
            log_lines: 0,
        }
    }

    /// Counts a call into the host; traps a check that floods it.
    pub(crate) fn charge_call(&mut self) -> wasmtime::Result<()> {
        self.calls += 1;
        if self.calls > limits::HOST_CALLS { Err(Flood.into()) } else { Ok(()) }
    }
}

/// The check made more calls than it may.
#[derive(Debug)]
pub(crate) struct Flood;

impl std::fmt::Display for Flood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "more than {} calls into the host", limits::HOST_CALLS)
    }
}

impl std::error::Error for Flood {}

impl log::Host for State {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.charge_call()?;
        self.log_lines += 1;
        if self.log_lines > limits::LOG_LINES {
            return Ok(());
        }
        let level = match level {
            log::Level::Error => Level::Error,
            log::Level::Warning => Level::Warning,
            log::Level::Information => Level::Information,
            log::Level::Debug => Level::Debug,
        };
        let cut = message.chars().take(limits::LOG_BYTES).collect::<String>();
        output::log(level, &format!("{}: {}", self.label, text::mask(&text::clean(&cut), &self.secrets)));
        Ok(())
    }
}

/// Tells the linker how to find the state.
pub(crate) struct HasState;

impl HasData for HasState {
    type Data<'a> = &'a mut State;
}
