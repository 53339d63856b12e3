//! One run of a job, from its round's begin to its report: what it waits for in; how it ended, with room for its lines, out. A task that
//! dies becomes a report too. What nobody has room for in time is dropped, with all that waits behind it.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinError, JoinHandle},
    time,
};

use super::{
    hosts::{self, BEGINS, Hosts},
    place::{Taken, Unwritten},
    round_time::RoundTime,
    waiting::Waits,
};
use crate::{
    catalogue::HostError,
    job::Job,
    report::{Failure, Report},
    sandbox::Sandbox,
    workers::Workers,
};

/// Lines of ended runs that are not written yet, at most: some megabytes, and an agent that is stuck for a minute or two misses
/// none of a thousand jobs.
pub(super) const HELD_LINES: u32 = 4096;

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// Whose.
    pub job: Arc<Job>,
    /// What came of it.
    pub report: Report,
    /// Of its round.
    pub time: RoundTime,
    /// From the round's begin until its turn.
    pub turn_late: Duration,
    /// When it ended.
    pub at: Instant,
    /// To be kept until its lines are written.
    pub held: Held,
    /// Its job is not begun again before this was taken.
    _taken: Taken,
}

/// Room for lines.
pub type Room = OwnedSemaphorePermit;

/// The lines of a run that is over, and the room that they take.
#[derive(Debug)]
pub struct Held {
    _room: Option<Room>,
    _lines: Unwritten,
}

/// A run that was begun.
pub(super) struct Run {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) workers: Arc<Workers>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) hosts: Arc<Hosts>,
    pub(super) room: Arc<Semaphore>,
    pub(super) patience: Duration,
    pub(super) waits: Waits,
    pub(super) dropping: mpsc::UnboundedSender<usize>,
    pub(super) lines: Unwritten,
    pub(super) taken: Taken,
    pub(super) id: String,
    pub(super) time: RoundTime,
}

impl Run {
    /// None: it was dropped.
    pub(super) async fn end(self, job: impl Future<Output: Into<Arc<Job>>>) -> Option<Ended> {
        let since = Instant::now();
        // Apart: what waits here holds nothing for what it waits for later.
        let started = Box::pin(async {
            tokio::select! {
                biased;
                () = self.waits.dropped() => None,
                started = self.start(job) => Some(started),
            }
        });
        let Started { job, of_host, _slot } = started.await?;
        let waiting = self.waits.all();
        drop(self.waits);
        self.taken.begin(self.time);
        let turn_late = since.elapsed();
        let (sandbox, of, id, time) = (self.sandbox, Arc::clone(&job), self.id, self.time);
        let run = self.workers.spawn(async move { of.run(&sandbox, time.unix_seconds(), &id).await });
        let ended = end_of(run, of_host).await;
        let report = Box::new(ended.unwrap_or_else(|_panic| Report {
            failure: Some(Failure::of_host(
                HostError::CheckTrapped,
                "the host failed inside this job; its log has the place".to_owned(),
            )),
            fields: job.check.description.unreported(),
            ..Report::default()
        }));
        let at = Instant::now();
        let lines = u32::try_from(1 + report.parts.len()).unwrap_or(HELD_LINES).min(HELD_LINES);
        let given_up = || tell(&self.dropping, waiting.drop_all());
        let room = Box::pin(room(self.room, lines, self.patience, given_up)).await;
        let held = Held { _room: room, _lines: self.lines };
        Some(Ended { job, report: *report, time, turn_late, at, held, _taken: self.taken })
    }

    /// The job, when it is there and its turn has come.
    async fn start(&self, job: impl Future<Output: Into<Arc<Job>>>) -> Started {
        let job = job.await.into();
        // First: who waits for a host takes nobody's slot.
        let of_host = self.hosts.turn(&job.host).await;
        // Neither semaphore is ever closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        // Where there is no room for what is there, nothing more is made.
        if time::timeout(self.patience, self.room.acquire()).await.is_err() {
            tell(&self.dropping, self.waits.drop_all());
            // Itself as well, by whoever was first.
            return std::future::pending().await;
        }
        Started { job, of_host, _slot: slot }
    }
}

/// What comes of a run, which has its host's turn until then: another's beginning has to wait for its own alone.
async fn end_of(mut run: JoinHandle<Report>, of_host: hosts::Turn) -> Result<Report, JoinError> {
    let hosts::Turn { beginning, running: _running } = of_host;
    if let Ok(ended) = time::timeout(BEGINS, &mut run).await {
        return ended;
    }
    drop(beginning);
    run.await
}

/// Room for the lines of a run that is over. What waits behind it is given up where that takes longer than this: its round is over.
async fn room(
    all: Arc<Semaphore>,
    lines: u32,
    patience: Duration,
    give_up: impl FnOnce(),
) -> Option<OwnedSemaphorePermit> {
    let mut room = pin!(all.acquire_many_owned(lines));
    if let Ok(room) = time::timeout(patience, &mut room).await {
        // It is never closed.
        return room.ok();
    }
    give_up();
    room.await.ok()
}

fn tell(dropping: &mpsc::UnboundedSender<usize>, dropped: usize) {
    if dropped > 0 {
        // Where nobody is told, nobody wants lines any more.
        dropping.send(dropped).ok();
    }
}

/// A job whose turn it is.
struct Started {
    job: Arc<Job>,
    of_host: hosts::Turn,
    /// To be kept as long as its lines have no room.
    _slot: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use tokio::task;

    use super::*;
    use crate::schedule::waiting::Waiting;

    #[tokio::test]
    async fn a_run_whose_lines_find_no_room_in_time_gives_up_what_waits_behind_it_and_keeps_its_own() {
        let (all, waiting, waits) = (Arc::new(Semaphore::new(1)), Waiting::default(), Waiting::join);
        let behind = [waits(&waiting), waits(&waiting)];
        let (sender, mut dropped) = mpsc::unbounded_channel();
        let own = waiting.clone();
        let give_up = move || tell(&sender, own.drop_all());
        let waits = task::spawn(room(Arc::clone(&all), 2, Duration::from_millis(20), give_up));
        assert_eq!(dropped.recv().await, Some(2));
        assert!(behind.iter().all(Waits::is_dropped) && !waits.is_finished());
        all.add_permits(1);
        assert!(waits.await.unwrap().is_some());
    }
}
