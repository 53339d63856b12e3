//! Why a component cannot be used, and its number on the lines of the check's jobs.

use std::{fmt, io, path::PathBuf};

use rustix::process::{Resource, getrlimit};

use super::{contradiction::Contradiction, limits};
use crate::{catalogue::HostError, text};

/// Of the interface in `wit/`.
pub(super) const INTERFACE_VERSION: &str = "0.1.0";

/// Why a component cannot be used.
#[derive(Debug)]
pub enum LoadError {
    /// The engine does not start here.
    Engine(String),
    /// This file of it cannot be read.
    Unreadable(PathBuf, io::Error),
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
    /// Built for this later version of the interface, from which it needs what there is not here.
    Later(String, String),
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
    /// No thread is to be had that reads it.
    Thread(io::Error),
    /// The host panicked over it.
    Panic,
    /// No compiled form fits and this binary has no compiler.
    NoCompiler(Option<String>),
}

impl LoadError {
    /// Its number on the lines of the check's jobs.
    #[must_use]
    pub fn host_error(&self) -> HostError {
        match self {
            Self::Engine(_)
            | Self::Thread(_)
            | Self::Panic
            | Self::Unreadable(..)
            | Self::Size
            | Self::Component(_)
            | Self::CoreModule => HostError::CheckLoad,
            Self::Digest(_) => HostError::CheckDigest,
            Self::Import(_) => HostError::CheckImport,
            Self::Version(_) | Self::Later(..) => HostError::CheckVersion,
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
            Self::Unreadable(path, error) => {
                write!(f, "the component {} cannot be read: {error}", path.display())
            }
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
            Self::Later(version, what) => write!(
                f,
                "the component is built for sonde:check@{}, and needs of it what this host, which speaks \
                 sonde:check@{INTERFACE_VERSION}, does not have: {what}",
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
                write!(
                    f,
                    "compiling the component takes longer than {:?}: this machine has no time for it",
                    limits::COMPILE_TIME
                )
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
            Self::Thread(error) => write!(f, "no thread is to be had to read the component: {error}"),
            Self::Panic => f.write_str("the host failed over the component; its log has the place"),
            Self::NoCompiler(None) => f.write_str(
                "the component is not in the cache, and this program has no compiler: run `sonde compile -c FILE` of a \
                 program that has one (feature `compiler`), as the same user",
            ),
            Self::NoCompiler(Some(error)) => write!(f, "{error}, and this program has no compiler"),
        }
    }
}

impl std::error::Error for LoadError {}

/// How the engine says that it gets no addresses for a memory: it reserves gigabytes of them, and uses few.
const NO_ADDRESSES: &str = "mmap failed to reserve";
/// How the system says that there is no memory, or no mapping of any.
const NO_MEMORY: &str = "(os error 12)";

/// An error with its causes, clean: it may contain text of the component's author.
pub(super) fn chain(error: &wasmtime::Error) -> String {
    let text = text::clean(&error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": "));
    if text.contains(NO_ADDRESSES) && getrlimit(Resource::As).current.is_some() {
        return format!("{text}: the address space is limited (LimitAS= of the agent's unit, `ulimit -v`)");
    }
    if text.contains(NO_MEMORY) && getrlimit(Resource::Data).current.is_some() {
        return format!("{text}: data is limited (LimitDATA= of the agent's unit, `ulimit -d`)");
    }
    if text.contains(NO_MEMORY) {
        return format!(
            "{text}: this machine has no memory left, or the process no mapping (MemoryMax= of the agent's unit, \
             `vm.max_map_count`)"
        );
    }
    text
}
