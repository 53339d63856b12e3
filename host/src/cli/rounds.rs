//! Rounds of a configuration, one or many: a loaded configuration in, the lines of its jobs on standard output and what failed in
//! the log, as each run ends, those of a job in one piece. Refuses to go on where nothing can be printed any more.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task,
    time::{self, Instant},
};

use super::{
    awaited::Awaited,
    coming::Coming,
    exit::Refusal,
    failures::Failures,
    load::Loading,
    self_metrics::{self, Now, SelfMetrics},
    start::no_thread,
    stop::End,
};
use crate::{
    line,
    output::{self, Level, Progress, Writer},
    point::{Point, Points},
    restraint::{JobKey, Restraint},
    schedule::{Before, Ended, Held, Missing, Place, Room, RoundTime, Schedule},
    text::counted,
    workers::Workers,
};

/// How long the first round waits for jobs that were held back when the last program ended, and may have been changed since.
const JOBS: Duration = Duration::from_secs(1);

/// How long what is to be remembered may take to be written, where nothing else is waited for.
pub(super) const LAST_NOTE: Duration = Duration::from_millis(500);

/// A configuration's rounds.
pub(super) struct Rounds {
    loading: Loading,
    /// Of each job, in the same order.
    places: Vec<Place>,
    /// Of jobs that no configuration has any more, and that still run: they may come back.
    gone: HashMap<JobKey, Place>,
    schedule: Schedule,
    /// None: the restraint knows of each job when it ran last.
    before: Option<Before>,
    ended: mpsc::UnboundedReceiver<Ended>,
    writer: Writer<HeldByLines>,
    failures: Failures,
    /// None: nothing is known of runs before, nor will be of these.
    restraint: Option<Restraint>,
    /// When the configuration became another one.
    changed: Option<RoundTime>,
    /// Runs that it admitted, and that may be dropped before they begin.
    admitted: Vec<(JobKey, Place, RoundTime)>,
    /// In the last round jobs were left out because they ran still.
    skips: bool,
    /// What is to be said of those that it left out, when it is over.
    left_out: Option<String>,
    /// Nobody has read what is there, which was said.
    unread: bool,
    awaited: Awaited,
    missing: Missing,
    metrics: SelfMetrics,
    /// Where a person watches.
    progress: Option<Progress>,
}

/// What lines that are not written yet hold.
#[derive(Default)]
struct HeldByLines {
    _run: Option<Held>,
    _room: Option<Room>,
    _late: Option<self_metrics::LineLate>,
}

impl Rounds {
    pub(super) fn new(loading: Loading, missing: Missing, workers: &Arc<Workers>) -> Result<Self, Refusal> {
        let writer = Writer::start().map_err(|error| no_thread(&error))?;
        let (schedule, ended) = Schedule::new(loading.max_concurrent, loading.max_per_host, workers);
        let places = loading.jobs.iter().map(|_| missing.place()).collect();
        missing.count_of(loading.jobs.len());
        let failures = Failures::default();
        Ok(Self {
            loading,
            places,
            gone: HashMap::new(),
            schedule,
            before: None,
            ended,
            writer,
            failures,
            restraint: None,
            changed: None,
            admitted: Vec::new(),
            skips: false,
            left_out: None,
            unread: false,
            awaited: Awaited::default(),
            missing,
            metrics: SelfMetrics::default(),
            progress: None,
        })
    }

    /// How many it has.
    pub(super) fn jobs(&self) -> usize {
        self.loading.jobs.len()
    }

    /// Lets a person watch from now on.
    pub(super) fn show(&mut self) -> Result<(), Refusal> {
        let progress = Progress::start(self.loading.jobs.len());
        self.progress = Some(progress.map_err(|error| no_thread(&error))?);
        Ok(())
    }

    /// Its one round is that of a process of its own, and this is known of those before.
    pub(super) fn alone(self, before: Before) -> Self {
        Self { before: Some(before), ..self }
    }

    /// From now on jobs for whose lines nobody has had room for so long are left out: their round is over.
    pub(super) fn wait_for_room(&mut self, patience: Duration) {
        self.schedule.wait_for_room(patience);
    }

    /// From now on by what is known of the runs before.
    pub(super) async fn restrained(self, mut restraint: Restraint) -> Self {
        if restraint.awaits_jobs() {
            // Those that are not there by then are held back as they were.
            drop(time::timeout(JOBS, self.loading.ready()).await);
        }
        restraint.change(&self.loading.candidates(), RoundTime::now());
        Self { restraint: Some(restraint), ..self }
    }

    /// From now on another configuration. What runs goes on, what has not started does not, and a job that was there before does
    /// not run twice at once.
    pub(super) fn change(&mut self, loading: Loading) {
        let dropped = self.schedule.drop_waiting();
        self.metrics.skip(dropped);
        if dropped > 0 {
            let text = format!(
                "{} of the configuration before had not started, and {} skipped",
                counted(dropped, "job"),
                are(dropped)
            );
            output::log(Level::Warning, &text);
        }
        let before = self.loading.jobs.iter().map(Coming::key).zip(self.places.drain(..));
        let mut before: HashMap<_, _> = before.chain(self.gone.drain()).collect();
        let place = |job: &Coming| before.remove(&job.key()).unwrap_or_else(|| self.missing.place());
        self.places = loading.jobs.iter().map(place).collect();
        self.missing.count_of(loading.jobs.len());
        before.retain(|_, place| place.is_taken());
        self.gone = before;
        self.schedule.allow(loading.max_concurrent, loading.max_per_host);
        self.failures.keep(&loading.jobs.iter().map(Coming::key).collect());
        let now = RoundTime::now();
        if let Some(restraint) = &mut self.restraint {
            restraint.change(&loading.candidates(), now);
        }
        self.changed = Some(now);
        self.loading = loading;
    }

    /// Begins one, so late: of each job that is due, does not run still, and is not held back.
    pub(super) fn begin(&mut self, time: RoundTime, late: Duration) {
        self.take_back();
        let (now, of_now) = (Instant::now(), self.now());
        let (alone, restraint, admitted) = (self.before, &mut self.restraint, &mut self.admitted);
        let mut may_begin = |job: &Coming, place: &Place| {
            let is_due = job.every().is_none_or(|every| {
                // The memory learns of a run when it ends; until then its place knows.
                let of_run = || place.runs_since().and_then(|_| place.last());
                let remembered = || restraint.as_ref()?.last_round(&job.key());
                let last = || of_run().or_else(remembered).map(Before::Last);
                every.is_due(alone.or_else(last).unwrap_or(Before::Unknown), time)
            });
            // One that runs still is not begun: its turn is not used up.
            let is_free = !place.is_taken();
            let (true, true, Some(known)) = (is_due, is_free, restraint.as_mut()) else { return is_due };
            let candidate = job.candidate();
            let is_admitted = known.admits(&candidate, time);
            if is_admitted && known.counts(&candidate) {
                admitted.push((candidate.key, place.clone(), time));
            }
            is_admitted
        };
        let jobs = self.loading.jobs.iter().zip(&self.places).filter(|(job, place)| may_begin(job, place));
        let jobs = jobs.map(|(job, place)| (place.clone(), job.clone().in_time(now)));
        let counted = self.schedule.round(&self.loading.sandbox, jobs, time);
        self.left_out = self.restraint.as_mut().and_then(Restraint::begun);
        if self.before.is_none() {
            self.log_left_out();
        }
        let before = self.metrics.begin(time, late, of_now);
        // Those that were not due, are held back, or run still.
        self.metrics.skip(self.jobs() - counted.begun);
        self.print_own(before);
        self.print_if_idle();
        // Once, where it goes on.
        if counted.skipped > 0 && !self.skips {
            let all = counted.begun + counted.skipped;
            let text =
                format!("{} of {all} jobs still run or wait, and are skipped in this round", counted.skipped);
            output::log(Level::Warning, &text);
        }
        self.skips = counted.skipped > 0;
    }

    /// What was admitted and was dropped before it began has used up nothing.
    fn take_back(&mut self) {
        let over = self.admitted.extract_if(.., |(_, place, _)| !place.is_taken());
        let dropped = over.filter(|(_, place, time)| place.last() != Some(*time));
        for (key, _, time) in dropped {
            if let Some(restraint) = &mut self.restraint {
                restraint.take_back(&key, time);
            }
        }
    }

    /// Prints what ends, until this comes.
    pub(super) async fn print_until<T>(&mut self, until: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                // What has been reported is printed first.
                biased;
                Some(ended) = self.ended.recv() => {
                    self.print(ended);
                    self.print_if_idle();
                }
                dropped = self.schedule.dropped() => {
                    self.log_dropped(dropped);
                    self.print_if_idle();
                }
                error = self.writer.failed() => {
                    // The program ends with this, and what has run is remembered all the same.
                    drop(time::timeout(LAST_NOTE, self.kept()).await);
                    return Err(format!("standard output: {error}"));
                }
                came = &mut until => return Ok(came),
            }
        }
    }

    fn print(&mut self, ended: Ended) {
        let late = self.metrics.end(&ended.report, ended.turn_late, ended.at);
        if let Some(progress) = &self.progress {
            progress.add();
        }
        let points = ended.job.points(&ended.report, ended.time.unix_ns);
        // Why a check cannot run, the log has had, and of a check that could not be loaded once and not for each job.
        if ended.job.check.program.is_ok() {
            let job = (ended.job.name.clone(), ended.job.host.written().to_owned());
            self.failures.log(job, &points.job);
        }
        if let Some(restraint) = &mut self.restraint {
            let may_be_another = self.changed.is_some_and(|at| ended.time.unix_ns <= at.unix_ns);
            let jobs = self.loading.jobs.iter().filter(|_| may_be_another);
            let now = |key: &JobKey| Some({ jobs }.find(|job| job.key() == *key)?.candidate().job);
            restraint.learn(&ended.job, &ended.report, ended.time, now);
        }
        self.unread = false;
        self.writer.write(
            line::lines(&points),
            HeldByLines { _run: Some(ended.held), _late: Some(late), _room: None },
        );
    }

    /// Writes what there is to say of the program, where the last round is over.
    fn print_if_idle(&mut self) {
        if self.schedule.unended() == 0 {
            let own = self.metrics.idle(self.now());
            self.print_own(own);
        }
    }

    /// Writes what there is to say of the program, though the last round is not over.
    pub(super) fn print_last(&mut self) {
        let own = self.metrics.break_off(self.now());
        self.print_own(own);
    }

    /// Writes what is said of the program itself, where it is wanted, and somebody takes lines.
    fn print_own(&self, point: Option<Point>) {
        let (Some(job), Some(tags)) = (point, &self.loading.self_metrics) else { return };
        let Some(room) = self.schedule.room() else { return };
        let job = Point { tags: tags.clone(), ..job };
        let held = HeldByLines { _room: Some(room), ..HeldByLines::default() };
        self.writer.write(line::lines(&Points { job, parts: Vec::new() }), held);
    }

    fn now(&self) -> Now {
        Now { jobs: self.jobs(), queued: self.schedule.unended() }
    }

    /// Once, where it goes on.
    fn log_dropped(&mut self, jobs: usize) {
        self.metrics.skip(jobs);
        if !self.unread {
            let text = format!(
                "nobody reads standard output: {} had not started, and {} skipped",
                counted(jobs, "job"),
                are(jobs)
            );
            output::log(Level::Warning, &text);
        }
        self.unread = true;
    }

    /// When nothing waits that was begun.
    pub(super) fn started(&self) -> impl Future<Output = ()> + Send + use<> {
        self.schedule.started()
    }

    /// When what was begun by now is over.
    pub(super) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        self.schedule.over()
    }

    /// When that is over, and all is written.
    pub(super) fn done(&self) -> impl Future<Output = ()> + use<> {
        let (over, written) = (self.schedule.over(), self.writer.written());
        async {
            over.await;
            written.await;
        }
    }

    /// When all that is there is written.
    pub(super) fn written(&self) -> impl Future<Output = ()> + use<> {
        self.writer.written()
    }

    fn log_left_out(&mut self) {
        if let Some(text) = self.left_out.take() {
            output::log(Level::Information, &text);
        }
    }

    /// Says what came of it: to a person who watched all of it, to others whom it left out.
    pub(super) fn sum_up(&mut self) {
        self.log_left_out();
        if let Some(progress) = self.progress.take() {
            progress.end();
            output::log(Level::Information, &self.metrics.runs.to_string());
        }
    }

    /// Says for whom a round waits that was asked for.
    pub(super) fn log_awaited(&mut self) {
        if self.schedule.room().is_none() {
            if let Some(text) = self.awaited.say_unread(Instant::now()) {
                output::log(Level::Warning, text);
            }
            return;
        }
        let of_now = self.loading.jobs.iter().map(Coming::key).zip(&self.places);
        let gone = self.gone.iter().map(|(job, place)| (job.clone(), place));
        let (mut running, mut waiting) = (Vec::new(), 0);
        for (job, place) in of_now.chain(gone).filter(|(_, place)| place.is_taken()) {
            match place.runs_since() {
                Some(since) => running.push((job, since)),
                None => waiting += 1,
            }
        }
        if let Some(text) = self.awaited.say(running, waiting, Instant::now()) {
            output::log(Level::Warning, &text);
        }
    }

    /// A round that was asked for began in time: nobody is waited for.
    pub(super) fn forget_awaited(&mut self) {
        self.awaited.end();
    }

    /// Nothing begins any more: when what is to be remembered is written, or cannot be.
    pub(super) async fn kept(&mut self) {
        let _dropped: usize = self.schedule.drop_waiting();
        self.take_back();
        // Others learn of it a moment later, and give their places back.
        for place in self.admitted.iter().map(|(_, place, _)| place) {
            while place.is_taken() && place.runs_since().is_none() {
                task::yield_now().await;
            }
        }
        self.take_back();
        if let Some(restraint) = &self.restraint {
            restraint.kept().await;
        }
    }

    /// Prints nothing more, and says how many have no line.
    pub(super) fn log_missing(&self, end: End) {
        self.writer.stop();
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

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}
