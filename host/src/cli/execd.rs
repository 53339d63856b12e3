//! `sonde execd`: rounds for an agent that keeps this program running, such as Telegraf's `inputs.execd`. A newline on standard
//! input asks for one, as SIGUSR1 and SIGUSR2 do, and SIGHUP behind a look at the configuration; with an interval there is one at
//! each tick as well. The end of input, SIGTERM and SIGINT end it, in the time that the agent gives, with status 0.

use std::{path::PathBuf, process::ExitCode, sync::Arc, thread, time::Duration};

use clap::Args;
use nix::sys::signal::Signal;
use tokio::{
    sync::{Notify, oneshot},
    time,
};

use super::{
    exit::Refusal,
    input::{Heard, Input},
    load::{self, Base, Loading},
    rounds::Rounds,
    start::NO_THREAD,
    stop::{self, End, Stop},
};
use crate::{
    config,
    output::{self, Level},
    restraint::Restraint,
    schedule::{RoundTime, Ticks},
    text::counted,
};

/// What running checks get to end. Telegraf sends SIGTERM 5 s after it closed the input, and all of the following have to have
/// their time before.
const LAST_CHECKS: Duration = Duration::from_millis(3500);
/// By then what is there is written, where somebody reads.
const LAST_LINES: Duration = Duration::from_millis(3850);
/// By then it is read, where somebody reads.
const LAST_READ: Duration = Duration::from_millis(3950);
/// How long the program stays behind that: Telegraf closes the pipe when it ends, whatever is read of it by then.
const LINGER: Duration = Duration::from_millis(150);
/// Then it ends, also where the runtime does not turn.
const PATIENCE: Duration = Duration::from_millis(4250);
/// How often is looked whether the last lines are read.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Args)]
pub(super) struct Arguments {
    /// Configuration (TOML); `sonde config sample` prints one
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// A round at each multiple of TIME on the clock, whoever asks, such as 60s; above `interval` of `[daemon]` in the file
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
}

/// What was asked for. Each is once, however often it was.
#[derive(Debug, Default)]
struct Asked {
    round: Notify,
    reload: Notify,
}

/// Another configuration, and the interval in it.
type Changed = Result<(Loading, Option<Duration>), Refusal>;

/// What happens next.
enum Next {
    Round(RoundTime),
    Reload,
    Change(Changed),
    End(End),
}

pub(super) async fn execd(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let Arguments { config: path, interval } = arguments;
    let flag = interval.as_deref().map(config::interval).transpose();
    let flag = flag.map_err(|expected| format!("--interval: expected {expected}"))?;
    let asked = Arc::new(Asked::default());
    // First of all: at its default a signal that asks for a round ends the program.
    let mut stop = take_signals(&asked)?;
    output::log_apart().map_err(|error| format!("{NO_THREAD}: {error}"))?;
    let plan = load::read(&path)?;
    let mut interval = flag.or(plan.interval);
    stop.watch_runtime()?;
    listen(&asked, &stop, interval.is_some())?;
    let base = Base::new().await?;
    let restraint = match plan.state_file.clone() {
        Some(file) => Restraint::remembering(file).await,
        None => Restraint::default(),
    };
    let rounds = Rounds::new(load::leniently(plan, &base).await?, stop.missing())?;
    let mut rounds = rounds.restrained(restraint).await;
    let mut ticks = interval.map(Ticks::every);
    let mut change: Option<oneshot::Receiver<_>> = None;
    loop {
        let idle = rounds.idle();
        let next = rounds.print_until(async {
            tokio::select! {
                biased;
                () = async { idle.await; asked.round.notified().await } => Next::Round(RoundTime::now()),
                time = tick(ticks.as_mut()) => Next::Round(time),
                end = stop.wait() => Next::End(end),
                changed = coming(change.as_mut()) => Next::Change(changed),
                () = asked.reload.notified(), if change.is_none() => Next::Reload,
            }
        });
        match next.await? {
            Next::Round(time) => rounds.begin(time),
            Next::Reload => change = Some(reload(path.clone(), base.clone())),
            Next::Change(changed) => {
                change = None;
                match changed {
                    Ok((loading, other)) => {
                        let jobs = counted(loading.jobs.len(), "job");
                        output::log(Level::Information, &format!("{}: read again: {jobs}", path.display()));
                        rounds.change(loading);
                        // The same goes on: a tick that is due is not lost.
                        if flag.or(other) != interval {
                            interval = flag.or(other);
                            ticks = interval.map(Ticks::every);
                        }
                    }
                    Err(refusal) => {
                        output::log(
                            Level::Error,
                            &format!("not changed, what ran before goes on: {refusal}"),
                        );
                    }
                }
                asked.round.notify_one();
            }
            Next::End(end) => return last(&mut rounds, end).await,
        }
    }
}

fn take_signals(asked: &Arc<Asked>) -> Result<Stop, Refusal> {
    let asked = Arc::clone(asked);
    let others = &[Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];
    Stop::take(&[Signal::SIGTERM, Signal::SIGINT], others, PATIENCE, move |signal| match signal {
        Signal::SIGHUP => asked.reload.notify_one(),
        _ => asked.round.notify_one(),
    })
}

/// Listens to the agent, on a thread of its own.
fn listen(asked: &Arc<Asked>, stop: &Stop, has_interval: bool) -> Result<(), Refusal> {
    let (asked, ender) = (Arc::clone(asked), stop.ender());
    stop::start(move || {
        let input = Input::standard();
        let is_ready = input.is_ready();
        let mut heard = input.hear();
        if is_ready && heard == Heard::End {
            // Nobody ever speaks, such as where it is /dev/null.
            if has_interval {
                return;
            }
            let text =
                "standard input is at its end from the start: without an agent, rounds come with --interval";
            output::log(Level::Warning, text);
        }
        while heard == Heard::Newline {
            asked.round.notify_one();
            heard = input.hear();
        }
        ender.end("the end of input");
    })
}

async fn tick(ticks: Option<&mut Ticks>) -> RoundTime {
    match ticks {
        Some(ticks) => ticks.next().await,
        None => std::future::pending().await,
    }
}

async fn coming(change: Option<&mut oneshot::Receiver<Changed>>) -> Changed {
    match change {
        Some(change) => change.await.unwrap_or_else(|_died| Err("the host failed over it".to_owned())),
        None => std::future::pending().await,
    }
}

/// Reads a configuration and loads its checks, beside what runs.
fn reload(path: PathBuf, base: Base) -> oneshot::Receiver<Changed> {
    let (done, changed) = oneshot::channel();
    tokio::task::spawn(async move {
        let loaded = async {
            let (sender, read) = oneshot::channel();
            // It may be a pipe.
            let reading = thread::Builder::new().spawn(move || drop(sender.send(load::read(&path))));
            reading.map_err(|error| format!("{NO_THREAD}: {error}"))?;
            let plan = read.await.map_err(|_died| "the host failed over it".to_owned())??;
            let interval = plan.interval;
            let loading = load::leniently(plan, &base).await?;
            loading.ready().await;
            Ok((loading, interval))
        };
        drop(done.send(loaded.await));
    });
    changed
}

/// What runs, and what waits for its turn in a round that was begun, has its time; what is there is written and read.
async fn last(rounds: &mut Rounds, end: End) -> Result<ExitCode, Refusal> {
    let done = time::timeout_at(end.since + LAST_CHECKS, rounds.done());
    if rounds.print_until(done).await?.is_err() {
        let written = time::timeout_at(end.since + LAST_LINES, rounds.written());
        // Where nobody reads, nothing more can be done.
        drop(rounds.print_until(written).await?);
    }
    // Where the disk hangs, nothing more can be done.
    drop(time::timeout_at(end.since + LAST_READ, rounds.kept()).await);
    rounds.log_missing(end);
    while output::unread() > 0 && time::Instant::now() < end.since + LAST_READ {
        time::sleep(LOOK).await;
    }
    time::sleep(LINGER).await;
    Ok(ExitCode::SUCCESS)
}
