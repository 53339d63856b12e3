//! An agent's part: how Telegraf (1.39) runs a program as `inputs.execd` and as `inputs.exec`, as it was measured. It closes the
//! pipes the moment the program ends, whatever is left in them; it reads no log behind a line of 64 KiB; it ends a program by
//! closing its input, by SIGTERM five seconds later, and by SIGKILL after five more.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, poll},
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{Point, points};

/// Between two of its ways to end a program.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest line of a log that it reads.
const TOKEN_BYTES: usize = 64 << 10;
/// How long a test waits for what must come.
const WAIT: Duration = Duration::from_mins(1);

/// A pipe's end that is read, line by line, while it may be.
struct Reading {
    closed: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    lines: Receiver<String>,
    /// Gives what it had begun and not read.
    thread: JoinHandle<Vec<u8>>,
}

impl Reading {
    fn start(pipe: impl Into<std::os::fd::OwnedFd>, longest: usize) -> Self {
        let (closed, paused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (sender, lines) = mpsc::channel();
        let (is_closed, is_paused, pipe) = (Arc::clone(&closed), Arc::clone(&paused), pipe.into());
        let thread = thread::spawn(move || {
            let (mut pipe, mut begun, mut bytes) = (File::from(pipe), Vec::new(), [0; 4096]);
            while !is_closed.load(Ordering::Acquire) {
                let mut readable = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
                if is_paused.load(Ordering::Acquire) || begun.len() > longest {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                if poll(&mut readable, 1_u8).unwrap() == 0 || is_closed.load(Ordering::Acquire) {
                    continue;
                }
                let count = pipe.read(&mut bytes).unwrap();
                if count == 0 {
                    break;
                }
                begun.extend_from_slice(&bytes[..count]);
                while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = begun.drain(..=end).collect();
                    // A test may know enough.
                    drop(sender.send(String::from_utf8(line).unwrap().trim_end_matches('\n').to_owned()));
                }
            }
            pipe.read_to_end(&mut begun).unwrap();
            begun
        });
        Self { closed, paused, lines, thread }
    }

    fn close(self) -> (Vec<String>, String) {
        self.closed.store(true, Ordering::Release);
        let left = self.thread.join().unwrap();
        (self.lines.iter().collect(), String::from_utf8(left).unwrap())
    }
}

/// A program as `inputs.execd` runs it.
pub struct Execd {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Reading,
    stderr: Reading,
}

/// What was left of it.
#[derive(Debug)]
pub struct Stopped {
    /// How it ended.
    pub status: ExitStatus,
    /// The last signal that it took; none: it ended by itself.
    pub signal: Option<Signal>,
    /// From the end of its input, or the signal.
    pub took: Duration,
    /// Lines that had not been taken.
    pub lines: Vec<String>,
    /// What was still in the pipe: nobody reads that.
    pub unread: String,
    /// Its log.
    pub log: Vec<String>,
}

impl Execd {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::piped())
    }

    /// Starts it with another input.
    pub fn start_with(command: &mut Command, stdin: impl Into<Stdio>) -> Self {
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: Reading::start(child.stdout.take().unwrap(), usize::MAX),
            stderr: Reading::start(child.stderr.take().unwrap(), TOKEN_BYTES),
            child,
        }
    }

    /// Asks for a round, as with `signal = "STDIN"`.
    pub fn gather(&mut self) {
        self.say(b"\n");
    }

    /// Writes to it.
    pub fn say(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(pid(&self.child), signal).unwrap();
    }

    /// Its next line.
    pub fn line(&self) -> String {
        self.stdout.lines.recv_timeout(WAIT).unwrap_or_else(|_| panic!("no line came"))
    }

    /// Its next lines.
    pub fn lines(&self, count: usize) -> Vec<Point> {
        let lines: Vec<_> = (0..count).map(|_| self.line() + "\n").collect();
        points(&lines.concat())
    }

    /// Waits for a line of its log.
    pub fn logged(&self, text: &str) -> String {
        let until = Instant::now() + WAIT;
        loop {
            match self.stderr.lines.recv_timeout(until.duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no {text:?} in the log")
                }
            }
        }
    }

    /// Reads its lines no more, or again.
    pub fn read(&self, reads: bool) {
        self.stdout.paused.store(!reads, Ordering::Release);
    }

    /// Reads its log no more, or again.
    pub fn read_log(&self, reads: bool) {
        self.stderr.paused.store(!reads, Ordering::Release);
    }

    /// Memory in use.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Closes its input: it must end by itself, with success.
    pub fn stop(mut self) -> Stopped {
        drop(self.stdin.take());
        self.end_well()
    }

    /// The same by a signal; its input stays open.
    pub fn stop_by(self, signal: Signal) -> Stopped {
        self.signal(signal);
        self.end_well()
    }

    fn end_well(self) -> Stopped {
        let stopped = self.wait();
        assert_eq!((stopped.signal, stopped.status.code()), (None, Some(0)), "{stopped:?}");
        stopped
    }

    /// Waits for its end, and brings it about where it does not come by itself.
    pub fn wait(mut self) -> Stopped {
        let began = Instant::now();
        let mut signal = None;
        let status = loop {
            if let Some(status) = ended(&mut self.child, PATIENCE) {
                break status;
            }
            signal = Some(if signal.is_none() { Signal::SIGTERM } else { Signal::SIGKILL });
            kill(pid(&self.child), signal).unwrap();
        };
        let took = began.elapsed();
        let (lines, unread) = self.stdout.close();
        let (log, rest) = self.stderr.close();
        let log: Vec<String> = log.into_iter().chain(rest.lines().map(ToOwned::to_owned)).collect();
        for line in &log {
            let prefixed = ["E! ", "W! ", "I! ", "D! "].iter().any(|prefix| line.starts_with(prefix));
            assert!(prefixed && line.len() <= 2048, "{line:?}");
        }
        Stopped { status, signal, took, lines, unread, log }
    }
}

/// Runs a program once, as `inputs.exec` does; its lines, all or none, or why there are none.
pub fn exec(command: &mut Command, timeout: Duration) -> Result<Vec<Point>, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).spawn().unwrap();
    let (stdout, stderr) = (all(child.stdout.take().unwrap()), all(child.stderr.take().unwrap()));
    let mut patience = timeout;
    let mut signals = [Signal::SIGTERM, Signal::SIGKILL].into_iter();
    let status = loop {
        if let Some(status) = ended(&mut child, patience) {
            break status;
        }
        killpg(pid(&child), signals.next()).unwrap();
        patience = PATIENCE;
    };
    let (lines, log) = (stdout.join().unwrap(), stderr.join().unwrap());
    if status.success() { Ok(points(&lines)) } else { Err(format!("{status}: {log}")) }
}

/// All that comes through a pipe.
fn all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    })
}

fn ended(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}
