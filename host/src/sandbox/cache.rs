//! Compiled components, kept between runs: a component's digest in, its code out. Compiled code is run as it is, so that
//! only this user may be able to change it – see `folder` – and each file carries a tag keyed to this installation. What was
//! checked is what is loaded, by the file's descriptor. What does not fit is not used, and said.

mod error;
mod folder;
mod seen;

use std::{
    env,
    fs::File,
    io::{self, Read},
    os::fd::AsRawFd,
    path::PathBuf,
    time::Duration,
};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use blake3::Hasher;
use wasmtime::{Engine, component::Component};

pub use self::error::CacheError;
pub(super) use self::seen::Sight;
use self::{folder::Folder, seen::SEEN};
use super::error::chain;
use crate::output::{self, Level};

/// Bytes of the key and of a tag.
pub(crate) const KEY_BYTES: usize = 32;
/// Name of the key's file.
const KEY_FILE: &str = "key";
/// How the names of components' files end: the kind of their tag.
const STORED: &str = "-blake3.cwasm";
/// What stands behind such a name, of an empty file that is written when the code is used: the code's own times are part of its
/// stamp in `seen`.
const USED: &str = "-used";
/// How often a use is noted: next to the time that unused code is kept that is often enough.
const NOTED: Duration = Duration::from_hours(24);
/// Then code that nobody uses is removed, which is that of earlier versions: a check that runs again after that is compiled anew.
const UNUSED: Duration = Duration::from_hours(60 * 24);
/// Bytes read at once to check a tag.
const CHUNK_BYTES: usize = 64 << 10;
/// Where a process finds its open files under the numbers of their descriptors: what is opened there is the very file, and
/// no name is looked up.
#[cfg(target_os = "linux")]
const DESCRIPTORS: &str = "/proc/self/fd";
#[cfg(not(target_os = "linux"))]
const DESCRIPTORS: &str = "/dev/fd";

/// Where systemd or the XDG Base Directory Specification put a cache.
#[must_use]
pub fn usual_folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CACHE_DIRECTORY")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("sonde")))
        .or_else(|| Some(set("HOME")?.join(".cache/sonde")))
}

/// A folder that may be used.
pub struct Cache {
    folder: Folder,
    key: [u8; KEY_BYTES],
}

impl Cache {
    /// Opens a folder, making it and its key where they are missing.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, CacheError> {
        let folder = Folder::open(&folder.ok_or(CacheError::NoFolder)?)?;
        let path = folder.path(KEY_FILE);
        let at = |error| CacheError::Io(path.clone(), error);
        let file = match folder.read(KEY_FILE) {
            Err(CacheError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; KEY_BYTES];
                SystemRandom::new().fill(&mut key).map_err(|_| at(io::Error::other("no random bytes")))?;
                folder.add(KEY_FILE, &[&key])?;
                // By whatever key they were stored, it is gone: none of them would be told from one that was changed.
                folder.remove_all(STORED);
                folder.remove_all(USED);
                folder.remove_all(SEEN);
                folder.read(KEY_FILE)
            }
            read => read,
        };
        let mut key = Vec::new();
        file?.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(at)?;
        let key = key.try_into().map_err(|_| CacheError::Tag(path))?;
        Ok(Self { folder, key })
    }

    /// Other settings of the engine are other code, and another kind of tag is another file.
    fn name(sha256: &str) -> String {
        format!("{sha256}-{}-{}{STORED}", env!("SONDE_ENGINE_VERSION"), env::consts::ARCH)
    }

    /// The code for a component; none: it is not there, or is not fit and that was said.
    #[must_use]
    pub fn load(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        match self.read(engine, &Self::name(sha256)) {
            Ok(component) => Some(component),
            Err(CacheError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                output::log(Level::Warning, &format!("{error}: it is not used"));
                None
            }
        }
    }

    /// Says why a component's code cannot be loaded from here, if it cannot.
    pub(super) fn loads(&self, engine: &Engine, sha256: &str) -> Result<(), CacheError> {
        self.read(engine, &Self::name(sha256)).map(drop)
    }

    /// Says why a component's code is not kept here, if it is not.
    pub fn keeps(&self, sha256: &str) -> Result<(), CacheError> {
        self.folder.read(&Self::name(sha256)).map(drop)
    }

    /// Says why no code can be kept here, if none can.
    pub fn takes_more(&self) -> Result<(), CacheError> {
        self.folder.takes_more()
    }

    fn read(&self, engine: &Engine, name: &str) -> Result<Component, CacheError> {
        let file = self.checked(name)?;
        component(engine, &file).map_err(|error| CacheError::Code(self.folder.path(name), chain(&error)))
    }

    /// Opens a file that is what was stored.
    fn checked(&self, name: &str) -> Result<File, CacheError> {
        let path = self.folder.path(name);
        let file = self.folder.read(name)?;
        let at = |error| CacheError::Io(path.clone(), error);
        let sight = self.sight(name, &file);
        if sight.is_known() {
            return Ok(file);
        }
        let bytes = file.metadata().map_err(at)?.len();
        if is_stored(self.tag(name), &file, bytes).map_err(at)? {
            sight.keep(&file);
            self.note_use(name);
            Ok(file)
        } else {
            Err(CacheError::Tag(path))
        }
    }

    /// So that it is kept on.
    fn note_use(&self, name: &str) {
        let mark = format!("{name}{USED}");
        if self.folder.age(&*mark).is_none_or(|age| age > NOTED) {
            // Where none can be written, nothing can be stored either, and nothing is removed.
            drop(self.folder.replace(&mark, &[]));
        }
    }

    /// A file that is about to be read, which is to be `what`: its name, with tag and all, or a component's digest.
    pub(super) fn sight<'a>(&'a self, what: &'a str, file: &File) -> Sight<'a> {
        Sight::new(&self.folder, &self.key, what, file)
    }

    /// The beginning of a file's tag: what was stored under one name does not stand under another.
    fn tag(&self, name: &str) -> Hasher {
        let mut tag = Hasher::new_keyed(&self.key);
        tag.update(name.as_bytes());
        tag
    }

    /// Keeps a component's code, in the place of what nobody has used for long.
    pub fn store(&self, sha256: &str, code: &[u8]) -> Result<(), CacheError> {
        self.folder.sweep();
        self.folder.remove_unused(STORED, USED, UNUSED);
        let name = Self::name(sha256);
        let tag = self.tag(&name).update(code).finalize();
        self.folder.replace(&name, &[code, tag.as_bytes()])
    }
}

/// The last of `bytes` bytes are the tag of those before them.
pub(crate) fn is_stored(mut tag: Hasher, mut file: impl Read, bytes: u64) -> io::Result<bool> {
    let Some(mut left) = bytes.checked_sub(KEY_BYTES as u64) else { return Ok(false) };
    let mut chunk = vec![0; CHUNK_BYTES];
    while left > 0 {
        let part = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(part) = chunk.get_mut(..part) else { break };
        file.read_exact(part)?;
        tag.update(part);
        left -= part.len() as u64;
    }
    // Not more than is needed to see that it is too much.
    let mut stored = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut stored)?;
    // Of another length it is never the same.
    Ok(tag.finalize() == *stored)
}

/// Maps a file that was checked.
#[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
fn component(engine: &Engine, file: &File) -> wasmtime::Result<Component> {
    let very_file = format!("{DESCRIPTORS}/{}", file.as_raw_fd());
    // SAFETY: the tag shows that this program stored these bytes – now, or since when the file was not changed, as `seen` tells –,
    // and the descriptor leads to the very file whose bytes were checked. Until they are mapped, and as long as pages of it are
    // read, they could be changed by whoever may write to the file. That is only this user, as the descriptor's owner and mode
    // showed, who could as well replace the program; a writer who had it open before would be this user, too, for it was made with
    // that mode. This program itself never writes to a file that has its name. The tag behind the code is part of no section.
    unsafe { Component::deserialize_file(engine, very_file) }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt},
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::SystemTime,
    };

    use super::*;
    use crate::sandbox::engine;

    fn engine() -> Engine {
        Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION"))).unwrap()
    }

    fn stored_code(folder: &Path, engine: &Engine, wat: &str) -> (Cache, PathBuf) {
        let cache = Cache::open(Some(folder.to_owned())).unwrap();
        cache.store("aa", &engine.precompile_component(&wat::parse_str(wat).unwrap()).unwrap()).unwrap();
        let path = folder.join(Cache::name("aa"));
        (cache, path)
    }

    fn stored(folder: &Path, engine: &Engine) -> (Cache, PathBuf) {
        stored_code(folder, engine, "(component)")
    }

    #[test]
    fn what_was_stored_is_loaded_also_by_the_next_process() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, _) = stored(folder.path(), &engine);
        assert!(cache.load(&engine, "aa").is_some());
        assert!(cache.load(&engine, "bb").is_none());
        assert!(Cache::open(Some(folder.path().to_owned())).unwrap().load(&engine, "aa").is_some());
    }

    #[test]
    fn a_changed_a_cut_a_renamed_and_a_foreign_file_are_not_used() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, path) = stored(folder.path(), &engine);
        let good = fs::read(&path).unwrap();
        let mut changed = good.clone();
        changed[100] ^= 1;
        for bytes in [&changed[..], &good[..good.len() - 1], &[], &good[..KEY_BYTES]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(cache.read(&engine, &Cache::name("aa")), Err(CacheError::Tag(_))));
        }
        fs::write(folder.path().join(Cache::name("bb")), &good).unwrap();
        assert!(matches!(cache.read(&engine, &Cache::name("bb")), Err(CacheError::Tag(_))));
        let elsewhere = tempfile::tempdir().unwrap();
        let (other, path) = stored(elsewhere.path(), &engine);
        fs::write(&path, &good).unwrap();
        assert!(matches!(other.read(&engine, &Cache::name("aa")), Err(CacheError::Tag(_))));
    }

    #[test]
    fn what_was_stored_by_a_key_that_is_gone_goes_with_it() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (_, path) = stored(folder.path(), &engine);
        let record = folder.path().join(format!("x{SEEN}"));
        fs::write(folder.path().join("else"), "x").unwrap();
        fs::write(&record, "").unwrap();
        fs::remove_file(folder.path().join(KEY_FILE)).unwrap();
        let cache = Cache::open(Some(folder.path().to_owned())).unwrap();
        assert!(!path.exists() && !record.exists() && folder.path().join("else").exists());
        assert!(cache.load(&engine, "aa").is_none());
        stored(folder.path(), &engine);
        Cache::open(Some(folder.path().to_owned())).unwrap().keeps("aa").unwrap();
    }

    #[test]
    fn code_that_nobody_has_used_for_long_is_removed_when_other_code_is_stored() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, path) = stored(folder.path(), &engine);
        let mark = PathBuf::from(format!("{}{USED}", path.display()));
        let long_ago = SystemTime::now() - UNUSED - Duration::from_mins(1);
        let age = |path: &Path| File::open(path).unwrap().set_modified(long_ago).unwrap();
        let store_another = || cache.store("bb", b"code").unwrap();
        // It was stored, and is used since.
        age(&path);
        assert!(cache.load(&engine, "aa").is_some() && mark.exists());
        store_another();
        assert!(path.exists() && mark.exists());
        // Also where the clock was ahead when that was noted.
        File::open(&mark).unwrap().set_modified(SystemTime::now() + UNUSED).unwrap();
        store_another();
        assert!(path.exists() && mark.exists());
        // A use that is noted is not noted again at once.
        let noted = fs::metadata(&mark).unwrap().ino();
        assert!(cache.load(&engine, "aa").is_some());
        assert_eq!(fs::metadata(&mark).unwrap().ino(), noted);
        fs::write(folder.path().join("else"), "x").unwrap();
        age(&folder.path().join("else"));
        age(&mark);
        store_another();
        assert!(!path.exists() && !mark.exists() && folder.path().join("else").exists());
        // Such as an earlier version of `sonde` left it, which noted nothing.
        let (_, path) = stored(folder.path(), &engine);
        store_another();
        assert!(path.exists());
        age(&path);
        store_another();
        assert!(!path.exists() && cache.keeps("bb").is_ok());
    }

    #[test]
    fn a_pipe_in_the_folder_is_not_waited_for() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, path) = stored(folder.path(), &engine);
        let refused = |path: &Path, error: CacheError| {
            assert_eq!(error.to_string(), format!("cache {}: not a regular file", path.display()));
        };
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused(&path, cache.keeps("aa").unwrap_err());
        assert!(cache.load(&engine, "aa").is_none());
        let key = folder.path().join(KEY_FILE);
        fs::remove_file(&key).unwrap();
        nix::unistd::mkfifo(&key, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused(&key, Cache::open(Some(folder.path().to_owned())).err().unwrap());
    }

    #[test]
    fn what_others_may_write_to_is_not_used() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, path) = stored(folder.path(), &engine);
        fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(cache.read(&engine, &Cache::name("aa")), Err(CacheError::Writable(_, _))));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Cache::open(Some(folder.path().to_owned())), Err(CacheError::Writable(_, _))));
    }

    #[test]
    fn a_link_is_not_followed() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, path) = stored(folder.path(), &engine);
        let target = folder.path().join("target");
        fs::rename(&path, &target).unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(matches!(cache.read(&engine, &Cache::name("aa")), Err(CacheError::Io(_, _))));
    }

    /// Two folders, and how many imports the code in the second has: none of the first's has one.
    fn good_and_evil(above: &Path, engine: &Engine) -> (Cache, [PathBuf; 2]) {
        let folders = ["cache", "evil"].map(|name| above.join(name));
        let (cache, _) = stored(&folders[0], engine);
        stored_code(&folders[1], engine, "(component (import \"evil\" (func)))");
        (cache, folders)
    }

    fn imports(component: &Component, engine: &Engine) -> usize {
        component.component_type().imports(engine).count()
    }

    #[test]
    fn what_was_checked_is_loaded_whatever_has_its_name_by_then() {
        let (above, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, [good, evil]) = good_and_evil(above.path(), &engine);
        let name = Cache::name("aa");
        let checked = cache.checked(&name).unwrap();
        fs::rename(evil.join(&name), good.join(&name)).unwrap();
        assert_eq!(imports(&component(&engine, &checked).unwrap(), &engine), 0);
        assert!(matches!(cache.checked(&name), Err(CacheError::Tag(_))));
    }

    #[test]
    fn another_folder_put_in_the_place_of_the_cache_again_and_again_changes_nothing() {
        let (above, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, [good, evil]) = good_and_evil(above.path(), &engine);
        let (aside, done) = (above.path().join("aside"), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for (from, to) in [(&good, &aside), (&evil, &good), (&good, &evil), (&aside, &good)] {
                        fs::rename(from, to).unwrap();
                    }
                }
            });
            let loaded: Vec<usize> = (0..300)
                .map(|_| cache.load(&engine, "aa").map_or(usize::MAX, |found| imports(&found, &engine)))
                .collect();
            done.store(true, Ordering::Relaxed);
            assert!(loaded.iter().all(|imports| *imports == 0), "{loaded:?}");
        });
    }
}
