//! Why a round that was asked for has not begun: the jobs that it waits for, and since when each runs, in; a line for the log out.
//! What would be said of the same jobs in round after round is said once in a while.

use tokio::time::Instant;

use super::failures::AGAIN;
use crate::{restraint::JobKey, text::counted};

/// Jobs that are named: enough to find the fault, and short.
const NAMED: usize = 3;

/// What is said where it waits for the agent and for no job.
const UNREAD: &str = "a round that was asked for waits: nobody reads standard output";

/// Of whom something was said last, and when.
#[derive(Debug, Default)]
pub(super) struct Awaited(Option<(Vec<JobKey>, Instant)>);

impl Awaited {
    /// Of those that run, since when each does, and so many more that have not started; none: it was said.
    pub(super) fn say(
        &mut self,
        mut running: Vec<(JobKey, Instant)>,
        waiting: usize,
        now: Instant,
    ) -> Option<String> {
        running.sort_by_key(|(_, since)| *since);
        let jobs: Vec<_> = running.iter().take(NAMED).map(|(job, _)| job.clone()).collect();
        if !self.is_new(jobs.clone(), now) {
            return None;
        }
        let all = counted(running.len() + waiting, "job");
        let ran = running.iter().zip(&jobs).map(|((_, since), (name, host))| {
            format!("{name} ({host}) has run for {} s", now.duration_since(*since).as_secs())
        });
        let mut parts: Vec<_> = ran.collect();
        if running.len() > NAMED {
            parts.push(format!("{} more run", running.len() - NAMED));
        }
        if waiting > 0 {
            parts.push(format!("{waiting} not started yet"));
        }
        Some(format!("a round that was asked for waits for {all}: {}", parts.join(", ")))
    }

    /// That nobody reads what they say: none of them is to blame.
    pub(super) fn say_unread(&mut self, now: Instant) -> Option<&'static str> {
        self.is_new(Vec::new(), now).then_some(UNREAD)
    }

    /// Whether of these nothing was said of late; it is now.
    fn is_new(&mut self, jobs: Vec<JobKey>, now: Instant) -> bool {
        let is_said = |(said, at): &(Vec<JobKey>, Instant)| *said == jobs && now.duration_since(*at) < AGAIN;
        let is_new = !self.0.as_ref().is_some_and(is_said);
        if is_new {
            self.0 = Some((jobs, now));
        }
        is_new
    }

    /// A round came in time.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_awaited_is_said_once_until_it_is_somebody_else_or_an_hour_later() {
        let (began, mut awaited) = (Instant::now(), Awaited::default());
        let mut said = |jobs: &[&str], waiting, after: u64| {
            let running: Vec<_> = jobs
                .iter()
                .zip(0..)
                .map(|(name, second)| {
                    (((*name).to_owned(), "h".to_owned()), began + Duration::from_secs(second))
                })
                .collect();
            awaited.say(running.into_iter().rev().collect(), waiting, began + Duration::from_secs(after))
        };
        let waits = "a round that was asked for waits for";
        assert_eq!(said(&["a"], 0, 34).unwrap(), format!("{waits} 1 job: a (h) has run for 34 s"));
        assert_eq!(said(&["a"], 7, 94), None);
        let of_many = "6 jobs: b (h) has run for 99 s, a (h) has run for 98 s, c (h) has run for 97 s, 1 more run, \
                       2 not started yet";
        assert_eq!(said(&["b", "a", "c", "d"], 2, 99).unwrap(), format!("{waits} {of_many}"));
        assert_eq!(said(&[], 2, 100).unwrap(), format!("{waits} 2 jobs: 2 not started yet"));
        assert_eq!(said(&[], 1, 3000), None);
        assert!(said(&[], 1, 3700).is_some());
        assert_eq!(awaited.say_unread(began + Duration::from_secs(3701)), None);
        awaited.end();
        assert_eq!(awaited.say_unread(began), Some(UNREAD));
        awaited.end();
        assert!(awaited.say(Vec::new(), 1, began).is_some());
    }
}
