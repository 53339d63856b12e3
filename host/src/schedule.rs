//! When jobs run: takes the jobs of a round, those that are there and those that come, runs at most so many at once, and hands
//! out each report as it comes. One report per job that starts, always: a task that dies becomes a report too. A job that
//! still runs is left out of a further round, and none starts while nobody takes what is there: what waits too long for that is
//! dropped, for its round is over.

mod every;
mod hosts;
mod place;
mod round_time;
mod run;
mod ticks;
mod waiting;

use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task,
};

pub use self::{
    every::{Before, Every},
    place::{Missing, Place, Unwritten},
    round_time::RoundTime,
    run::{Ended, Held, Room},
    ticks::Ticks,
};
use self::{
    hosts::Hosts,
    run::{HELD_LINES, Run},
    waiting::Waiting,
};
use crate::{job::Job, sandbox::Sandbox, workers::Workers};

/// Rounds, one after the other or one beside the rest of the last.
#[derive(Debug)]
pub struct Schedule {
    workers: Arc<Workers>,
    /// Runs, and those of a host.
    at_once: (usize, Option<usize>),
    slots: Arc<Semaphore>,
    hosts: Arc<Hosts>,
    room: Arc<Semaphore>,
    /// How long a run waits for room, before it and all that wait are dropped.
    patience: Duration,
    waiting: Waiting,
    /// The numbers of runs whose report was not taken.
    unended: watch::Sender<BTreeSet<u64>>,
    ended: mpsc::UnboundedSender<Ended>,
    dropping: mpsc::UnboundedSender<usize>,
    dropped: mpsc::UnboundedReceiver<usize>,
    /// Unpredictable and different in every process; the number of the run makes it different within one.
    seed: RandomState,
    runs: u64,
}

/// Jobs of a round.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Begun {
    /// That run, or wait for their turn.
    pub begun: usize,
    /// That ran still, and are left out.
    pub skipped: usize,
}

impl Schedule {
    /// One that runs so many jobs at once, and of each host so many, on these threads; the receiver gets their reports in the order in
    /// which they end.
    #[must_use]
    pub fn new(
        max_concurrent: usize,
        max_per_host: Option<usize>,
        workers: &Arc<Workers>,
    ) -> (Self, mpsc::UnboundedReceiver<Ended>) {
        let (ended, receiver) = mpsc::unbounded_channel();
        let (dropping, dropped) = mpsc::unbounded_channel();
        let schedule = Self {
            workers: Arc::clone(workers),
            at_once: (max_concurrent, max_per_host),
            slots: slots(max_concurrent),
            hosts: Arc::new(Hosts::new(max_per_host)),
            room: Arc::new(Semaphore::new(HELD_LINES as usize)),
            patience: Duration::MAX,
            waiting: Waiting::default(),
            unended: watch::Sender::default(),
            ended,
            dropping,
            dropped,
            seed: RandomState::new(),
            runs: 0,
        };
        (schedule, receiver)
    }

    /// From now on as many at once; where that is another number, beside those that run.
    pub fn allow(&mut self, max_concurrent: usize, max_per_host: Option<usize>) {
        // The same go on: what runs has its share of them.
        if (max_concurrent, max_per_host) != self.at_once {
            self.at_once = (max_concurrent, max_per_host);
            self.slots = slots(max_concurrent);
            self.hosts = Arc::new(Hosts::new(max_per_host));
        }
        // Another configuration may have others.
        self.hosts.forget();
    }

    /// From now on nothing waits longer than this for room: its round is over then.
    pub fn wait_for_room(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Begins each job whose place is free, as soon as it is there. One that is not there yet takes no other's place.
    pub fn round<F>(
        &mut self,
        sandbox: &Arc<Sandbox>,
        jobs: impl IntoIterator<Item = (Place, F)>,
        time: RoundTime,
    ) -> Begun
    where
        F: Future<Output: Into<Arc<Job>>> + Send + 'static,
    {
        let mut counted = Begun::default();
        for (place, job) in jobs {
            let Some(taken) = place.take(self.runs, &self.unended) else {
                counted.skipped += 1;
                continue;
            };
            counted.begun += 1;
            let run = Run {
                sandbox: Arc::clone(sandbox),
                workers: Arc::clone(&self.workers),
                slots: Arc::clone(&self.slots),
                hosts: Arc::clone(&self.hosts),
                room: Arc::clone(&self.room),
                patience: self.patience,
                waits: self.waiting.join(),
                dropping: self.dropping.clone(),
                lines: taken.unwritten(),
                taken,
                id: run_id(&self.seed, self.runs, time),
                time,
            };
            self.runs = self.runs.wrapping_add(1);
            let ended = self.ended.clone();
            // It goes where it has ended, long before the run.
            let job = Box::pin(job);
            task::spawn(async move {
                if let Some(run) = run.end(job).await {
                    // The receiver is gone only when nobody wants lines any more.
                    drop(ended.send(run));
                }
            });
        }
        counted
    }

    /// Runs whose report was not taken yet.
    #[must_use]
    pub fn unended(&self) -> usize {
        self.unended.borrow().len()
    }

    /// Room for one line more, where there is some.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// When nothing waits that was begun: all of it has started, or was dropped.
    pub fn started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.waiting.none()
    }

    /// Drops what was begun and has not started: how many.
    #[must_use]
    pub fn drop_waiting(&self) -> usize {
        self.waiting.drop_all()
    }

    /// When runs were dropped that nobody had room for: how many.
    pub async fn dropped(&mut self) -> usize {
        match self.dropped.recv().await {
            Some(count) => count,
            // Its other end is here.
            None => std::future::pending().await,
        }
    }

    /// When what was begun by now is over: its reports were taken, or it was dropped.
    pub fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut unended, next) = (self.unended.subscribe(), self.runs);
        // Where the schedule is gone, nothing runs.
        async move {
            drop(unended.wait_for(|unended| unended.first().is_none_or(|first| *first >= next)).await);
        }
    }
}

fn slots(max_concurrent: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)))
}

/// Runs every job once, as soon as it is there, on this thread; the receiver gets each with its report, and ends with the last.
#[must_use]
pub fn round<F>(
    sandbox: &Arc<Sandbox>,
    jobs: impl IntoIterator<Item = F>,
    max_concurrent: usize,
    time: RoundTime,
) -> mpsc::UnboundedReceiver<Ended>
where
    F: Future<Output: Into<Arc<Job>>> + Send + 'static,
{
    let (mut schedule, receiver) = Schedule::new(max_concurrent, None, &Arc::new(Workers::new(1)));
    schedule.round(sandbox, jobs.into_iter().map(|job| (Place::default(), job)), time);
    receiver
}

fn run_id(seed: &RandomState, number: u64, time: RoundTime) -> String {
    let mut hasher = seed.build_hasher();
    hasher.write_u64(number);
    format!("{:x}x{:016x}", time.unix_ns, hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_numbers_again_leave_those_that_run_their_share() {
        let (mut schedule, _ended) = Schedule::new(2, Some(1), &Arc::new(Workers::new(1)));
        let slot = Arc::clone(&schedule.slots).try_acquire_owned().unwrap();
        schedule.allow(2, Some(1));
        assert_eq!(schedule.slots.available_permits(), 1);
        schedule.allow(3, Some(1));
        assert_eq!(schedule.slots.available_permits(), 3);
        drop(slot);
    }
}
