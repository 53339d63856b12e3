//! Jobs on their way: jobs of a configuration, and the check that they wait for, in; each job out as soon as its check is there and
//! has judged it. One whose check cannot be loaded, or is not there in the job's time, or refuses the job, says so when it runs.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    sync::{mpsc, watch},
    task,
    time::{self, Instant},
};

use crate::{
    catalogue::HostError,
    check::Check,
    config::{ConfigError, Declared, Planned},
    job::Job,
    output::{self, Level},
    restraint::{Candidate, JobKey, Readiness},
    sandbox::{Compiler, Judge, Sandbox},
    schedule::Every,
};

/// How far a check is.
#[derive(Clone)]
pub(super) enum Stage {
    /// Its file is read, or compiled.
    Code,
    /// It describes itself.
    Description,
    There(Check),
}

impl Stage {
    fn is_there(&self) -> bool {
        matches!(self, Self::There(_))
    }
}

/// A check that is to be loaded, and the jobs that wait for it.
pub(super) struct Expected {
    pub(super) declared: Declared,
    stage: watch::Sender<Stage>,
    jobs: Vec<(Planned, watch::Sender<Option<Arc<Job>>>)>,
}

impl Expected {
    pub(super) fn new(declared: Declared) -> Self {
        Self { declared, stage: watch::Sender::new(Stage::Code), jobs: Vec::new() }
    }

    pub(super) fn coming(&mut self, planned: Planned, beforehand: &Arc<str>) -> Coming {
        let (sender, job) = watch::channel(None);
        self.jobs.push((planned.clone(), sender));
        let (stage, beforehand) = (self.stage.subscribe(), Arc::clone(beforehand));
        Coming::new(planned, Arrival::Awaited { stage, job, beforehand, said: AtomicBool::new(false) })
    }

    /// Loads it, and lets it judge its jobs; gives how far it is.
    pub(super) fn begin(self, sandbox: &Arc<Sandbox>, compiler: &Arc<Compiler>) -> watch::Receiver<Stage> {
        let Self { declared, stage, jobs } = self;
        let stages = stage.subscribe();
        task::spawn(judge(jobs, stages.clone()));
        let (sandbox, compiler) = (Arc::clone(sandbox), Arc::clone(compiler));
        task::spawn(async move {
            let check = load(&sandbox, declared, &compiler, &stage).await;
            stage.send_replace(Stage::There(check))
        });
        stages
    }
}

/// Lets a check judge its jobs, in the order of the file and one after the other: the instances of a check with many jobs would
/// need the memory of all of them at once.
async fn judge(jobs: Vec<(Planned, watch::Sender<Option<Arc<Job>>>)>, mut stages: watch::Receiver<Stage>) {
    let stage = stages.wait_for(Stage::is_there).await.ok().map(|stage| stage.clone());
    let Some(Stage::There(check)) = stage else {
        // Its task died.
        for (planned, sender) in jobs {
            let name = planned.check();
            let text = format!("check `{name}`: the host failed over it; its log has the place");
            let job = planned.unfit(Check::unknown(name, HostError::CheckLoad, text));
            sender.send_replace(Some(Arc::new(job)));
        }
        return;
    };
    let mut files = files(jobs.iter().map(|(planned, _)| planned.clone()).collect(), check.clone());
    for (planned, sender) in jobs {
        // Where nobody reads them, it does itself.
        files.recv().await;
        sender.send_replace(Some(Arc::new(fit(planned, check.clone()).await)));
    }
}

/// Reads what files the jobs name, on a thread of its own, for a disk may not answer; it is kept, and why one cannot be read their
/// judgement says. Tells when those of the next are read.
fn files(jobs: Vec<Planned>, check: Check) -> mpsc::UnboundedReceiver<()> {
    let (read, told) = mpsc::unbounded_channel();
    if check.program.is_ok() {
        let reading = thread::Builder::new().spawn(move || {
            for planned in jobs {
                // What a stranger's description makes of one must not leave the others unread.
                drop(panic::catch_unwind(AssertUnwindSafe(|| drop(planned.job(&check)))));
                if read.send(()).is_err() {
                    return;
                }
            }
        });
        // Where no thread is to be had, they are read with the judgement.
        drop(reading);
    }
    told
}

async fn load(
    sandbox: &Sandbox,
    declared: Declared,
    compiler: &Arc<Compiler>,
    stage: &watch::Sender<Stage>,
) -> Check {
    let loaded = async {
        let code = sandbox.code(&declared.source, compiler).await?;
        stage.send_replace(Stage::Description);
        Check::described(sandbox, &declared.source, code).await
    };
    match loaded.await {
        Ok(check) => check,
        Err(error) => {
            output::log(Level::Error, &declared.refuse(error.to_string()).to_string());
            Check::unloaded(&declared.source.name, &error)
        }
    }
}

/// A job that is there as soon as its check is, and has judged it.
#[derive(Clone)]
pub(super) struct Coming(Arc<Arriving>);

struct Arriving {
    planned: Planned,
    job: Arrival,
}

enum Arrival {
    There(Arc<Job>),
    /// Of a check that is declared.
    Awaited {
        stage: watch::Receiver<Stage>,
        job: watch::Receiver<Option<Arc<Job>>>,
        beforehand: Arc<str>,
        /// Its log line was written: that it is not there yet, rounds find again and again.
        said: AtomicBool,
    },
}

impl Coming {
    fn new(planned: Planned, job: Arrival) -> Self {
        Self(Arc::new(Arriving { planned, job }))
    }

    pub(super) fn there(planned: Planned, job: Job) -> Self {
        Self::new(planned, Arrival::There(Arc::new(job)))
    }

    /// Its name and its host: no other job of a configuration has both.
    pub(super) fn key(&self) -> JobKey {
        (self.0.planned.name().to_owned(), self.0.planned.host().to_owned())
    }

    /// A time of its own.
    pub(super) fn every(&self) -> Option<Every> {
        let planned = &self.0.planned;
        planned.every().map(|every| Every::new(every, planned.name(), planned.host()))
    }

    /// As far as it is there.
    pub(super) fn candidate(&self) -> Candidate {
        let max_per_hour = self.0.planned.max_per_hour();
        let job = match &self.0.job {
            Arrival::There(job) => Some(Arc::clone(job)),
            Arrival::Awaited { job, .. } => job.borrow().clone(),
        };
        let job = match job {
            None => Readiness::Awaited,
            Some(job) if job.check.program.is_err() => Readiness::Unfit,
            Some(job) => Readiness::Fit(job),
        };
        Candidate { key: self.key(), job, max_per_hour, has_time: self.0.planned.every().is_some() }
    }

    /// When it is there, or will never be.
    pub(super) async fn ready(&self) {
        if let Arrival::Awaited { job, .. } = &self.0.job {
            // One whose task died is as ready as it will be.
            drop(job.clone().wait_for(Option::is_some).await);
        }
    }

    /// The job; one that is not there when its time is over says so.
    pub(super) async fn in_time(self, began: Instant) -> Arc<Job> {
        let Arriving { planned, job: arrival } = &*self.0;
        let (stage, job, beforehand, said) = match arrival {
            Arrival::There(job) => return Arc::clone(job),
            Arrival::Awaited { stage, job, beforehand, said } => (stage, job, beforehand, said),
        };
        let mut job = job.clone();
        let there = time::timeout_at(began + planned.timeout(), job.wait_for(Option::is_some)).await;
        let there = there.ok().and_then(Result::ok).and_then(|job| job.clone());
        there.unwrap_or_else(|| Arc::new(late(planned, &stage.borrow(), beforehand, said)))
    }
}

/// A job that is not there in time: says what was waited for.
fn late(planned: &Planned, stage: &Stage, beforehand: &str, said: &AtomicBool) -> Job {
    let (name, timeout) = (planned.check(), planned.timeout());
    let unknown = |error: HostError, text: String| {
        let text = format!("check `{name}`: {text}");
        (Check::unknown(name, error, text.clone()), text)
    };
    let (check, text) = match stage {
        Stage::Code => {
            unknown(HostError::CheckCompile, format!("not ready within {timeout:?}: {beforehand}"))
        }
        Stage::Description => {
            unknown(HostError::CheckDescribe, format!("it has not described itself within {timeout:?}"))
        }
        // One that cannot be loaded has said why.
        Stage::There(check) if check.program.is_err() => return planned.unfit(check.clone()),
        Stage::There(check) => {
            let text = format!(
                "check `{name}`: it has not judged the job within {timeout:?}: it judges one after the other"
            );
            (check.unfit(HostError::CheckJob, text.clone()), text)
        }
    };
    if !said.swap(true, Ordering::Relaxed) {
        output::log(Level::Error, &format!("job {}: {text}", planned.name()));
    }
    planned.unfit(check)
}

/// The job; one that its check cannot run says so.
async fn fit(planned: Planned, check: Check) -> Job {
    if check.program.is_err() {
        return planned.unfit(check);
    }
    let (own, of, mut judge) = (planned.clone(), check.clone(), Judge::new());
    // What a stranger's description makes of it must not end the round.
    let judged = task::spawn(async move { own.validated(&of, &mut judge).await }).await;
    let refuse = |text: String| {
        output::log(Level::Error, &text);
        planned.unfit(check.unfit(HostError::CheckJob, text))
    };
    match judged {
        Ok(Ok(job)) => job,
        Ok(Err(error)) => refuse(ConfigError::to_string(&error)),
        Err(_panicked) => {
            refuse(format!("job {}: the host failed over it; its log has the place", planned.name()))
        }
    }
}
