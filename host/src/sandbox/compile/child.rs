//! The compiler as a process of its own, of this very program: a component in, its code or why there is none out. However
//! dear a component is to compile, it costs others nothing but a niced share of the processor: the process is bounded in
//! memory and time, one runs at a time, and none outlives who started it.

use std::{
    io::{self, Read, Write},
    num::NonZero,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{self, ExitCode, Stdio},
    thread,
};

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::{Semaphore, SemaphorePermit},
    time,
};
use wasmtime::Engine;

use crate::{
    sandbox::{
        engine,
        error::{LoadError, chain},
        limits,
        structure::{self, Excess},
    },
    text,
};

/// The command that [`main`] answers.
pub(crate) const COMMAND: &str = "compile-component";
/// Exit codes of the child, whose standard error then says why: not a component; one that is beyond what is compiled; it did
/// not get as far.
const UNUSABLE: u8 = 3;
const EXCESS: u8 = 4;
const FAILED: u8 = 5;
/// Bytes of such a reason.
const REASON_BYTES: u64 = 4096;
/// Compiled code of one component, at most: a language's runtime has 40 MiB.
const CODE_BYTES: u64 = 256 << 20;
/// The same where the component is small. Code has up to three times the bytes of its component.
const SMALL_CODE_BYTES: u64 = 16 << 20;
const CODE_TIMES: u64 = 8;
/// How much the child gives way to others.
const NICENESS: i32 = 10;
/// Threads that compile: each has a stack and an arena of the allocator, which on a machine with many cores would use up the
/// address space.
const THREADS: usize = 4;

/// One at a time: each takes hundreds of megabytes.
static TURN: Semaphore = Semaphore::const_new(1);

/// Whose turn it is to start the compiler. To be had before the component is read: those that wait hold none in memory.
pub(super) async fn turn() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    TURN.acquire().await.ok()
}

/// Somebody has it.
pub(super) fn has_turn() -> bool {
    TURN.available_permits() == 0
}

/// Compiled code that a component of so many bytes may have.
fn code_bytes(component_bytes: usize) -> u64 {
    let times = (component_bytes as u64).saturating_mul(CODE_TIMES);
    times.saturating_add(SMALL_CODE_BYTES).min(CODE_BYTES)
}

/// Starts `program` and lets it compile.
pub(super) async fn compile(program: &Path, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    match time::timeout(limits::COMPILE_TIME, run(program, wasm)).await {
        Ok(ended) => ended,
        // Dropped, it was killed.
        Err(_late) => Err(LoadError::CompileTime),
    }
}

async fn run(program: &Path, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut command = Command::new(program);
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS).to_string();
    command.arg(COMMAND).env_clear().env("RAYON_NUM_THREADS", threads).current_dir("/").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(LoadError::Compiler)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        unreachable!("all three are piped");
    };
    let (mut code, mut reason) = (Vec::new(), Vec::new());
    let told = async {
        stdin.write_all(&u64::try_from(wasm.len()).unwrap_or(u64::MAX).to_le_bytes()).await?;
        stdin.write_all(wasm).await?;
        stdin.flush().await
    };
    let most = code_bytes(wasm.len());
    let (mut stdout, mut stderr) = (stdout.take(most + 1), stderr.take(REASON_BYTES));
    let coming = async {
        stdout.read_to_end(&mut code).await.map_err(LoadError::Compiler)?;
        // It would wait for ever for somebody who reads the rest.
        if code.len() as u64 > most { Err(LoadError::CodeSize(most)) } else { Ok(()) }
    };
    let saying = async { stderr.read_to_end(&mut reason).await.map_err(LoadError::Compiler) };
    let telling = async {
        // What ended before it was told says why.
        let _unread: io::Result<()> = told.await;
        Ok(())
    };
    tokio::try_join!(telling, coming, saying)?;
    let status = child.wait().await.map_err(LoadError::Compiler)?;
    // Up to here: its end is the child's sign that nobody waits any more.
    drop(stdin);
    let reason = text::clean(&String::from_utf8_lossy(&reason));
    match (status.code().map(u8::try_from), status.signal()) {
        (Some(Ok(0)), _) => Ok(code),
        (Some(Ok(UNUSABLE)), _) => Err(LoadError::Component(reason)),
        (Some(Ok(EXCESS)), _) => Err(LoadError::Excess(reason)),
        (_, Some(signal)) => Err(LoadError::CompileCost(signal)),
        _ => Err(LoadError::Compiler(io::Error::other(format!("{status}: {reason}")))),
    }
}

/// The child: a component on standard input, code on standard output.
pub(crate) fn main() -> ExitCode {
    let (code, reason) = match answer() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(NoCode::Excess(excess)) => (EXCESS, excess.to_string()),
        Err(NoCode::Unusable(error)) => (UNUSABLE, chain(&error)),
        Err(NoCode::Io(error)) => (FAILED, error.to_string()),
    };
    // Who does not read it sees the code.
    let _unread: io::Result<()> = io::stderr().write_all(reason.as_bytes());
    ExitCode::from(code)
}

/// Why the child has no code.
enum NoCode {
    Excess(Excess),
    Unusable(wasmtime::Error),
    Io(io::Error),
}

impl From<io::Error> for NoCode {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn answer() -> Result<(), NoCode> {
    bound()?;
    let mut stdin = io::stdin();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > limits::COMPONENT_BYTES as u64 {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
    }
    let mut wasm = Vec::new();
    stdin.take(length).read_to_end(&mut wasm)?;
    // Nothing more comes: the end of the input is the end of who waits for us.
    thread::spawn(|| {
        let _ended: io::Result<usize> = io::stdin().read(&mut [0]);
        process::exit(i32::from(FAILED));
    });
    structure::judge(&wasm).map_err(NoCode::Excess)?;
    let engine = Engine::new(&engine::config(env!("SONDE_ENGINE_VERSION"))).map_err(NoCode::Unusable)?;
    let code = engine.precompile_component(&wasm).map_err(NoCode::Unusable)?;
    Ok(io::stdout().write_all(&code)?)
}

/// Bounds this process.
fn bound() -> io::Result<()> {
    let seconds = limits::COMPILE_CPU_TIME.as_secs();
    for (resource, usual) in [
        (Resource::As, limits::COMPILE_MEMORY_BYTES),
        (Resource::Cpu, seconds),
        // It writes to pipes only.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        // Who started us may have bounded us further, and nobody but root may undo that.
        let most = Some(getrlimit(resource).maximum.map_or(usual, |most| most.min(usual)));
        setrlimit(resource, Rlimit { current: most, maximum: most })?;
    }
    // Where that is forbidden, it computes as others do.
    let _allowed: io::Result<i32> = nice(NICENESS).map_err(Into::into);
    Ok(())
}
