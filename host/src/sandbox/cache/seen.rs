//! Files that were digested before, so that one that has not changed is not digested again at each start: an open file and the
//! digest that it had in; whether a record says that it has it still, out. Refused, that is digested again in any case, is what was
//! changed a moment ago, and what was digested a day ago.
//!
//! A record is an empty file in the cache's folder. Its name is a digest, by the folder's key, of the file's digest and of its stamp:
//! its device, number and size, and when it was last written and changed, in nanoseconds. Nobody can set when it was changed
//! (`ctime`), as he can when it was written. A file that no record matches – in a copy of the folder, on another file system, after
//! a clock was set back – is digested, and that is no error.

use std::{
    fs::File,
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use blake3::{Hasher, KEY_LEN};

use super::folder::Folder;

/// How the names of records end.
pub(super) const SEEN: &str = "-seen";
/// What is digested to a record's name begins so: with that no name begins to which a component's code has its tag.
const RECORD: &[u8] = b"seen ";
/// A file that changed so shortly before may change again without another stamp: file systems count in steps, of two seconds at
/// most (FAT).
const SETTLED: Duration = Duration::from_secs(3);
/// Then a file is digested again whatever its stamp says: disks rot.
const BELIEVED: Duration = Duration::from_hours(24);

/// A file as it was before it was read.
pub(crate) struct Sight<'a> {
    folder: &'a Folder,
    key: &'a [u8; KEY_LEN],
    what: &'a str,
    stamp: Option<Stamp>,
}

/// What changes with a file.
#[derive(Eq, PartialEq)]
struct Stamp {
    place: [u64; 3],
    times: [i64; 4],
}

impl Stamp {
    /// None: it cannot be told.
    fn of(file: &File) -> Option<Self> {
        let found = file.metadata().ok()?;
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        Some(Self { place: [found.dev(), found.ino(), found.size()], times })
    }

    /// None: in the future.
    fn unchanged_for(&self, now: SystemTime) -> Option<Duration> {
        let [_, _, seconds, nanoseconds] = self.times;
        let changed = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        now.duration_since(UNIX_EPOCH + changed).ok()
    }
}

impl<'a> Sight<'a> {
    /// Before a file is read, which is to be `what` by its digest.
    pub(super) fn new(folder: &'a Folder, key: &'a [u8; KEY_LEN], what: &'a str, file: &File) -> Self {
        Self { folder, key, what, stamp: Stamp::of(file) }
    }

    /// Whether it was that before, and has not changed since.
    pub(crate) fn is_known(&self) -> bool {
        let Some(stamp) = &self.stamp else { return false };
        let record = self.folder.read(&self.record(stamp)).ok();
        let made = record.and_then(|record| record.metadata().ok()?.modified().ok());
        made.and_then(|made| SystemTime::now().duration_since(made).ok()).is_some_and(|age| age < BELIEVED)
    }

    /// Keeps that its digest is right: it was read since.
    pub(crate) fn keep(self, file: &File) {
        self.keep_at(file, SystemTime::now());
    }

    /// The same at another time: nobody can make a file that was changed long ago.
    pub(crate) fn keep_at(self, file: &File, now: SystemTime) {
        let Some(stamp) = Stamp::of(file).filter(|stamp| self.stamp.as_ref() == Some(stamp)) else { return };
        if stamp.unchanged_for(now).is_some_and(|time| time >= SETTLED) {
            self.folder.remove_old("", SEEN, BELIEVED);
            // Where none can be written, it is digested each time.
            drop(self.folder.replace(&self.record(&stamp), &[]));
        }
    }

    fn record(&self, stamp: &Stamp) -> String {
        let mut name = Hasher::new_keyed(self.key);
        name.update(RECORD);
        for number in stamp.place {
            name.update(&number.to_le_bytes());
        }
        for number in stamp.times {
            name.update(&number.to_le_bytes());
        }
        format!("{}{SEEN}", name.update(self.what.as_bytes()).finalize().to_hex())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write as _,
        os::unix::fs::{PermissionsExt, chown},
        path::Path,
    };

    use super::*;

    const LATER: Duration = Duration::from_mins(1);
    const KEY: [u8; KEY_LEN] = [7; KEY_LEN];

    fn folder(path: &Path) -> Folder {
        Folder::open(path).unwrap()
    }

    /// As if the file had been digested in a minute from now.
    fn digested(folder: &Folder, what: &str, path: &Path) {
        let file = File::open(path).unwrap();
        Sight::new(folder, &KEY, what, &file).keep_at(&file, SystemTime::now() + LATER);
    }

    fn is_known(folder: &Folder, what: &str, path: &Path) -> bool {
        Sight::new(folder, &KEY, what, &File::open(path).unwrap()).is_known()
    }

    fn records(folder: &Path) -> Vec<std::path::PathBuf> {
        let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.to_str().unwrap().ends_with(SEEN)).collect()
    }

    #[test]
    fn what_was_digested_is_known_as_long_as_it_is_the_same_file_and_unchanged() {
        let above = tempfile::tempdir().unwrap();
        let (folder, path) = (folder(above.path()), above.path().join("x.wasm"));
        let other = above.path().join("y.wasm");
        let write = || fs::write(&path, "code").unwrap();
        let known = || is_known(&folder, "aa", &path);
        let restored = |change: &dyn Fn()| {
            let written = fs::metadata(&path).unwrap().modified().unwrap();
            change();
            File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        };
        let written_in_place =
            || File::options().write(true).open(&path).unwrap().write_all(b"evil").unwrap();
        let changes: [&dyn Fn(); 6] = [
            &write,
            &|| fs::write(&path, "longer").unwrap(),
            &|| restored(&written_in_place),
            &|| {
                fs::write(&other, "code").unwrap();
                fs::rename(&other, &path).unwrap();
            },
            &|| restored(&|| fs::rename(fs::copy(&path, &other).map(|_| &other).unwrap(), &path).unwrap()),
            &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap(),
        ];
        write();
        assert!(!known());
        for (number, change) in changes.into_iter().enumerate() {
            digested(&folder, "aa", &path);
            assert!(known() && !is_known(&folder, "bb", &path), "{number}");
            change();
            assert!(!known(), "{number}");
        }
        // What is in it does not count alone.
        digested(&folder, "aa", &path);
        fs::write(&other, "code").unwrap();
        assert!(!is_known(&folder, "aa", &other));
    }

    #[test]
    fn what_changed_a_moment_before_or_while_it_was_read_is_digested_again() {
        let above = tempfile::tempdir().unwrap();
        let (folder, path) = (folder(above.path()), above.path().join("x.wasm"));
        fs::write(&path, "code").unwrap();
        let file = File::open(&path).unwrap();
        let long_ago = SystemTime::now() - Duration::from_hours(24);
        let sight = || Sight::new(&folder, &KEY, "aa", &file);
        for now in [SystemTime::now(), long_ago] {
            sight().keep_at(&file, now);
            assert!(!is_known(&folder, "aa", &path));
        }
        let before = sight();
        fs::write(&path, "evil").unwrap();
        before.keep_at(&file, SystemTime::now() + LATER);
        sight().keep(&file);
        assert!(!is_known(&folder, "aa", &path) && records(above.path()).is_empty());
    }

    #[test]
    fn a_record_is_of_its_folders_key_and_of_no_other_users_and_of_no_longer_than_a_day() {
        let above = tempfile::tempdir().unwrap();
        let (here, path) = (folder(above.path()), above.path().join("x.wasm"));
        fs::write(&path, "code").unwrap();
        digested(&here, "aa", &path);
        let file = File::open(&path).unwrap();
        assert!(is_known(&here, "aa", &path) && !Sight::new(&here, &[8; KEY_LEN], "aa", &file).is_known());
        let record = &records(above.path())[0];
        let made = |time: SystemTime| File::open(record).unwrap().set_modified(time).unwrap();
        let now = SystemTime::now();
        for (time, known) in [(now - BELIEVED, false), (now + LATER, false), (now - BELIEVED / 2, true)] {
            made(time);
            assert_eq!(is_known(&here, "aa", &path), known);
        }
        fs::set_permissions(record, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(!is_known(&here, "aa", &path));
        fs::set_permissions(record, fs::Permissions::from_mode(0o600)).unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(record, Some(65_534), None).unwrap();
            assert!(!is_known(&here, "aa", &path));
        }
    }

    #[test]
    fn records_that_nobody_believes_any_more_are_removed_with_the_next() {
        let above = tempfile::tempdir().unwrap();
        let (folder, path) = (folder(above.path()), above.path().join("x.wasm"));
        for content in ["code", "other"] {
            fs::write(&path, content).unwrap();
            digested(&folder, "aa", &path);
        }
        let old = SystemTime::now() - BELIEVED - LATER;
        assert_eq!(records(above.path()).len(), 2);
        for record in records(above.path()) {
            File::open(record).unwrap().set_modified(old).unwrap();
        }
        digested(&folder, "aa", &path);
        assert!(records(above.path()).len() == 1 && is_known(&folder, "aa", &path) && path.exists());
    }
}
