//! A configuration and its checks: a file in; jobs with their checks out, all at once, or each as soon as its check is there.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    task::{self, JoinSet},
    time::{self, Instant},
};

use super::{
    arguments::{built_in, sandbox},
    exit::Refusal,
};
use crate::{
    catalogue::HostError,
    check::Check,
    config::{self, ConfigError, Declared, Plan, Planned},
    job::Job,
    output::{self, Level},
    sandbox::{Compiler, SMTP, Sandbox, cache},
};

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

/// All jobs. Refuses the configuration for a check that cannot be loaded, and for a job that its check cannot run.
pub(super) async fn strictly(plan: &Plan) -> Result<Vec<Job>, Refusal> {
    let compiler = compiler(plan);
    let sandbox = sandbox()?.asking(plan.name_servers.clone());
    let mut checks = vec![built_in(&sandbox).await?];
    for declared in &plan.checks {
        let loaded = Check::load(&sandbox, &declared.source, &compiler).await;
        checks.push(loaded.map_err(|error| declared.refuse(error.to_string()).to_string())?);
    }
    let mut jobs = Vec::new();
    for planned in &plan.jobs {
        if let Some(check) = checks.iter().find(|check| check.name == planned.check()) {
            let job = planned.validated(check, &sandbox).await;
            jobs.push(job.map_err(|error| error.to_string())?);
        }
    }
    Ok(jobs)
}

/// A configuration whose jobs run.
pub(super) struct Loading<F> {
    /// Where.
    pub(super) sandbox: Arc<Sandbox>,
    /// Jobs that may run at once.
    pub(super) max_concurrent: usize,
    /// Each job as soon as its check is there.
    pub(super) jobs: Vec<F>,
    checks: Vec<(String, watch::Receiver<Stage>)>,
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

impl<F> Loading<F> {
    /// How checks are there sooner, where the code of some is not there yet.
    pub(super) fn sooner(&self) -> Option<&str> {
        let unfinished = self.checks.iter().any(|(_, check)| matches!(*check.borrow(), Stage::Code));
        unfinished.then_some(&*self.beforehand)
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
/// time, and a job that its check cannot run, are on those jobs' lines. Refuses what is wrong in the file itself.
pub(super) async fn leniently(
    plan: Plan,
) -> Result<Loading<impl Future<Output = Job> + Send + 'static + use<>>, Refusal> {
    let compiler = compiler(&plan);
    let beforehand: Arc<str> = beforehand(&plan, &compiler).into();
    let sandbox = Arc::new(sandbox()?.asking(plan.name_servers.clone()));
    let smtp = built_in(&sandbox).await?;
    // Its parameters are part of this program: what they do not allow is wrong in the file.
    for planned in plan.jobs.iter().filter(|planned| planned.check() == SMTP) {
        planned.validated(&smtp, &sandbox).await.map_err(|error| error.to_string())?;
    }
    let mut checks = vec![(SMTP.to_owned(), watch::channel(Stage::There(smtp)).1)];
    for declared in plan.checks {
        let (sender, receiver) = watch::channel(Stage::Code);
        checks.push((declared.source.name.clone(), receiver));
        let (sandbox, compiler) = (Arc::clone(&sandbox), Arc::clone(&compiler));
        task::spawn(async move {
            let check = load(&sandbox, declared, &compiler, &sender).await;
            sender.send_replace(Stage::There(check))
        });
    }
    let turns: Vec<_> = checks.iter().map(|_| Arc::new(Mutex::new(()))).collect();
    let began = Instant::now();
    let jobs: Vec<_> = plan
        .jobs
        .into_iter()
        .filter_map(|planned| {
            let at = checks.iter().position(|(name, _)| name == planned.check())?;
            let (_, check) = checks.get(at)?;
            // Those of the built-in check were judged above.
            let turn = turns.get(at).filter(|_| planned.check() != SMTP).map(Arc::clone);
            let place = Place { sandbox: Arc::clone(&sandbox), turn };
            Some(coming(planned, check.clone(), began, place, Arc::clone(&beforehand)))
        })
        .collect();
    Ok(Loading { sandbox, max_concurrent: plan.max_concurrent, jobs, checks, beforehand })
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

/// A job, when its check is there or its time is over.
async fn coming(
    planned: Planned,
    mut check: watch::Receiver<Stage>,
    began: Instant,
    place: Place,
    beforehand: Arc<str>,
) -> Job {
    let (name, timeout) = (planned.check().to_owned(), planned.timeout());
    let (over, late) = (began + timeout, check.clone());
    let judged = async {
        // In the order of the file: of those who wait for a check, any may be woken first.
        let turn = match place.turn {
            Some(turn) => Some(turn.lock_owned().await),
            None => None,
        };
        let stage = check.wait_for(|stage| matches!(stage, Stage::There(_))).await.ok()?.clone();
        let Stage::There(check) = stage else { return None };
        Some(fit(planned.clone(), check, place.sandbox, turn).await)
    };
    let (check, text) = match time::timeout_at(over, judged).await {
        Ok(Some(job)) => return job,
        // The check's task died.
        Ok(None) => {
            let text = format!("check `{name}`: the host failed over it; its log has the place");
            return planned.unfit(Check::unknown(&name, HostError::CheckLoad, text));
        }
        Err(_late) => {
            let unknown = |error: HostError, text: String| {
                let text = format!("check `{name}`: {text}");
                (Check::unknown(&name, error, text.clone()), text)
            };
            match &*late.borrow() {
                Stage::Code => {
                    unknown(HostError::CheckCompile, format!("not ready within {timeout:?}: {beforehand}"))
                }
                Stage::Description => {
                    let text = format!("it has not described itself within {timeout:?}");
                    unknown(HostError::CheckDescribe, text)
                }
                // One that cannot be loaded says why.
                Stage::There(check) if check.program.is_err() => return planned.unfit(check.clone()),
                Stage::There(check) => {
                    let text = format!(
                        "check `{name}`: it has not judged the job within {timeout:?}: it judges one after the other"
                    );
                    (check.unfit(HostError::CheckJob, text.clone()), text)
                }
            }
        }
    };
    output::log(Level::Error, &format!("job {}: {text}", planned.name()));
    planned.unfit(check)
}

/// Where a job is judged by its check: one after the other, or the instances of a check with many jobs would need the memory of
/// all of them at once.
struct Place {
    sandbox: Arc<Sandbox>,
    /// None: it was judged before.
    turn: Option<Arc<Mutex<()>>>,
}

/// While this is held, no other job of the check is judged.
type Turn = OwnedMutexGuard<()>;

/// The job; one that its check cannot run says so.
async fn fit(planned: Planned, check: Check, sandbox: Arc<Sandbox>, turn: Option<Turn>) -> Job {
    if check.program.is_err() {
        return planned.unfit(check);
    }
    let (own, of) = (planned.clone(), check.clone());
    // What a stranger's description makes of it must not end the round.
    // Nor does it go on when nobody waits for it any more: others do, for their turn.
    let mut judging = JoinSet::new();
    judging.spawn(async move {
        let Some(_turn) = turn else { return own.job(&of) };
        own.validated(&of, &sandbox).await
    });
    let built = judging.join_next().await;
    let refuse = |text: String| {
        output::log(Level::Error, &text);
        planned.unfit(check.unfit(HostError::CheckJob, text))
    };
    match built {
        Some(Ok(Ok(job))) => job,
        Some(Ok(Err(error))) => refuse(ConfigError::to_string(&error)),
        Some(Err(_)) | None => {
            refuse(format!("job {}: the host failed over it; its log has the place", planned.name()))
        }
    }
}
