//! From a component to a usable check: refuses an import that is not on the list, another version of the interface, and a
//! description that contradicts itself or is not the pinned one. It gets no network meanwhile.

use std::{fmt, io, sync::Arc};

use tokio::time::timeout;
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use super::{
    Origin, Pinned, Program, SMTP, Sandbox,
    bindings::{Checker, CheckerPre},
    chain,
    convert::{self, Contradiction},
    failure, limits,
    limits::Limits,
    log::Log,
    state::{HasState, State},
    store, wasi,
};
use crate::{catalogue::HostError, description::Description, secret::Secrets, text};

/// Of the interface in `wit/`.
const INTERFACE_VERSION: &str = "0.1.0";
/// What the versions that mean the same begin with: see `wit/README.md`.
const COMPATIBLE: &str = "0.1.";
const INTERFACE: &str = "sonde:check/";

/// What a component may import, by the beginning of the name, and what it gets, in plain words. Of WASI, version 0.2.
pub(crate) const IMPORTS: &[(&str, &str)] = &[
    ("sonde:check/network@", "network through the host, to what the job grants"),
    ("sonde:check/check@", "types"),
    ("sonde:check/log@", "lines in the log"),
    ("wasi:cli/environment@", "no variables, no arguments"),
    ("wasi:cli/exit@", "the end of its run"),
    ("wasi:cli/stdin@", "nothing to read"),
    ("wasi:cli/stdout@", "lines in the log"),
    ("wasi:cli/stderr@", "lines in the log"),
    ("wasi:cli/terminal-", "no terminal"),
    ("wasi:clocks/monotonic-clock@", "clock, waiting included"),
    ("wasi:clocks/wall-clock@", "clock"),
    ("wasi:filesystem/", "no files"),
    ("wasi:io/", "types, and waiting"),
    ("wasi:random/", "random bytes"),
    ("wasi:sockets/", "no sockets, no name look-up"),
];

/// Why a component cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// The engine does not start here.
    Engine(String),
    /// Its file cannot be read.
    Unreadable(io::Error),
    /// It is not the pinned one; its digest.
    Digest(String),
    /// Larger than allowed.
    Size,
    /// Not a component, or of an unknown kind.
    Component(String),
    /// A core module, which lacks the component around it.
    CoreModule,
    /// Imports something that no check gets.
    Import(String),
    /// Built for this version of the interface, which is not ours.
    Version(String),
    /// Its own description contradicts itself.
    Description(Contradiction),
    /// It did not describe itself.
    Describe(String),
    /// It describes itself otherwise than when it was pinned; the digest of what it says.
    DescriptionDigest(String),
    /// Its lines are of this measurement, and another is pinned.
    Measurement(String),
    /// Compiling takes too long.
    CompileTime,
    /// The compiler was ended by this signal: it wanted more than it may use up.
    CompileCost(i32),
    /// The compiler cannot be started.
    Compiler(io::Error),
    /// It is beyond what is compiled, and how.
    Excess(String),
    /// Its code is larger than allowed.
    CodeSize(u64),
    /// No compiled form fits and this binary has no compiler.
    NoCompiler(Option<String>),
}

impl LoadError {
    /// Its number on the lines of the check's jobs.
    #[must_use]
    pub fn host_error(&self) -> HostError {
        match self {
            Self::Engine(_) | Self::Unreadable(_) | Self::Size | Self::Component(_) | Self::CoreModule => {
                HostError::CheckLoad
            }
            Self::Digest(_) => HostError::CheckDigest,
            Self::Import(_) => HostError::CheckImport,
            Self::Version(_) => HostError::CheckVersion,
            Self::Description(_) | Self::Describe(_) => HostError::CheckDescribe,
            Self::DescriptionDigest(_) | Self::Measurement(_) => HostError::CheckPinned,
            Self::CompileTime
            | Self::CompileCost(_)
            | Self::Compiler(_)
            | Self::Excess(_)
            | Self::CodeSize(_)
            | Self::NoCompiler(_) => HostError::CheckCompile,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => write!(f, "the sandbox cannot start: {error}"),
            Self::Unreadable(error) => write!(f, "the component cannot be read: {error}"),
            Self::Digest(found) => write!(
                f,
                "the component is not the pinned one, its sha256 is {found}: look at it with `sonde describe`"
            ),
            Self::Size => write!(f, "the component is larger than {} bytes", limits::COMPONENT_BYTES),
            Self::Component(error) => write!(f, "not a usable component: {error}"),
            Self::CoreModule => f.write_str(
                "a core WebAssembly module, not a component: build it for wasm32-wasip2, or make it one with `wasm-tools \
                 component new`",
            ),
            Self::Import(name) => write!(f, "the component imports `{name}`, which no check gets"),
            Self::Version(version) => write!(
                f,
                "the component is built for sonde:check@{}; this host speaks sonde:check@{INTERFACE_VERSION}",
                text::clean(version)
            ),
            Self::Description(error) => write!(f, "the component's description is wrong: {error}"),
            Self::Describe(error) => write!(f, "the component does not describe itself: {error}"),
            Self::DescriptionDigest(found) => write!(
                f,
                "the component describes itself otherwise than the configuration pins, the sha256 of its description is \
                 {found}: look at it with `sonde describe` and pin it anew"
            ),
            Self::Measurement(measurement) => write!(
                f,
                "the component's lines are of measurement `{measurement}`, and the configuration pins another: look at it \
                 with `sonde describe` and pin it anew"
            ),
            Self::CompileTime => {
                write!(f, "compiling the component takes longer than {:?}", limits::COMPILE_TIME)
            }
            Self::CompileCost(signal) => write!(
                f,
                "compiling the component takes more than {:?} of computing or {} MiB of memory: the compiler was ended by \
                 signal {signal}",
                limits::COMPILE_CPU_TIME,
                limits::COMPILE_MEMORY_BYTES >> 20
            ),
            Self::Compiler(error) => write!(f, "the compiler, this program itself, does not run: {error}"),
            Self::Excess(excess) => write!(f, "the component is not compiled: {excess}"),
            Self::CodeSize(most) => {
                write!(f, "the component's code has more than {} MiB, what one of its size may have", most >> 20)
            }
            Self::NoCompiler(None) => f.write_str(
                "the component is not in the cache, and this program has no compiler: run `sonde compile -c FILE` of a \
                 program that has one (feature `compiler`), as the same user",
            ),
            Self::NoCompiler(Some(error)) => write!(f, "{error}, and this program has no compiler"),
        }
    }
}

impl std::error::Error for LoadError {}

/// The version of WASI that there is: another one's import of the same name is another interface.
const WASI: (&str, &str) = ("wasi:", "@0.2.");

fn is_allowed(import: &str) -> bool {
    let (package, version) = WASI;
    let known = IMPORTS.iter().any(|(allowed, _)| import.starts_with(allowed));
    known && (!import.starts_with(package) || import.contains(version))
}

/// Refuses what is not on the list; gives the names.
fn imports(component: &Component, engine: &Engine) -> Result<Vec<String>, LoadError> {
    let shape = component.component_type();
    let named = shape.imports(engine).map(|(name, _)| name);
    for name in named.chain(shape.exports(engine).map(|(name, _)| name)) {
        if let Some((_, version)) = name.strip_prefix(INTERFACE).and_then(|name| name.split_once('@'))
            && !version.starts_with(COMPATIBLE)
        {
            return Err(LoadError::Version(version.to_owned()));
        }
    }
    let mut imports = Vec::new();
    for (import, _) in shape.imports(engine) {
        if !is_allowed(import) {
            return Err(LoadError::Import(text::clean(import)));
        }
        imports.push(import.to_owned());
    }
    Ok(imports)
}

/// A component's code, and its file's digest; none: it is built in.
pub(super) struct Loaded {
    pub(super) component: Component,
    pub(super) sha256: Option<String>,
}

/// Links a component and lets it describe itself.
pub(super) async fn program(
    sandbox: &Sandbox,
    name: &str,
    loaded: Loaded,
    origin: Origin,
    limits: Limits,
) -> Result<Program, LoadError> {
    let Loaded { component, sha256 } = loaded;
    let imports = imports(&component, &sandbox.engine)?;
    let broken = |error: wasmtime::Error| LoadError::Component(chain(&error));
    let mut linker = Linker::new(&sandbox.engine);
    Checker::add_to_linker::<State, HasState>(&mut linker, |state| state).map_err(broken)?;
    match origin {
        // Its language's library links what it never calls.
        Origin::BuiltIn => linker.define_unknown_imports_as_traps(&component).map_err(broken)?,
        Origin::File => wasi::link(&mut linker).map_err(broken)?,
    }
    let pre = CheckerPre::new(linker.instantiate_pre(&component).map_err(broken)?).map_err(broken)?;
    let described = describe(sandbox, name, &pre, limits.log_lines).await?;
    // No other check writes the built-in one's lines.
    if origin == Origin::File && described.measurement == SMTP {
        return Err(LoadError::Description(Contradiction::Measurement(described.measurement)));
    }
    Ok(Program { pre, description: Arc::new(described), imports, sha256, limits })
}

/// Refuses what the operator has not looked at.
pub(super) fn is_pinned(described: &Description, pinned: &Pinned) -> Result<(), LoadError> {
    let sha256 = described.sha256();
    if !pinned.description_sha256.eq_ignore_ascii_case(&sha256) {
        return Err(LoadError::DescriptionDigest(sha256));
    }
    if pinned.measurement != described.measurement {
        return Err(LoadError::Measurement(described.measurement.clone()));
    }
    Ok(())
}

/// What a component says is a function of its bytes: it sees no clock and no chance, cannot wait, and gets the same limits
/// wherever it is.
async fn describe(
    sandbox: &Sandbox,
    name: &str,
    pre: &CheckerPre<State>,
    log_lines: u32,
) -> Result<Description, LoadError> {
    let log = Log::new(format!("check {name}"), Secrets::default(), log_lines);
    let limits = Limits { cpu_time: limits::DESCRIBE_CPU_TIME, ..Limits::default() };
    let state = State::describing(limits, log);
    let meter = state.meter.clone();
    let mut store = store(&sandbox.engine, state, &sandbox.crowd);
    store.set_hostcall_fuel(limits::DESCRIPTION_BYTES);
    let described = meter.count(timeout(limits::DESCRIBE_TIME, async {
        let check = pre.instantiate_async(&mut store).await?;
        check.sonde_check_check().call_describe(&mut store).await
    }));
    let described = match described.await {
        Ok(Ok(described)) => described,
        Ok(Err(error)) => return Err(LoadError::Describe(failure(&error, store.data()).text)),
        Err(_late) => {
            return Err(LoadError::Describe(format!("nothing within {:?}", limits::DESCRIBE_TIME)));
        }
    };
    convert::description(described).map_err(LoadError::Description)
}
