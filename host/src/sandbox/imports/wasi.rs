//! What language runtimes need to start: the interfaces of WASI 0.2. A wait in `wasi:io/poll` ends at the run's deadline, as any
//! other call.

use std::{
    fmt,
    time::{Duration, Instant},
};

use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::{
    WasiCtxView, WasiView, async_trait,
    p2::{DynPollable, Pollable, bindings::clocks::monotonic_clock, subscribe},
};

use crate::sandbox::{
    limits::CLOCK_STEP,
    state::{HasState, State},
    wasi::coarse,
};

/// Defines them all, in every 0.2 version.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Whose waits know no deadline.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, HasState>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (ctx, table) = self.wasi();
        WasiCtxView { ctx, table }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A check waited before any run.
#[derive(Debug)]
struct Waiting;

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("before a run there is nothing to wait for")
    }
}

impl std::error::Error for Waiting {}

/// What the clock says when a run begins: to a runtime – Go's is one – 0 is a clock that does not go.
const ORIGIN: Duration = Duration::from_secs(1);

/// Counts from the run's beginning.
impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        let gone_by = if self.timeless { Duration::ZERO } else { coarse(self.outbound.elapsed()) };
        Ok(nanoseconds(ORIGIN.saturating_add(gone_by)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        net::Reach,
        sandbox::{cpu::Crowd, limits::Limits, log::Log},
        secret::Secrets,
    };

    #[test]
    fn the_clock_goes_from_the_beginning_on_and_before_any_run_it_says_something_as_well() {
        let log = || Log::new("check a".to_owned(), Secrets::default(), 0);
        let (limits, crowd) = (Limits::default(), Crowd::here());
        let mut timeless = State::timeless(limits.clone(), log(), &crowd);
        let mut state = State::new(limits, Reach::default(), Instant::now(), log(), &crowd);
        for state in [&mut timeless, &mut state] {
            let now = monotonic_clock::Host::now(state).unwrap();
            // Go's runtime ends at 0.
            assert!(now > 0 && now.is_multiple_of(nanoseconds(CLOCK_STEP)), "{now}");
        }
    }
}
