//! A configuration that is read beside what runs: its file in; it with its checks, or why not, out. Refuses one that cannot be read
//! in time, such as a pipe that nobody writes into.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{
        Mutex,
        oneshot::{self, error::TryRecvError},
    },
    task, time,
};

use super::{
    exit::Refusal,
    load::{self, Base, Loading},
    start,
    watch::Watch,
};
use crate::config::{Plan, Shard, Watched};

/// How long reading may take: what takes longer waits for somebody, and would keep every later change out.
const READING: Duration = Duration::from_secs(30);
/// How long its checks may take to be there: as long as the compiler has for one. Then it runs without those that are not, and
/// their jobs say so.
const CHECKS: Duration = Duration::from_mins(10);

/// Where a thread died, whose panic is in the log.
pub(super) const DIED: &str = "the host failed over it";

/// Another configuration, and the interval and jitter in it.
pub(super) type Changed = Result<(Loading, (Option<Duration>, Duration)), Refusal>;

/// A configuration that is being read.
type Reading = oneshot::Receiver<Result<Plan, Refusal>>;

/// Takes away one that ended when nobody waited any more, if it did: it has read what was there then.
fn take_ended(reading: &mut Option<Reading>) -> bool {
    reading.take_if(|reading| !matches!(reading.try_recv(), Err(TryRecvError::Empty))).is_some()
}

/// Reads a configuration, again and again.
#[derive(Clone)]
pub(super) struct Reader {
    path: PathBuf,
    shard: Option<Shard>,
    base: Base,
    watch: Watch,
    /// On a thread of its own. One that goes on is waited for again: of two at one pipe, either might get what comes.
    reading: Arc<Mutex<Option<Reading>>>,
    /// What was read last, nobody took: it takes too long.
    is_slow: Arc<AtomicBool>,
}

impl Reader {
    /// Tells `watch` what it reads.
    pub(super) fn new(path: PathBuf, shard: Option<Shard>, base: Base, watch: Watch) -> Self {
        Self { path, shard, base, watch, reading: Arc::default(), is_slow: Arc::default() }
    }

    /// Reads it, however long that takes.
    pub(super) async fn read(&self) -> Result<Plan, Refusal> {
        let mut reading = self.reading.lock().await;
        take_ended(&mut reading);
        let read = match &mut *reading {
            Some(going_on) => going_on.await,
            none => none.insert(self.begin()?).await,
        };
        *reading = None;
        self.is_slow.store(false, Ordering::Relaxed);
        read.unwrap_or_else(|_died| Err(DIED.to_owned()))
    }

    fn begin(&self) -> Result<Reading, Refusal> {
        let (sender, read) = oneshot::channel();
        let Self { path, base, watch, reading, is_slow, .. } = self.clone();
        let work = move || {
            let before = watch.before();
            let mut watched = Watched::default();
            let plan = load::read(&path, &mut watched);
            if let Ok(plan) = &plan {
                base.read_files(plan);
            }
            watch.read(&before, watched, plan.is_err());
            drop(sender.send(plan));
            // Once: what takes so long each time would be read again and again.
            if take_ended(&mut reading.blocking_lock()) && !is_slow.swap(true, Ordering::Relaxed) {
                watch.forget();
            }
        };
        start::thread(work)?;
        Ok(read)
    }

    /// Reads it and loads its checks; it is there no sooner than this.
    pub(super) fn reload(
        &self,
        turn: impl Future<Output = ()> + Send + 'static,
    ) -> oneshot::Receiver<Changed> {
        let (done, changed) = oneshot::channel();
        let reader = self.clone();
        task::spawn(async move {
            let loaded = reader.changed().await;
            turn.await;
            drop(done.send(loaded));
        });
        changed
    }

    async fn changed(&self) -> Changed {
        let late = |_late| {
            let path = self.path.display();
            format!(
                "{path}: it could not be read within {READING:?}: nobody writes into it, or its disk does not answer"
            )
        };
        let plan = time::timeout(READING, self.read()).await.map_err(late)??;
        let rhythm = (plan.interval, plan.jitter);
        let loading = load::leniently(plan, self.shard, &self.base).await?;
        drop(time::timeout(CHECKS, loading.ready()).await);
        Ok((loading, rhythm))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Look;

    #[tokio::test]
    async fn what_was_read_when_nobody_waited_any_more_is_still_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sonde.toml");
        // Its reading ends when somebody writes into it.
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let watch = Watch::default();
        let base = Base::of_a_round(1).await.unwrap();
        let reader = Reader::new(path.clone(), None, base, watch.clone());
        let write = move || fs::write(&path, "[[job]]\nname = \"a\"\nhost = \"h\"").unwrap();
        let is_changed = || watch.look(&watch.look(&Look::default()).0).1;
        // Its thread has it as long as it reads.
        let over = async || {
            while Arc::strong_count(&reader.reading) > 1 {
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        // Not without an end.
        for is_told in [true, false] {
            assert!(time::timeout(Duration::ZERO, reader.read()).await.is_err());
            write();
            over().await;
            assert_eq!(is_changed(), is_told);
        }
        let (plan, ()) = tokio::join!(reader.read(), async {
            let _written = task::spawn_blocking(write).await;
        });
        assert_eq!(plan.map(|plan| plan.jobs.len()), Ok(1));
        over().await;
        assert!(!is_changed());
    }
}
