//! What language runtimes need to start: the interfaces of WASI 0.2, with nothing behind them. No environment, no files,
//! no sockets, no name look-up; standard output and error go to the log, random bytes come in small portions, the clocks
//! are coarse. A wait in `wasi:io/poll` ends at the run's deadline, as any other call.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use rand_core::TryRng;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::{
    HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

use super::{
    limits::{CLOCK_STEP, RANDOM_BYTES},
    log::{Log, Stream},
    state::{HasState, State},
};
use crate::output::Level;

/// Defines them all, in every 0.2 version.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Whose waits know no deadline.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, HasState>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The context of one run.
pub(super) fn context(log: &Arc<Log>) -> WasiCtx {
    inert(log).wall_clock(Coarse).build()
}

/// The context of a check that describes itself: see [`State::describing`].
pub(super) fn timeless_context(log: &Arc<Log>) -> WasiCtx {
    inert(log)
        .wall_clock(Still)
        .secure_random(Counting(0))
        .insecure_random(Counting(0))
        .insecure_random_seed(0)
        .build()
}

fn inert(log: &Arc<Log>) -> WasiCtxBuilder {
    let mut inert = WasiCtxBuilder::new();
    inert
        .stdout(Stream::new(log, Level::Information))
        .stderr(Stream::new(log, Level::Warning))
        .max_random_size(RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    inert
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn coarse(time: Duration) -> Duration {
    let rest = time.as_nanos() % CLOCK_STEP.as_nanos();
    time.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default()))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A check waited while it described itself.
#[derive(Debug)]
struct Waiting;

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a check that describes itself has nothing to wait for")
    }
}

impl std::error::Error for Waiting {}

/// Counts from the run's beginning.
impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(if self.timeless { 0 } else { nanoseconds(coarse(self.outbound.elapsed())) })
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(nanoseconds(CLOCK_STEP))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = monotonic_clock::Host::now(self)?;
        monotonic_clock::Host::subscribe_duration(self, when.saturating_sub(now))
    }

    fn subscribe_duration(&mut self, nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        if self.timeless && nanoseconds > 0 {
            return Err(Waiting.into());
        }
        let (now, deadline) = (Instant::now(), self.outbound.deadline());
        let wanted = now.checked_add(Duration::from_nanos(nanoseconds)).unwrap_or(deadline);
        // Until then and no longer, so that the check can still report. One that goes on to wait is stopped soon.
        let until = if now < deadline { wanted.min(deadline) } else { wanted };
        let wake = self.table.push(Wake(until))?;
        subscribe(&mut self.table, wake)
    }
}

/// Is ready from this moment on.
struct Wake(Instant);

#[async_trait]
impl Pollable for Wake {
    async fn ready(&mut self) {
        tokio::time::sleep_until(self.0.into()).await;
    }
}

/// The wall clock, in steps.
struct Coarse;

impl HostWallClock for Coarse {
    fn resolution(&self) -> Duration {
        CLOCK_STEP
    }

    fn now(&self) -> Duration {
        coarse(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
    }
}

/// A wall clock that stands still, at the beginning of its count.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        CLOCK_STEP
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// Bytes that are anything but random: each is one more than the last. (All the same, they could make a program that draws
/// until it likes what it gets draw for ever.)
struct Counting(u8);

impl TryRng for Counting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}
