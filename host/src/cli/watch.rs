//! The files of the configuration that runs: which those are in; that one of them has changed, out. They are looked at on a thread
//! of its own: a disk that does not answer holds up nothing else.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{exit::Refusal, start};
use crate::config::{Look, Watched};

/// How often they are looked at: by the second look that sees the same, whoever writes has most likely done so.
const PAUSE: Duration = Duration::from_secs(2);

/// What is watched, for whoever reads it and the thread.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    watched: Watched,
    seen: Look,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How they are, before they are read.
    pub(super) fn before(&self) -> Look {
        let watched = self.state().watched.clone();
        watched.look()
    }

    /// The configuration was read, and is of these files. If it was refused, those of the one that runs are watched as well, until one
    /// is read that is not. What changes after `before` is another change.
    pub(super) fn read(&self, before: &Look, read: Watched, is_refused: bool) {
        let running = if is_refused { self.state().watched.clone() } else { Watched::default() };
        let watched = running.and(read);
        let seen = watched.look().since(before);
        *self.state() = State { watched, seen };
    }

    /// What was read of them is nobody's: how they are is a change still.
    pub(super) fn forget(&self) {
        self.state().seen = Look::default();
    }

    /// Says of each change once that there is one.
    pub(super) fn start(&self, changed: impl Fn() + Send + 'static) -> Result<(), Refusal> {
        let watch = self.clone();
        start::thread(move || {
            let mut last = Look::default();
            loop {
                thread::sleep(PAUSE);
                let (now, is_new) = watch.look(&last);
                if is_new {
                    changed();
                }
                last = now;
            }
        })
    }

    /// How they are, and that this is new: otherwise than they were seen before, and as they were at the last look.
    pub(super) fn look(&self, last: &Look) -> (Look, bool) {
        let watched = self.state().watched.clone();
        let now = watched.look();
        let mut state = self.state();
        // Others were read meanwhile.
        let is_new = watched == state.watched && now != state.seen && now == *last;
        if is_new {
            state.seen = now.clone();
        }
        (now, is_new)
    }
}
