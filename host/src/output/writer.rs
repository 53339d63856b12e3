//! Lines on their way to standard output: whole lines in, in their order, and what of them is written out. They are written on
//! a thread of its own: where nobody reads, a write waits, and nothing else may. Where many come, those of a moment are written
//! together. How many may wait is for whoever hands them over to say, by the guard that goes with them.

use std::{
    io::{self, IsTerminal},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    descriptor::{IN_ONE_PIECE, wait_until_writable, write_all},
    progress::above,
};

/// The least time between what is written and what comes next, so that a thousand lines wake nobody a thousand times. A line
/// that comes alone does not wait.
const TOGETHER: Duration = Duration::from_millis(10);

/// Takes lines, each piece with what is let go when it is written.
pub struct Writer<G> {
    pieces: mpsc::Sender<(String, G)>,
    backlog: watch::Sender<Backlog>,
    stopped: Arc<AtomicBool>,
}

#[derive(Clone, Debug, Default)]
struct Backlog {
    waiting: usize,
    failed: Option<String>,
}

impl<G: Send + 'static> Writer<G> {
    /// Starts the thread; it ends with this, or with the process.
    pub fn start() -> io::Result<Self> {
        let (pieces, coming) = mpsc::channel::<(String, G)>();
        let backlog = watch::Sender::new(Backlog::default());
        let stopped = Arc::new(AtomicBool::new(false));
        let (at, is_stopped) = (backlog.clone(), Arc::clone(&stopped));
        thread::Builder::new().spawn(move || {
            let (is_terminal, mut before) = (io::stdout().is_terminal(), None::<Instant>);
            while let Ok(piece) = coming.recv() {
                thread::sleep(before.map_or(Duration::ZERO, |before| pause(before.elapsed())));
                let mut next = Some(piece);
                while let Some(piece) = next.take() {
                    let (text, guards);
                    (text, guards, next) = in_one_piece(piece, &coming);
                    let write = || write_lines(&io::stdout(), text.as_bytes(), &is_stopped);
                    // A pipe may wait for long, and is no place where anything stands above anything.
                    let written = if is_terminal { above(write) } else { write() };
                    match written {
                        Ok(true) => {}
                        // What is not written keeps its guard.
                        Ok(false) => loop {
                            thread::park();
                        },
                        Err(error) => {
                            at.send_modify(|backlog| backlog.failed = Some(error.to_string()));
                            return;
                        }
                    }
                    let count = guards.len();
                    drop(guards);
                    at.send_modify(|backlog| backlog.waiting -= count);
                }
                before = Some(Instant::now());
            }
        })?;
        Ok(Self { pieces, backlog, stopped })
    }

    /// Writes nothing more, so that what is not written by now can be counted.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Hands over lines, each with its end.
    pub fn write(&self, text: String, guard: G) {
        // Nobody waits for more of them.
        self.backlog.send_if_modified(|backlog| {
            backlog.waiting += 1;
            false
        });
        // A thread that is gone has said why.
        drop(self.pieces.send((text, guard)));
    }

    /// When all that was handed over by then is written.
    pub fn written(&self) -> impl Future<Output = ()> + Send + use<G> {
        let mut backlog = self.backlog.subscribe();
        // Its other end is here and with the thread.
        async move { drop(backlog.wait_for(|backlog| backlog.waiting == 0).await) }
    }

    /// When nothing can be written any more: why.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<G> {
        let mut backlog = self.backlog.subscribe();
        async move {
            let failed = backlog.wait_for(|backlog| backlog.failed.is_some()).await;
            let failed = failed.ok().and_then(|backlog| backlog.failed.clone());
            match failed {
                Some(failed) => failed,
                None => std::future::pending().await,
            }
        }
    }
}

/// How long what comes so long behind the last waits for more.
fn pause(since: Duration) -> Duration {
    TOGETHER.saturating_sub(since)
}

/// With this one the next of those that are there, as many as a pipe takes in one piece, and the one behind them.
fn in_one_piece<G>(
    (mut text, guard): (String, G),
    coming: &mpsc::Receiver<(String, G)>,
) -> (String, Vec<G>, Option<(String, G)>) {
    let mut guards = vec![guard];
    while let Ok((more, guard)) = coming.try_recv() {
        if text.len() + more.len() > IN_ONE_PIECE {
            return (text, guards, Some((more, guard)));
        }
        text += &more;
        guards.push(guard);
    }
    (text, guards, None)
}

/// As many whole lines at once as a pipe takes in one piece, and a longer one alone: whoever ends the program while nobody reads
/// cuts none in two. Whether all are written, and not stopped before.
fn write_lines(to: &impl AsFd, mut lines: &[u8], stopped: &AtomicBool) -> io::Result<bool> {
    while !lines.is_empty() {
        let (piece, rest) = lines.split_at(whole(lines));
        // A write that waits cannot be stopped.
        wait_until_writable(to)?;
        if stopped.load(Ordering::SeqCst) {
            return Ok(false);
        }
        write_all(to, piece)?;
        lines = rest;
    }
    Ok(true)
}

/// Bytes of the whole lines with which it begins that go in one piece; at least one line.
fn whole(lines: &[u8]) -> usize {
    let ends = |byte: &u8| *byte == b'\n';
    let (fits, _) = lines.split_at(lines.len().min(IN_ONE_PIECE));
    let last = fits.iter().rposition(ends).or_else(|| lines.iter().position(ends));
    last.map_or(lines.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_at_once_is_whole_lines_that_a_pipe_takes_in_one_piece() {
        let line = |bytes: usize| "x".repeat(bytes - 1) + "\n";
        for (lines, first) in [
            (line(10), 10),
            (line(10) + &line(4086), 4096),
            (line(10) + &line(4087), 10),
            (line(5000) + &line(10), 5000),
            ("no end".to_owned(), 6),
        ] {
            assert_eq!(whole(lines.as_bytes()), first);
        }
    }

    #[test]
    fn lines_that_are_there_go_together_as_far_as_a_pipe_takes_them_in_one_piece() {
        let line = |letter: &str, bytes: usize| letter.repeat(bytes - 1) + "\n";
        let (pieces, coming) = mpsc::channel();
        for piece in [("b", 3000), ("c", 96), ("d", 1), ("e", 5000), ("f", 10)] {
            pieces.send((line(piece.0, piece.1), piece.0)).unwrap();
        }
        let (mut next, mut written) = (Some((line("a", 1000), "a")), Vec::new());
        while let Some(piece) = next {
            let (text, guards);
            (text, guards, next) = in_one_piece(piece, &coming);
            written.push((text.len(), guards.concat()));
        }
        let expected = [(4096, "abc"), (1, "d"), (5000, "e"), (10, "f")];
        assert_eq!(written, expected.map(|(bytes, guards)| (bytes, guards.to_owned())));
    }

    #[test]
    fn a_line_waits_for_others_only_right_behind_one() {
        assert_eq!(pause(Duration::ZERO), TOGETHER);
        assert_eq!(pause(TOGETHER / 2), TOGETHER / 2);
        assert_eq!([TOGETHER, Duration::MAX].map(pause), [Duration::ZERO; 2]);
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_says_why_and_lets_nobody_believe_that_all_is_written() {
        let (pieces, coming) = mpsc::channel();
        drop(coming);
        let failed = Backlog { waiting: 0, failed: Some("Broken pipe".to_owned()) };
        let writer = Writer { pieces, backlog: watch::Sender::new(failed), stopped: Arc::default() };
        writer.write("x\n".to_owned(), ());
        assert_eq!(writer.failed().await, "Broken pipe");
        let written = tokio::time::timeout(Duration::from_millis(50), writer.written());
        assert!(written.await.is_err());
    }

    #[test]
    fn behind_a_stop_nothing_is_written_though_there_is_room_again() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stopped);
        let writing = thread::spawn(move || {
            let line = "x".repeat(IN_ONE_PIECE - 1) + "\n";
            let mut written = 0;
            while write_lines(&writer, line.as_bytes(), &is_stopped).unwrap() {
                written += line.len();
            }
            written
        });
        // Until the pipe is full.
        while rustix::io::ioctl_fionread(&reader).unwrap() < 16 * IN_ONE_PIECE as u64 {
            thread::yield_now();
        }
        stopped.store(true, Ordering::SeqCst);
        let read = io::read_to_string(std::fs::File::from(reader)).unwrap();
        assert_eq!(writing.join().unwrap(), read.len());
    }
}
