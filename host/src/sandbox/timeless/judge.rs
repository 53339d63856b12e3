//! Many jobs, judged one after the other: a program and a job in; whether it can run, or why not, out. The answer is that of
//! [`validate`], and comes sooner for jobs of the built-in check: one instance judges job after job, as long as it finds nothing
//! wrong, and is not asked again about parameters that it has just accepted, as of the other hosts of a table. That check is the
//! host's own: it keeps nothing from job to job, and judges nothing but parameters. A stranger's could do both otherwise, and so each
//! of its jobs has an instance of its own.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use tokio::time::timeout;
use wasmtime::Store;

use super::{Unfit, timeless, validate};
use crate::{
    sandbox::{bindings::Checker, cpu::Crowd, limits, log::Log, program::Program, run::Input, state::State},
    secret::Secrets,
};

/// Judges jobs.
#[derive(Default)]
pub struct Judge {
    kept: Option<Kept>,
    /// What the built-in check accepted last.
    accepted: Option<Arc<Map<String, Json>>>,
}

/// The built-in check, where it has found nothing wrong so far.
struct Kept {
    store: Store<State>,
    /// None: it does not exist yet.
    check: Option<Checker>,
}

impl Judge {
    /// Of no job yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a program judge a job. Refuses one that the program refuses, or does not judge.
    pub async fn judge(&mut self, program: &Program, input: &Input<'_>) -> Result<(), Unfit> {
        if program.sha256.is_none() {
            if self.accepted.as_ref() == Some(input.parameters) {
                return Ok(());
            }
            if self.accepts(program, input).await {
                self.accepted = Some(Arc::clone(input.parameters));
                return Ok(());
            }
        }
        // By itself, so that what is said, in the log too, is of this job.
        validate(program, input).await
    }

    async fn accepts(&mut self, program: &Program, input: &Input<'_>) -> bool {
        let begin = || {
            // It says nothing here: whose words they were nobody would know.
            let log = Log::new(String::new(), Secrets::default(), 0);
            Kept { store: timeless(program.pre.engine(), &Crowd::here(), log), check: None }
        };
        let Kept { mut store, check } = self.kept.take().unwrap_or_else(begin);
        let (meter, job) = (store.data().pace.meter.clone(), input.job());
        let judged = meter.count(Box::pin(timeout(limits::DESCRIBE_TIME, async {
            let check = match check {
                Some(check) => check,
                None => program.pre.instantiate_async(&mut store).await?,
            };
            let refusals = check.sonde_check_check().call_validate(&mut store, &job).await?;
            Ok::<_, wasmtime::Error>((check, refusals))
        })));
        let Ok(Ok((check, refusals))) = judged.await else { return false };
        // However many they are, each has its time: what one instance may compute.
        if meter.used() < limits::TICK {
            self.kept = Some(Kept { store, check: Some(check) });
        }
        refusals.is_empty()
    }
}
