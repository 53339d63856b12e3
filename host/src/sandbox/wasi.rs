//! What stands behind the interfaces of WASI 0.2: next to nothing. No environment, no files, no sockets, no name look-up;
//! standard output and error go to the log, random bytes come in small portions, the clocks are coarse.

use std::{convert::Infallible, sync::Arc, time::Duration};

use rand_core::TryRng;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxBuilder};

use super::{
    calls::Calls,
    limits::{CLOCK_STEP, RANDOM_BYTES},
    log::{Log, Stream},
};
use crate::output::Level;

/// The context of one run.
pub(super) fn context(log: &Arc<Log>, calls: &Calls) -> WasiCtx {
    inert(log, calls).wall_clock(Coarse).build()
}

/// The context of a check that describes itself, or judges a job: see `State::timeless`.
pub(super) fn timeless_context(log: &Arc<Log>, calls: &Calls) -> WasiCtx {
    inert(log, calls)
        .wall_clock(Still)
        .secure_random(Counting(0))
        .insecure_random(Counting(0))
        .insecure_random_seed(0)
        .build()
}

fn inert(log: &Arc<Log>, calls: &Calls) -> WasiCtxBuilder {
    let mut inert = WasiCtxBuilder::new();
    inert
        .stdout(Stream::new(log, Level::Information, calls))
        .stderr(Stream::new(log, Level::Warning, calls))
        .max_random_size(RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    inert
}

/// A moment, in steps.
pub(super) fn coarse(time: Duration) -> Duration {
    let rest = time.as_nanos() % CLOCK_STEP.as_nanos();
    time.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or_default()))
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
