//! What the program is started with: signals and limits as whoever starts it left them in; those that it needs out. Refuses
//! limits below those with which it can say on each job's line what is missing.

use std::{io, thread};

use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::exit::Refusal;
pub(super) use crate::text::no_thread;

/// Open files without which nothing begins: the streams, the runtime's own, a configuration, a component and its compiler.
pub(super) const FILES: u64 = 32;

/// Puts signals right, and the limit of open files.
pub(super) fn prepare() -> Result<(), Refusal> {
    signals().map_err(|error| format!("signals: {error}"))?;
    files()
}

/// Each connection is an open file. The usual soft limit is for programs that still call `select`; that the hard one cannot be
/// had is seen where there are too few.
fn files() -> Result<(), Refusal> {
    let limit = getrlimit(Resource::Nofile);
    let _kept: rustix::io::Result<()> =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    match limit.maximum {
        Some(most) if most < FILES => Err(format!(
            "only {most} files may be open, and at least {FILES} are needed, and one more for each job that runs at once: raise \
             LimitNOFILE= of the agent's unit (`ulimit -n`)"
        )),
        _ => Ok(()),
    }
}

/// Begins a thread of its own for what may wait.
pub(super) fn thread(work: impl FnOnce() + Send + 'static) -> Result<(), Refusal> {
    thread::Builder::new().spawn(work).map(drop).map_err(|error| no_thread(&error))
}

/// What was ignored by whoever started us, and what we would die of.
#[expect(unsafe_code, reason = "a handler of signals may do little; these two are the system's own")]
fn signals() -> io::Result<()> {
    // SAFETY: no code of ours runs at a signal: the one is ignored, at the other the system does what it does where nobody
    // said anything.
    unsafe {
        // A file that grows past the limit is an error of the write, which is said.
        signal(Signal::SIGXFSZ, SigHandler::SigIgn)?;
        // Where it is ignored, nobody learns how a child ended.
        signal(Signal::SIGCHLD, SigHandler::SigDfl)?;
    }
    Ok(())
}
