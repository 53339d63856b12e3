//! The threads that runs are spread over: a future in, what comes of it out. Each thread turns a runtime of its own, and what begins
//! on one stays there: its sockets, its timers, and the clock by which its computing is counted. A thread begins when those before
//! it have something to do. Where none is to be had, fewer do the work, and that is said; a single one is that of who asks.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::{self, JoinHandle},
};

use crate::{
    output::{self, Level},
    text,
};

/// Threads for runs. They end with this, whatever still runs on them.
#[derive(Debug)]
pub struct Workers(Mutex<Threads>);

#[derive(Debug)]
struct Threads {
    /// As many may be used; none: who asks runs it.
    most: usize,
    begun: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Futures that are not at their end.
    load: Arc<AtomicUsize>,
    turns: Arc<AtomicU32>,
    /// The thread ends when this is gone.
    end: oneshot::Sender<Infallible>,
}

impl Workers {
    /// At most so many; none begins yet.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let workers = Self(Mutex::new(Threads { most: 0, begun: Vec::new() }));
        workers.allow(most);
        workers
    }

    /// From now on at most so many. What runs stays where it is.
    pub fn allow(&self, most: usize) {
        // A second thread is of use only beside a first.
        self.threads().most = if most > 1 { most } else { 0 };
    }

    /// Runs a future to its end, on the thread that has the fewest.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let mut threads = self.threads();
        let Some(worker) = threads.least_loaded() else { return task::spawn(work) };
        let load = Load::of(worker);
        // A block that awaits what it was given has room for it twice.
        let work = Box::pin(work);
        worker.runtime.spawn(async move {
            let _load = load;
            work.await
        })
    }

    /// For each thread a number, which is another one at the next look where it has turned since, or had nothing to do.
    #[must_use]
    pub fn turns(&self) -> Vec<u32> {
        let look = |worker: &Worker| {
            let (turns, before) = (Arc::clone(&worker.turns), worker.turns.load(Ordering::Relaxed));
            let turn = move || turns.fetch_add(1, Ordering::Relaxed);
            // One that has nothing to do is not woken.
            if worker.load.load(Ordering::Relaxed) == 0 {
                turn();
            } else {
                drop(worker.runtime.spawn(async move { turn() }));
            }
            before
        };
        self.threads().begun.iter().map(look).collect()
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads {
    /// None: there is none.
    fn least_loaded(&mut self) -> Option<&Worker> {
        // One whose thread died has nothing to do for ever.
        self.begun.retain(|worker| !worker.end.is_closed());
        let is_idle = |worker: &Worker| worker.load.load(Ordering::Relaxed) == 0;
        if self.begun.len() < self.most && !self.begun.iter().any(is_idle) {
            match Worker::begin() {
                Ok(worker) => self.begun.push(worker),
                Err(error) => {
                    let (begun, most) = (self.begun.len(), self.most);
                    // Where none has begun, who asks is the one.
                    let on = begun.max(1);
                    output::log(Level::Warning, &format!("jobs run on {on} of {most} threads: {error}"));
                    // No more of them are tried, and none at all is the one that asks.
                    self.most = begun;
                }
            }
        }
        self.begun.iter().take(self.most).min_by_key(|worker| worker.load.load(Ordering::Relaxed))
    }
}

impl Worker {
    fn begin() -> Result<Self, String> {
        let (tell, told) = mpsc::channel();
        let (end, ended) = oneshot::channel::<Infallible>();
        // The runtime is made, and dropped, where it turns: it may not end inside another one.
        let begun =
            thread::Builder::new().name("runs".to_owned()).spawn(move || match Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(runtime) => {
                    drop(tell.send(Ok(runtime.handle().clone())));
                    drop(runtime.block_on(ended));
                }
                Err(error) => drop(tell.send(Err(error))),
            });
        begun.map_err(|error| text::no_thread(&error))?;
        let runtime = told.recv().map_err(|died| died.to_string())?;
        let runtime = runtime.map_err(|error| format!("its runtime does not begin: {error}"))?;
        Ok(Self { runtime, load: Arc::default(), turns: Arc::default(), end })
    }
}

/// One more future of a thread's, until it is dropped.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn of(worker: &Worker) -> Self {
        worker.load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&worker.load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread::ThreadId, time::Duration};

    use tokio::{
        sync::Semaphore,
        time::{sleep, timeout},
    };

    use super::*;

    /// Where it begins; it goes through many turns, beside others.
    async fn stays() -> ThreadId {
        let began = thread::current().id();
        for _ in 0..20 {
            task::yield_now().await;
            sleep(Duration::from_micros(10)).await;
            assert_eq!(thread::current().id(), began);
        }
        began
    }

    #[tokio::test]
    async fn what_begins_on_a_thread_stays_there_and_each_has_as_much() {
        let (workers, gate) = (Workers::new(3), Arc::new(Semaphore::new(0)));
        let run = |gate: Arc<Semaphore>| async move {
            drop(gate.acquire().await);
            stays().await
        };
        let running: Vec<_> = (0..30).map(|_| workers.spawn(run(Arc::clone(&gate)))).collect();
        gate.add_permits(1);
        let mut on = BTreeMap::new();
        for ended in running {
            *on.entry(format!("{:?}", ended.await.unwrap())).or_insert(0) += 1;
        }
        assert_eq!(on.values().collect::<Vec<_>>(), [&10; 3], "{on:?}");
        assert!(!on.contains_key(&format!("{:?}", thread::current().id())));
    }

    #[tokio::test]
    async fn one_thread_is_that_of_who_asks_and_one_run_after_the_other_needs_no_second() {
        for most in [0, 1] {
            assert_eq!(Workers::new(most).spawn(stays()).await.unwrap(), thread::current().id());
        }
        let workers = Workers::new(8);
        for _ in 0..5 {
            workers.spawn(stays()).await.unwrap();
            // Its load goes with it, a moment behind its end.
            while !workers.threads().begun.iter().all(|worker| worker.load.load(Ordering::Relaxed) == 0) {
                task::yield_now().await;
            }
        }
        assert_eq!(workers.threads().begun.len(), 1);
    }

    #[tokio::test]
    async fn what_never_gives_way_holds_up_its_own_thread_alone_and_is_seen() {
        let workers = Workers::new(2);
        let (release, held) = mpsc::channel::<()>();
        let stuck = workers.spawn(async move { held.recv().is_ok() });
        for _ in 0..5 {
            // Each ends before the next begins: the other thread has the fewest.
            timeout(Duration::from_mins(1), workers.spawn(stays())).await.unwrap().unwrap();
        }
        let first = workers.turns();
        while workers.turns()[1] == first[1] {
            task::yield_now().await;
        }
        assert_eq!(workers.turns()[0], first[0]);
        drop(release);
        assert!(!stuck.await.unwrap());
        while workers.turns()[0] == first[0] {
            task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_panics_ends_itself_alone_and_who_is_gone_lets_nothing_run_on() {
        let workers = Workers::new(2);
        let sleeping = workers.spawn(sleep(Duration::from_hours(1)));
        assert!(workers.spawn(async { panic!("a run") }).await.unwrap_err().is_panic());
        workers.spawn(stays()).await.unwrap();
        drop(workers);
        assert!(sleeping.await.unwrap_err().is_cancelled());
    }
}
