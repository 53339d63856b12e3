//! How often a check calls the host: a call in; whether it may, out.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use super::limits;

/// How many calls a run made into the host, those that write its standard output and error included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<AtomicU32>);

impl Calls {
    /// One more, if it may, that writes so much to its standard output or error: there nothing gives way to others.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), Flood> {
        let calls = 1 + u32::try_from(bytes / limits::WRITTEN_BYTES).unwrap_or(limits::HOST_CALLS);
        if self.0.fetch_add(calls, Ordering::Relaxed) < limits::HOST_CALLS { Ok(()) } else { Err(Flood) }
    }
}

/// The check made more calls than it may.
#[derive(Debug)]
pub(crate) struct Flood;

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} calls into the host", limits::HOST_CALLS)
    }
}

impl std::error::Error for Flood {}
