//! How what runs ends before its time: signals, the end of input, or a runtime that no longer turns, in; the end of the program
//! out, whatever the runtime's thread does. What is printed by then stands, and a status of 0 lets the agent keep it.

use std::{
    iter, process,
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

use super::start;
use crate::{
    output::{self, Level},
    schedule::Missing,
    workers::Workers,
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
        start::thread(move || {
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

    /// Watches the runtime that calls this, and those of threads.
    pub(super) fn watch_runtime(&self, workers: &Arc<Workers>) -> Result<(), String> {
        let turns = Arc::new(AtomicU32::new(0));
        let turning = Arc::clone(&turns);
        task::spawn(async move {
            loop {
                turning.fetch_add(1, Ordering::Relaxed);
                time::sleep(TURN).await;
            }
        });
        let (missing, workers) = (self.missing(), Arc::clone(workers));
        start::thread(move || {
            let own = || turns.load(Ordering::Relaxed);
            watch(|| [vec![own()], workers.turns()].concat(), TURN, LOOKS);
            end("on a thread nothing went on for 30 s: this is a fault of sonde", &missing);
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

/// Ends the program as it is: to take down what runs still, and what was made for it, takes time that nobody has.
pub(super) fn leave() -> ! {
    output::flush_log(LAST_LINE);
    process::exit(0)
}

fn end(why: &str, missing: &Missing) -> ! {
    let missing = if missing.is_none() { String::new() } else { format!(": {missing}") };
    output::log(Level::Error, &format!("{why}{missing}"));
    leave()
}

/// Comes back when one of the numbers, of which there may be more at each look, has been the same at so many.
fn watch(turns: impl Fn() -> Vec<u32>, pause: Duration, looks: u32) {
    // With how often each was the same.
    let mut last: Vec<(u32, u32)> = Vec::new();
    while last.iter().all(|(_, same)| *same < looks) {
        thread::sleep(pause);
        let before = last.into_iter().map(Some).chain(iter::repeat(None));
        let again = |(now, before): (u32, Option<(u32, u32)>)| match before {
            Some((last, same)) if last == now => (now, same + 1),
            _ => (now, 0),
        };
        last = turns().into_iter().zip(before).map(again).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn runtimes_that_turn_are_let_be_and_one_that_does_not_is_seen() {
        let turns = Arc::new(Mutex::new(vec![0; 2]));
        let turning = Arc::clone(&turns);
        let ended =
            thread::spawn(move || watch(|| turns.lock().unwrap().clone(), Duration::from_millis(20), 50));
        let turn = |of: usize| {
            turning.lock().unwrap()[of] += 1;
            thread::sleep(Duration::from_millis(20));
        };
        for _ in 0..10 {
            turn(0);
            turn(1);
            assert!(!ended.is_finished());
        }
        // One that begins later.
        turning.lock().unwrap().push(0);
        while !ended.is_finished() {
            turn(0);
            turn(1);
        }
        ended.join().unwrap();
    }
}
