//! `sonde execd`: rounds for an agent that keeps this program running, such as Telegraf's `inputs.execd`. A newline on standard
//! input asks for one, as SIGUSR1 and SIGUSR2 do, and SIGHUP behind a look at the configuration; with an interval there is one at
//! each tick as well. The end of input, SIGTERM and SIGINT end it, in the time that the agent gives, with status 0.

use std::{
    path::PathBuf,
    pin::Pin,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clap::Args;
use nix::sys::signal::Signal;
use tokio::{
    sync::{Notify, oneshot},
    time::{self, Instant},
};

use super::{
    arguments::{Share, interval},
    clock::Clock,
    exit::Refusal,
    input::{Heard, Input},
    load::{self, Base},
    reload::{Changed, DIED, Reader},
    rounds::Rounds,
    start::{self, no_thread},
    stop::{self, End, Stop},
    watch::Watch,
};
use crate::{
    config::Plan,
    output::{self, Level},
    restraint::Restraint,
    schedule::RoundTime,
    text::counted,
    workers::Workers,
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
/// How long this program waits for the one before it, which has the state file until it ends, where an agent was killed and started
/// again at once: longer than that one takes to end.
const HANDOVER: Duration = Duration::from_secs(5);
/// How often is looked whether the last lines are read.
const LOOK: Duration = Duration::from_millis(10);
/// How long a check waits for an agent that does not read: longer than an agent that is busy, and short beside the rounds with
/// whose time stamp it would run then.
const UNREAD: Duration = Duration::from_secs(10);
/// How long a changed file waits for jobs that were begun and have not started, which it would end.
const STARTED: Duration = Duration::from_secs(10);
/// How late a round is that is said to be: a newline may well come right before a round ends.
const LATE: Duration = Duration::from_secs(5);

const END_OF_INPUT: &str = "the end of input";
/// Where nobody will.
const NEVER_ASKED: &str =
    "standard input is at its end from the start: without an agent, rounds come with --interval";
/// Where nobody will any more.
const NOBODY_ASKS: &str =
    "standard input is at its end, and no interval is given any more: rounds come at signals only";

#[derive(Args)]
pub(super) struct Arguments {
    /// Configuration (TOML); `sonde config sample` prints one
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// A round at each multiple of TIME on the clock, whoever asks, such as 60s; above `interval` of `[daemon]` in the file
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    #[command(flatten)]
    share: Share,
}

/// What was asked for, or heard. Each is once, however often it was.
#[derive(Debug, Default)]
struct Asked {
    round: Notify,
    /// When it was first.
    since: Mutex<Option<Instant>>,
    reload: Notify,
    /// Files have changed.
    change: Notify,
    /// Nobody ever asks on standard input.
    silence: Notify,
}

impl Asked {
    fn ask(&self) {
        self.since().get_or_insert_with(Instant::now);
        self.round.notify_one();
    }

    /// A round begins, and nobody has asked for another; how long ago somebody had for this one.
    fn answer(&self) -> Duration {
        self.since().take().map(|since| since.elapsed()).unwrap_or_default()
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A round that was asked for, and comes when those before are over.
struct Wanted {
    over: Pin<Box<dyn Future<Output = ()>>>,
    late: Instant,
    /// Which was said.
    is_late: bool,
}

/// What happens next.
enum Next {
    Wanted,
    Asked,
    Late,
    Tick(RoundTime),
    Silence,
    /// And a round, where somebody asked for it.
    Reload {
        is_asked: bool,
    },
    Change(Changed),
    End(End),
}

pub(super) async fn execd(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let Arguments { config: path, interval: flag, share } = arguments;
    let flag = interval(flag.as_deref())?;
    let shard = share.shard()?;
    let asked = Arc::new(Asked::default());
    // First of all: at its default a signal that asks for a round ends the program.
    let mut stop = take_signals(&asked)?;
    output::log_apart().map_err(|error| no_thread(&error))?;
    // As many as the configuration says, when it is read.
    let workers = Arc::new(Workers::new(1));
    stop.watch_runtime(&workers)?;
    listen(&asked, &stop)?;
    let base = Base::of_a_daemon().await?;
    let watch = Watch::default();
    let reader = Reader::new(path.clone(), shard, base.clone(), watch.clone());
    let Some(plan) = first(&reader, &mut stop).await? else { return Ok(ExitCode::SUCCESS) };
    workers.allow(plan.threads);
    let (mut clock, rhythm) = (Clock::new(flag), (plan.interval, plan.jitter));
    let restraint = match plan.state_file_of(shard) {
        Some(file) => Restraint::remembering(file, handover(&mut stop)).await,
        None => Restraint::default(),
    };
    let rounds = Rounds::new(load::leniently(plan, shard, &base).await?, stop.missing(), &workers)?;
    let mut rounds = rounds.restrained(restraint).await;
    rounds.wait_for_room(UNREAD);
    // What was due while another program was waited for is not missed.
    clock.set(rhythm);
    let asking = Arc::clone(&asked);
    watch.start(move || asking.change.notify_one())?;
    let (mut wanted, mut change): (Option<Wanted>, Option<oneshot::Receiver<Changed>>) = (None, None);
    let (mut is_silent, mut is_asked) = (false, false);
    loop {
        let next = rounds.print_until(async {
            tokio::select! {
                biased;
                // Also where one is wanted already: what was asked for by then is one.
                () = asked.round.notified() => Next::Wanted,
                next = coming_round(wanted.as_mut()) => next,
                time = clock.tick() => Next::Tick(time),
                end = stop.wait() => Next::End(end),
                changed = coming_change(change.as_mut()) => Next::Change(changed),
                () = asked.silence.notified() => Next::Silence,
                () = asked.reload.notified(), if change.is_none() => Next::Reload { is_asked: true },
                () = asked.change.notified(), if change.is_none() => Next::Reload { is_asked: false },
            }
        });
        match next.await? {
            Next::Wanted => wanted = wanted.or_else(|| Some(Wanted::new(&rounds))),
            Next::Asked => {
                if wanted.take().is_some_and(|wanted| !wanted.is_late) {
                    rounds.forget_awaited();
                }
                rounds.begin(RoundTime::now(), asked.answer());
            }
            Next::Late => {
                rounds.log_awaited();
                if let Some(wanted) = &mut wanted {
                    wanted.is_late = true;
                }
            }
            Next::Tick(time) => {
                clock.log_missed();
                rounds.begin(time, RoundTime::now().since(time));
            }
            Next::Silence => {
                is_silent = true;
                if clock.is_still() {
                    output::log(Level::Warning, NEVER_ASKED);
                    return last(&mut rounds, End { why: END_OF_INPUT, since: Instant::now() }).await;
                }
            }
            Next::Reload { is_asked: by_signal } => {
                is_asked = by_signal;
                change = Some(reader.reload(turn(by_signal, &rounds)));
            }
            Next::Change(changed) => {
                change = None;
                match changed {
                    Ok((loading, rhythm)) => {
                        let jobs = counted(loading.jobs.len(), "job");
                        output::log(Level::Information, &format!("{}: read again: {jobs}", path.display()));
                        workers.allow(loading.threads);
                        rounds.change(loading);
                        clock.set(rhythm);
                        if is_silent && clock.is_still() {
                            output::log(Level::Warning, NOBODY_ASKS);
                        }
                    }
                    Err(refusal) => {
                        let text = format!("not changed, what ran before goes on: {refusal}");
                        output::log(Level::Error, &text);
                    }
                }
                if is_asked {
                    asked.ask();
                }
            }
            Next::End(end) => return last(&mut rounds, end).await,
        }
    }
}

/// Reads the configuration. None: the end came before; what was asked for until then has the time that checks have.
async fn first(reader: &Reader, stop: &mut Stop) -> Result<Option<Plan>, Refusal> {
    let end = async {
        let end = stop.wait().await;
        time::sleep_until(end.since + LAST_CHECKS).await;
        end
    };
    tokio::select! {
        biased;
        plan = reader.read() => plan.map(Some),
        end = end => {
            output::log(Level::Warning, &format!("stopped by {}: the configuration was not read by then", end.why));
            Ok(None)
        }
    }
}

/// Nobody waits any longer for the program before: it is not about to end, or this one is.
async fn handover(stop: &mut Stop) {
    drop(time::timeout(HANDOVER, stop.wait()).await);
}

/// When another configuration may take effect: who changed a file asks for no round, and costs none a line.
fn turn(is_asked: bool, rounds: &Rounds) -> impl Future<Output = ()> + Send + use<> {
    let started = rounds.started();
    async move {
        if !is_asked {
            drop(time::timeout(STARTED, started).await);
        }
    }
}

impl Wanted {
    fn new(rounds: &Rounds) -> Self {
        Self { over: Box::pin(rounds.over()), late: Instant::now() + LATE, is_late: false }
    }
}

/// It comes, or is late.
async fn coming_round(wanted: Option<&mut Wanted>) -> Next {
    let Some(Wanted { over, late, is_late }) = wanted else { return std::future::pending().await };
    tokio::select! {
        biased;
        () = over => Next::Asked,
        () = time::sleep_until(*late), if !*is_late => Next::Late,
    }
}

fn take_signals(asked: &Arc<Asked>) -> Result<Stop, Refusal> {
    let asked = Arc::clone(asked);
    let others = &[Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2];
    Stop::take(&[Signal::SIGTERM, Signal::SIGINT], others, PATIENCE, move |signal| match signal {
        Signal::SIGHUP => asked.reload.notify_one(),
        _ => asked.ask(),
    })
}

/// Listens to the agent, on a thread of its own.
fn listen(asked: &Arc<Asked>, stop: &Stop) -> Result<(), Refusal> {
    let (asked, ender) = (Arc::clone(asked), stop.ender());
    start::thread(move || {
        let input = Input::standard();
        let is_ready = input.is_ready();
        let mut heard = input.hear();
        if is_ready && heard == Heard::End && !input.has_another_end() {
            // Nobody ever speaks, such as where it is /dev/null; at a pipe's other end somebody was, who is gone.
            asked.silence.notify_one();
            return;
        }
        while heard == Heard::Newline {
            asked.ask();
            heard = input.hear();
        }
        ender.end(END_OF_INPUT);
    })
}

async fn coming_change(change: Option<&mut oneshot::Receiver<Changed>>) -> Changed {
    match change {
        Some(change) => change.await.unwrap_or_else(|_died| Err(DIED.to_owned())),
        None => std::future::pending().await,
    }
}

/// What runs, and what waits for its turn in a round that was begun, has its time; what is there is written and read.
async fn last(rounds: &mut Rounds, end: End) -> Result<ExitCode, Refusal> {
    let done = time::timeout_at(end.since + LAST_CHECKS, rounds.done());
    if rounds.print_until(done).await?.is_err() {
        rounds.print_last();
        let written = time::timeout_at(end.since + LAST_LINES, rounds.written());
        // Where nobody reads, nothing more can be done.
        drop(rounds.print_until(written).await?);
    }
    rounds.log_missing(end);
    // Where the disk hangs, nothing more can be done.
    drop(time::timeout_at(end.since + LAST_READ, rounds.kept()).await);
    while output::unread() > 0 && Instant::now() < end.since + LAST_READ {
        time::sleep(LOOK).await;
    }
    time::sleep(LINGER).await;
    stop::leave()
}
