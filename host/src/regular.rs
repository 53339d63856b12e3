//! Files that somebody else may have put where they are: a path in, what they hold out. Refuses what is no regular file, whose
//! end may never come, and what is larger than such a file can be.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
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
    let mut bytes = Vec::new();
    open(path)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("more than {} KiB", most >> 10)));
    }
    Ok(bytes)
}

/// As [`bytes`], of text.
pub(crate) fn text(path: &Path, most: usize) -> io::Result<String> {
    String::from_utf8(bytes(path, most)?).map_err(|_| io::Error::other("not UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::fs;

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
}
