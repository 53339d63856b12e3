//! Turns of the jobs of one host: a host in; out, when a job of it may run, a turn, to be kept while it does. At most so many of a
//! host's run at once, where the operator says how many, and at most [`BEGINNING`] begin at once in any case. What waits here holds
//! up no other host's jobs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::host::{Host, Named};

/// Runs of one host that begin at once: a server that has not taken them yet keeps connections in its backlog, 20 of them where it
/// is Exim, and what is over is lost without a word. Others may want some, too.
const BEGINNING: usize = 16;
/// How long a run begins, unless it ends before: by then a server has taken its connection, where it takes any.
pub(super) const BEGINS: Duration = Duration::from_millis(50);

/// Of all hosts, those that were asked for.
#[derive(Debug)]
pub(super) struct Hosts {
    at_once: usize,
    turns: Mutex<HashMap<Named, Turns>>,
}

#[derive(Clone, Debug)]
struct Turns {
    running: Arc<Semaphore>,
    beginning: Arc<Semaphore>,
}

/// That a job may run.
#[derive(Debug)]
pub(super) struct Turn {
    /// To be kept as long as it runs.
    pub(super) running: Option<OwnedSemaphorePermit>,
    /// To be kept as long as it begins.
    pub(super) beginning: Option<OwnedSemaphorePermit>,
}

impl Hosts {
    /// So many jobs of each at once; none: any.
    pub(super) fn new(at_once: Option<usize>) -> Self {
        let at_once = at_once.map_or(Semaphore::MAX_PERMITS, |most| most.clamp(1, Semaphore::MAX_PERMITS));
        Self { at_once, turns: Mutex::default() }
    }

    /// Forgets those that nobody runs at, or waits for.
    pub(super) fn forget(&self) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, Turns { running, beginning }| {
            Arc::strong_count(running) > 1 || Arc::strong_count(beginning) > 1
        });
    }

    /// Waits for the turn of one of its jobs.
    pub(super) async fn turn(&self, host: &Host) -> Turn {
        let Turns { running, beginning } = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Turns {
                running: Arc::new(Semaphore::new(self.at_once)),
                beginning: Arc::new(Semaphore::new(BEGINNING)),
            };
            turns.entry(host.named().clone()).or_insert_with(new).clone()
        };
        // Neither is ever closed.
        let running = running.acquire_owned().await.ok();
        Turn { running, beginning: beginning.acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many turns of a host there are without waiting.
    async fn at_once(hosts: &Hosts, name: &str) -> Vec<Turn> {
        let host: Host = name.parse().unwrap();
        let mut turns = Vec::new();
        while let Ok(turn) = tokio::time::timeout(Duration::ZERO, hosts.turn(&host)).await {
            turns.push(turn);
        }
        turns
    }

    #[tokio::test]
    async fn so_many_of_one_host_begin_at_once_and_each_that_has_begun_makes_room() {
        let hosts = Hosts::new(None);
        let mut turns = at_once(&hosts, "MX1.example.org.").await;
        assert_eq!(turns.len(), BEGINNING);
        // The same host.
        assert!(at_once(&hosts, "mx1.example.org").await.is_empty());
        assert_eq!(at_once(&hosts, "mx2.example.org").await.len(), BEGINNING);
        turns[0].beginning = None;
        assert_eq!(at_once(&hosts, "mx1.example.org").await.len(), 1);
    }

    #[tokio::test]
    async fn a_host_at_which_nobody_runs_or_waits_is_forgotten() {
        let hosts = Hosts::new(Some(1));
        let (turns, _gone) = (at_once(&hosts, "mx1").await, at_once(&hosts, "mx2").await.is_empty());
        hosts.forget();
        assert_eq!(hosts.turns.lock().unwrap().len(), 1);
        assert!(at_once(&hosts, "mx1").await.is_empty(), "it is still its turn");
        drop(turns);
        hosts.forget();
        assert!(hosts.turns.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_more_of_one_host_run_at_once_than_the_operator_says() {
        let hosts = Hosts::new(Some(2));
        let mut turns = at_once(&hosts, "h").await;
        assert_eq!(turns.len(), 2);
        turns[0].beginning = None;
        assert!(at_once(&hosts, "h").await.is_empty());
        turns.remove(0);
        assert_eq!(at_once(&hosts, "h").await.len(), 1);
    }
}
