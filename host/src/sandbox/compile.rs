//! From a component's file to code: from the cache, or compiled and kept there. Refuses a file that is not the pinned one,
//! or too large, or takes too much to compile.

#[cfg(feature = "compiler")]
pub(crate) mod child;

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, oneshot},
    time,
};
use wasmtime::{Engine, component::Component};

use super::{
    cache::{Cache, CacheError, Sight},
    error::{LoadError, chain},
    in_place, limits,
    pool::Pool,
    source::{Pinned, Source},
};
use crate::{
    digest::Sha256,
    output::{self, Level},
    regular,
};

/// The running program, whatever its file was replaced by since.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Files of components or of their code that are read and digested at once: each may be large, and the jobs that run have the
/// other half of the processor.
static READING: Semaphore = Semaphore::const_new(2);
/// From then on a file keeps no other waiting: its disk is slow, or a network's that is gone.
const PATIENCE: Duration = Duration::from_millis(500);
/// From then on whoever waits for it wants to know for what; a slow machine digests the largest component in less.
const SILENCE: Duration = Duration::from_secs(5);
/// Files beside those that may be so: each has a thread, and what is to be compiled of them is in memory.
static SLOW: Semaphore = Semaphore::const_new(16);
/// A file is digested in pieces of so many bytes.
const PIECE_BYTES: usize = 64 << 10;
/// How a core module begins; a component has another version and layer (Component Model, "Binary").
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Loads the built-in probe.
pub(super) fn smtp(engine: &Engine, pool: Option<&Arc<Pool>>) -> Result<Code, LoadError> {
    let component = in_place::smtp(engine).map_err(|error| LoadError::Engine(chain(&error)))?;
    let pooled = pool.and_then(|pool| pool.load(&component));
    Ok(Code { component, pooled, sha256: None })
}

/// A component's code, and its file's digest; none: it is built in.
pub struct Code {
    pub(super) component: Component,
    /// The same where there are places; none: there are none, or it does not fit into one.
    pub(super) pooled: Option<Component>,
    pub(super) sha256: Option<String>,
}

/// How components' files become code.
pub struct Compiler {
    /// Where code is kept; else why it is compiled at every start.
    cache: Result<Cache, CacheError>,
    /// This program, as it can be started again: what compiles is a process of its own.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "nothing is compiled"))]
    program: PathBuf,
}

impl Compiler {
    /// Keeps code in a folder; none: it keeps none.
    #[must_use]
    pub fn new(cache_dir: Option<PathBuf>) -> Self {
        Self::of(Cache::open(cache_dir), PathBuf::from(THIS_PROGRAM))
    }

    /// With a `sonde` that may be another program than this one.
    #[must_use]
    pub fn of(cache: Result<Cache, CacheError>, program: PathBuf) -> Self {
        Self { cache, program }
    }

    /// Why no code is kept, if none is.
    #[must_use]
    pub fn unkept(&self) -> Option<&CacheError> {
        self.cache.as_ref().err()
    }
}

/// Loads a component's file.
pub(super) async fn file(
    engine: &Engine,
    pool: Option<&Arc<Pool>>,
    source: &Source,
    compiler: &Arc<Compiler>,
) -> Result<Code, LoadError> {
    let (path, pinned) = (source.path.clone(), source.pinned.clone());
    let of = Arc::clone(compiler);
    // The bytes are not kept: others wait for their turn as well, and some files never end.
    let read = move || glance(&path, pinned.as_ref(), of.cache.as_ref().ok());
    let sha256 = on_a_thread(&source.path, read).await??;
    let (component, sha256) = match kept(engine, source, compiler, &sha256).await? {
        Some(component) => (component, sha256),
        None => anew(engine, source, compiler, sha256).await?,
    };
    let pooled = match pool.cloned() {
        Some(pool) => {
            let component = component.clone();
            on_a_thread(&source.path, move || pool.load(&component)).await?
        }
        None => None,
    };
    Ok(Code { component, pooled, sha256: Some(sha256) })
}

/// As [`look`], without reading a file that was the pinned one before and has not changed since. If that were wrong, the pinned one
/// would run all the same: code is looked for by that digest, and what is compiled is digested.
fn glance(path: &Path, pinned: Option<&Pinned>, cache: Option<&Cache>) -> Result<String, LoadError> {
    let file = regular::open(path).map_err(|error| LoadError::Unreadable(path.to_owned(), error))?;
    let pinned_to = pinned.map(|pinned| pinned.sha256.clone()).unwrap_or_default();
    let sight = cache.filter(|_| pinned.is_some()).map(|cache| cache.sight(&pinned_to, &file));
    if sight.as_ref().is_some_and(Sight::is_known) {
        return Ok(pinned_to);
    }
    let sha256 = look(path, &file, pinned, |_piece| ())?;
    if let Some(sight) = sight {
        sight.keep(&file);
    }
    Ok(sha256)
}

/// Reads a file and refuses what need not be compiled; gives its digest. `take` gets the pieces: what is digested is what runs.
fn look(
    path: &Path,
    mut file: &File,
    pinned: Option<&Pinned>,
    mut take: impl FnMut(&[u8]),
) -> Result<String, LoadError> {
    let unreadable = |error| LoadError::Unreadable(path.to_owned(), error);
    let (mut digest, mut bytes, mut begins) = (Sha256::default(), 0, Vec::<u8>::new());
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(unreadable)?,
        };
        let piece = buffer.get(..count).unwrap_or_default();
        bytes += count;
        if bytes > limits::COMPONENT_BYTES {
            return Err(LoadError::Size);
        }
        begins.extend(piece.iter().take(CORE_MODULE.len().saturating_sub(begins.len())));
        digest.update(piece);
        take(piece);
    }
    let sha256 = digest.end();
    if pinned.is_some_and(|pinned| pinned.sha256 != sha256) {
        return Err(LoadError::Digest(sha256));
    }
    if begins == CORE_MODULE { Err(LoadError::CoreModule) } else { Ok(sha256) }
}

/// The code of a component that was compiled before.
async fn kept(
    engine: &Engine,
    source: &Source,
    compiler: &Arc<Compiler>,
    sha256: &str,
) -> Result<Option<Component>, LoadError> {
    let (engine, compiler, sha256) = (engine.clone(), Arc::clone(compiler), sha256.to_owned());
    on_a_thread(&source.path, move || compiler.cache.as_ref().ok()?.load(&engine, &sha256)).await
}

/// Reads a component or its code on a thread of its own: of the runtime's all may be waiting for a silent name server. Few at
/// once, but for those that take long, of which more may go on.
async fn on_a_thread<T: Send + 'static>(
    component: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    // Neither semaphore is ever closed.
    let one_of_few = READING.acquire().await;
    let (done, mut result) = oneshot::channel();
    thread::Builder::new().spawn(move || drop(done.send(work()))).map_err(LoadError::Thread)?;
    let aside = async {
        time::sleep(PATIENCE).await;
        let _one_of_the_slow = SLOW.acquire().await;
        drop(one_of_few);
        time::sleep(SILENCE).await;
        let text = format!("{}: still reading it, or its code in the cache", component.display());
        output::log(Level::Warning, &text);
        std::future::pending::<Infallible>().await
    };
    let done = tokio::select! {
        done = &mut result => done,
        never = aside => match never {},
    };
    done.map_err(|_panicked| LoadError::Panic)
}

#[cfg(not(feature = "compiler"))]
#[expect(clippy::unused_async, reason = "called as the one that compiles")]
async fn anew(
    _engine: &Engine,
    _source: &Source,
    compiler: &Arc<Compiler>,
    _sha256: String,
) -> Result<(Component, String), LoadError> {
    Err(LoadError::NoCompiler(compiler.cache.as_ref().err().map(ToString::to_string)))
}

#[cfg(feature = "compiler")]
async fn anew(
    engine: &Engine,
    source: &Source,
    compiler: &Arc<Compiler>,
    sha256: String,
) -> Result<(Component, String), LoadError> {
    let others = child::has_turn();
    let mut turn = child::turn().await;
    // Meanwhile it may have been compiled for another check.
    if others && let Some(component) = kept(engine, source, compiler, &sha256).await? {
        return Ok((component, sha256));
    }
    let (from, pinned) = (source.path.clone(), source.pinned.clone());
    let mut reading = std::pin::pin!(on_a_thread(&source.path, move || {
        let mut wasm = Vec::new();
        let file = regular::open(&from).map_err(|error| LoadError::Unreadable(from.clone(), error))?;
        let sha256 = look(&from, &file, pinned.as_ref(), |piece| wasm.extend_from_slice(piece))?;
        Ok::<_, LoadError>((wasm, sha256))
    }));
    let read = if let Ok(read) = time::timeout(PATIENCE, &mut reading).await {
        read
    } else {
        // Whose file is read takes the turn.
        drop(turn);
        let read = reading.await;
        turn = child::turn().await;
        read
    };
    let (wasm, sha256) = read??;
    let path = source.path.display().to_string();
    let again = move |error: &CacheError| {
        output::log(Level::Warning, &format!("{error}: {path} is compiled at every start"));
    };
    if let Err(error) = &compiler.cache {
        again(error);
    }
    // It takes so long that whoever waits wants to know for what.
    let text = format!("compiling {} ({} KiB), once", source.path.display(), wasm.len() >> 10);
    output::log(Level::Information, &text);
    let code = child::compile(&compiler.program, &wasm).await?;
    let (engine, compiler) = (engine.clone(), Arc::clone(compiler));
    on_a_thread(&source.path, move || {
        // Until the code is where it stays: of several, only one is held.
        let _turn = turn;
        if let Ok(cache) = &compiler.cache {
            if let Err(error) = cache.store(&sha256, &code) {
                again(&error);
            } else if let Some(component) = cache.load(&engine, &sha256) {
                return Ok((component, sha256));
            }
        }
        Ok((compiled(&engine, &code)?, sha256))
    })
    .await?
}

/// Loads what was compiled a moment ago and could not be kept.
#[cfg(feature = "compiler")]
#[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
fn compiled(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: this very program made it in a process of its own, and it was nowhere else since.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| LoadError::Component(chain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_was_the_pinned_one_is_read_again_when_it_changes_and_else_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path().join("cache"))).unwrap();
        let path = folder.path().join("x.wasm");
        let sha256 = crate::digest::sha256(b"component");
        let look_at = |sha256: &str, cache| {
            let description_sha256 = String::new();
            let pinned = Pinned { sha256: sha256.to_owned(), description_sha256, measurement: String::new() };
            glance(&path, Some(&pinned), cache)
        };
        std::fs::write(&path, "component").unwrap();
        assert_eq!(look_at(&sha256, Some(&cache)).unwrap(), sha256);
        // As if it had been another one: a record is believed, and so nothing is read, by who has its folder alone.
        let other = "ab".repeat(32);
        let file = File::open(&path).unwrap();
        cache.sight(&other, &file).keep_at(&file, std::time::SystemTime::now() + Duration::from_mins(1));
        assert_eq!(look_at(&other, Some(&cache)).unwrap(), other);
        assert!(matches!(look_at(&other, None), Err(LoadError::Digest(_))));
        assert_eq!(glance(&path, None, Some(&cache)).unwrap(), sha256);
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "something").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        assert!(matches!(look_at(&other, Some(&cache)), Err(LoadError::Digest(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(look_at(&other, Some(&cache)), Err(LoadError::Unreadable(..))));
    }

    /// As many as hang at once and keep no other waiting.
    #[test]
    fn files_that_are_never_read_to_their_end_keep_no_other_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (ends, waits) = std::sync::mpsc::channel::<()>();
        let waits = Arc::new(std::sync::Mutex::new(waits));
        runtime.block_on(async {
            let mut hanging = tokio::task::JoinSet::new();
            for _ in 0..4 {
                let waits = Arc::clone(&waits);
                hanging.spawn(on_a_thread(Path::new("x.wasm"), move || {
                    drop(waits.lock().map(|waits| waits.recv()));
                }));
            }
            tokio::task::yield_now().await;
            let read = time::timeout(20 * PATIENCE, on_a_thread(Path::new("y.wasm"), || 7)).await;
            assert_eq!(read.unwrap().unwrap(), 7);
            assert!(hanging.try_join_next().is_none(), "they do not hang");
        });
        drop(ends);
    }
}
