//! The back-off of one account: refused log-ins in; when it is tried again, and by which of its jobs, out. Refuses a second try
//! while one runs: three jobs of an account are three bad log-ins.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::memory::{JobKey, KEY_BYTES, LONGEST_MS, pause_ms};

/// Of all that a job's configuration may have put right: of it one byte is written.
pub(super) type Fingerprint = [u8; KEY_BYTES];

/// Of one account.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    /// Refusals since the last success.
    pub(super) times: u32,
    /// Before that nobody tries; Unix milliseconds.
    pub(super) until_ms: i64,
    /// Whose log-in was refused; other jobs of the account go on.
    refused: BTreeMap<JobKey, Refused>,
    /// Who tries.
    trial: Option<JobKey>,
}

#[derive(Debug)]
struct Refused {
    fingerprint: Fingerprint,
    /// Its last run did not get as far as the log-in, or was not asked for one: it keeps nobody from trying.
    came_elsewhere: bool,
}

impl BackOff {
    /// Whether this job may run. Where it may, it is about to.
    pub(super) fn admits(&mut self, job: &JobKey, now_ms: i64) -> bool {
        let Some(refused) = self.refused.get(job) else { return true };
        // The clock may have been set back.
        self.until_ms = self.until_ms.min(now_ms.saturating_add(LONGEST_MS));
        if now_ms < self.until_ms {
            return false;
        }
        if refused.came_elsewhere {
            // When what keeps them from the log-in ends, not all of them are to try in one round: about one of them is in each.
            let many = self.refused.values().filter(|refused| refused.came_elsewhere).count();
            return lot(job, now_ms).is_multiple_of(u64::try_from(many).unwrap_or(u64::MAX).max(1));
        }
        if self.trial.is_some() {
            return false;
        }
        self.trial = Some(job.clone());
        true
    }

    /// Its log-in was refused, in a round that began at that time. Gives how long nobody tries.
    pub(super) fn refuse(&mut self, job: JobKey, fingerprint: Fingerprint, began_ms: i64) -> i64 {
        self.end_trial(&job);
        self.refused.insert(job, Refused { fingerprint, came_elsewhere: false });
        self.times = self.times.saturating_add(1);
        let pause = pause_ms(self.times);
        self.until_ms = self.until_ms.max(began_ms.saturating_add(pause));
        pause
    }

    /// Whether it is one of those whose log-in was refused: then its success is news.
    pub(super) fn has(&self, job: &JobKey) -> bool {
        self.refused.contains_key(job)
    }

    /// Its run came to something else.
    pub(super) fn pass_over(&mut self, job: &JobKey) {
        self.end_trial(job);
        if let Some(refused) = self.refused.get_mut(job) {
            refused.came_elsewhere = true;
        }
    }

    /// As it was remembered.
    pub(super) fn restore(&mut self, job: JobKey, fingerprint: Fingerprint, times: u32, until_ms: i64) {
        self.refused.insert(job, Refused { fingerprint, came_elsewhere: false });
        self.times = self.times.max(times);
        self.until_ms = self.until_ms.max(until_ms);
    }

    /// Forgets the jobs of which this says no; gives those.
    pub(super) fn retain(&mut self, stays: impl Fn(&JobKey, &Fingerprint) -> bool) -> Vec<JobKey> {
        let gone = self.refused.extract_if(.., |job, refused| !stays(job, &refused.fingerprint));
        let gone = gone.map(|(job, _)| job).collect();
        self.trial.take_if(|trying| !self.refused.contains_key(trying));
        gone
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = (&JobKey, &Fingerprint)> {
        self.refused.iter().map(|(job, refused)| (job, &refused.fingerprint))
    }

    /// Whether its jobs are of this host.
    pub(super) fn is_of(&self, host: &str) -> bool {
        self.refused.keys().any(|(_, own)| own == host)
    }

    pub(super) fn is_nobodys(&self) -> bool {
        self.refused.is_empty()
    }

    /// Its run, which was about to begin, does not.
    pub(super) fn end_trial(&mut self, job: &JobKey) {
        self.trial.take_if(|trying| trying == job);
    }
}

/// Whether what was remembered of a job whose account is not known yet holds it back.
pub(super) fn holds_back(until_ms: i64, now_ms: i64) -> bool {
    now_ms < until_ms.min(now_ms.saturating_add(LONGEST_MS))
}

/// Of a job in a round, any number.
fn lot(job: &JobKey, now_ms: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (job, now_ms).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn job(name: &str) -> JobKey {
        (name.to_owned(), "h".to_owned())
    }

    /// Minutes in which jobs of one account, asked each minute, try a password that is always refused.
    fn tries(jobs: &[&str], minutes: i64) -> Vec<i64> {
        let mut back_off = BackOff::default();
        let mut tried = Vec::new();
        for minute in 0..minutes {
            let admitted: Vec<_> = jobs
                .iter()
                .map(|name| job(name))
                .filter(|job| back_off.admits(job, minute * MINUTE))
                .collect();
            for job in admitted {
                back_off.refuse(job, [0; 32], minute * MINUTE);
                tried.push(minute);
            }
        }
        tried
    }

    #[test]
    fn an_account_is_tried_too_seldom_to_be_locked() {
        let alone = tries(&["a"], 24 * 60);
        assert_eq!(alone[..7], [0, 5, 15, 35, 75, 135, 195]);
        // Of several jobs one tries for all.
        let two = tries(&["a", "b"], 24 * 60);
        assert_eq!(two[..5], [0, 0, 10, 30, 70]);
        let five = tries(&["a", "b", "c", "d", "e"], 24 * 60);
        assert_eq!(five[..7], [0, 0, 0, 0, 0, 60, 120]);
        for tried in [alone, two] {
            let within = |minutes: i64, from: i64| {
                tried.iter().filter(|at| (from..from + minutes).contains(*at)).count()
            };
            assert!(tried.iter().all(|from| within(10, *from) <= 2 && within(30, *from) <= 3), "{tried:?}");
        }
    }

    #[test]
    fn a_job_that_does_not_get_as_far_as_the_log_in_keeps_no_other_from_trying() {
        let mut back_off = BackOff::default();
        for name in ["a", "b"] {
            back_off.refuse(job(name), [0; 32], 0);
        }
        let round = |back_off: &mut BackOff, minute: i64| {
            ["a", "b"].map(|name| back_off.admits(&job(name), minute * MINUTE))
        };
        assert_eq!(round(&mut back_off, 9), [false, false]);
        assert_eq!(round(&mut back_off, 10), [true, false]);
        // It runs still.
        assert_eq!(round(&mut back_off, 11), [false, false]);
        back_off.pass_over(&job("a"));
        assert_eq!(round(&mut back_off, 12), [true, true]);
        back_off.refuse(job("b"), [0; 32], 12 * MINUTE);
        assert_eq!(round(&mut back_off, 31), [false, false]);
        assert_eq!(round(&mut back_off, 32), [true, true]);
    }

    #[test]
    fn a_job_that_was_not_refused_goes_on() {
        let mut back_off = BackOff::default();
        back_off.refuse(job("a"), [0; 32], 0);
        assert!(back_off.admits(&job("b"), 0) && !back_off.has(&job("b")));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_pause_longer_than_the_longest() {
        let mut back_off = BackOff::default();
        back_off.refuse(job("a"), [0; 32], i64::MAX);
        assert!(!back_off.admits(&job("a"), 0));
        assert!(back_off.admits(&job("a"), LONGEST_MS));
        assert!(holds_back(i64::MAX, 0) && !holds_back(0, 0));
    }

    #[test]
    fn a_try_that_does_not_begin_or_whose_job_is_gone_keeps_nobody_else_from_trying() {
        let mut back_off = BackOff::default();
        back_off.refuse(job("a"), [0; KEY_BYTES], 0);
        back_off.refuse(job("b"), [0; KEY_BYTES], 0);
        let later = 100 * MINUTE;
        assert!(back_off.admits(&job("a"), later) && !back_off.admits(&job("b"), later));
        back_off.end_trial(&job("a"));
        assert!(back_off.admits(&job("b"), later) && !back_off.admits(&job("a"), later));
        assert_eq!(back_off.retain(|key, _| *key == job("a")), [job("b")]);
        assert!(back_off.admits(&job("a"), later));
    }

    #[test]
    fn of_many_that_fail_before_the_log_in_few_are_in_one_round_and_each_is_in_some() {
        let names: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        let mut back_off = BackOff::default();
        for name in &names {
            back_off.refuse(job(name), [0; KEY_BYTES], 0);
            back_off.pass_over(&job(name));
        }
        let mut times = vec![0; names.len()];
        for round in 0..400 {
            let now_ms = 100 * MINUTE + round * MINUTE;
            let admitted: Vec<_> = (0..20).filter(|at| back_off.admits(&job(&names[*at]), now_ms)).collect();
            assert!(admitted.len() < 8, "{admitted:?}");
            for at in admitted {
                times[at] += 1;
            }
        }
        assert!(times.iter().all(|times| (5..45).contains(times)), "{times:?}");
    }
}
