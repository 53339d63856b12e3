//! What all connections of a run have in common: by which rules, until when, from which share, and what they measured.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{clock::RunClock, quota::Quota, tls::Tls};
use crate::measured::Measured;

/// One run.
pub(super) struct Run {
    pub(super) tls: Arc<Tls>,
    pub(super) clock: RunClock,
    pub(super) quota: Quota,
    /// Nothing is waited for any longer.
    pub(super) deadline: Instant,
    measured: Mutex<Measured>,
}

impl Run {
    /// Begins now.
    pub(super) fn new(tls: Arc<Tls>, quota: Quota, deadline: Instant) -> Self {
        Self { tls, clock: RunClock::start(), quota, deadline, measured: Mutex::default() }
    }

    /// After so long a wait, or at the run's own deadline if that is earlier.
    pub(super) fn until(&self, wait: Option<Duration>) -> Instant {
        let wanted = wait.and_then(|wait| Instant::now().checked_add(wait));
        wanted.map_or(self.deadline, |wanted| wanted.min(self.deadline))
    }

    /// Keeps what a connection measured, if it is the run's first.
    pub(super) fn note(&self, first: bool, note: impl FnOnce(&mut Measured)) {
        if first {
            note(&mut self.measured());
        }
    }

    /// What was measured so far.
    pub(super) fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
