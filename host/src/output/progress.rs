//! How far a round is, for a person in front of a terminal: how many of how many, on standard error. Drawn by a thread of its own:
//! who stops the terminal stops no job. Lines that are written meanwhile stand above it.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn; a round that takes no longer shows none.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// How often is looked whether it is drawn still.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS: &str = "{bar:30} {pos} of {len} jobs, {elapsed}";

/// What other lines have to stand above.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Somebody sees it.
#[must_use]
pub fn is_seen() -> bool {
    io::stderr().is_terminal()
}

/// A round's progress.
#[derive(Debug)]
pub struct Progress {
    state: Arc<State>,
    drawing: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    bar: ProgressBar,
    done: AtomicU64,
    is_over: AtomicBool,
}

impl Progress {
    /// Of so many jobs. There is one in the life of the program.
    pub fn start(jobs: usize) -> io::Result<Self> {
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(u64::try_from(jobs).ok(), target);
        if let Ok(style) = ProgressStyle::with_template(LOOKS) {
            bar.set_style(style);
        }
        let bar = BAR.get_or_init(|| bar).clone();
        let state = Arc::new(State { bar, done: AtomicU64::new(0), is_over: AtomicBool::new(false) });
        let drawn = Arc::clone(&state);
        let drawing = thread::Builder::new().spawn(move || drawn.draw())?;
        Ok(Self { state, drawing })
    }

    /// One more is done.
    pub fn add(&self) {
        self.state.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes it from the terminal.
    pub fn end(self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        self.drawing.thread().unpark();
        // Where the terminal is stopped, it is not waited for.
        let began = Instant::now();
        while !self.drawing.is_finished() && began.elapsed() < DRAWN_EVERY {
            thread::sleep(LOOK);
        }
        if self.drawing.is_finished() {
            self.state.bar.finish_and_clear();
        }
    }
}

impl State {
    fn draw(&self) {
        loop {
            thread::park_timeout(DRAWN_EVERY);
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            self.bar.set_position(self.done.load(Ordering::Relaxed));
        }
    }
}

/// Writes something that stands above it.
pub(super) fn above<T>(write: impl FnOnce() -> T) -> T {
    match BAR.get() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
