//! When jobs run: takes the jobs of a round, those that are there and those that come, runs at most so many at once, and
//! hands out each report as it comes. One report per job, always: a task that dies becomes a report too.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Semaphore, mpsc},
    task,
};

use crate::{
    catalogue::HostError,
    job::Job,
    report::{Failure, Report},
    sandbox::Sandbox,
};

/// A round's start: the time stamp of all its lines.
#[derive(Clone, Copy, Debug)]
pub struct RoundTime {
    /// Nanoseconds since the Unix epoch.
    pub unix_ns: i64,
}

impl RoundTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
    }

    fn unix_seconds(self) -> u64 {
        u64::try_from(self.unix_ns / 1_000_000_000).unwrap_or_default()
    }
}

/// Runs every job once, as soon as it is there; the receiver gets each with its report, in the order in which they end. A job
/// that is not there yet takes no other's place.
#[must_use]
pub fn round<F: Future<Output = Job> + Send + 'static>(
    sandbox: &Arc<Sandbox>,
    jobs: impl IntoIterator<Item = F>,
    max_concurrent: usize,
    time: RoundTime,
) -> mpsc::UnboundedReceiver<(Arc<Job>, Report)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let slots = Arc::new(Semaphore::new(max_concurrent.max(1)));
    // Unpredictable and different in every process; the job's place makes it different within one.
    let seed = RandomState::new();
    for (index, job) in jobs.into_iter().enumerate() {
        let (sandbox, slots, sender) = (Arc::clone(sandbox), Arc::clone(&slots), sender.clone());
        let run_id = run_id(&seed, index, time);
        task::spawn(async move {
            let job = Arc::new(job.await);
            let _slot = slots.acquire().await;
            let inner = (Arc::clone(&sandbox), Arc::clone(&job));
            let run = task::spawn(async move { inner.1.run(&inner.0, time.unix_seconds(), &run_id).await });
            let report = run.await.unwrap_or_else(|_panic| Report {
                failure: Some(Failure::of_host(
                    HostError::CheckTrapped,
                    "the host failed inside this job; its log has the place".to_owned(),
                )),
                fields: job.check.description.unreported(),
                ..Report::default()
            });
            // The receiver is gone only when nobody wants lines any more.
            drop(sender.send((job, report)));
        });
    }
    receiver
}

fn run_id(seed: &RandomState, index: usize, time: RoundTime) -> String {
    let mut hasher = seed.build_hasher();
    hasher.write_usize(index);
    format!("{:x}x{:016x}", time.unix_ns, hasher.finish())
}
