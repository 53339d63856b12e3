//! What language runtimes need to start: the interfaces of WASI 0.2, with nothing behind them. No environment, no files,
//! no sockets, no name look-up; standard output and error go to the log, random bytes come in small portions, the clocks
//! are coarse. Waiting in `wasi:io/poll` ends with the run's deadline as any other call.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wasmtime::component::Linker;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::{
    limits::{CLOCK_STEP, RANDOM_BYTES},
    log::{Log, Stream},
    state::State,
};
use crate::output::Level;

/// Defines them all, in every 0.2 version.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// The context of one run.
pub(super) fn context(log: &Arc<Log>) -> WasiCtx {
    let stream = |level| Stream { log: Arc::clone(log), level };
    WasiCtxBuilder::new()
        .stdout(stream(Level::Information))
        .stderr(stream(Level::Warning))
        .max_random_size(RANDOM_BYTES)
        .monotonic_clock(Coarse(Instant::now()))
        .wall_clock(Coarse(Instant::now()))
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A clock in steps; the monotonic one counts from the run's beginning.
struct Coarse(Instant);

fn coarse(time: Duration) -> Duration {
    let rest = time.as_nanos() % CLOCK_STEP.as_nanos();
    time.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default()))
}

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        u64::try_from(CLOCK_STEP.as_nanos()).unwrap_or_default()
    }

    fn now(&self) -> u64 {
        u64::try_from(coarse(self.0.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl HostWallClock for Coarse {
    fn resolution(&self) -> Duration {
        CLOCK_STEP
    }

    fn now(&self) -> Duration {
        coarse(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
    }
}
