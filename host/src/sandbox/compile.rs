//! From a component's file to code: from the cache, or compiled and kept there. Refuses a file that is not the pinned one,
//! or too large, or takes too long to compile.

#[cfg(feature = "compiler")]
use std::io::IsTerminal;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::Path,
};

use aws_lc_rs::digest::{SHA256, digest};
#[cfg(feature = "compiler")]
use tokio::sync::Semaphore;
use wasmtime::{Engine, component::Component};

use super::{
    cache::{Cache, CacheError},
    chain, limits,
    load::LoadError,
};
use crate::output::{self, Level};

/// How a core module begins; a component has another version and layer (Component Model, "Binary").
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Loads code compiled with the binary; where it does not fit this machine, compiles its source.
#[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
pub(super) fn builtin(engine: &Engine, compiled: &[u8], wasm: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: `compiled` was made by this crate's build script and is part of this binary: as trusted as its own code.
    unsafe { Component::deserialize(engine, compiled) }.or_else(|mismatch| {
        if cfg!(feature = "compiler") {
            output::log(Level::Warning, &format!("compiling the built-in check anew: {}", chain(&mismatch)));
        }
        component(engine, wasm)
    })
}

#[cfg(feature = "compiler")]
fn component(engine: &Engine, wasm: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, wasm).map_err(|error| LoadError::Component(chain(&error)))
}

#[cfg(not(feature = "compiler"))]
fn component(_engine: &Engine, _wasm: &[u8]) -> Result<Component, LoadError> {
    Err(LoadError::NoCompiler(None))
}

/// What a file holds: of a larger file than the sandbox takes, enough to see that.
struct File {
    wasm: Vec<u8>,
    /// SHA-256 of it, in lower-case hexadecimal digits.
    sha256: String,
}

/// Reads a file once: what is digested is what runs.
fn read(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for whoever writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut wasm = Vec::new();
    fs::File::open(path)?.take(limits::COMPONENT_BYTES as u64 + 1).read_to_end(&mut wasm)?;
    let mut sha256 = String::new();
    for byte in digest(&SHA256, &wasm).as_ref() {
        let _infallible = write!(sha256, "{byte:02x}");
    }
    Ok(File { wasm, sha256 })
}

/// Loads a component's file; gives its digest, too.
pub(super) async fn file(
    engine: &Engine,
    path: &Path,
    sha256: Option<&str>,
    cache: &Result<Cache, CacheError>,
) -> Result<(Component, String), LoadError> {
    let read = read(path).map_err(LoadError::Unreadable)?;
    if read.wasm.len() > limits::COMPONENT_BYTES {
        return Err(LoadError::Size);
    }
    if sha256.is_some_and(|pinned| !pinned.eq_ignore_ascii_case(&read.sha256)) {
        return Err(LoadError::Digest(read.sha256));
    }
    if read.wasm.starts_with(CORE_MODULE) {
        return Err(LoadError::CoreModule);
    }
    if let Ok(cache) = cache
        && let Some(component) = cache.load(engine, &read.sha256)
    {
        return Ok((component, read.sha256));
    }
    let sha256 = read.sha256.clone();
    Ok((anew(engine, path, read, cache).await?, sha256))
}

#[cfg(not(feature = "compiler"))]
#[expect(clippy::unused_async, reason = "called as the one that compiles")]
async fn anew(
    _engine: &Engine,
    _path: &Path,
    _read: File,
    cache: &Result<Cache, CacheError>,
) -> Result<Component, LoadError> {
    Err(LoadError::NoCompiler(cache.as_ref().err().map(ToString::to_string)))
}

/// Compiles on a thread of its own; one that does not come to an end is left behind, and ends with the process.
#[cfg(feature = "compiler")]
async fn anew(
    engine: &Engine,
    path: &Path,
    read: File,
    cache: &Result<Cache, CacheError>,
) -> Result<Component, LoadError> {
    if let Err(error) = cache {
        output::log(Level::Warning, &format!("{error}: {} is compiled at every start", path.display()));
    }
    if io::stderr().is_terminal() {
        let text = format!("compiling {} ({} KiB), once", path.display(), read.wasm.len() >> 10);
        output::log(Level::Information, &text);
    }
    let (compiler, wasm) = (engine.clone(), read.wasm);
    let Ok(cache) = cache else {
        return bounded(move || component(&compiler, &wasm)).await;
    };
    let compile =
        move || compiler.precompile_component(&wasm).map_err(|error| LoadError::Component(chain(&error)));
    let code = bounded(compile).await?;
    if let Err(error) = cache.store(&read.sha256, &code) {
        output::log(Level::Warning, &format!("{error}: {} is compiled at every start", path.display()));
    } else if let Some(component) = cache.load(engine, &read.sha256) {
        return Ok(component);
    }
    compiled(engine, &code)
}

/// Loads what was compiled a moment ago and could not be kept.
#[cfg(feature = "compiler")]
#[expect(unsafe_code, reason = "loading compiled code is unsafe for code of unknown origin")]
fn compiled(engine: &Engine, code: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: this process made it and it was nowhere else since.
    unsafe { Component::deserialize(engine, code) }.map_err(|error| LoadError::Component(chain(&error)))
}

/// One component is compiled at a time, with all cores: each takes hundreds of megabytes.
#[cfg(feature = "compiler")]
static COMPILER: Semaphore = Semaphore::const_new(1);

#[cfg(feature = "compiler")]
async fn bounded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let _turn = COMPILER.acquire().await;
    match tokio::time::timeout(limits::COMPILE_TIME, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => Err(LoadError::Component(format!("the compiler failed: {panicked}"))),
        Err(_late) => Err(LoadError::CompileTime),
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use crate::sandbox::{SMTP_COMPILED, SMTP_WASM, engine};

    #[test]
    fn compiled_code_that_does_not_fit_is_compiled_anew() {
        let engine = Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION"))).unwrap();
        assert!(builtin(&engine, SMTP_COMPILED, SMTP_WASM).is_ok());
        let other = Engine::new(&engine::config("another version")).unwrap();
        assert!(builtin(&other, SMTP_COMPILED, SMTP_WASM).is_ok());
        assert!(builtin(&engine, b"", SMTP_WASM).is_ok());
        assert!(matches!(builtin(&other, SMTP_COMPILED, b""), Err(LoadError::Component(_))));
    }
}
