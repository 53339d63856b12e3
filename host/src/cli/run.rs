//! `sonde run`: one round of a configuration. SIGTERM ends it with what is done. It does not ask when its jobs ran: which of
//! those with a time of their own are due, the clock says, where it is known how often this is started.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use nix::sys::signal::Signal;
use tokio::time;

use super::{
    arguments::{Share, interval},
    exit::Refusal,
    load::{self, Base},
    rounds::{LAST_NOTE, Rounds},
    start::no_thread,
    stop::{self, Stop},
};
use crate::{
    config::Watched,
    output::{self, Level},
    restraint::Restraint,
    schedule::{Before, RoundTime},
    workers::Workers,
};

/// How long it may take to end after SIGTERM: Telegraf sends SIGKILL after five seconds.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long a line may take to be written after SIGTERM: enough where somebody reads.
const LAST_LINE: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(super) struct Arguments {
    /// Configuration (TOML); `sonde config sample` prints one
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// How often this is started, such as 60s: then jobs with `every` are left out where they are not due
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    #[command(flatten)]
    share: Share,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Refusal> {
    let shard = arguments.share.shard()?;
    let before = interval(arguments.interval.as_deref())?.map_or(Before::Unknown, Before::Apart);
    // While it is read, maybe from a pipe, SIGTERM ends the program as it ends any other.
    let plan = load::read(&arguments.config, &mut Watched::default())?;
    let mut stop = Stop::take(&[Signal::SIGTERM], &[], LAST_WORDS, |_| {})?;
    let workers = Arc::new(Workers::new(plan.threads));
    stop.watch_runtime(&workers)?;
    output::log_apart().map_err(|error| no_thread(&error))?;
    let state_file = plan.state_file_of(shard);
    if state_file.is_none() && plan.jobs.iter().any(|job| job.max_per_hour().is_some()) {
        let text = "max_per_hour: no run is counted without state_file in [daemon]: this program ends with its round";
        output::log(Level::Warning, text);
    }
    let base = Base::of_a_round(plan.jobs.len()).await?;
    let mut loading = load::leniently(plan, shard, &base).await?;
    // That is for the daemon.
    loading.self_metrics = None;
    let mut rounds = Rounds::new(loading, stop.missing(), &workers)?.alone(before);
    if let Some(file) = state_file {
        // Whoever started it waits for its end.
        let restraint = Restraint::remembering(file, std::future::ready(())).await;
        rounds = rounds.restrained(restraint).await;
    }
    if output::is_seen() && rounds.jobs() > 1 {
        rounds.show()?;
    }
    rounds.begin(RoundTime::now(), Duration::ZERO);
    let done = rounds.done();
    let stopped = async {
        tokio::select! {
            biased;
            () = done => None,
            end = stop.wait() => Some(end),
        }
    };
    // The agent's patience is over: what is done stands, and a status of 0 lets it keep that.
    if let Some(end) = rounds.print_until(stopped).await? {
        let written = time::timeout(LAST_LINE, rounds.written());
        // Who does not read by then, does not want it.
        drop(rounds.print_until(written).await?);
        rounds.sum_up();
        rounds.log_missing(end);
    } else {
        rounds.sum_up();
    }
    drop(time::timeout(LAST_NOTE, rounds.kept()).await);
    stop::leave()
}
