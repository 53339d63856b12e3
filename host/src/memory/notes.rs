//! What is remembered, and how it is written: bytes in, notes out, and back. Refuses what this version does not write; of what
//! it does write, any number is one that somebody else may have put there.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// Bytes of the key.
pub const KEY_BYTES: usize = 32;
/// Of what is written; another one is not read.
const VERSION: u32 = 2;

/// Accounts are commonly locked after 5 to 10 bad log-ins in 10 to 30 minutes, and some systems count on until half an hour
/// passes without one. With pauses of 5, 10, 20, 40 and 60 minutes a job that stands alone has tried three times in half an
/// hour, and four times when the pauses become longer than that.
const FIRST_MS: i64 = 5 * 60_000;
/// What was put right at the server is seen after this at the latest.
pub const LONGEST_MS: i64 = 60 * 60_000;

/// 2026: nothing like this was written before.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// A job by its name and host.
pub type JobKey = (String, String);

/// Of a job whose log-in was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Refusals of its account in a row.
    pub times: u32,
    /// Before that it is not tried again; Unix milliseconds.
    pub until_ms: i64,
    /// One byte of a digest of its parameters.
    pub mark: u8,
}

/// How long an account is held back that was refused so many times in a row.
#[must_use]
pub fn pause_ms(times: u32) -> i64 {
    // Far more doublings than lead to the longest.
    (FIRST_MS << times.saturating_sub(1).min(16)).min(LONGEST_MS)
}

/// All of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notes {
    /// Of digests, as long as the file is there: of many digests by many keys somebody could learn what one does not show.
    pub key: [u8; KEY_BYTES],
    /// Of jobs whose runs are counted, those of the last hour; Unix milliseconds.
    pub runs: BTreeMap<JobKey, Vec<i64>>,
    /// Of jobs with a time of their own, the round in which each ran last, or when it came; Unix milliseconds.
    pub rounds: BTreeMap<JobKey, i64>,
    /// Whose log-in was refused.
    pub refused: BTreeMap<JobKey, Refusal>,
}

/// What is new of each job; none: nothing is to be remembered.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) runs: BTreeMap<JobKey, Option<Vec<i64>>>,
    pub(super) rounds: BTreeMap<JobKey, Option<i64>>,
    pub(super) refused: BTreeMap<JobKey, Option<Refusal>>,
}

/// How what any version writes begins.
const BEGIN: &[u8] = b"{\"version\":";

/// Why bytes are no notes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NoNotes {
    /// Nor ever were.
    Others,
    Shape,
    Version(u32),
}

impl fmt::Display for NoNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others | Self::Shape => f.write_str("not what sonde writes"),
            Self::Version(version) => write!(f, "of version {version}, and this sonde writes {VERSION}"),
        }
    }
}

/// Its beginning, whatever the version.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    version: u32,
    key: [u8; KEY_BYTES],
    runs: Vec<Of<Vec<i64>>>,
    rounds: Vec<Of<i64>>,
    refused: Vec<Of<Refusal>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Of<T> {
    job: String,
    host: String,
    is: T,
}

impl Notes {
    /// Nothing yet, under a key that nobody knows; none: there are no random bytes.
    pub(super) fn new() -> Option<Self> {
        let mut key = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut key).ok()?;
        Some(Self { key, runs: BTreeMap::new(), rounds: BTreeMap::new(), refused: BTreeMap::new() })
    }

    /// As it can be by now. A clock that was ahead when it was written would else hold jobs back until it is so late: each program
    /// that reads it would wait its longest anew. A clock that was never set knows nothing of that.
    pub(super) fn at(mut self, now_ms: i64) -> Self {
        if now_ms < EARLIEST_MS {
            return self;
        }
        for run in self.runs.values_mut().flatten() {
            *run = (*run).min(now_ms);
        }
        for refusal in self.refused.values_mut() {
            refusal.until_ms = refusal.until_ms.min(now_ms.saturating_add(pause_ms(refusal.times)));
        }
        self
    }

    pub(super) fn of(bytes: &[u8]) -> Result<Self, NoNotes> {
        // What was cut short, or lost with the power, is still nobody else's.
        let is_ours = bytes.starts_with(BEGIN) || bytes.first() == Some(&0);
        let unusable = if is_ours { NoNotes::Shape } else { NoNotes::Others };
        let Versioned { version } = serde_json::from_slice(bytes).map_err(|_| unusable)?;
        if version != VERSION {
            return Err(NoNotes::Version(version));
        }
        let Shape { key, runs, rounds, refused, .. } =
            serde_json::from_slice(bytes).map_err(|_| NoNotes::Shape)?;
        Ok(Self { key, runs: by_key(runs), rounds: by_key(rounds), refused: by_key(refused) })
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let (runs, rounds, refused) = (listed(&self.runs), listed(&self.rounds), listed(&self.refused));
        let shape = Shape { version: VERSION, key: self.key, runs, rounds, refused };
        // Texts and numbers: nothing of it can fail.
        let mut bytes = serde_json::to_vec(&shape).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn change(&mut self, changes: Changes) {
        apply(&mut self.runs, changes.runs);
        apply(&mut self.rounds, changes.rounds);
        apply(&mut self.refused, changes.refused);
    }
}

fn by_key<T>(list: Vec<Of<T>>) -> BTreeMap<JobKey, T> {
    list.into_iter().map(|Of { job, host, is }| ((job, host), is)).collect()
}

fn listed<T: Clone>(map: &BTreeMap<JobKey, T>) -> Vec<Of<T>> {
    let of = |((job, host), is): (&JobKey, &T)| Of { job: job.clone(), host: host.clone(), is: is.clone() };
    map.iter().map(of).collect()
}

fn apply<T>(map: &mut BTreeMap<JobKey, T>, changes: BTreeMap<JobKey, Option<T>>) {
    for (key, new) in changes {
        match new {
            Some(new) => drop(map.insert(key, new)),
            None => drop(map.remove(&key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ahead_is_as_long_as_it_can_be_and_a_clock_that_was_never_set_changes_nothing() {
        let (job, now) = (("a".to_owned(), "h".to_owned()), EARLIEST_MS + 1);
        let refusal = |times, until_ms| Refusal { times, until_ms, mark: 9 };
        let notes = |run, refusal| Notes {
            runs: [(job.clone(), vec![1, run])].into(),
            refused: [(job.clone(), refusal)].into(),
            ..Notes::new().unwrap()
        };
        let ahead = notes(i64::MAX, refusal(2, i64::MAX));
        let at = ahead.clone().at(now);
        assert_eq!(at.runs[&job], [1, now]);
        assert_eq!(at.refused[&job], refusal(2, now + 2 * FIRST_MS));
        assert_eq!(ahead.clone().at(7), ahead);
        let usual = notes(now - 1, refusal(9, now + LONGEST_MS));
        assert_eq!(usual.clone().at(now), usual);
    }

    #[test]
    fn what_is_written_reads_as_the_same_again() {
        let mut notes = Notes::new().unwrap();
        assert_ne!(notes.key, Notes::new().unwrap().key);
        let key = |name: &str| (name.to_owned(), "h\"\n".to_owned());
        let refusal = Refusal { times: u32::MAX, until_ms: i64::MIN, mark: 255 };
        notes.change(Changes {
            runs: [(key("a"), Some(vec![1, -2, i64::MAX])), (key("b"), None)].into(),
            rounds: [(key("a"), Some(i64::MIN)), (key("b"), None)].into(),
            refused: [(key("a"), Some(refusal)), (key("c"), Some(refusal))].into(),
        });
        assert_eq!((notes.runs.len(), notes.rounds.len(), notes.refused.len()), (1, 1, 2));
        assert_eq!(Notes::of(&notes.bytes()), Ok(notes.clone()));
        notes.change(Changes { refused: [(key("c"), None)].into(), ..Changes::default() });
        assert_eq!(notes.refused.keys().collect::<Vec<_>>(), [&key("a")]);
    }

    #[test]
    fn what_was_not_written_by_this_version_is_refused() {
        let written = String::from_utf8(Notes::new().unwrap().bytes()).unwrap();
        for (bytes, why) in [
            (written.replace("\"version\":2", "\"version\":1"), NoNotes::Version(1)),
            (written.replace("\"version\":2", "\"version\":-1"), NoNotes::Shape),
            (written.replace("\"runs\"", "\"walks\""), NoNotes::Shape),
            (written.replace("[]", "[{}]"), NoNotes::Shape),
            (written[..written.len() / 2].to_owned(), NoNotes::Shape),
            (written.clone() + &written, NoNotes::Shape),
            ("[[job]]\nname = \"a\"\n".to_owned(), NoNotes::Others),
            ("{\"version\":3,\"whatever\":[]}".to_owned(), NoNotes::Version(3)),
            ("[".repeat(1 << 20), NoNotes::Others),
            ("\0".repeat(4096), NoNotes::Shape),
        ] {
            assert_eq!(Notes::of(bytes.as_bytes()), Err(why), "{}", &bytes[..bytes.len().min(80)]);
        }
    }
}
