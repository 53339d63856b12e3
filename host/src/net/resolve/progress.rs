//! How far a look-up has come: whom it asks, and what of them failed, in; why there is no address yet, for a run whose time ends before
//! it does, out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::net::unresolved::Unresolved;

/// Of one look-up, for all who wait for it.
#[derive(Default)]
pub(super) struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    /// Else it waits for its turn.
    has_begun: bool,
    asked: Vec<Asked>,
    failed: Option<Unresolved>,
}

/// A server, as it is shown.
struct Asked {
    server: String,
    is_by_tcp: bool,
}

impl Progress {
    /// Its turn has come.
    pub(super) fn begins(&self) {
        self.state().has_begun = true;
    }

    /// Nobody is asked any more.
    pub(super) fn starts_over(&self) {
        let mut state = self.state();
        state.asked.clear();
        state.failed = None;
    }

    pub(super) fn asks(&self, server: String) {
        self.state().asked.push(Asked { server, is_by_tcp: false });
    }

    /// And by UDP it has answered.
    pub(super) fn asks_by_tcp(&self, server: &str) {
        for asked in &mut self.state().asked {
            asked.is_by_tcp |= asked.server == server;
        }
    }

    pub(super) fn failed(&self, why: Unresolved) {
        self.state().failed = Some(why);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failed.is_some()
    }

    /// None: it waits for its turn.
    pub(super) fn so_far(&self) -> Option<Unresolved> {
        let has_begun = self.state().has_begun;
        has_begun.then(|| self.why())
    }

    /// That a server cannot tell is more than that others are silent.
    pub(super) fn why(&self) -> Unresolved {
        let state = self.state();
        let shown =
            |asked: &Asked| format!("{}{}", asked.server, if asked.is_by_tcp { " by TCP" } else { "" });
        let silent = || Unresolved::Silent(state.asked.iter().map(shown).collect::<Vec<_>>().join(", "));
        state.failed.clone().unwrap_or_else(silent)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
