//! The file itself: a name in; its bytes out, and others in their place, whole or not at all. It is locked for as long as this
//! lives, and the lock goes on to each file that takes the place of the last. Refuses what is no file of this user's own, and
//! one that another program has.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::geteuid};

/// Of a hundred thousand jobs that each run sixty times an hour.
const MOST_BYTES: u64 = 128 << 20;
/// Who may read it.
const MODE: u32 = 0o600;
/// By whom else it may not be written.
const OTHERS_WRITE: u32 = 0o022;
/// How often a file that another one took the place of, before it was locked, is looked for again: its writer comes by once a
/// second.
const ATTEMPTS: usize = 8;

/// What to do about a file that is not overwritten: it may be all that somebody has.
const REMEDY: &str = "remove it, or give `state_file` a name of its own";

/// Why it is not used, or not written.
#[derive(Debug)]
pub(super) enum FileError {
    Io(io::Error),
    NoFolder,
    Link,
    NoFile,
    Owner(u32),
    Writable,
    /// Somebody else's: it is left as it is.
    Others,
    Busy,
    Large,
    Random,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NoFolder => f.write_str(
                "its folder is not there: create it for the user that runs `sonde`, as `StateDirectory=sonde` of the agent's \
                 unit does with /var/lib/sonde",
            ),
            Self::Link => f.write_str("a symbolic link, which is not followed"),
            Self::NoFile => f.write_str("not a regular file"),
            Self::Owner(user) => write!(f, "it belongs to user {user}, and this is user {}", geteuid()),
            Self::Writable => f.write_str("others may write to it"),
            Self::Others => write!(f, "not what sonde writes: {REMEDY}"),
            Self::Busy => f.write_str("another sonde has it"),
            Self::Large => write!(f, "more than {} MiB: {REMEDY}", MOST_BYTES >> 20),
            Self::Random => f.write_str("no random bytes"),
        }
    }
}

/// One that is there and locked.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// What stands at the path.
    file: File,
}

impl StateFile {
    /// Opens it, or makes an empty one.
    pub(super) fn open(path: PathBuf) -> Result<Self, FileError> {
        for _ in 0..ATTEMPTS {
            let file = locked(&path)?;
            // One that was replaced meanwhile is nobody's any more.
            let (there, own) = (fs::symlink_metadata(&path), file.metadata()?);
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())) {
                return Ok(Self { path, file });
            }
        }
        Err(FileError::Busy)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All of it, from its beginning.
    pub(super) fn read(&self) -> Result<Vec<u8>, FileError> {
        // Not read first, and no longer than the start waits.
        if self.file.metadata()?.len() > MOST_BYTES {
            return Err(FileError::Large);
        }
        let mut bytes = Vec::new();
        (&self.file).take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES { Err(FileError::Large) } else { Ok(bytes) }
    }

    /// Puts another file in its place.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        // It could not be read again.
        if bytes.len() as u64 > MOST_BYTES {
            return Err(FileError::Large);
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = Path::new(&name);
        // What a program that was ended left behind.
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(new)?;
        // Before anybody else can see it at its place.
        lock(&file)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(new, &self.path)?;
        self.file = file;
        // So that the name is not lost with the power.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    }
}

fn locked(path: &Path) -> Result<File, FileError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE).custom_flags(flags.bits());
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(number) if number == nix::errno::Errno::ELOOP as i32 => FileError::Link,
        Some(number) if number == nix::errno::Errno::EISDIR as i32 => FileError::NoFile,
        // The file itself would be made.
        _ if error.kind() == io::ErrorKind::NotFound => FileError::NoFolder,
        _ => FileError::Io(error),
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(FileError::NoFile);
    }
    if found.uid() != geteuid().as_raw() {
        return Err(FileError::Owner(found.uid()));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return Err(FileError::Writable);
    }
    lock(&file)?;
    Ok(file)
}

fn lock(file: &File) -> Result<(), FileError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => FileError::Busy,
        TryLockError::Error(error) => FileError::Io(error),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn refused(path: &Path) -> String {
        StateFile::open(path.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn it_is_replaced_whole_and_nobody_else_may_read_or_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut file = StateFile::open(path.clone()).unwrap();
        assert_eq!(file.read().unwrap(), b"");
        // Something was left behind, whatever it is.
        symlink("/nowhere", folder.path().join("state.new")).unwrap();
        for bytes in ["first", "second, which is longer", "3rd"] {
            file.write(bytes.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            assert_eq!(refused(&path), "another sonde has it");
        }
        drop(file);
        assert_eq!(StateFile::open(path).unwrap().read().unwrap(), b"3rd");
    }

    #[test]
    fn what_is_no_file_of_this_users_own_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(refused(folder.path()), "not a regular file");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(refused(&path), "not a regular file");
        assert_eq!(refused(Path::new("/dev/null")), "not a regular file");
        let other = folder.path().join("other");
        fs::write(&other, "kept").unwrap();
        symlink(&other, folder.path().join("link")).unwrap();
        assert_eq!(refused(&folder.path().join("link")), "a symbolic link, which is not followed");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(refused(&other), "others may write to it");
        assert_eq!(fs::read_to_string(&other).unwrap(), "kept");
        assert!(
            refused(&folder.path().join("absent/state")).starts_with("its folder is not there: create it ")
        );
        // As root alone a file can be given away.
        if geteuid().is_root() {
            fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
            std::os::unix::fs::chown(&other, Some(54_321), None).unwrap();
            assert_eq!(refused(&other), "it belongs to user 54321, and this is user 0");
        }
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let file = StateFile::open(path.clone()).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(
            file.read().unwrap_err().to_string(),
            "more than 128 MiB: remove it, or give `state_file` a name of its own"
        );
    }
}
