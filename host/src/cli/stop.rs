//! How a run ends before its time: SIGTERM, or a runtime that no longer turns, in; the end of the program out, whatever the
//! runtime's thread does. What is printed by then stands, and a status of 0 lets the agent keep it.

use std::{
    fmt, process,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use tokio::{sync::watch, task, time};

use super::start::NO_THREAD;
use crate::{
    output::{self, Level},
    text::counted,
};

/// How long a run may take to end after SIGTERM: Telegraf sends SIGKILL after five seconds.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long the last line of the log may take.
const LAST_LINE: Duration = Duration::from_millis(500);
/// How often the runtime shows that it turns, and is looked at.
const TURN: Duration = Duration::from_secs(1);
/// Looks without a turn after which it never will: nothing that the host does takes that long.
const LOOKS: u32 = 30;

/// SIGTERM, which once it came stays.
pub(super) struct Stop {
    came: watch::Receiver<bool>,
    /// Jobs that have no line yet.
    pub(super) missing: Missing,
}

/// How many of a round's jobs have no line yet, for whoever ends it.
#[derive(Clone)]
pub(super) struct Missing {
    jobs: usize,
    left: Arc<AtomicUsize>,
}

impl Missing {
    /// One line more was written.
    pub(super) fn one_less(&self) {
        self.left.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.left.load(Ordering::Relaxed);
        let verb = if left == 1 { "has" } else { "have" };
        write!(f, "{left} of {} {verb} no line", counted(self.jobs, "job"))
    }
}

impl Stop {
    /// Takes SIGTERM from now on, and watches the runtime that calls this, which is about to run so many jobs. To be called
    /// before there are other threads: they inherit that the signal is not theirs.
    pub(super) fn take(jobs: usize) -> Result<Self, String> {
        let missing = Missing { jobs, left: Arc::new(AtomicUsize::new(jobs)) };
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.thread_block().map_err(|error| format!("SIGTERM: {error}"))?;
        let (came, coming) = watch::channel(false);
        let left = missing.clone();
        start(move || {
            while signals.wait().is_err() {}
            // Nobody waits for it any more where the run is over.
            came.send_replace(true);
            thread::sleep(LAST_WORDS);
            end(format!("stopped by SIGTERM, and did not end by itself: {left}"));
        })?;
        let turns = Arc::new(AtomicU32::new(0));
        let turning = Arc::clone(&turns);
        task::spawn(async move {
            loop {
                turning.fetch_add(1, Ordering::Relaxed);
                time::sleep(TURN).await;
            }
        });
        let left = missing.clone();
        start(move || {
            watch(&turns, TURN, LOOKS);
            end(format!("nothing went on for 30 s: this is a fault of sonde; {left}"));
        })?;
        Ok(Self { came: coming, missing })
    }

    pub(super) async fn wait(&mut self) {
        // Its other end lives as long as the program.
        drop(self.came.wait_for(|came| *came).await);
    }
}

/// A thread that ends the program.
fn start(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let started = thread::Builder::new().spawn(work);
    started.map(drop).map_err(|error| format!("{NO_THREAD}: {error}"))
}

fn end(why: String) -> ! {
    say(why);
    process::exit(0)
}

/// Logs it, if that goes on at all: a thread that hangs may hold the log.
fn say(why: String) {
    let (done, said) = mpsc::channel();
    let saying = thread::Builder::new().spawn(move || {
        output::log(Level::Error, &why);
        // Nobody may wait for it any more.
        let _gone: Result<(), mpsc::SendError<()>> = done.send(());
    });
    // Without it nothing is said, and nobody waited for.
    drop(saying);
    let _unsaid: Result<(), RecvTimeoutError> = said.recv_timeout(LAST_LINE);
}

/// Comes back when `turns` has been the same at so many looks.
fn watch(turns: &AtomicU32, pause: Duration, looks: u32) {
    let (mut last, mut same) = (turns.load(Ordering::Relaxed), 0);
    while same < looks {
        thread::sleep(pause);
        let now = turns.load(Ordering::Relaxed);
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_end_does_not_wait_for_who_holds_the_log() {
        let held = io::stderr().lock();
        let ended = thread::spawn(|| say("this line comes when nobody waits for it any more".to_owned()));
        ended.join().unwrap();
        drop(held);
    }

    #[test]
    fn a_runtime_that_turns_is_let_be_and_one_that_does_not_is_seen() {
        let turns = Arc::new(AtomicU32::new(0));
        let turning = Arc::clone(&turns);
        let ended = thread::spawn(move || watch(&turns, Duration::from_millis(20), 50));
        for _ in 0..20 {
            turning.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(20));
            assert!(!ended.is_finished());
        }
        ended.join().unwrap();
    }
}
