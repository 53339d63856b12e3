//! Standard input as the voice of an agent: bytes in; out, that a newline came, and the end. What else stands on a line does not
//! matter, and of newlines that nobody waited for one is left, so that a thousand at once ask no more than one.

use std::{
    io::{self, Stdin},
    os::fd::AsFd,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::stat::{SFlag, fstat},
    unistd,
};

/// Bytes of one look.
const BYTES: usize = 4096;

/// What came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// At least one newline.
    Newline,
    /// Nothing any more.
    End,
}

/// Standard input, or what stands for it.
pub(super) struct Input<F = Stdin>(F);

impl Input {
    pub(super) fn standard() -> Self {
        Self(io::stdin())
    }
}

impl<F: AsFd> Input<F> {
    /// There is something to read, or the end, and nobody has to wait for it.
    pub(super) fn is_ready(&self) -> bool {
        self.poll(PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// It has another end, at which somebody is or was: it is a pipe or a socket, and no device or file.
    pub(super) fn has_another_end(&self) -> bool {
        let kind = |mode| SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
        fstat(&self.0).is_ok_and(|found| [SFlag::S_IFIFO, SFlag::S_IFSOCK].contains(&kind(found.st_mode)))
    }

    fn poll(&self, patience: PollTimeout) -> nix::Result<i32> {
        poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], patience)
    }

    /// Waits for a newline, or the end. What cannot be read says nothing any more.
    pub(super) fn hear(&self) -> Heard {
        let mut bytes = [0; BYTES];
        loop {
            match unistd::read(&self.0, &mut bytes) {
                Ok(0) => return Heard::End,
                Ok(count) => {
                    if bytes.iter().take(count).any(|byte| *byte == b'\n') {
                        return Heard::Newline;
                    }
                }
                Err(Errno::EINTR) => {}
                // Whoever has this end as well does not want to wait; we do.
                Err(Errno::EAGAIN) => drop(self.poll(PollTimeout::NONE)),
                Err(_) => return Heard::End,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::net::UnixStream, thread, time::Duration};

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    #[test]
    fn a_newline_counts_whatever_stands_around_it_and_thousands_at_once_are_one() {
        let (reader, writer) = unistd::pipe().unwrap();
        let input = Input(reader);
        assert!(!input.is_ready());
        unistd::write(&writer, b"a\0b\xff").unwrap();
        unistd::write(&writer, b"gather\r\n rest").unwrap();
        assert_eq!(input.hear(), Heard::Newline);
        unistd::write(&writer, &b"\n".repeat(BYTES)).unwrap();
        assert_eq!(input.hear(), Heard::Newline);
        assert!(!input.is_ready());
        // A line without an end asks for nothing.
        unistd::write(&writer, b"rest").unwrap();
        drop(writer);
        assert_eq!((input.is_ready(), input.hear()), (true, Heard::End));
        assert!(input.has_another_end());
        let (socket, other) = UnixStream::pair().unwrap();
        drop(other);
        assert!(Input(socket).has_another_end());
    }

    #[test]
    fn an_input_that_does_not_wait_is_waited_for_and_one_that_is_none_is_at_its_end() {
        let (reader, writer) = unistd::pipe().unwrap();
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let hearing = thread::spawn(move || Input(reader).hear());
        thread::sleep(Duration::from_millis(50));
        assert!(!hearing.is_finished());
        unistd::write(&writer, b"\n").unwrap();
        assert_eq!(hearing.join().unwrap(), Heard::Newline);
        for (path, ready) in [("/dev/null", true), (".", true)] {
            let input = Input(File::open(path).unwrap());
            assert_eq!((input.is_ready(), input.hear()), (ready, Heard::End), "{path}");
            assert!(!input.has_another_end(), "{path}");
        }
    }
}
