//! A configuration and its checks: a file in; jobs with their checks out, all at once, or each as soon as its check is there.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::watch,
    task,
    time::{self, Instant},
};

use super::{
    arguments::{built_in, sandbox},
    exit::Refusal,
    machine,
};
use crate::{
    catalogue::HostError,
    check::Check,
    config::{self, ConfigError, Declared, Plan, Planned, Shard},
    job::Job,
    output::{self, Level},
    restraint::Candidate,
    sandbox::{Compiler, Judge, SMTP, Sandbox, cache},
    schedule::Every,
    text::{self, counted},
};

/// Jobs of the built-in check that are judged until others have their turn: some dozens take a millisecond.
const TURN: usize = 32;

/// Reads a configuration, and says what in it may be a mistake.
pub(super) fn read(path: &Path) -> Result<Plan, Refusal> {
    let plan = config::read(path).map_err(|error| error.to_string())?;
    for doubt in &plan.doubts {
        output::log(Level::Warning, &doubt.to_string());
    }
    Ok(plan)
}

/// Where a configuration's compiled checks are kept.
pub(super) fn cache_folder(plan: &Plan) -> Option<PathBuf> {
    plan.cache_dir.clone().or_else(cache::usual_folder)
}

fn compiler(plan: &Plan) -> Arc<Compiler> {
    // A configuration without components needs no folder.
    let none = plan.checks.is_empty();
    Arc::new(if none { Compiler::without_cache() } else { Compiler::new(cache_folder(plan)) })
}

/// How many jobs it has. Refuses the configuration for a check that cannot be loaded, and for a job that its check cannot run.
pub(super) async fn strictly(plan: &Plan) -> Result<usize, Refusal> {
    let compiler = compiler(plan);
    let sandbox = sandbox()?.asking(plan.name_servers.clone());
    let mut checks = HashMap::from([(SMTP.to_owned(), built_in(&sandbox).await?)]);
    for declared in &plan.checks {
        let loaded = Check::load(&sandbox, &declared.source, &compiler).await;
        let loaded = loaded.map_err(|error| declared.refuse(error.to_string()).to_string())?;
        checks.insert(declared.source.name.clone(), loaded);
    }
    let mut judge = Judge::new(&sandbox);
    for planned in &plan.jobs {
        if let Some(check) = checks.get(planned.check()) {
            let job = planned.validated(check, &mut judge).await;
            drop(job.map_err(|error| error.to_string())?);
        }
    }
    Ok(plan.jobs.len())
}

/// What configurations have in common: where their checks run, and the one that is built in.
#[derive(Clone)]
pub(super) struct Base {
    sandbox: Arc<Sandbox>,
    smtp: Check,
}

impl Base {
    pub(super) async fn new() -> Result<Self, Refusal> {
        let sandbox = Arc::new(sandbox()?.folding());
        let smtp = built_in(&sandbox).await?;
        Ok(Self { sandbox, smtp })
    }

    /// Reads what files jobs of the built-in check name, which may take as long as the configuration itself. Why one cannot be
    /// read, its job says.
    pub(super) fn read_files(&self, plan: &Plan) {
        for planned in plan.jobs.iter().filter(|planned| planned.check() == SMTP) {
            drop(planned.job(&self.smtp));
        }
    }
}

/// A configuration whose jobs run.
pub(super) struct Loading {
    /// Where.
    pub(super) sandbox: Arc<Sandbox>,
    /// On so many threads.
    pub(super) threads: usize,
    /// Jobs that may run at once.
    pub(super) max_concurrent: usize,
    /// Where something is to be said of the program itself: the tags.
    pub(super) self_metrics: Option<BTreeMap<String, String>>,
    /// The same of jobs with one host.
    pub(super) max_per_host: Option<usize>,
    /// Each is there as soon as its check is.
    pub(super) jobs: Vec<Coming>,
    /// How far those are that are declared.
    checks: Vec<watch::Receiver<Stage>>,
    beforehand: Arc<str>,
}

/// How far a check is.
#[derive(Clone)]
enum Stage {
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

impl Loading {
    /// Its jobs, as far as they are there.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        self.jobs.iter().map(Coming::candidate).collect()
    }

    /// How checks are there sooner, where the code of some is not there yet.
    pub(super) fn sooner(&self) -> Option<&str> {
        let unfinished = self.checks.iter().any(|check| matches!(*check.borrow(), Stage::Code));
        unfinished.then_some(&*self.beforehand)
    }

    /// When each job is there, or will never be.
    pub(super) async fn ready(&self) {
        for job in &self.jobs {
            if let Arrival::Awaited { job, .. } = &job.0.job {
                // One whose task died is as ready as it will be.
                drop(job.clone().wait_for(Option::is_some).await);
            }
        }
    }
}

/// How checks are there before a run begins; of code that nobody may keep, why.
fn beforehand(plan: &Plan, compiler: &Compiler) -> String {
    match compiler.unkept() {
        None => format!(
            "what has to be compiled is compiled by `sonde compile -c {}`, run as this user ({})",
            plan.path.display(),
            nix::unistd::geteuid()
        ),
        Some(error) => format!("it is compiled at every start, for nothing is kept: {error}"),
    }
}

/// Loads each check by itself, so that none holds up the jobs of another. A check that cannot be loaded, or not in its jobs'
/// time, and a job that its check cannot run, are on those jobs' lines. Refuses what is wrong in the file itself, whichever share
/// of its jobs is wanted.
pub(super) async fn leniently(mut plan: Plan, shard: Option<Shard>, base: &Base) -> Result<Loading, Refusal> {
    let all = counted(plan.jobs.len(), "job");
    let others = shard.map(|shard| plan.keep(shard)).unwrap_or_default();
    if let Some(shard) = shard
        && plan.jobs.is_empty()
    {
        output::log(Level::Information, &format!("share {shard} has none of {all}"));
    }
    let (compiler, max_concurrent) = (compiler(&plan), machine::at_once(&plan));
    let beforehand: Arc<str> = beforehand(&plan, &compiler).into();
    // Read again, it asks anew: the system's configuration may be another one by now, too.
    let sandbox = Arc::new(base.sandbox.asking(plan.name_servers.clone()));
    let mut checks: Vec<_> = plan.checks.into_iter().map(Expected::new).collect();
    let names = checks.iter().enumerate().map(|(at, check)| (check.declared.source.name.clone(), at));
    let names: HashMap<String, usize> = names.collect();
    let (mut jobs, mut judge) = (Vec::new(), Judge::new(&sandbox));
    for planned in plan.jobs {
        if let Some(check) = names.get(planned.check()).and_then(|at| checks.get_mut(*at)) {
            jobs.push(check.coming(planned, &beforehand));
            continue;
        }
        // Its parameters are part of this program: what they do not allow is wrong in the file.
        let job = planned.validated(&base.smtp, &mut judge).await.map_err(|error| error.to_string())?;
        jobs.push(Coming::there(planned, job));
        if jobs.len() % TURN == 0 {
            task::yield_now().await;
        }
    }
    for planned in others.iter().filter(|planned| planned.check() == SMTP) {
        drop(planned.validated(&base.smtp, &mut judge).await.map_err(|error| error.to_string())?);
        task::yield_now().await;
    }
    let checks = checks.into_iter().map(|check| check.begin(&sandbox, &compiler)).collect();
    let config = text::clean_to(&plan.path.display().to_string(), text::TEXT_BYTES);
    let of_share = shard.map(|shard| ("share".to_owned(), shard.to_string()));
    let tags = [("config".to_owned(), config)].into_iter().chain(of_share).collect();
    let self_metrics = plan.self_metrics.then_some(tags);
    let (threads, max_per_host) = (plan.threads, plan.max_per_host);
    Ok(Loading { sandbox, threads, max_concurrent, self_metrics, max_per_host, jobs, checks, beforehand })
}

/// A check that is to be loaded, and the jobs that wait for it.
struct Expected {
    declared: Declared,
    stage: watch::Sender<Stage>,
    jobs: Vec<(Planned, watch::Sender<Option<Arc<Job>>>)>,
}

impl Expected {
    fn new(declared: Declared) -> Self {
        Self { declared, stage: watch::Sender::new(Stage::Code), jobs: Vec::new() }
    }

    fn coming(&mut self, planned: Planned, beforehand: &Arc<str>) -> Coming {
        let (sender, job) = watch::channel(None);
        self.jobs.push((planned.clone(), sender));
        let (stage, beforehand) = (self.stage.subscribe(), Arc::clone(beforehand));
        Coming::new(planned, Arrival::Awaited { stage, job, beforehand, said: AtomicBool::new(false) })
    }

    /// Loads it, and lets it judge its jobs; gives how far it is.
    fn begin(self, sandbox: &Arc<Sandbox>, compiler: &Arc<Compiler>) -> watch::Receiver<Stage> {
        let Self { declared, stage, jobs } = self;
        let stages = stage.subscribe();
        task::spawn(judge(jobs, stages.clone(), Arc::clone(sandbox)));
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
async fn judge(
    jobs: Vec<(Planned, watch::Sender<Option<Arc<Job>>>)>,
    mut stages: watch::Receiver<Stage>,
    sandbox: Arc<Sandbox>,
) {
    let stage = stages.wait_for(Stage::is_there).await.ok().map(|stage| stage.clone());
    for (planned, sender) in jobs {
        let job = if let Some(Stage::There(check)) = &stage {
            fit(planned, check.clone(), &sandbox).await
        } else {
            // Its task died.
            let name = planned.check();
            let text = format!("check `{name}`: the host failed over it; its log has the place");
            planned.unfit(Check::unknown(name, HostError::CheckLoad, text))
        };
        sender.send_replace(Some(Arc::new(job)));
    }
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

    fn there(planned: Planned, job: Job) -> Self {
        Self::new(planned, Arrival::There(Arc::new(job)))
    }

    /// Its name and its host: no other job of a configuration has both.
    pub(super) fn key(&self) -> (String, String) {
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
        Candidate { key: self.key(), job, max_per_hour }
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
async fn fit(planned: Planned, check: Check, sandbox: &Arc<Sandbox>) -> Job {
    if check.program.is_err() {
        return planned.unfit(check);
    }
    // What its files hold is read apart, and kept: a disk may not answer. Why it cannot be read is said below.
    let (own, of) = (planned.clone(), check.clone());
    drop(task::spawn_blocking(move || drop(own.job(&of))).await);
    let (own, of, mut judge) = (planned.clone(), check.clone(), Judge::new(sandbox));
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
