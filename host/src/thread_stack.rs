//! Computing that uses much of a stack, by a future that is polled on a fibre of its run's: a closure in; what it gives, out. It
//! runs on the stack of the thread, by whoever polls that future. On the fibre's it could run as well; but each page of that, once it
//! was used, stays as long as the run, however long that only waits. Where nobody serves it, it runs where it is.

use std::{
    future::{pending, poll_fn},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Where a run leaves its closures.
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
}

impl ThreadStack {
    /// The same future, with what it leaves run whenever it waits.
    pub(crate) fn serve<F: Future + Unpin>(&self, mut future: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.is_served.store(true, Ordering::Relaxed);
        let place = Arc::clone(&self.0);
        poll_fn(move |context| {
            loop {
                let polled = Pin::new(&mut future).poll(context);
                let left = mem::take(&mut *place.left());
                if polled.is_ready() || left.is_empty() {
                    return polled;
                }
                for work in left {
                    work();
                }
            }
        })
    }

    /// Runs a closure. No timeout may stand between this and [`Self::serve`]: behind a late poll it would be over before what has
    /// arrived in time was judged.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if !self.0.is_served.load(Ordering::Relaxed) {
            return work();
        }
        let (done, result) = oneshot::channel();
        let work = move || {
            // Whoever gave up wants nothing of it.
            if !done.is_closed() {
                drop(done.send(work()));
            }
        };
        self.0.left().push(Box::new(work));
        match result.await {
            Ok(result) => result,
            // The run is over, and with it who waits here.
            Err(_dropped) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

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
            let both = tokio::join!(inside.run(|| (1, INSIDE.get())), async {
                inside.run(|| (2, INSIDE.get())).await
            });
            (both, inside.run(|| (3, INSIDE.get())).await, INSIDE.get())
        });
        assert_eq!(thread_stack.serve(leaves).await, (((1, false), (2, false)), (3, false), true));
    }

    #[tokio::test]
    async fn where_nobody_serves_it_runs_where_it_is_and_whoever_gives_up_gets_nothing_of_it() {
        assert_eq!(ThreadStack::default().run(|| 1).await, 1);
        let thread_stack = ThreadStack::default();
        let inside = thread_stack.clone();
        let gives_up = Box::pin(async move {
            let in_time = tokio::select! {
                biased;
                _ = inside.run(|| 1) => true,
                () = ready(()) => false,
            };
            (in_time, inside.run(|| 2).await)
        });
        assert_eq!(thread_stack.serve(gives_up).await, (false, 2));
    }
}
