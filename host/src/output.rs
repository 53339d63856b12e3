//! The only module that prints: metrics and what a person asked for on standard output, the log on standard error in the
//! form that Telegraf understands, one line each.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};
use tokio::sync::oneshot;

use crate::text;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Something is broken.
    Error,
    /// A check failed, or something will break.
    Warning,
    /// Worth knowing.
    Information,
    /// For the author of a check.
    Debug,
}

/// The longest log line, its end not counted: Telegraf stops reading at 64 KiB.
const LOG_BYTES: usize = 2048;

/// How long a full standard error is waited for, in milliseconds: enough where somebody reads.
const LOG_PATIENCE_MS: u8 = 50;
/// Log lines that nobody read, and that are gone.
static UNREAD: AtomicU32 = AtomicU32::new(0);

/// Writes all of `text` at once: the agent must see whole lines as soon as they are there.
pub fn write(text: &str) -> io::Result<()> {
    write_all(&io::stdout().lock(), text.as_bytes())
}

/// Past all buffers, so that it is known how much was written.
fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match unistd::write(to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // Whoever has the other end, or this one as well, does not want to wait; we do.
            Err(Errno::EAGAIN) => {
                let mut writable = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
                poll(&mut writable, PollTimeout::NONE).or_else(|error| match error {
                    Errno::EINTR => Ok(0),
                    error => Err(error),
                })?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes texts on a thread of its own, in their order: where nobody reads, a write waits, and nothing else may.
pub struct Writer(mpsc::Sender<(String, oneshot::Sender<io::Result<()>>)>);

impl Writer {
    /// Starts the thread; it ends with this, or with the process.
    pub fn start() -> io::Result<Self> {
        let (sender, texts) = mpsc::channel::<(String, oneshot::Sender<_>)>();
        thread::Builder::new().spawn(move || {
            for (text, done) in texts {
                // Nobody may want to know any more.
                drop(done.send(write(&text)));
            }
        })?;
        Ok(Self(sender))
    }

    /// Hands over a text; says when and how it was written.
    #[must_use]
    pub fn write(&self, text: String) -> oneshot::Receiver<io::Result<()>> {
        let (done, written) = oneshot::channel();
        // A thread that is gone has dropped the other end, which says so.
        drop(self.0.send((text, done)));
        written
    }
}

/// Writes one line to the log. That nobody reads it is no reason to stop: where there is no room for it, it is counted, and
/// the next that finds room says how many are missing.
pub fn log(level: Level, text: &str) {
    let prefix = match level {
        Level::Error => "E! ",
        Level::Warning => "W! ",
        Level::Information => "I! ",
        Level::Debug => "D! ",
    };
    let mut line = format!("{prefix}{}\n", text::clean_to(text, LOG_BYTES - prefix.len()));
    let mut stderr = io::stderr().lock();
    let unread = UNREAD.load(Ordering::Relaxed);
    // Who did not read a moment ago is not waited for again.
    let patience = if unread == 0 { LOG_PATIENCE_MS } else { 0 };
    let mut writable = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // A pipe that is writable takes both lines: they are shorter than PIPE_BUF.
    if poll(&mut writable, PollTimeout::from(patience)) == Ok(0) {
        UNREAD.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if unread > 0 {
        UNREAD.fetch_sub(unread, Ordering::Relaxed);
        let verb = if unread == 1 { "is" } else { "are" };
        let missing = text::counted(unread as usize, "log line");
        line.insert_str(0, &format!("W! {missing} {verb} missing: nobody read them\n"));
    }
    let _unread: Result<(), io::Error> = stderr.write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use nix::fcntl::{FcntlArg, OFlag};

    use super::*;

    #[test]
    fn where_a_write_does_not_wait_it_is_waited_for() {
        let (reader, writer) = unistd::pipe().unwrap();
        nix::fcntl::fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let text = "0123456789".repeat(100_000);
        let reading = thread::spawn(move || {
            // Until the pipe is full.
            thread::sleep(Duration::from_millis(200));
            io::read_to_string(File::from(reader)).unwrap()
        });
        write_all(&writer, text.as_bytes()).unwrap();
        drop(writer);
        assert!(reading.join().unwrap() == text);
        let (reader, writer) = unistd::pipe().unwrap();
        drop(reader);
        assert_eq!(write_all(&writer, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_says_so() {
        let (sender, texts) = mpsc::channel();
        drop(texts);
        assert!(Writer(sender).write("x".to_owned()).await.is_err());
    }
}
