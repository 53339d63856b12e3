//! Rounds of a configuration, one or many: a loaded configuration in, the lines of its jobs on standard output and what failed in
//! the log, as each run ends, those of a job in one piece. Refuses to go on where nothing can be printed any more.

use std::{collections::HashMap, time::Duration};

use tokio::{
    sync::mpsc,
    time::{self, Instant},
};

use super::{
    exit::Refusal,
    failures::Failures,
    load::{Coming, Loading},
    start::NO_THREAD,
    stop::{End, Missing, Unwritten},
};
use crate::{
    line,
    output::{self, Level, Writer},
    restraint::Restraint,
    schedule::{Ended, Place, Room, RoundTime, Schedule},
};

/// How long the first round waits for jobs that were held back when the last program ended, and may have been changed since.
const JOBS: Duration = Duration::from_secs(1);

/// A configuration's rounds.
pub(super) struct Rounds {
    loading: Loading,
    /// Of each job, in the same order.
    places: Vec<Place>,
    /// Of jobs that no configuration has any more, and that still run: they may come back.
    gone: HashMap<(String, String), Place>,
    schedule: Schedule,
    ended: mpsc::UnboundedReceiver<Ended>,
    writer: Writer<(Option<Room>, Unwritten)>,
    failures: Failures,
    /// None: nothing is known of runs before, nor will be of these.
    restraint: Option<Restraint>,
    /// In the last round.
    skipped: usize,
    missing: Missing,
}

impl Rounds {
    pub(super) fn new(loading: Loading, missing: Missing) -> Result<Self, Refusal> {
        let writer = Writer::start().map_err(|error| format!("{NO_THREAD}: {error}"))?;
        let (schedule, ended) = Schedule::new(loading.max_concurrent);
        let places = loading.jobs.iter().map(|_| Place::default()).collect();
        let failures = Failures::default();
        Ok(Self {
            loading,
            places,
            gone: HashMap::new(),
            schedule,
            ended,
            writer,
            failures,
            restraint: None,
            skipped: 0,
            missing,
        })
    }

    /// From now on by what is known of the runs before.
    pub(super) async fn restrained(self, mut restraint: Restraint) -> Self {
        if restraint.awaits_jobs() {
            // Those that are not there by then are held back as they were.
            drop(time::timeout(JOBS, self.loading.ready()).await);
        }
        restraint.change(&self.loading.candidates());
        Self { restraint: Some(restraint), ..self }
    }

    /// From now on another configuration. What runs goes on, and a job that was there before does not run twice at once.
    pub(super) fn change(&mut self, loading: Loading) {
        let before = self.loading.jobs.iter().map(Coming::key).zip(self.places.drain(..));
        let mut before: HashMap<_, _> = before.chain(self.gone.drain()).collect();
        self.places = loading.jobs.iter().map(|job| before.remove(&job.key()).unwrap_or_default()).collect();
        before.retain(|_, place| place.is_taken());
        self.gone = before;
        self.schedule.allow(loading.max_concurrent);
        self.failures.keep(&loading.jobs.iter().map(Coming::key).collect());
        if let Some(restraint) = &mut self.restraint {
            restraint.change(&loading.candidates());
        }
        self.loading = loading;
    }

    /// Begins one: of each job that does not run still, and is not held back.
    pub(super) fn begin(&mut self, time: RoundTime) {
        let now = Instant::now();
        let restraint = &mut self.restraint;
        let mut may_begin = |place: &Place, job: &Coming| {
            // One that runs still is not begun: its turn is not used up.
            let is_free = !place.is_taken();
            restraint.as_mut().is_none_or(|known| !is_free || known.admits(&job.candidate(), time))
        };
        let jobs = self.places.iter().zip(&self.loading.jobs);
        let jobs = jobs.filter(|(place, job)| may_begin(place, job));
        let jobs = jobs.map(|(place, job)| (place.clone(), job.clone().in_time(now)));
        let counted = self.schedule.round(&self.loading.sandbox, jobs, time);
        self.missing.begin(counted.begun);
        // Once, where it goes on.
        if counted.skipped > 0 && self.skipped == 0 {
            let all = counted.begun + counted.skipped;
            let text = format!("{} of {all} jobs still run, and are skipped in this round", counted.skipped);
            output::log(Level::Warning, &text);
        }
        self.skipped = counted.skipped;
    }

    /// Prints what ends, until this comes.
    pub(super) async fn print_until<T>(&mut self, until: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                // What has been reported is printed first.
                biased;
                Some(ended) = self.ended.recv() => self.print(ended),
                error = self.writer.failed() => return Err(format!("standard output: {error}")),
                came = &mut until => return Ok(came),
            }
        }
    }

    fn print(&mut self, ended: Ended) {
        let points = ended.job.points(&ended.report, ended.time.unix_ns);
        // Why a check cannot run, the log has had, and of a check that could not be loaded once and not for each job.
        if ended.job.check.program.is_ok() {
            self.failures.log(&points.job);
        }
        if let Some(restraint) = &mut self.restraint {
            restraint.learn(&ended.job, ended.report.outcome(), ended.time);
        }
        self.writer.write(line::lines(&points), (ended.room, self.missing.unwritten()));
    }

    /// When no job runs.
    pub(super) fn idle(&self) -> impl Future<Output = ()> + use<> {
        self.schedule.idle()
    }

    /// When no job runs and all is written.
    pub(super) fn done(&self) -> impl Future<Output = ()> + use<> {
        let (idle, written) = (self.schedule.idle(), self.writer.written());
        async {
            idle.await;
            written.await;
        }
    }

    /// When all that is there is written.
    pub(super) fn written(&self) -> impl Future<Output = ()> + use<> {
        self.writer.written()
    }

    /// When what is to be remembered is written, or cannot be.
    pub(super) async fn kept(&self) {
        if let Some(restraint) = &self.restraint {
            restraint.kept().await;
        }
    }

    /// Says how many have no line.
    pub(super) fn log_missing(&self, end: End) {
        if self.missing.is_none() {
            return;
        }
        let mut text = format!("stopped by {}: {}", end.why, self.missing);
        if let Some(sooner) = self.loading.sooner() {
            text = format!("{text}; checks were not ready yet: {sooner}");
        }
        output::log(Level::Warning, &text);
    }
}
