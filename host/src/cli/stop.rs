//! How what runs ends before its time: signals, the end of input, or a runtime that no longer turns, in; the end of the program
//! out, whatever the runtime's thread does. What is printed by then stands, and a status of 0 lets the agent keep it.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};
use tokio::{
    sync::watch,
    task,
    time::{self, Instant},
};

use super::start::NO_THREAD;
use crate::{
    output::{self, Level},
    schedule::Missing,
};

/// How long the last line of the log may take.
const LAST_LINE: Duration = Duration::from_millis(100);
/// How often the runtime shows that it turns, and is looked at.
const TURN: Duration = Duration::from_secs(1);
/// Looks without a turn after which it never will: nothing that the host does takes that long.
const LOOKS: u32 = 30;

/// Why it ends, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) why: &'static str,
    pub(super) since: Instant,
}

/// The end, which once it came stays.
pub(super) struct Stop {
    came: watch::Receiver<Option<End>>,
    ender: Ender,
}

/// Who can say that it is the end.
#[derive(Clone)]
pub(super) struct Ender {
    came: watch::Sender<Option<End>>,
    patience: Duration,
    missing: Missing,
}

impl Ender {
    /// Says so, and ends the program when that has not done it.
    pub(super) fn end(&self, why: &'static str) -> ! {
        self.came.send_if_modified(|came| {
            let is_first = came.is_none();
            came.get_or_insert(End { why, since: Instant::now() });
            is_first
        });
        thread::sleep(self.patience);
        end(&format!("stopped by {why}, and did not end by itself"), &self.missing);
    }
}

impl Stop {
    /// Takes these signals from now on, and others that end nothing. The program ends no later than this after the first. To be
    /// called before there are other threads: they inherit that the signals are not theirs.
    pub(super) fn take(
        ends: &'static [Signal],
        others: &'static [Signal],
        patience: Duration,
        other: impl Fn(Signal) + Send + 'static,
    ) -> Result<Self, String> {
        let mut signals = SigSet::empty();
        for signal in ends.iter().chain(others) {
            signals.add(*signal);
        }
        signals.thread_block().map_err(|error| format!("signals: {error}"))?;
        let (sender, came) = watch::channel(None);
        let ender = Ender { came: sender, patience, missing: Missing::default() };
        let own = ender.clone();
        start(move || {
            loop {
                match signals.wait() {
                    Ok(signal) if ends.contains(&signal) => own.end(signal.as_str()),
                    Ok(signal) => other(signal),
                    Err(_interrupted) => {}
                }
            }
        })?;
        Ok(Self { came, ender })
    }

    /// Watches the runtime that calls this.
    pub(super) fn watch_runtime(&self) -> Result<(), String> {
        let turns = Arc::new(AtomicU32::new(0));
        let turning = Arc::clone(&turns);
        task::spawn(async move {
            loop {
                turning.fetch_add(1, Ordering::Relaxed);
                time::sleep(TURN).await;
            }
        });
        let missing = self.missing();
        start(move || {
            watch(&turns, TURN, LOOKS);
            end("nothing went on for 30 s: this is a fault of sonde", &missing);
        })
    }

    pub(super) fn ender(&self) -> Ender {
        self.ender.clone()
    }

    pub(super) fn missing(&self) -> Missing {
        self.ender.missing.clone()
    }

    pub(super) async fn wait(&mut self) -> End {
        match self.came.wait_for(Option::is_some).await.ok().and_then(|came| *came) {
            Some(end) => end,
            // Its other end lives as long as the program.
            None => std::future::pending().await,
        }
    }
}

/// A thread that ends the program, or lets it be.
pub(super) fn start(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let started = thread::Builder::new().spawn(work);
    started.map(drop).map_err(|error| format!("{NO_THREAD}: {error}"))
}

fn end(why: &str, missing: &Missing) -> ! {
    let missing = if missing.is_none() { String::new() } else { format!(": {missing}") };
    output::log(Level::Error, &format!("{why}{missing}"));
    output::flush_log(LAST_LINE);
    process::exit(0)
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
        output::log_apart().unwrap();
        let held = io::stderr().lock();
        let ended = thread::spawn(|| {
            output::log(Level::Error, "this line may come when nobody waits for it any more");
            output::flush_log(LAST_LINE);
        });
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
