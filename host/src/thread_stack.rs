//! Work that uses much of a stack, and is handed over by a run, which has its own on a fibre: a future in; what it gives, out. Who
//! polls the run polls this beside it, on the stack of the thread. The fibre's would do; but each page of it that was used once is
//! kept as long as the run, however long that only waits. Where nobody serves the run so, the future is polled where it is.

use std::{
    future::{pending, poll_fn},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use tokio::sync::oneshot;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a run leaves its futures.
#[derive(Clone, Default)]
pub(crate) struct ThreadStack(Arc<Place>);

#[derive(Default)]
struct Place {
    is_served: AtomicBool,
    left: Mutex<Vec<Work>>,
}

impl Place {
    fn left(&self) -> MutexGuard<'_, Vec<Work>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Work> {
        mem::take(&mut *self.left())
    }

    fn has_more(&self) -> bool {
        !self.left().is_empty()
    }
}

/// Whoever serves it. What nobody has taken goes with it.
struct Served(Arc<Place>);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.is_served.store(false, Ordering::Relaxed);
        drop(self.0.take());
    }
}

impl ThreadStack {
    /// The same future, with what it leaves polled beside it.
    pub(crate) fn serve<F: Future + Unpin>(&self, mut future: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.is_served.store(true, Ordering::Relaxed);
        let (served, mut begun) = (Served(Arc::clone(&self.0)), Vec::<Work>::new());
        poll_fn(move |context| {
            let (mut is_polled, mut has_ended) = (false, false);
            loop {
                begun.extend(served.0.take());
                let count = begun.len();
                begun.retain_mut(|work| work.as_mut().poll(context).is_pending());
                has_ended |= begun.len() < count;
                if served.0.has_more() {
                    continue;
                }
                // Who has only left something has nothing to go on with.
                if is_polled && !has_ended {
                    return Poll::Pending;
                }
                let polled = Pin::new(&mut future).poll(context);
                if polled.is_ready() || !served.0.has_more() {
                    return polled;
                }
                (is_polled, has_ended) = (true, false);
            }
        })
    }

    /// Gives what comes of a future, which is made there as well: it may be large. No timeout may stand between this and
    /// [`Self::serve`]: behind a late poll it would be over before what has arrived in time was judged.
    pub(crate) async fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        if !self.0.is_served.load(Ordering::Relaxed) {
            return Box::pin(make()).await;
        }
        let (mut done, result) = oneshot::channel();
        let work = async move {
            let mut work = Box::pin(make());
            tokio::select! {
                biased;
                // Whoever gave up wants nothing of it.
                () = done.closed() => {}
                result = &mut work => drop(done.send(result)),
            }
        };
        self.0.left().push(Box::pin(work));
        match result.await {
            Ok(result) => result,
            // The run is over, and with it who waits here.
            Err(_dropped) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready, time::Duration};

    use tokio::time::{sleep, timeout};

    use super::*;

    thread_local! {
        static INSIDE: Cell<bool> = const { Cell::new(false) };
    }

    /// A future that knows when it is polled.
    fn knowing<F: Future>(future: F) -> impl Future<Output = F::Output> {
        let mut future = Box::pin(future);
        poll_fn(move |context| {
            INSIDE.set(true);
            let polled = future.as_mut().poll(context);
            INSIDE.set(false);
            polled
        })
    }

    #[tokio::test]
    async fn what_is_left_runs_where_who_left_it_is_not_polled_and_each_gets_its_own() {
        let thread_stack = ThreadStack::default();
        let inside = thread_stack.clone();
        let leaves = knowing(async move {
            let both = tokio::join!(inside.run(async || (1, INSIDE.get())), async {
                inside.run(async || (2, INSIDE.get())).await
            });
            (both, inside.run(async || (3, INSIDE.get())).await, INSIDE.get())
        });
        assert_eq!(thread_stack.serve(leaves).await, (((1, false), (2, false)), (3, false), true));
    }

    #[tokio::test]
    async fn what_waits_does_so_beside_who_left_it_and_goes_with_it() {
        let thread_stack = ThreadStack::default();
        let inside = thread_stack.clone();
        let waits = async |number| {
            sleep(Duration::from_millis(number)).await;
            (number, INSIDE.get())
        };
        let leaves = knowing(async move {
            let both = tokio::join!(inside.run(move || waits(20)), inside.run(move || waits(10)));
            (both, INSIDE.get())
        });
        assert_eq!(thread_stack.serve(leaves).await, (((20, false), (10, false)), true));
        let (thread_stack, (kept, gone)) = (ThreadStack::default(), oneshot::channel::<()>());
        let inside = thread_stack.clone();
        let leaves = Box::pin(inside.run(async move || {
            sleep(Duration::from_hours(1)).await;
            drop(kept);
        }));
        assert!(timeout(Duration::from_millis(10), thread_stack.serve(leaves)).await.is_err());
        assert!(gone.await.is_err());
    }

    #[tokio::test]
    async fn what_is_left_may_leave_something_itself() {
        let thread_stack = ThreadStack::default();
        let (outer, inner) = (thread_stack.clone(), thread_stack.clone());
        let nested = Box::pin(outer.run(async move || 1 + inner.run(async || 2).await));
        assert_eq!(timeout(Duration::from_mins(1), thread_stack.serve(nested)).await, Ok(3));
    }

    #[tokio::test]
    async fn when_nobody_serves_any_more_nothing_is_kept_and_it_runs_where_it_is() {
        let thread_stack = ThreadStack::default();
        let (inside, kept) = (thread_stack.clone(), Arc::new(()));
        let (weak, of_work) = (Arc::downgrade(&kept), inside.clone());
        let leaves = Box::pin(async move {
            let mut left = Box::pin(inside.run(move || async move { (of_work, kept) }));
            poll_fn(|context| Poll::Ready(left.as_mut().poll(context).is_ready())).await
        });
        assert!(!thread_stack.serve(leaves).await);
        assert!(weak.upgrade().is_none());
        assert_eq!(thread_stack.run(|| ready(1)).await, 1);
    }

    #[tokio::test]
    async fn where_nobody_serves_it_runs_where_it_is_and_whoever_gives_up_gets_nothing_of_it() {
        assert_eq!(ThreadStack::default().run(|| ready(1)).await, 1);
        let thread_stack = ThreadStack::default();
        let inside = thread_stack.clone();
        let gives_up = Box::pin(async move {
            let in_time = tokio::select! {
                biased;
                _ = inside.run(|| ready(1)) => true,
                () = ready(()) => false,
            };
            (in_time, inside.run(|| ready(2)).await)
        });
        assert_eq!(thread_stack.serve(gives_up).await, (false, 2));
    }
}
