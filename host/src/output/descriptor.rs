//! Bytes into an open file, past all buffers, so that it is known what was written. Refuses nothing: where a write does not wait,
//! it is waited for.

use std::{io, os::fd::AsFd};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};

/// Bytes that a pipe takes in one piece or not at all (`PIPE_BUF`).
pub(super) const IN_ONE_PIECE: usize = 4096;

/// Writes all of it.
pub(super) fn write_all(to: &impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match unistd::write(to, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // Whoever has the other end, or this one as well, does not want to wait; we do.
            Err(Errno::EAGAIN) => wait_until_writable(to)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until there is room for something, or an error to be had.
pub(super) fn wait_until_writable(to: &impl AsFd) -> io::Result<()> {
    let mut writable = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
    loop {
        match poll(&mut writable, PollTimeout::NONE) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, thread, time::Duration};

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
}
