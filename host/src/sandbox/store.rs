//! Where a component computes: a state in; a store out in which it is bounded, and what a trap in it means.

use std::{io, str::Utf8Error, thread};

use wasmtime::{Engine, Store, component::ResourceTableError};

use super::{
    calls::Flood,
    error::chain,
    limits::{self, Growth},
    pace::CpuUsedUp,
    state::State,
};
pub(super) use crate::text::no_thread;
use crate::{catalogue::HostError, report::Failure};

/// So wasmtime says, which has no type for it, that a call hands over more than it may.
const TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";
/// And that there are too many handles.
const TOO_MANY: &str = "handle limit exceeded";

/// A store in which a check's computing is bounded, and which gives way to others at every tick.
pub(super) fn store(engine: &Engine, state: State) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits::CALL_BYTES);
    store.set_max_component_handles(limits::HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| Ok(context.data_mut().pace.tick()?));
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

/// See [`State::go_on`].
pub(super) async fn go_on(store: &mut Store<State>) -> Result<(), Failure> {
    let gone_on = store.data_mut().go_on().await;
    gone_on.map_err(|error| failure(&error, store.data()))
}

/// What a trap means.
pub(super) fn failure(error: &wasmtime::Error, state: &State) -> Failure {
    let text = chain(error);
    if let Some(text) = limit(error, &text, state) {
        return Failure::of_host(HostError::CheckLimit, text);
    }
    let kind = if error.is::<CpuUsedUp>() {
        HostError::CheckCpu
    } else if state.limiter.refused.is_some() {
        HostError::CheckMemory
    } else if error.is::<Flood>() {
        HostError::CheckLimit
    } else {
        HostError::CheckTrapped
    };
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
        None if error.is::<Utf8Error>() => format!("the check hands over a text that is not UTF-8: {text}"),
        None => text,
    };
    Failure::of_host(kind, text)
}

/// A limit that no key sets, in words of ours; none: it is another fault.
fn limit(error: &wasmtime::Error, text: &str, state: &State) -> Option<String> {
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) || text.contains(TOO_MANY) {
        let most = limits::HANDLES;
        return Some(format!(
            "more than {most} handles at once, of which a connection is one and a timer two"
        ));
    }
    let most = if state.timeless { limits::DESCRIPTION_BYTES } else { limits::CALL_BYTES };
    text.contains(TOO_MUCH).then(|| format!("more than {} KiB handed over in one call", most >> 10))
}
