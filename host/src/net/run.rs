//! What all connections of a run have in common: until when, from which share, and what the first to each endpoint measured.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{clock::RunClock, error::Fault, quota::Quota};
use crate::{catalogue::HostError, measured::Contact, thread_stack::ThreadStack};

/// One run.
pub(super) struct Run {
    pub(super) clock: RunClock,
    pub(super) quota: Quota,
    /// Nothing is waited for any longer.
    pub(super) deadline: Instant,
    /// For look-ups, connecting and TLS.
    pub(super) thread_stack: ThreadStack,
    /// By the endpoint's number; mostly there is one, and a tree has room for eleven.
    contacts: Mutex<BTreeMap<usize, Box<Contact>>>,
}

impl Run {
    /// Begins now.
    pub(super) fn new(quota: Quota, deadline: Instant) -> Self {
        Self {
            clock: RunClock::start(),
            quota,
            deadline,
            thread_stack: ThreadStack::default(),
            contacts: Mutex::default(),
        }
    }

    /// After so long a wait, or at the run's own deadline if that is earlier.
    pub(super) fn until(&self, wait: Option<Duration>) -> Instant {
        let wanted = wait.and_then(|wait| Instant::now().checked_add(wait));
        wanted.map_or(self.deadline, |wanted| wanted.min(self.deadline))
    }

    /// Its deadline has come.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Why nothing begins any more: what was to be done would have this number.
    pub(super) fn no_time(&self, number: HostError) -> Fault {
        Fault::NoTime(number, self.clock.elapsed().saturating_sub(self.clock.waited()))
    }

    /// A connection is asked for: the endpoint whose first it is, which is the one that is measured.
    pub(super) fn first_to(&self, endpoint: Option<usize>) -> Option<usize> {
        let (endpoint, mut contacts) = (endpoint?, self.contacts());
        if contacts.contains_key(&endpoint) {
            return None;
        }
        contacts.insert(endpoint, Box::default());
        Some(endpoint)
    }

    /// Keeps what a connection measured, if it is the first to an endpoint.
    pub(super) fn note(&self, first_to: Option<usize>, note: impl FnOnce(&mut Contact)) {
        if let Some(endpoint) = first_to {
            note(self.contacts().entry(endpoint).or_default());
        }
    }

    /// What was measured so far, by the endpoint's number.
    pub(super) fn contacts(&self) -> MutexGuard<'_, BTreeMap<usize, Box<Contact>>> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
