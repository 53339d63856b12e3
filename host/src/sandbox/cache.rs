//! Compiled components, kept between runs: a component's digest in, its code out. Compiled code is run as it is, so that
//! the folder and its files must belong to the running user and be writable by nobody else, and each file carries a tag
//! keyed to this installation. What does not fit is not used, and said.

use std::{
    env, fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use aws_lc_rs::{
    hmac::{self, HMAC_SHA256},
    rand::{SecureRandom, SystemRandom},
};
use nix::{fcntl::OFlag, unistd::geteuid};
use wasmtime::{Engine, component::Component};

use super::chain;
use crate::output::{self, Level};

/// Bytes of the key and of a tag.
const KEY_BYTES: usize = 32;
/// Name of the key's file.
const KEY_FILE: &str = "key";
/// Beginning and end of the name of a file that is being written.
const UNFINISHED: (char, &str) = ('.', ".new");
/// After this time nobody writes it any more: its process was killed.
const ABANDONED: Duration = Duration::from_hours(1);
/// Bytes read at once to check a tag.
const CHUNK_BYTES: usize = 64 << 10;
/// Bits of a mode that let others write.
const OTHERS_WRITE: u32 = 0o022;

/// Why the cache cannot be used.
#[derive(Debug)]
pub enum CacheError {
    /// No folder is named, and there is no usual one.
    NoFolder,
    /// This cannot be read or written.
    Io(PathBuf, io::Error),
    /// This belongs to somebody else, or others may write to it.
    Unsafe(PathBuf),
    /// This file is not what was stored.
    Tag(PathBuf),
    /// The code in this file is of another engine or machine.
    Code(PathBuf, String),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder => {
                f.write_str("no cache for compiled checks: set `cache_dir`, or XDG_CACHE_HOME or HOME")
            }
            Self::Io(path, error) => write!(f, "cache {}: {error}", path.display()),
            Self::Unsafe(path) => write!(
                f,
                "cache {}: it must belong to this user, and nobody else may write to it",
                path.display()
            ),
            Self::Tag(path) => write!(f, "cache {}: not what was stored", path.display()),
            Self::Code(path, error) => write!(f, "cache {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CacheError {}

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
    folder: PathBuf,
    key: hmac::Key,
}

fn at(path: &Path) -> impl Fn(io::Error) -> CacheError {
    |error| CacheError::Io(path.to_owned(), error)
}

fn check(path: &Path, metadata: &fs::Metadata) -> Result<(), CacheError> {
    let ours = metadata.uid() == geteuid().as_raw() && metadata.mode() & OTHERS_WRITE == 0;
    if ours { Ok(()) } else { Err(CacheError::Unsafe(path.to_owned())) }
}

/// Opens a file of ours: not through a link, and nobody else's.
fn open(path: &Path) -> Result<File, CacheError> {
    let file =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path).map_err(at(path))?;
    check(path, &file.metadata().map_err(at(path))?)?;
    Ok(file)
}

/// Writes a file whole or not at all; `publish` gives it its name.
fn write(
    folder: &Path,
    parts: &[&[u8]],
    publish: impl Fn(&Path) -> io::Result<()>,
) -> Result<(), CacheError> {
    let (begin, end) = UNFINISHED;
    let temporary = folder.join(format!("{begin}{}{end}", process::id()));
    let written = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        publish(&temporary)
    };
    let result = written().map_err(at(&temporary));
    // Renamed away, or of no use.
    let _absent: io::Result<()> = fs::remove_file(&temporary);
    result
}

impl Cache {
    /// Opens a folder, making it and its key where they are missing.
    pub fn open(folder: Option<PathBuf>) -> Result<Self, CacheError> {
        let folder = folder.ok_or(CacheError::NoFolder)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at(&folder))?;
        check(&folder, &fs::metadata(&folder).map_err(at(&folder))?)?;
        let path = folder.join(KEY_FILE);
        if !path.exists() {
            let mut key = [0; KEY_BYTES];
            let failed = |_| CacheError::Io(path.clone(), io::Error::other("no random bytes"));
            SystemRandom::new().fill(&mut key).map_err(failed)?;
            // A link, other than a rename, does not replace the key of a process that was faster.
            let published = write(&folder, &[&key], |temporary| fs::hard_link(temporary, &path));
            if !path.exists() {
                published?;
            }
        }
        let mut key = Vec::new();
        open(&path)?.take(KEY_BYTES as u64 + 1).read_to_end(&mut key).map_err(at(&path))?;
        if key.len() != KEY_BYTES {
            return Err(CacheError::Tag(path));
        }
        Ok(Self { folder, key: hmac::Key::new(HMAC_SHA256, &key) })
    }

    /// Other settings of the engine are other code.
    fn name(sha256: &str) -> String {
        format!("{sha256}-{}-{}.cwasm", env!("SONDE_ENGINE_VERSION"), env::consts::ARCH)
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

    /// Says why a component's code is not kept here, if it is not.
    pub fn keeps(&self, sha256: &str) -> Result<(), CacheError> {
        open(&self.folder.join(Self::name(sha256))).map(drop)
    }

    #[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
    fn read(&self, engine: &Engine, name: &str) -> Result<Component, CacheError> {
        let path = self.folder.join(name);
        let mut file = open(&path)?;
        let bytes = file.metadata().map_err(at(&path))?.len();
        let mut left = bytes.checked_sub(KEY_BYTES as u64).ok_or_else(|| CacheError::Tag(path.clone()))?;
        let mut tag = hmac::Context::with_key(&self.key);
        tag.update(name.as_bytes());
        let mut chunk = vec![0; CHUNK_BYTES];
        while left > 0 {
            let part = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let Some(part) = chunk.get_mut(..part) else { break };
            file.read_exact(part).map_err(at(&path))?;
            tag.update(part);
            left -= part.len() as u64;
        }
        let mut stored = Vec::new();
        file.read_to_end(&mut stored).map_err(at(&path))?;
        // The length is the tag's; the comparison need take no care of time, the key being the user's own.
        if tag.sign().as_ref() != stored {
            return Err(CacheError::Tag(path));
        }
        // SAFETY: the tag shows that this program stored the file under this name, and only this user, who could as well
        // replace the program, may write to it. The tag behind the code is part of no section.
        unsafe { Component::deserialize_file(engine, &path) }
            .map_err(|error| CacheError::Code(path, chain(&error)))
    }

    /// Keeps a component's code.
    pub fn store(&self, sha256: &str, code: &[u8]) -> Result<(), CacheError> {
        self.sweep();
        let name = Self::name(sha256);
        let mut tag = hmac::Context::with_key(&self.key);
        tag.update(name.as_bytes());
        tag.update(code);
        write(&self.folder, &[code, tag.sign().as_ref()], |temporary| {
            fs::rename(temporary, self.folder.join(&name))
        })
    }

    /// Removes what processes left that were killed while they wrote; what cannot be removed is in nobody's way.
    fn sweep(&self) {
        let (begin, end) = UNFINISHED;
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let unfinished = |name: &str| name.starts_with(begin) && name.ends_with(end);
            let age = file
                .metadata()
                .and_then(|metadata| metadata.modified())
                .ok()
                .and_then(|at| at.elapsed().ok());
            if file.file_name().to_str().is_some_and(unfinished) && age.is_some_and(|age| age > ABANDONED) {
                let _gone: io::Result<()> = fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::SystemTime};

    use super::*;
    use crate::sandbox::engine;

    fn engine() -> Engine {
        Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION"))).unwrap()
    }

    fn stored(folder: &Path, engine: &Engine) -> (Cache, PathBuf) {
        let cache = Cache::open(Some(folder.to_owned())).unwrap();
        cache
            .store("aa", &engine.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap())
            .unwrap();
        let path = folder.join(Cache::name("aa"));
        (cache, path)
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
    fn what_others_may_write_to_is_not_used() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let (cache, path) = stored(folder.path(), &engine);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(cache.read(&engine, &Cache::name("aa")), Err(CacheError::Unsafe(_))));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(Cache::open(Some(folder.path().to_owned())), Err(CacheError::Unsafe(_))));
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let (folder, engine) = (tempfile::tempdir().unwrap(), engine());
        let [left, written] = [".1.new", ".2.new"].map(|name| folder.path().join(name));
        fs::write(&written, "x").unwrap();
        fs::write(&left, "x").unwrap();
        let long_ago = SystemTime::now() - ABANDONED - Duration::from_mins(1);
        File::options().write(true).open(&left).unwrap().set_modified(long_ago).unwrap();
        let (_, stored) = stored(folder.path(), &engine);
        assert!(stored.exists() && written.exists() && !left.exists());
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
}
