//! Jobs whose log-in was refused and whose account is not known, because their check is not there, or cannot run them: what is
//! remembered of each in; who may run all the same out. Refuses a second one of a host while one runs: their check may come while
//! they wait for it, and all of them may be of one account.

use std::collections::{BTreeMap, BTreeSet};

use super::back_off::holds_back;
use crate::memory::{JobKey, Refusal};

/// Of such jobs.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// As the file has it.
    refused: BTreeMap<JobKey, Refusal>,
    /// Who runs, and may get as far as the log-in.
    trying: BTreeSet<JobKey>,
}

impl Unknown {
    /// As they were remembered.
    pub(super) fn of(refused: BTreeMap<JobKey, Refusal>) -> Self {
        Self { refused, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.refused.is_empty()
    }

    pub(super) fn has(&self, job: &JobKey) -> bool {
        self.refused.contains_key(job)
    }

    /// Whether a job may run whose check is not there yet. Where it may, it is about to.
    pub(super) fn admits(&mut self, job: &JobKey, now_ms: i64) -> bool {
        let Some(refusal) = self.refused.get(job) else { return true };
        if holds_back(refusal.until_ms, now_ms) || self.another_tries(job) {
            return false;
        }
        self.trying.insert(job.clone());
        true
    }

    /// Whether another job of its host is under way.
    pub(super) fn another_tries(&self, job: &JobKey) -> bool {
        self.trying.iter().any(|trying| trying != job && trying.1 == job.1)
    }

    /// Its run is over, or does not begin.
    pub(super) fn end_trial(&mut self, job: &JobKey) {
        self.trying.remove(job);
    }

    /// Its account is not known any more.
    pub(super) fn remember(&mut self, job: JobKey, refusal: Refusal) {
        self.refused.insert(job, refusal);
    }

    /// Its account is known now.
    pub(super) fn take(&mut self, job: &JobKey) -> Option<Refusal> {
        self.refused.remove(job)
    }

    /// Forgets the jobs of which this says no; gives those.
    pub(super) fn retain(&mut self, stays: impl Fn(&JobKey) -> bool) -> Vec<JobKey> {
        self.refused.extract_if(.., |job, _| !stays(job)).map(|(job, _)| job).collect()
    }
}
