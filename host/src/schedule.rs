//! When jobs run: takes the jobs of a round, those that are there and those that come, runs at most so many at once, and hands
//! out each report as it comes. One report per job that is begun, always: a task that dies becomes a report too. A job that
//! still runs is left out of a further round, and none starts while nobody takes what is there.

mod ticks;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task,
};

pub use self::ticks::Ticks;
use crate::{
    catalogue::HostError,
    job::Job,
    report::{Failure, Report},
    sandbox::Sandbox,
    workers::Workers,
};

/// Lines of ended runs that are not written yet, at most: some megabytes, and an agent that is stuck for a minute or two misses
/// none of a thousand jobs.
const HELD_LINES: u32 = 4096;

/// A round's start: the time stamp of all its lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RoundTime {
    /// Nanoseconds since the Unix epoch.
    pub unix_ns: i64,
}

impl RoundTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
    }

    fn unix_seconds(self) -> u64 {
        u64::try_from(self.unix_ns / 1_000_000_000).unwrap_or_default()
    }
}

/// Rounds, one after the other or one beside the rest of the last.
#[derive(Debug)]
pub struct Schedule {
    workers: Arc<Workers>,
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
    unended: watch::Sender<usize>,
    ended: mpsc::UnboundedSender<Ended>,
    /// Unpredictable and different in every process; the number of the run makes it different within one.
    seed: RandomState,
    runs: u64,
}

/// A job's place in all rounds: it has one run at a time.
#[derive(Clone, Debug, Default)]
pub struct Place(Arc<AtomicBool>);

impl Place {
    /// Its job runs, or waits for its turn.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    /// Whose.
    pub job: Arc<Job>,
    /// What came of it.
    pub report: Report,
    /// Of its round.
    pub time: RoundTime,
    /// The room of its lines: to be kept until they are written.
    pub room: Option<Room>,
    /// Its job is not begun again before this was taken.
    _turn: Turn,
}

/// Room for the lines of a run that is over.
pub type Room = OwnedSemaphorePermit;

/// Jobs of a round.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Begun {
    /// That run, or wait for their turn.
    pub begun: usize,
    /// That ran still, and are left out.
    pub skipped: usize,
}

/// From a round's begin until the report was taken.
#[derive(Debug)]
struct Turn {
    place: Place,
    unended: watch::Sender<usize>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place.0.store(false, Ordering::Release);
        self.unended.send_modify(|unended| *unended -= 1);
    }
}

impl Schedule {
    /// One that runs so many jobs at once, on these threads; the receiver gets their reports in the order in which they end.
    #[must_use]
    pub fn new(max_concurrent: usize, workers: &Arc<Workers>) -> (Self, mpsc::UnboundedReceiver<Ended>) {
        let (ended, receiver) = mpsc::unbounded_channel();
        let schedule = Self {
            workers: Arc::clone(workers),
            slots: slots(max_concurrent),
            room: Arc::new(Semaphore::new(HELD_LINES as usize)),
            unended: watch::Sender::new(0),
            ended,
            seed: RandomState::new(),
            runs: 0,
        };
        (schedule, receiver)
    }

    /// From now on as many at once, beside those that run.
    pub fn allow(&mut self, max_concurrent: usize) {
        self.slots = slots(max_concurrent);
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
            if place.0.swap(true, Ordering::AcqRel) {
                counted.skipped += 1;
                continue;
            }
            counted.begun += 1;
            self.unended.send_modify(|unended| *unended += 1);
            self.runs = self.runs.wrapping_add(1);
            let run = Run {
                sandbox: Arc::clone(sandbox),
                workers: Arc::clone(&self.workers),
                slots: Arc::clone(&self.slots),
                room: Arc::clone(&self.room),
                turn: Turn { place, unended: self.unended.clone() },
                id: run_id(&self.seed, self.runs, time),
                time,
            };
            let ended = self.ended.clone();
            // The receiver is gone only when nobody wants lines any more.
            task::spawn(async move { drop(ended.send(run.end(job).await)) });
        }
        counted
    }

    /// When every report was taken.
    pub fn idle(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut unended = self.unended.subscribe();
        // Where the schedule is gone, nothing runs.
        async move { drop(unended.wait_for(|unended| *unended == 0).await) }
    }
}

fn slots(max_concurrent: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)))
}

struct Run {
    sandbox: Arc<Sandbox>,
    workers: Arc<Workers>,
    slots: Arc<Semaphore>,
    room: Arc<Semaphore>,
    turn: Turn,
    id: String,
    time: RoundTime,
}

impl Run {
    async fn end(self, job: impl Future<Output: Into<Arc<Job>>>) -> Ended {
        let job = job.await.into();
        // Neither semaphore is ever closed.
        let _slot = self.slots.acquire().await;
        // Where there is no room for what is there, nothing more is made.
        drop(self.room.acquire().await);
        let (sandbox, of, id, time) = (self.sandbox, Arc::clone(&job), self.id, self.time);
        let run = self.workers.spawn(async move { of.run(&sandbox, time.unix_seconds(), &id).await });
        let report = run.await.unwrap_or_else(|_panic| Report {
            failure: Some(Failure::of_host(
                HostError::CheckTrapped,
                "the host failed inside this job; its log has the place".to_owned(),
            )),
            fields: job.check.description.unreported(),
            ..Report::default()
        });
        let lines = u32::try_from(1 + report.parts.len()).unwrap_or(HELD_LINES).min(HELD_LINES);
        let room = self.room.acquire_many_owned(lines).await.ok();
        Ended { job, report, time, room, _turn: self.turn }
    }
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
    let (mut schedule, receiver) = Schedule::new(max_concurrent, &Arc::new(Workers::new(1)));
    schedule.round(sandbox, jobs.into_iter().map(|job| (Place::default(), job)), time);
    receiver
}

fn run_id(seed: &RandomState, number: u64, time: RoundTime) -> String {
    let mut hasher = seed.build_hasher();
    hasher.write_u64(number);
    format!("{:x}x{:016x}", time.unix_ns, hasher.finish())
}
