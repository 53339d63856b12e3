//! Where a component computes: a state in; a store out in which it is bounded, and what a trap in it means.

use std::{fmt, io, thread, time::Duration};

use tokio::{task, time};
use wasmtime::{Engine, Store, UpdateDeadline};

use super::{
    calls::Flood,
    cpu::{Busy, Crowd},
    error::chain,
    limits::{self, Growth},
    state::State,
};
use crate::{catalogue::HostError, report::Failure, text::NO_THREAD};

/// A store in which a check's computing is bounded, and which gives way to others at every tick. One of several that have
/// computed for more than a tick also stays aside for a while, or the others would wait for a turn of each.
pub(super) fn store(engine: &Engine, state: State, crowd: &Crowd) -> Store<State> {
    let (meter, cpu_time) = (state.meter.clone(), state.limits.cpu_time);
    let (crowd, mut busy) = (crowd.clone(), None);
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits::CALL_BYTES);
    store.set_max_component_handles(limits::HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let used = meter.running();
        if used > cpu_time {
            return Err(CpuUsedUp(cpu_time).into());
        }
        if used < limits::TICK {
            return Ok(UpdateDeadline::Yield(1));
        }
        let busy: &mut Busy = busy.get_or_insert_with(|| crowd.enter());
        Ok(match busy.pause(&meter) {
            // The runtime looks at sockets, clocks and other threads only after some dozens of turns, or when nobody wants one:
            // who computes alone takes his next one after that look.
            Duration::ZERO => UpdateDeadline::YieldCustom(1, Box::pin(task::yield_now())),
            pause => UpdateDeadline::YieldCustom(1, Box::pin(time::sleep(pause))),
        })
    });
    store
}

/// One thread for all stores, until the engine is dropped.
pub(super) fn tick(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    let ticking = thread::Builder::new().spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(limits::TICK);
        }
    });
    ticking.map(drop)
}

/// Why there is no such thread.
pub(super) fn no_thread(error: &io::Error) -> String {
    format!("{NO_THREAD}: {error}")
}

/// Between two steps of what the host computes for a check: gives way to others, as the check itself does, and ends it where
/// its time is used up.
pub(super) async fn go_on(store: &mut Store<State>) -> Result<(), Failure> {
    if store.data().meter.turn() > limits::TICK {
        task::yield_now().await;
    }
    let state = store.data();
    let cpu_time = state.limits.cpu_time;
    if state.meter.running() > cpu_time { Err(failure(&CpuUsedUp(cpu_time).into(), state)) } else { Ok(()) }
}

/// What a trap means.
pub(super) fn failure(error: &wasmtime::Error, state: &State) -> Failure {
    let kind = if error.is::<CpuUsedUp>() {
        HostError::CheckCpu
    } else if state.limiter.refused.is_some() {
        HostError::CheckMemory
    } else if error.is::<Flood>() {
        HostError::CheckLimit
    } else {
        HostError::CheckTrapped
    };
    let text = chain(error);
    let key = match (kind, state.limiter.refused) {
        // Nobody sets what it may use up before any run.
        _ if state.timeless => None,
        (HostError::CheckCpu, _) => Some(format!("`limits.cpu_time`, {:?}", state.limits.cpu_time)),
        (HostError::CheckMemory, Some(Growth::Memory)) => {
            Some(format!("`limits.memory_mib`, {}", state.limits.memory_bytes >> 20))
        }
        _ => None,
    };
    let text = match key {
        Some(key) => format!("{text}: see {key}"),
        None => text,
    };
    Failure::of_host(kind, text)
}

/// The check computed for longer than this.
#[derive(Debug)]
struct CpuUsedUp(Duration);

impl fmt::Display for CpuUsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the check computed for more than {:?}", self.0)
    }
}

impl std::error::Error for CpuUsedUp {}
