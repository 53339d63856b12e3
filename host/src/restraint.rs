//! Which jobs a round leaves out although they are due: a job, and how its runs ended, in; whether its next may begin, out. A
//! log-in that was refused is not tried again and again, since that locks accounts: see `back_off`. A job that may run so many
//! times an hour, because each run sends a mail, does no more: see `hour`. When jobs with a time of their own ran is kept here for
//! whoever asks which are due. What is decided here outlasts the program where there is a file for it.
//!
//! The host does not know log-ins. What it knows is that a run ended as `auth_failed`, whom it asked, the job's secrets, and the
//! parameter `username` of a check that has one: these are the account. Without a secret there is none; and a check that has a field
//! `response_code`, and says −1 in it, was refused by nobody: no log-in was offered, or it held back its secrets itself.

mod back_off;
mod hour;
mod unknown;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use serde_json::Value as Json;

use self::{
    back_off::{BackOff, Fingerprint},
    hour::Hour,
    unknown::Unknown,
};
pub use crate::memory::JobKey;
use crate::{
    description::ParameterKind,
    job::Job,
    memory::{KEY_BYTES, LONGEST_MS, Memory, Refusal},
    output::{self, Level},
    report::{Outcome, Report},
    schedule::RoundTime,
    span,
    value::Value,
};

/// By what a check calls whoever logs in.
const USERNAME: &str = "username";
/// In which a check says by what code a peer refused, and that none did.
const RESPONSE_CODE: &str = "response_code";
const NOBODY: Value = Value::Integer(-1);

/// Jobs that a line of the log names.
const NAMED: usize = 5;

/// Of whom an account is: in memory only.
type Account = [u8; KEY_BYTES];

/// A job whose time has come.
pub struct Candidate {
    /// Its name and host.
    pub key: JobKey,
    /// How far it is.
    pub job: Readiness,
    /// So many runs an hour.
    pub max_per_hour: Option<u8>,
    /// It has a time of its own.
    pub has_time: bool,
}

/// How far a job is.
pub enum Readiness {
    /// Its check is not there yet, and may come while it waits.
    Awaited,
    /// Its check cannot run it: it tries nothing, and says why.
    Unfit,
    /// It is there.
    Fit(Arc<Job>),
}

impl Readiness {
    fn fit(&self) -> Option<&Job> {
        match self {
            Self::Fit(job) => Some(job),
            Self::Awaited | Self::Unfit => None,
        }
    }
}

/// What is known of jobs that hold back, or are to.
#[derive(Default)]
pub struct Restraint {
    /// Against whoever reads the file, where there is one; else nothing that is made of it leaves the program.
    key: [u8; KEY_BYTES],
    accounts: HashMap<Account, BackOff>,
    hours: HashMap<JobKey, Hour>,
    /// Of jobs with a time of their own, the round in which each ran last, or when it came; Unix milliseconds.
    rounds: HashMap<JobKey, i64>,
    /// Of jobs whose account is not known.
    unknown: Unknown,
    /// Of the round that begins, jobs that have run as often as they may: those of which nobody was told yet.
    often: Vec<String>,
    memory: Option<Memory>,
}

impl Restraint {
    /// With what this file remembers; another program that has it is waited for until this comes. Where it cannot be had the log
    /// says so, and nothing is remembered.
    pub async fn remembering(path: PathBuf, until: impl Future<Output = ()>) -> Self {
        match Memory::open_until(path, || RoundTime::now().unix_ms(), until).await {
            Ok((memory, known)) => Self {
                key: known.key,
                hours: known.runs.into_iter().map(|(job, runs)| (job, Hour::of(runs))).collect(),
                rounds: known.rounds.into_iter().collect(),
                unknown: Unknown::of(known.refused),
                memory: Some(memory),
                ..Self::default()
            },
            Err(error) => {
                output::log(error.level(), &error.to_string());
                Self::default()
            }
        }
    }

    /// Whether there is a job of which only its parameters say whether it is held back still.
    #[must_use]
    pub fn awaits_jobs(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// The round in which a job with a time of its own ran last, or when it came.
    #[must_use]
    pub fn last_round(&self, key: &JobKey) -> Option<RoundTime> {
        self.rounds.get(key).map(|ms| RoundTime { unix_ns: ms.saturating_mul(1_000_000) })
    }

    /// Whether it may run in the round of this time. It is to be asked last: one that may is taken to begin.
    pub fn admits(&mut self, candidate: &Candidate, time: RoundTime) -> bool {
        let Candidate { key, job, max_per_hour, .. } = candidate;
        let now = time.unix_ms();
        let most = max_per_hour.map(usize::from);
        if let Some(most) = most {
            let hour = self.hours.entry(key.clone()).or_default();
            if !hour.admits(most, now) {
                if !std::mem::replace(&mut hour.is_told, true) {
                    self.often.push(format!("{} ({})", key.0, key.1));
                }
                return false;
            }
        }
        if !self.account_admits(key, job, now) {
            return false;
        }
        if most.is_some() {
            let hour = self.hours.entry(key.clone()).or_default();
            hour.begin(now);
            if let Some(memory) = &self.memory {
                memory.keep_runs(key, Some(hour.runs_ms()));
            }
        }
        true
    }

    /// All jobs of a round were asked for: what there is to say of those that have run as often as they may, of each once.
    pub fn begun(&mut self) -> Option<String> {
        let often = std::mem::take(&mut self.often);
        let (shown, others) = often.split_at(often.len().min(NAMED));
        let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        let names = shown.join(", ");
        (!often.is_empty()).then(|| format!("left out of this round by `max_per_hour`: {names}{others}"))
    }

    /// A run that it admitted to the round of this time was dropped before it began: it has not tried, and does not count.
    pub fn take_back(&mut self, key: &JobKey, time: RoundTime) {
        for back_off in self.accounts.values_mut() {
            back_off.end_trial(key);
        }
        self.unknown.end_trial(key);
        if let Some(hour) = self.hours.get_mut(key) {
            hour.take_back(time.unix_ms());
            if let Some(memory) = &self.memory {
                memory.keep_runs(key, Some(hour.runs_ms()));
            }
        }
    }

    /// Whether there is anything of this job that would have to be taken back.
    #[must_use]
    pub fn counts(&self, candidate: &Candidate) -> bool {
        candidate.max_per_hour.is_some() || !self.accounts.is_empty() || !self.unknown.is_empty()
    }

    fn account_admits(&mut self, key: &JobKey, job: &Readiness, now_ms: i64) -> bool {
        let job = match job {
            Readiness::Fit(job) => job,
            Readiness::Unfit => return true,
            Readiness::Awaited => {
                let is_refused =
                    self.unknown.has(key) || self.accounts.values().any(|back_off| back_off.has(key));
                // It may be of any account of its host, and who is there goes first.
                let waits = is_refused && self.accounts.values().any(|back_off| back_off.is_of(&key.1));
                return !waits && self.unknown.admits(key, now_ms);
            }
        };
        if let Some(refusal) = self.unknown.take(key) {
            self.restore(key, job, &refusal, now_ms);
        }
        if self.accounts.is_empty() {
            return true;
        }
        let account = self.account(job);
        let Some(back_off) = account.and_then(|account| self.accounts.get_mut(&account)) else { return true };
        // That may be of its account.
        let waits = back_off.has(key) && self.unknown.another_tries(key);
        !waits && back_off.admits(key, now_ms)
    }

    /// What was remembered of a job, now that it is there.
    fn restore(&mut self, key: &JobKey, job: &Job, refusal: &Refusal, now_ms: i64) {
        let fingerprint = self.fingerprint(job);
        let account = self.account(job).filter(|_| mark(&fingerprint) == refusal.mark);
        let Some(account) = account else { return self.forget(key) };
        let back_off = self.accounts.entry(account).or_default();
        // The clock may have been set back.
        let until_ms = refusal.until_ms.min(now_ms.saturating_add(LONGEST_MS));
        back_off.restore(key.clone(), fingerprint, refusal.times, until_ms);
        let left = back_off.until_ms.saturating_sub(now_ms);
        if left > 0 {
            log_pause(job, back_off.times, left);
        }
    }

    /// Learns what a run came to; `now` is how the job is by now, where another configuration may have come since it began: whose log-in
    /// another one was refused, that says nothing of it.
    pub fn learn(
        &mut self,
        job: &Job,
        report: &Report,
        time: RoundTime,
        now: impl FnOnce(&JobKey) -> Option<Readiness>,
    ) {
        let (outcome, is_refused) = (report.outcome(), is_refused(report));
        let key = (job.name.clone(), job.host.written().to_owned());
        self.unknown.end_trial(&key);
        if let Some(last) = self.rounds.get_mut(&key) {
            *last = time.unix_ms();
            if let Some(memory) = &self.memory {
                memory.keep_round(&key, Some(*last));
            }
        }
        if self.accounts.is_empty() && self.unknown.is_empty() && !is_refused {
            return;
        }
        let Some(account) = self.account(job) else { return };
        let is_another =
            |now: Readiness| now.fit().is_none_or(|now| self.fingerprint(now) != self.fingerprint(job));
        if is_refused && now(&key).is_some_and(is_another) {
            return;
        }
        // Its check came while it waited.
        if let Some(refusal) = self.unknown.take(&key) {
            self.restore(&key, job, &refusal, time.unix_ms());
        }
        if is_refused {
            let fingerprint = self.fingerprint(job);
            let back_off = self.accounts.entry(account).or_default();
            let pause = back_off.refuse(key, fingerprint, time.unix_ms());
            log_pause(job, back_off.times, pause);
            if let Some(memory) = &self.memory {
                let (times, until_ms) = (back_off.times, back_off.until_ms);
                for (key, fingerprint) in back_off.jobs() {
                    memory.keep_refusal(key, Some(Refusal { times, until_ms, mark: mark(fingerprint) }));
                }
            }
            return;
        }
        let Some(back_off) = self.accounts.get_mut(&account) else { return };
        if outcome != Outcome::Success {
            back_off.pass_over(&key);
        } else if back_off.has(&key) {
            let jobs = back_off.retain(|_, _| false);
            self.accounts.remove(&account);
            for key in &jobs {
                self.forget(key);
            }
        }
    }

    /// From now on, which is this time, of these jobs, which are all. One whose parameters are others than when its log-in was
    /// refused is tried.
    pub fn change(&mut self, jobs: &[Candidate], now: RoundTime) {
        let by_key: HashMap<&JobKey, &Candidate> = jobs.iter().map(|job| (&job.key, job)).collect();
        let mut accounts = std::mem::take(&mut self.accounts);
        let mut gone = self.unknown.retain(|key| by_key.contains_key(key));
        for (account, back_off) in &mut accounts {
            let (times, until_ms) = (back_off.times, back_off.until_ms);
            for (key, fingerprint) in back_off.jobs() {
                // Whether its configuration changed is not to be seen now.
                if by_key.get(key).is_some_and(|candidate| candidate.job.fit().is_none()) {
                    let refusal = Refusal { times, until_ms, mark: mark(fingerprint) };
                    self.unknown.remember(key.clone(), refusal);
                }
            }
            let is_same = |key: &JobKey, fingerprint: &Fingerprint| {
                let job = by_key.get(key).and_then(|candidate| candidate.job.fit());
                job.is_some_and(|job| {
                    self.account(job) == Some(*account) && self.fingerprint(job) == *fingerprint
                })
            };
            gone.extend(back_off.retain(is_same).into_iter().filter(|key| !self.unknown.has(key)));
        }
        for key in &gone {
            self.forget(key);
        }
        accounts.retain(|_, back_off| !back_off.is_nobodys());
        self.accounts = accounts;
        self.change_rounds(jobs, &by_key, now);
        let is_counted = |key: &JobKey| by_key.get(key).is_some_and(|job| job.max_per_hour.is_some());
        for (key, _) in self.hours.extract_if(|key, _| !is_counted(key)) {
            if let Some(memory) = &self.memory {
                memory.keep_runs(&key, None);
            }
        }
    }

    fn change_rounds(&mut self, jobs: &[Candidate], by_key: &HashMap<&JobKey, &Candidate>, now: RoundTime) {
        let has_time = |key: &JobKey| by_key.get(key).is_some_and(|job| job.has_time);
        for (key, _) in self.rounds.extract_if(|key, _| !has_time(key)) {
            if let Some(memory) = &self.memory {
                memory.keep_round(&key, None);
            }
        }
        for Candidate { key, .. } in jobs.iter().filter(|job| job.has_time) {
            if !self.rounds.contains_key(key) {
                self.rounds.insert(key.clone(), now.unix_ms());
                if let Some(memory) = &self.memory {
                    memory.keep_round(key, Some(now.unix_ms()));
                }
            }
        }
    }

    /// When all that is remembered is written, or cannot be.
    pub fn kept(&self) -> impl Future<Output = ()> + use<> {
        let kept = self.memory.as_ref().map(Memory::kept);
        async {
            if let Some(kept) = kept {
                kept.await;
            }
        }
    }

    fn forget(&self, key: &JobKey) {
        if let Some(memory) = &self.memory {
            memory.keep_refusal(key, None);
        }
    }

    fn account(&self, job: &Job) -> Option<Account> {
        let parameters = &job.check.description.parameters;
        let secrets = parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Secret);
        let secrets = secrets.filter_map(|secret| job.parameters.get(&secret.name)?.as_str());
        let mut secrets = secrets.filter(|secret| !secret.is_empty()).peekable();
        secrets.peek()?;
        let username = job.parameters.get(USERNAME).and_then(Json::as_str).unwrap_or_default();
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for piece in [job.host.written(), username].into_iter().chain(secrets) {
            // So that no two are the same where they are put together.
            hasher.update(&(piece.len() as u64).to_le_bytes()).update(piece.as_bytes());
        }
        Some(*hasher.finalize().as_bytes())
    }

    fn fingerprint(&self, job: &Job) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // Into memory nothing fails.
        drop(serde_json::to_writer(&mut hasher, &*job.parameters));
        *hasher.finalize().as_bytes()
    }
}

/// A peer refused the log-in.
fn is_refused(report: &Report) -> bool {
    let by_nobody = |(name, value): &(String, Value)| name == RESPONSE_CODE && *value == NOBODY;
    report.outcome() == Outcome::AuthFailed && !report.fields.iter().any(by_nobody)
}

/// What is written of a fingerprint. One byte shows a changed password to us, but for one in 256, and next to nothing of the
/// password to whoever reads the file.
fn mark(fingerprint: &Fingerprint) -> u8 {
    let [mark, ..] = fingerprint;
    *mark
}

fn log_pause(job: &Job, times: u32, pause_ms: i64) {
    let (name, host) = (&job.name, job.host.written());
    output::log(Level::Warning, &format!("job {name}: {host}: {}", pause_text(times, pause_ms)));
}

/// The times are the account's: of the job it may be the first.
fn pause_text(times: u32, pause_ms: i64) -> String {
    // Whole minutes, none too few.
    let pause = span::text((pause_ms.unsigned_abs()).div_ceil(60_000) * 60_000);
    let refused = match times {
        1 => String::new(),
        _ => format!(": its account (host, user name and secrets) was refused {times} times in a row"),
    };
    format!("{}{refused}: left out for {pause}, so that nobody locks its account", Outcome::AuthFailed.name())
}

#[cfg(test)]
mod tests;
