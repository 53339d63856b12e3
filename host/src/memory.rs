//! What outlasts the program: a small file's name in; what the last program remembered out, and what this one does into the
//! file, on a thread of its own, so that a disk that hangs holds up nothing. It is written at most once a second, for rounds alone
//! every ten, and at the end. Refuses a file that somebody else could have put there, and one that another program writes; begins
//! anew where it is not what was written.

mod file;
mod notes;

use std::{
    fmt,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    time,
};

pub use self::notes::{JobKey, KEY_BYTES, LONGEST_MS, Refusal, pause_ms};
use self::{
    file::{FileError, StateFile},
    notes::{Changes, NoNotes, Notes},
};
use crate::output::{self, Level};

/// How long the start waits for the file.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a file that another program has is tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// Between two times that it is written: a disk has other things to do.
const PAUSE: Duration = Duration::from_secs(1);
/// The same where only rounds have changed, as they do with each job that has a time of its own: what is lost of them with the
/// power costs a line more.
const PAUSE_OF_ROUNDS: Duration = Duration::from_secs(10);

/// The number of the first time that it is written: before anything changes.
const FIRST: u64 = 1;

/// Why nothing is remembered.
#[derive(Debug)]
pub struct NoMemory {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    File(FileError),
    /// No answer from the disk.
    Silence,
    NoThread(std::io::Error),
}

impl NoMemory {
    /// How much it matters: of two programs with one file, the first remembers.
    #[must_use]
    pub fn level(&self) -> Level {
        if self.is_busy() { Level::Warning } else { Level::Error }
    }

    fn is_busy(&self) -> bool {
        matches!(self.why, Why::File(FileError::Busy))
    }
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "state_file {}: ", self.path.display())?;
        match &self.why {
            Why::File(error) => write!(f, "{error}")?,
            Why::Silence => write!(f, "no answer within {PATIENCE:?}")?,
            Why::NoThread(error) => write!(f, "no thread is to be had: {error}")?,
        }
        f.write_str(": what is held back now is forgotten at the end")
    }
}

impl std::error::Error for NoMemory {}

/// Writes what is to be remembered.
pub struct Memory(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// The number of the last change that was written, or cannot be.
    done: watch::Sender<u64>,
}

/// Changes that are not written yet: of each job the last.
#[derive(Default)]
struct Waiting {
    changes: Changes,
    /// Of the last.
    number: u64,
    /// There are others than rounds.
    presses: bool,
    /// Somebody waits for it.
    hurry: bool,
    /// There will be none any more.
    ended: bool,
}

impl Memory {
    /// The same as [`Self::open`]; a file that another program has is tried again until this comes.
    pub async fn open_until(
        path: PathBuf,
        now_ms: impl Fn() -> i64,
        until: impl Future<Output = ()>,
    ) -> Result<(Self, Notes), NoMemory> {
        let mut until = pin!(until);
        loop {
            let opened = Self::open(path.clone(), now_ms()).await;
            if !opened.as_ref().is_err_and(NoMemory::is_busy) {
                return opened;
            }
            tokio::select! {
                biased;
                () = &mut until => return opened,
                () = time::sleep(AGAIN) => {}
            }
        }
    }

    /// Opens a file, which need not be there, and begins to write it. Gives what it holds that can be by now, in Unix milliseconds.
    pub async fn open(path: PathBuf, now_ms: i64) -> Result<(Self, Notes), NoMemory> {
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting { number: FIRST, ..Waiting::default() }),
            changed: Condvar::new(),
            done: watch::Sender::new(0),
        });
        let (sender, opened) = oneshot::channel();
        let (own, at) = (Arc::clone(&shared), path.clone());
        let refuse = |why| NoMemory { path, why };
        let started = thread::Builder::new().spawn(move || match open(at, now_ms) {
            Ok((file, notes)) => {
                // Nobody waits any more: what he begins with would be written over what is here.
                if sender.send(Ok(notes.clone())).is_ok() {
                    own.work(file, notes);
                }
            }
            Err(error) => drop(sender.send(Err(error))),
        });
        if let Err(error) = started {
            return Err(refuse(Why::NoThread(error)));
        }
        match time::timeout(PATIENCE, opened).await {
            Ok(Ok(Ok(notes))) => Ok((Self(shared), notes)),
            Ok(Ok(Err(error))) => Err(refuse(Why::File(error))),
            Ok(Err(_)) | Err(_) => Err(refuse(Why::Silence)),
        }
    }

    /// The runs of a job in the last hour, in Unix milliseconds; none: it is not counted.
    pub fn keep_runs(&self, job: &JobKey, runs_ms: Option<Vec<i64>>) {
        self.0.change(true, |changes| changes.runs.extend([(job.clone(), runs_ms)]));
    }

    /// The round in which a job with a time of its own ran last, or when it came, in Unix milliseconds; none: it has none.
    pub fn keep_round(&self, job: &JobKey, round_ms: Option<i64>) {
        self.0.change(false, |changes| changes.rounds.extend([(job.clone(), round_ms)]));
    }

    /// That its log-in is not to be tried; none: it may be.
    pub fn keep_refusal(&self, job: &JobKey, refusal: Option<Refusal>) {
        self.0.change(true, |changes| changes.refused.extend([(job.clone(), refusal)]));
    }

    /// When all that was handed over by then is written, or cannot be.
    pub fn kept(&self) -> impl Future<Output = ()> + use<> {
        let number = {
            let mut waiting = self.0.waiting();
            waiting.hurry = true;
            waiting.number
        };
        self.0.changed.notify_all();
        let mut done = self.0.done.subscribe();
        // Its other end is here and with the thread.
        async move { drop(done.wait_for(|done| *done >= number).await) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        (waiting.hurry, waiting.ended) = (true, true);
        drop(waiting);
        self.0.changed.notify_all();
    }
}

/// What stands in the file; what cannot be used of it is said, and gone.
fn open(path: PathBuf, now_ms: i64) -> Result<(StateFile, Notes), FileError> {
    let file = StateFile::open(path)?;
    let bytes = file.read()?;
    if !bytes.is_empty() {
        let error = match Notes::of(&bytes) {
            Ok(notes) => return Ok((file, notes.at(now_ms))),
            Err(NoNotes::Others) => return Err(FileError::Others),
            Err(error) => error,
        };
        let text = format!("state_file {}: {error}: begun anew", file.path().display());
        output::log(Level::Warning, &text);
    }
    let notes = Notes::new().ok_or(FileError::Random)?;
    Ok((file, notes))
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, presses: bool, change: impl FnOnce(&mut Changes)) {
        let mut waiting = self.waiting();
        waiting.number += 1;
        waiting.presses |= presses;
        change(&mut waiting.changes);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Writes what changes, until nothing will any more.
    fn work(&self, mut file: StateFile, mut notes: Notes) {
        let (mut number, mut failed) = (FIRST, false);
        loop {
            // At the start as well: what is wrong is said then, and not when something is to be remembered.
            let written = file.write(&notes.bytes());
            if let Err(error) = &written
                && !failed
            {
                let text = format!("state_file {}: cannot be written: {error}", file.path().display());
                output::log(Level::Error, &text);
            }
            failed = written.is_err();
            self.done.send_replace(number);
            let Some((changes, next)) = self.next(number) else { return };
            notes.change(changes);
            number = next;
        }
    }

    /// What is to be written next, and its number; waits for it. None: there is no more.
    fn next(&self, last: u64) -> Option<(Changes, u64)> {
        let waiting = self.waiting();
        let paused = self.changed.wait_timeout_while(waiting, PAUSE, |waiting| !waiting.hurry);
        let (waiting, _) = paused.unwrap_or_else(PoisonError::into_inner);
        let left = PAUSE_OF_ROUNDS.saturating_sub(PAUSE);
        let may_wait = |waiting: &mut Waiting| !waiting.hurry && !waiting.presses;
        let paused = self.changed.wait_timeout_while(waiting, left, may_wait);
        let (waiting, _) = paused.unwrap_or_else(PoisonError::into_inner);
        let is_idle = |waiting: &mut Waiting| waiting.number == last && !waiting.ended;
        let changed = self.changed.wait_while(waiting, is_idle);
        let mut waiting = changed.unwrap_or_else(PoisonError::into_inner);
        (waiting.hurry, waiting.presses) = (waiting.ended, false);
        (waiting.number != last).then(|| (std::mem::take(&mut waiting.changes), waiting.number))
    }
}

#[cfg(test)]
mod tests;
