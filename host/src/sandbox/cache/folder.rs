//! A folder that nobody but this user can change: its path in; a descriptor out, by which its files are read and written from
//! then on, whatever the path leads to later. Refuses, as OpenSSH does for its keys, a way to it on which somebody else could
//! put another folder in its place, and a file that is not this user's alone.

use std::{
    ffi::{CStr, OsStr},
    fs::{self, File},
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{self, Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use nix::{
    NixPath,
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, renameat},
    sys::stat::{Mode, fstatat, mkdirat},
    unistd::{UnlinkatFlags, geteuid, linkat, unlinkat},
};

use super::error::CacheError;

/// Passing through a folder needs no right to list it.
#[cfg(target_os = "linux")]
const PASS: OFlag = OFlag::O_PATH;
#[cfg(not(target_os = "linux"))]
const PASS: OFlag = OFlag::O_RDONLY;
/// A folder, and no link to one.
const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
/// A file, and no link to one. A pipe in its place is not waited for.
const FILE: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK);

const ROOT: u32 = 0;
/// Bits of a mode that let others write.
const OTHERS_WRITE: u32 = 0o022;
/// The bit of a mode by which others can neither remove nor rename what is not theirs, as in `/tmp`.
const STICKY: u32 = 0o1000;
/// Beginning and end of the name of a file that is being written.
const UNFINISHED: (&str, &str) = (".", ".new");
/// After this time nobody writes it any more: its process was killed.
const ABANDONED: Duration = Duration::from_hours(1);

/// The folder.
pub(super) struct Folder {
    /// For messages.
    path: PathBuf,
    descriptor: OwnedFd,
}

fn at<E: Into<io::Error>>(path: &Path) -> impl Fn(E) -> CacheError {
    |error| CacheError::Io(path.to_owned(), error.into())
}

/// What is looked at.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    /// The folder or a file in it.
    Own,
    /// A folder on the way to it.
    Above,
}

/// Refuses what others own or can write.
fn refuse_others(path: &Path, file: &File, place: Place) -> Result<(), CacheError> {
    let found = file.metadata().map_err(at(path))?;
    let above = place == Place::Above;
    if found.uid() != geteuid().as_raw() && !(above && found.uid() == ROOT) {
        return Err(CacheError::Foreign(path.to_owned(), found.uid()));
    }
    if found.mode() & OTHERS_WRITE != 0 && !(above && found.mode() & STICKY != 0) {
        return Err(CacheError::Writable(path.to_owned(), found.mode() & 0o7777));
    }
    Ok(())
}

/// The path without the links in what exists of it.
fn resolve(path: &Path) -> Result<PathBuf, CacheError> {
    let whole = path::absolute(path).map_err(at(path))?;
    for there in whole.ancestors() {
        match fs::canonicalize(there) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            resolved => {
                let missing = whole.strip_prefix(there).unwrap_or(Path::new(""));
                return Ok(resolved.map_err(at(there))?.join(missing));
            }
        }
    }
    Ok(whole)
}

/// Opens a folder in another one, making it where it is missing.
fn enter(from: &File, name: &OsStr) -> nix::Result<File> {
    let open = || openat(from, name, PASS | FOLDER, Mode::empty()).map(File::from);
    match open() {
        Err(Errno::ENOENT) => match mkdirat(from, name, Mode::S_IRWXU) {
            // Another process was faster.
            Ok(()) | Err(Errno::EEXIST) => open(),
            Err(error) => Err(error),
        },
        opened => opened,
    }
}

impl Folder {
    /// Opens it, making what is missing. From the root on each folder is looked at before what is in it, so that nobody else
    /// can have changed the way behind us.
    pub(super) fn open(path: &Path) -> Result<Self, CacheError> {
        let resolved = resolve(path)?;
        let mut path = PathBuf::from("/");
        let mut folder = File::open(&path).map_err(at(&path))?;
        for part in resolved.components().skip(1) {
            refuse_others(&path, &folder, Place::Above)?;
            path.push(part);
            folder = enter(&folder, part.as_os_str()).map_err(at(&path))?;
        }
        refuse_others(&path, &folder, Place::Own)?;
        let descriptor = openat(&folder, ".", OFlag::O_RDONLY | FOLDER, Mode::empty()).map_err(at(&path))?;
        Ok(Self { path, descriptor })
    }

    /// Where a file of it stands, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a file.
    pub(super) fn read(&self, name: &str) -> Result<File, CacheError> {
        let path = self.path(name);
        let file = openat(&self.descriptor, name, OFlag::O_RDONLY | FILE, Mode::empty());
        let file = File::from(file.map_err(at(&path))?);
        refuse_others(&path, &file, Place::Own)?;
        if !file.metadata().map_err(at(&path))?.is_file() {
            return Err(at(&path)(io::Error::other("not a regular file")));
        }
        Ok(file)
    }

    /// Says why no file can be written, if none can.
    pub(super) fn takes_more(&self) -> Result<(), CacheError> {
        self.write(&[b"x"], |_temporary| Ok(()))
    }

    /// Writes a file whole or not at all, in the place of an older one.
    pub(super) fn replace(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        self.write(parts, |temporary| renameat(&self.descriptor, temporary, &self.descriptor, name))
    }

    /// Writes a file whole, unless there is one: then another process was faster.
    pub(super) fn add(&self, name: &str, parts: &[&[u8]]) -> Result<(), CacheError> {
        let folder = &self.descriptor;
        self.write(parts, |temporary| match linkat(folder, temporary, folder, name, AtFlags::empty()) {
            Err(Errno::EEXIST) => Ok(()),
            linked => linked,
        })
    }

    /// Writes under a name that nobody can know, which `publish` changes.
    fn write(&self, parts: &[&[u8]], publish: impl Fn(&str) -> nix::Result<()>) -> Result<(), CacheError> {
        let mut random = [0; 16];
        let no_random = |_| CacheError::Io(self.path.clone(), io::Error::other("no random bytes"));
        SystemRandom::new().fill(&mut random).map_err(no_random)?;
        let (begin, end) = UNFINISHED;
        let temporary = format!("{begin}{:032x}{end}", u128::from_ne_bytes(random));
        let new = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | FILE;
        let written = || {
            let mut file =
                File::from(openat(&self.descriptor, &*temporary, new, Mode::S_IRUSR | Mode::S_IWUSR)?);
            parts.iter().try_for_each(|part| file.write_all(part))?;
            file.sync_all()?;
            publish(&temporary).map_err(io::Error::from)
        };
        // Nobody knows the temporary name.
        let result = written().map_err(at(&self.path));
        // Renamed away, or of no use.
        let _absent: nix::Result<()> = self.remove(&*temporary);
        result
    }

    fn remove<P: NixPath + ?Sized>(&self, name: &P) -> nix::Result<()> {
        unlinkat(&self.descriptor, name, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes what processes left that were killed while they wrote.
    pub(super) fn sweep(&self) {
        let (begin, end) = UNFINISHED;
        self.remove_old(begin, end, ABANDONED);
    }

    /// Removes the files whose names begin and end so and that are older.
    pub(super) fn remove_old(&self, begin: &str, end: &str, most: Duration) {
        self.remove_those(|name| {
            let is_one = name.to_str().is_ok_and(|name| name.starts_with(begin) && name.ends_with(end));
            is_one && self.age(name).is_some_and(|age| age > most)
        });
    }

    /// Removes the files whose names end so and that nobody has used for longer, with the marks of that: files with the same name
    /// and `used` behind it, which are written at each use. One without a mark counts from when it was written itself.
    pub(super) fn remove_unused(&self, end: &str, used: &str, most: Duration) {
        self.remove_those(|name| {
            let Some(name) = name.to_str().ok().filter(|name| name.ends_with(end)) else { return false };
            let age = self.age(&*format!("{name}{used}")).or_else(|| self.age(name));
            age.is_some_and(|age| age > most)
        });
        self.remove_old("", &format!("{end}{used}"), most);
    }

    /// Removes the files whose names end so.
    pub(super) fn remove_all(&self, end: &str) {
        self.remove_those(|name| name.to_bytes().ends_with(end.as_bytes()));
    }

    /// What cannot be removed is in nobody's way.
    fn remove_those(&self, gone: impl Fn(&CStr) -> bool) {
        let Ok(mut folder) = Dir::openat(&self.descriptor, ".", OFlag::O_RDONLY | FOLDER, Mode::empty())
        else {
            return;
        };
        for name in folder.iter().flatten().map(|entry| entry.file_name().to_owned()) {
            if gone(&name) {
                let _gone: nix::Result<()> = self.remove(&*name);
            }
        }
    }

    /// How long ago a file was written; a moment ago where the clock was ahead then.
    pub(super) fn age<P: NixPath + ?Sized>(&self, name: &P) -> Option<Duration> {
        let found = fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        let written = UNIX_EPOCH + Duration::from_secs(found.st_mtime.try_into().ok()?);
        Some(SystemTime::now().duration_since(written).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refusal(path: &Path) -> String {
        Folder::open(path)
            .err()
            .map_or_else(|| panic!("{} is used", path.display()), |error| error.to_string())
    }

    #[test]
    fn what_is_missing_of_a_folder_is_made_for_this_user_alone() {
        let above = tempfile::tempdir().unwrap();
        mode(above.path(), 0o711);
        let path = above.path().join("a/b");
        Folder::open(&path).unwrap().replace("x", &[b"1", b"2"]).unwrap();
        assert_eq!(fs::read(path.join("x")).unwrap(), b"12");
        for made in [&path, &above.path().join("a"), &path.join("x")] {
            assert_eq!(fs::metadata(made).unwrap().mode() & 0o077, 0, "{made:?}");
        }
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_whose_parent_others_may_write_to_is_refused_and_the_parent_named() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("a/b");
        Folder::open(&path).unwrap();
        for (open, said) in [(0o777, "mode 777"), (0o770, "mode 770")] {
            mode(above.path(), open);
            let above = fs::canonicalize(above.path()).unwrap();
            assert_eq!(
                refusal(&path),
                format!(
                    "others may write to {0} ({said}) and could put code of theirs there: `chmod go-w {0}`, or set \
                     `cache_dir` to a folder elsewhere",
                    above.display()
                )
            );
        }
        // As /tmp: others may write, but not remove or rename what is there.
        mode(above.path(), 0o1777);
        Folder::open(&path).unwrap();
        mode(&path, 0o1777);
        assert!(refusal(&path).contains("mode 1777"));
    }

    #[test]
    fn a_folder_whose_parent_somebody_else_owns_is_refused_and_the_parent_named() {
        if !geteuid().is_root() {
            return println!("skipped: only root can give a folder away");
        }
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("a/b");
        Folder::open(&path).unwrap();
        chown(above.path(), Some(65_534), None).unwrap();
        let above = fs::canonicalize(above.path()).unwrap();
        assert_eq!(
            refusal(&path),
            format!(
                "{} belongs to user 65534, who could put other code there: set `cache_dir` to a folder that is this \
                 user's, below none but this user's and root's",
                above.display()
            )
        );
        assert!(refusal(&above.join("new")).contains("65534") && !above.join("new").exists());
    }

    #[test]
    fn links_are_followed_before_the_way_is_looked_at() {
        let above = tempfile::tempdir().unwrap();
        let (open, good) = (above.path().join("open"), above.path().join("good"));
        for folder in [&open, &good] {
            fs::create_dir(folder).unwrap();
        }
        mode(&open, 0o777);
        symlink(&open, above.path().join("to-open")).unwrap();
        symlink(&good, open.join("to-good")).unwrap();
        assert!(refusal(&above.path().join("to-open/x")).contains("open (mode 777)"));
        Folder::open(&open.join("to-good/x")).unwrap();
        assert!(good.join("x").is_dir());
        symlink("nowhere", above.path().join("to-nowhere")).unwrap();
        assert!(matches!(Folder::open(&above.path().join("to-nowhere")), Err(CacheError::Io(_, _))));
    }

    #[test]
    fn a_file_is_added_once_and_replaced_as_often_as_wanted() {
        let above = tempfile::tempdir().unwrap();
        let folder = Folder::open(above.path()).unwrap();
        for content in ["1", "2"] {
            folder.add("added", &[content.as_bytes()]).unwrap();
            folder.replace("replaced", &[content.as_bytes()]).unwrap();
        }
        let content = |name: &str| fs::read_to_string(above.path().join(name)).unwrap();
        assert_eq!((&*content("added"), &*content("replaced")), ("1", "2"));
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let above = tempfile::tempdir().unwrap();
        let [left, written] = [".1.new", ".2.new"].map(|name| above.path().join(name));
        fs::write(&written, "x").unwrap();
        fs::write(&left, "x").unwrap();
        let long_ago = SystemTime::now() - ABANDONED - Duration::from_mins(1);
        File::options().write(true).open(&left).unwrap().set_modified(long_ago).unwrap();
        Folder::open(above.path()).unwrap().sweep();
        assert!(written.exists() && !left.exists());
    }
}
