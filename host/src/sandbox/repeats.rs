//! What checks say again, round after round: a line of a run in; how often it was left out since it was last shown, or that it is to
//! be left out now, out. Left out is what an earlier run said in the same words within the hour; what a run itself says twice is
//! shown twice.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often what goes on is shown again.
const AGAIN: Duration = Duration::from_hours(1);
/// Lines that are remembered, each in some tens of bytes: a few of each of ten thousand jobs. What is over is shown each time.
const REMEMBERED: usize = 1 << 16;
/// What was not said again for so long is most likely of one run alone, as with a time in it, and makes room.
const UNREPEATED: Duration = Duration::from_mins(10);
/// How often room is looked for: that takes a look at all of them.
const LOOK: Duration = Duration::from_secs(10);

/// What was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    runs: u64,
    /// Unpredictable, so that no check makes another's line look like its own.
    hasher: RandomState,
    said: HashMap<u64, Said>,
    /// When room was looked for last.
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Said {
    /// Which showed it.
    run: u64,
    at: Instant,
    /// Times since then.
    more: u32,
}

/// A run whose lines are folded.
#[derive(Debug)]
pub(super) struct Repeating {
    all: Repeats,
    run: u64,
    host: String,
}

impl Repeats {
    /// Of a job with this host.
    pub(super) fn run(&self, host: &str) -> Repeating {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.runs += 1;
        Repeating { all: self.clone(), run: state.runs, host: host.to_owned() }
    }
}

impl Repeating {
    /// None: it is left out. Otherwise how often it was before.
    pub(super) fn fold(&self, line: &impl Hash, now: Instant) -> Option<u32> {
        let mut state = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = state.hasher.hash_one((&self.host, line));
        let young = |said: &Said| now.duration_since(said.at) < AGAIN;
        if let Some(said) = state.said.get_mut(&key) {
            if said.run == self.run {
                return Some(0);
            }
            if young(said) {
                said.more = said.more.saturating_add(1);
                return None;
            }
            (said.run, said.at) = (self.run, now);
            return Some(mem::take(&mut said.more));
        }
        if state.said.len() >= REMEMBERED && state.looked.is_none_or(|at| now.duration_since(at) >= LOOK) {
            state.looked = Some(now);
            let is_old = |said: &Said| said.more == 0 && now.duration_since(said.at) >= UNREPEATED;
            state.said.retain(|_, said| young(said) && !is_old(said));
        }
        if state.said.len() < REMEMBERED {
            state.said.insert(key, Said { run: self.run, at: now, more: 0 });
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_says_as_an_earlier_one_did_is_left_out_and_counted() {
        let (repeats, began) = (Repeats::default(), Instant::now());
        let at = |minute: u64| began + Duration::from_mins(minute);
        let first = repeats.run("h");
        // Twice in one run.
        assert_eq!((first.fold(&"a", at(0)), first.fold(&"a", at(0))), (Some(0), Some(0)));
        assert_eq!(repeats.run("other").fold(&"a", at(0)), Some(0));
        for minute in 1..60 {
            let run = repeats.run("h");
            assert_eq!((run.fold(&"a", at(minute)), run.fold(&minute, at(minute))), (None, Some(0)));
        }
        assert_eq!(repeats.run("h").fold(&"a", at(60)), Some(59));
        assert_eq!(repeats.run("h").fold(&"a", at(61)), None);
    }

    #[test]
    fn lines_that_are_never_the_same_take_no_more_than_their_room_and_nobody_elses() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let said = |line: usize| repeats.run("h").fold(&line, now);
        assert_eq!((said(0), said(0)), (Some(0), None));
        for line in 1..3 * REMEMBERED {
            assert_eq!(said(line), Some(0));
        }
        assert!(repeats.0.lock().unwrap().said.len() <= REMEMBERED);
        assert_eq!(said(0), None);
        // They make room, and one that is said again and again does not.
        let later = now + UNREPEATED;
        assert_eq!(repeats.run("h").fold(&"new", later), Some(0));
        assert_eq!(
            (repeats.run("h").fold(&"new", later), repeats.run("h").fold(&0_usize, later)),
            (None, None)
        );
    }

    #[test]
    fn of_more_lines_than_are_remembered_as_many_are_left_out_in_each_round() {
        let (repeats, began) = (Repeats::default(), Instant::now());
        for round in 0..4 {
            let run = repeats.run("h");
            let now = began + Duration::from_mins(1) * round;
            let shown = (0..REMEMBERED + 1000).filter(|line| run.fold(line, now).is_some()).count();
            assert_eq!(shown, if round == 0 { REMEMBERED + 1000 } else { 1000 });
        }
    }
}
