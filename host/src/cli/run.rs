//! `sonde run`: one round of a configuration. SIGTERM ends it with what is done.

use std::{path::Path, process::ExitCode, time::Duration};

use nix::sys::signal::Signal;
use tokio::time;

use super::{
    exit::Refusal,
    load::{self, Base},
    rounds::Rounds,
    start::NO_THREAD,
    stop::Stop,
};
use crate::{
    output::{self, Level},
    restraint::Restraint,
    schedule::RoundTime,
};

/// How long it may take to end after SIGTERM: Telegraf sends SIGKILL after five seconds.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long what is to be remembered may take to be written.
const LAST_NOTE: Duration = Duration::from_millis(500);
/// How long a line may take to be written after SIGTERM: enough where somebody reads.
const LAST_LINE: Duration = Duration::from_millis(500);

pub(super) async fn run(path: &Path) -> Result<ExitCode, Refusal> {
    // While it is read, maybe from a pipe, SIGTERM ends the program as it ends any other.
    let plan = load::read(path)?;
    let mut stop = Stop::take(&[Signal::SIGTERM], &[], LAST_WORDS, |_| {})?;
    stop.watch_runtime()?;
    output::log_apart().map_err(|error| format!("{NO_THREAD}: {error}"))?;
    let state_file = plan.state_file.clone();
    if state_file.is_none() && plan.jobs.iter().any(|job| job.max_per_hour().is_some()) {
        let text = "max_per_hour: no run is counted without state_file in [daemon]: this program ends with its round";
        output::log(Level::Warning, text);
    }
    let loading = load::leniently(plan, &Base::new().await?).await?;
    let mut rounds = Rounds::new(loading, stop.missing())?;
    if let Some(file) = state_file {
        rounds = rounds.restrained(Restraint::remembering(file).await).await;
    }
    rounds.begin(RoundTime::now());
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
        rounds.log_missing(end);
    }
    drop(time::timeout(LAST_NOTE, rounds.kept()).await);
    Ok(ExitCode::SUCCESS)
}
