//! The log's lines on their way to standard error: at once, or, where jobs run, on a thread of its own, so that whoever logs
//! never waits for who reads. Lines in, of at most so many bytes each; those for which there is no room are counted, and the
//! log says where they are missing.

use std::{
    collections::VecDeque,
    io,
    os::fd::AsFd,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{descriptor::write_all, progress::above};
use crate::text::counted;

/// The longest line, its end not counted: Telegraf stops reading at 64 KiB.
pub(super) const LINE_BYTES: usize = 2048;
/// Lines that wait: with 2 MiB, as many as come where each of a thousand jobs fails at once.
const LINES: usize = 1024;
/// How long a full standard error is waited for where there is no thread, in milliseconds: enough where somebody reads.
const PATIENCE_MS: u8 = 50;

/// The lines of this program, once there is a thread for them.
static APART: OnceLock<Queue> = OnceLock::new();

/// Lines that wait for the thread.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    /// Lines that are gone, since the last one that waits.
    missing: u32,
    writing: bool,
}

/// Writes one line, which has its end, or hands it over to the thread.
pub(super) fn write(line: String) {
    match APART.get() {
        Some(queue) => queue.push(line),
        None => at_once(line),
    }
}

/// From now on lines are written by a thread of its own, which ends with the program.
pub fn apart() -> io::Result<()> {
    thread::Builder::new().spawn(|| APART.get_or_init(Queue::default).work())?;
    // Whichever of both was first.
    APART.get_or_init(Queue::default);
    Ok(())
}

/// Waits until all is written, but no longer than this: the log that nobody reads is no reason to stay.
pub fn flush(patience: Duration) {
    if let Some(queue) = APART.get() {
        queue.flush(patience);
    }
}

fn missing(lines: u32) -> String {
    let verb = if lines == 1 { "is" } else { "are" };
    format!("W! {} {verb} missing: nobody read them\n", counted(lines as usize, "log line"))
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut state = self.state();
        if state.lines.len() >= LINES {
            state.missing = state.missing.saturating_add(1);
            return;
        }
        let gone = std::mem::take(&mut state.missing);
        if gone > 0 {
            state.lines.push_back(missing(gone));
        }
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_all();
    }

    /// The next line; waits for one.
    fn next(&self) -> String {
        let mut state = self.state();
        state.writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.writing = true;
                return line;
            }
            let gone = std::mem::take(&mut state.missing);
            if gone > 0 {
                state.writing = true;
                return missing(gone);
            }
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives whether all is written.
    fn flush(&self, patience: Duration) -> bool {
        let is_busy = |state: &mut State| state.writing || !state.lines.is_empty() || state.missing > 0;
        let flushed = self.changed.wait_timeout_while(self.state(), patience, is_busy);
        !flushed.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn work(&self) {
        loop {
            // Where nobody can read any more, nobody misses it.
            let line = self.next();
            drop(above(|| write_all(&io::stderr(), line.as_bytes())));
        }
    }
}

/// Where there is no room for it, it is counted, and the next that finds room says how many are missing.
fn at_once(mut line: String) {
    /// Log lines that nobody read, and that are gone.
    static UNREAD: AtomicU32 = AtomicU32::new(0);
    let stderr = io::stderr().lock();
    let unread = UNREAD.load(Ordering::Relaxed);
    // Who did not read a moment ago is not waited for again.
    let patience = if unread == 0 { PATIENCE_MS } else { 0 };
    let mut writable = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // A pipe that is writable takes both lines: together they are shorter than PIPE_BUF.
    if poll(&mut writable, PollTimeout::from(patience)) == Ok(0) {
        UNREAD.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if unread > 0 {
        UNREAD.fetch_sub(unread, Ordering::Relaxed);
        line.insert_str(0, &missing(unread));
    }
    drop(write_all(&stderr, line.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_where_it_is_missing() {
        let queue = Queue::default();
        for number in 0..LINES + 7 {
            queue.push(format!("{number}\n"));
        }
        for number in 0..LINES {
            assert_eq!(queue.next(), format!("{number}\n"));
            if number == 10 {
                queue.push("later\n".to_owned());
                queue.push("another\n".to_owned());
            }
        }
        // The notice stands where they are missing, and takes no line's place.
        assert_eq!(queue.next(), "W! 7 log lines are missing: nobody read them\n");
        assert_eq!(queue.next(), "later\n");
        assert_eq!(queue.next(), "another\n");
    }

    #[test]
    fn the_end_waits_for_the_log_but_not_for_who_never_takes_a_line() {
        let queue = Queue::default();
        assert!(queue.flush(Duration::ZERO));
        queue.push("taken, and not written yet\n".to_owned());
        queue.next();
        assert!(!queue.flush(Duration::from_millis(20)));
        thread::scope(|scope| {
            scope.spawn(|| queue.state().writing = false);
            while !queue.flush(Duration::from_millis(20)) {}
        });
    }

    #[test]
    fn the_last_that_are_missing_are_said_though_no_line_follows() {
        let queue = Queue::default();
        for _ in 0..=LINES {
            queue.push("x\n".to_owned());
        }
        let all: Vec<_> = (0..=LINES).map(|_| queue.next()).collect();
        assert_eq!(all.last().unwrap(), "W! 1 log line is missing: nobody read them\n");
    }
}
