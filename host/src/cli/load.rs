//! A configuration and its checks: a file in; jobs with their checks out, all at once, or each as soon as its check is there.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{sync::watch, task};

use super::{
    arguments::{built_in, sandbox},
    coming::{Coming, Expected, Stage},
    exit::Refusal,
    machine,
};
use crate::{
    check::Check,
    config::{self, Plan, Shard, Watched},
    output::{self, Level},
    restraint::Candidate,
    sandbox::{Compiler, Judge, SMTP, Sandbox, cache},
    text::{self, counted},
};

/// Jobs that are worth the time in which places are made where one run follows the other: as much computing as they save some 400.
const MANY: usize = 500;
/// Doubts that are said each: whoever wrote one for thousands of jobs has written it once.
const DOUBTS: usize = 20;
/// Jobs of the built-in check that are judged until others have their turn: some dozens take a millisecond.
const TURN: usize = 32;

/// Reads a configuration, and says what in it may be a mistake, and of what files it is.
pub(super) fn read(path: &Path, watched: &mut Watched) -> Result<Plan, Refusal> {
    let plan = config::read_watching(path, watched).map_err(|error| error.to_string())?;
    for doubt in plan.doubts.iter().take(DOUBTS) {
        output::log(Level::Warning, &doubt.to_string());
    }
    if let Some(more) = plan.doubts.len().checked_sub(DOUBTS).filter(|more| *more > 0) {
        output::log(Level::Warning, &format!("{}: … and {more} more such warnings", path.display()));
    }
    Ok(plan)
}

/// Where a configuration's compiled checks are kept.
pub(super) fn cache_folder(plan: &Plan) -> Option<PathBuf> {
    plan.cache_dir.clone().or_else(cache::usual_folder)
}

fn compiler(plan: &Plan) -> Arc<Compiler> {
    // A configuration without components needs no folder.
    let folder = (!plan.checks.is_empty()).then(|| cache_folder(plan)).flatten();
    Arc::new(Compiler::new(folder))
}

/// How many jobs it has. Refuses the configuration for a check that cannot be loaded, and for a job that its check cannot run.
pub(super) async fn strictly(plan: &Plan) -> Result<usize, Refusal> {
    let compiler = compiler(plan);
    let sandbox = sandbox()?;
    let mut checks = HashMap::from([(SMTP.to_owned(), built_in(&sandbox).await?)]);
    for declared in &plan.checks {
        let loaded = Check::load(&sandbox, &declared.source, &compiler).await;
        let loaded = loaded.map_err(|error| declared.refuse(error.to_string()).to_string())?;
        checks.insert(declared.source.name.clone(), loaded);
    }
    let mut judge = Judge::new();
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
    /// For one round of so many jobs.
    pub(super) async fn of_a_round(jobs: usize) -> Result<Self, Refusal> {
        let sandbox = sandbox()?;
        Self::of(if jobs < MANY { sandbox } else { sandbox.pooling() }).await
    }

    /// For round after round.
    pub(super) async fn of_a_daemon() -> Result<Self, Refusal> {
        Self::of(sandbox()?.pooling()).await
    }

    async fn of(sandbox: Sandbox) -> Result<Self, Refusal> {
        let sandbox = Arc::new(sandbox.folding());
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
    /// The same of jobs with one host.
    pub(super) max_per_host: Option<usize>,
    /// Where something is to be said of the program itself: the tags.
    pub(super) self_metrics: Option<BTreeMap<String, String>>,
    /// Each is there as soon as its check is.
    pub(super) jobs: Vec<Coming>,
    /// How far those are that are declared.
    checks: Vec<watch::Receiver<Stage>>,
    beforehand: Arc<str>,
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
            job.ready().await;
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
    let (mut jobs, mut judge) = (Vec::new(), Judge::new());
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
    Ok(Loading { sandbox, threads, max_concurrent, max_per_host, self_metrics, jobs, checks, beforehand })
}
