//! `sonde run`: a configuration in, the lines of each of its jobs on standard output, those of
//! a job in one piece. SIGTERM ends it with what is done.

use std::{io, mem, path::Path, process::ExitCode, time::Duration};

use tokio::time;

use super::{
    exit::Refusal,
    load,
    start::NO_THREAD,
    stop::{Missing, Stop},
};
use crate::{
    line,
    output::{self, Level, Writer},
    point::Point,
    report::Outcome,
    schedule::{self, RoundTime},
};

/// How long a line may take to be written after SIGTERM: enough where somebody reads.
const LAST_LINE: Duration = Duration::from_millis(500);

pub(super) async fn run(path: &Path) -> Result<ExitCode, Refusal> {
    // While it is read, maybe from a pipe, SIGTERM ends the program as it ends any other.
    let plan = load::read(path)?;
    let mut stop = Stop::take(plan.jobs.len())?;
    let mut loading = load::leniently(plan).await?;
    let round = RoundTime::now();
    let writer = Writer::start().map_err(|error| format!("{NO_THREAD}: {error}"))?;
    let coming = mem::take(&mut loading.jobs);
    let mut reports = schedule::round(&loading.sandbox, coming, loading.max_concurrent, round);
    // The agent's patience is over: what is done stands, and a status of 0 lets it keep that.
    let stopped = |missing: &Missing| {
        let mut text = format!("stopped by SIGTERM: {missing}");
        if let Some(sooner) = loading.sooner() {
            text = format!("{text}; checks were not ready yet: {sooner}");
        }
        output::log(Level::Warning, &text);
        Ok(ExitCode::SUCCESS)
    };
    loop {
        let (job, report) = tokio::select! {
            // What has been reported is printed first.
            biased;
            report = reports.recv() => match report {
                Some(report) => report,
                None => return Ok(ExitCode::SUCCESS),
            },
            () = stop.wait() => return stopped(&stop.missing),
        };
        let points = job.points(&report, round.unix_ns);
        // Why a check cannot run, the log has had, and of a check that could not be loaded once and not for each job.
        if job.check.program.is_ok() {
            log_failure(&points.job);
        }
        // Not on one of the runtime's threads, which may all be waiting for a silent name server.
        let mut writing = writer.write(line::lines(&points));
        let written = tokio::select! {
            biased;
            written = &mut writing => written,
            () = stop.wait() => match time::timeout(LAST_LINE, writing).await {
                Ok(written) => written,
                Err(_unread) => return stopped(&stop.missing),
            },
        };
        let written = written.unwrap_or_else(|gone| Err(io::Error::other(gone)));
        written.map_err(|error| format!("standard output: {error}"))?;
        stop.missing.one_less();
    }
}

/// A failed check is logged once; our own faults as errors.
pub(super) fn log_failure(point: &Point) {
    let result = point.tag("result");
    let level = match result {
        _ if result == Outcome::Success.name() => return,
        _ if result == Outcome::CheckError.name() => Level::Error,
        _ => Level::Warning,
    };
    let (job, server, port) = (point.tag("job"), point.tag("server"), point.tag("port"));
    let at = if port.is_empty() { server.to_owned() } else { format!("{server}:{port}") };
    output::log(level, &format!("job {job}: {at}: {result}: {}", point.text("error")));
}
