//! Files that somebody else may have put where they are: a path in, what they hold out. Refuses what is no regular file, whose
//! end may never come, and what is larger than such a file can be. What a command names itself may be a pipe, which is waited
//! for, and is not to be larger either.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use nix::fcntl::OFlag;

/// Opens one to read it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Without the flag, opening a pipe would wait for whoever writes into it.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// Reads one of at most so many bytes.
pub(crate) fn bytes(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    at_most(open(path)?, most)
}

/// As [`bytes`], of text.
pub(crate) fn text(path: &Path, most: usize) -> io::Result<String> {
    utf8(bytes(path, most)?)
}

/// As [`bytes`], of a pipe as well.
pub(crate) fn bytes_or_pipe(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    at_most(File::open(path)?, most)
}

/// As [`text`], of a pipe as well.
pub(crate) fn text_or_pipe(path: &Path, most: usize) -> io::Result<String> {
    utf8(bytes_or_pipe(path, most)?)
}

/// What changes with a file: which one it is, its size, and when it was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    is_regular: bool,
    number: (u64, u64),
    bytes: u64,
    written: (i64, i64),
}

impl Stamp {
    pub(crate) fn is_regular(&self) -> bool {
        self.is_regular
    }
}

/// None: there is nothing.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some(Stamp {
        is_regular: file.is_file(),
        number: (file.dev(), file.ino()),
        bytes: file.size(),
        written: (file.mtime(), file.mtime_nsec()),
    })
}

fn at_most(file: File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("more than {} KiB", most >> 10)));
    }
    Ok(bytes)
}

fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for_and_nothing_is_read_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x".repeat(2048)).unwrap();
        assert_eq!(text(&path, 2048).unwrap().len(), 2048);
        assert_eq!(text(&path, 2047).unwrap_err().to_string(), "more than 1 KiB");
        fs::write(&path, [0xff]).unwrap();
        assert_eq!(text(&path, 2048).unwrap_err().to_string(), "not UTF-8");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for endless in [&*pipe, Path::new("/dev/zero"), folder.path()] {
            assert_eq!(text(endless, 2048).unwrap_err().to_string(), "not a regular file");
        }
    }

    #[test]
    fn a_pipe_that_may_be_one_is_read_to_its_end_and_not_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let into = pipe.clone();
        let writing = std::thread::spawn(move || fs::write(into, "x".repeat(2048)).unwrap());
        assert_eq!(text_or_pipe(&pipe, 2048).unwrap().len(), 2048);
        writing.join().unwrap();
        assert_eq!(bytes_or_pipe(Path::new("/dev/zero"), 2048).unwrap_err().to_string(), "more than 2 KiB");
    }
}
