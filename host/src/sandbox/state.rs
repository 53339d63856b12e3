//! What belongs to one run: its way to the network, its counters, its log. Dropped with the store.

use std::{sync::Arc, time::Instant};

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::WasiCtx;

use super::{
    calls::Calls,
    cpu::Crowd,
    limits::{self, Limiter, Limits},
    log::Log,
    pace::Pace,
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
    pub(crate) pace: Pace,
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
    /// Of a run that goes on as this crowd lets it.
    pub(crate) fn new(limits: Limits, reach: Reach, deadline: Instant, log: Log, crowd: &Crowd) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        let (log, calls) = (Arc::new(log), Calls::default());
        let quota = Quota::new(limits.connections, limits.traffic_bytes);
        Self {
            limiter: Limiter::new(&limits),
            outbound: Arc::new(Outbound::new(reach, quota, deadline)),
            pace: Pace::new(limits.cpu_time, crowd),
            limits,
            table,
            wasi: None,
            timeless: false,
            calls,
            denied: 0,
            log,
        }
    }

    /// For what a check says before any run: nothing is granted, and nothing can be seen that differs from call to call.
    pub(crate) fn timeless(limits: Limits, log: Log, crowd: &Crowd) -> Self {
        Self { timeless: true, ..Self::new(limits, Reach::default(), Instant::now(), log, crowd) }
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

    /// Counts a call into the host, and gives way to others where it is time for that; traps a check that floods it, or has used
    /// up its computing.
    pub(crate) async fn charge_call(&mut self) -> wasmtime::Result<()> {
        self.calls.charge(0)?;
        self.go_on().await
    }

    /// Between two steps of what the host computes for a check: gives way to others, as the check itself does, and ends it where
    /// its time is used up.
    pub(crate) async fn go_on(&mut self) -> wasmtime::Result<()> {
        if let Some(others) = self.pace.call()? {
            others.await;
        }
        Ok(())
    }
}

/// Tells the linker how to find the state.
pub(crate) struct HasState;

impl HasData for HasState {
    type Data<'a> = &'a mut State;
}
