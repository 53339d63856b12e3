//! What belongs to one run: its way to the network, its counters, its log. Dropped with the store.

use std::{sync::Arc, time::Instant};

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::WasiCtx;

use super::{
    calls::Calls,
    cpu::Meter,
    limits::{self, Limiter, Limits},
    log::Log,
    wasi,
};
use crate::{
    catalogue::HostError,
    net::{NetError, Outbound, Quota, Reach},
    text::counted,
};

/// A store's data.
pub(crate) struct State {
    pub(crate) limits: Limits,
    pub(crate) limiter: Limiter,
    pub(crate) meter: Meter,
    pub(crate) table: ResourceTable,
    /// What stands behind WASI, from the first call of it on.
    wasi: Option<Box<WasiCtx>>,
    /// It says something before any run: time stands still, and chance is always the same.
    pub(crate) timeless: bool,
    pub(crate) outbound: Arc<Outbound>,
    calls: Calls,
    denied: u32,
    pub(crate) log: Arc<Log>,
}

impl State {
    pub(crate) fn new(limits: Limits, reach: Reach, deadline: Instant, log: Log) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        let (log, calls) = (Arc::new(log), Calls::default());
        let quota = Quota::new(limits.connections, limits.traffic_bytes);
        Self {
            limiter: Limiter::new(&limits),
            outbound: Arc::new(Outbound::new(reach, quota, deadline)),
            limits,
            meter: Meter::default(),
            table,
            wasi: None,
            timeless: false,
            calls,
            denied: 0,
            log,
        }
    }

    /// For what a check says before any run: nothing is granted, and nothing can be seen that differs from call to call.
    pub(crate) fn timeless(limits: Limits, log: Log) -> Self {
        Self { timeless: true, ..Self::new(limits, Reach::default(), Instant::now(), log) }
    }

    /// What stands behind WASI, and the handles into it.
    pub(crate) fn wasi(&mut self) -> (&mut WasiCtx, &mut ResourceTable) {
        let context = if self.timeless { wasi::timeless_context } else { wasi::context };
        let wasi = self.wasi.get_or_insert_with(|| Box::new(context(&self.log, &self.calls)));
        (wasi, &mut self.table)
    }

    /// Tells the operator of a call that was refused, if that is what the error says.
    pub(crate) fn note_denied(&mut self, error: &NetError) {
        if !matches!(error.host_error(), HostError::Denied | HostError::SecretElsewhere) {
            return;
        }
        self.denied += 1;
        if self.denied <= limits::DENIED_LINES {
            self.log.note(&format!("denied: {error}"));
        }
    }

    /// Says what there was no line for.
    pub(crate) fn end(&self) {
        let more = self.denied.saturating_sub(limits::DENIED_LINES);
        if more > 0 {
            self.log.note(&format!("denied: {}", counted(more as usize, "more call")));
        }
    }

    /// Counts a call into the host; traps a check that floods it.
    pub(crate) fn charge_call(&mut self) -> wasmtime::Result<()> {
        Ok(self.calls.charge()?)
    }
}

/// Tells the linker how to find the state.
pub(crate) struct HasState;

impl HasData for HasState {
    type Data<'a> = &'a mut State;
}
