//! Runs that were begun and have not started: they wait for their check, their turn, or room for what they will say. All that wait
//! at a moment can be dropped at once: how many those are, out. One that has started is never dropped.

use tokio::sync::watch;

/// All that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    /// Of those that are counted; earlier ones were dropped.
    generation: u64,
    count: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Waits {
    all: Waiting,
    generation: u64,
}

impl Waiting {
    /// One more.
    pub(super) fn join(&self) -> Waits {
        let mut generation = 0;
        self.0.send_if_modified(|state| {
            state.count += 1;
            generation = state.generation;
            false
        });
        Waits { all: self.clone(), generation }
    }

    /// When none waits.
    pub(super) fn none(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut states = self.0.subscribe();
        // Where nobody can join any more, none does.
        async move { drop(states.wait_for(|state| state.count == 0).await) }
    }

    /// Drops all that wait now.
    pub(super) fn drop_all(&self) -> usize {
        let mut count = 0;
        self.0.send_modify(|state| {
            state.generation += 1;
            count = std::mem::take(&mut state.count);
        });
        count
    }
}

impl Waits {
    /// All that wait, it or not.
    pub(super) fn all(&self) -> Waiting {
        self.all.clone()
    }

    /// It was dropped.
    pub(super) fn is_dropped(&self) -> bool {
        self.all.0.borrow().generation != self.generation
    }

    /// When it was.
    pub(super) fn dropped(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut states, generation) = (self.all.0.subscribe(), self.generation);
        async move {
            if states.wait_for(|state| state.generation != generation).await.is_err() {
                // Nobody is left to drop anything.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Drops it, and all that wait beside it; none, where somebody else did.
    pub(super) fn drop_all(&self) -> usize {
        if self.is_dropped() { 0 } else { self.all.drop_all() }
    }
}

/// It starts, or was dropped, or its task died.
impl Drop for Waits {
    fn drop(&mut self) {
        self.all.0.send_if_modified(|state| {
            if state.generation == self.generation {
                state.count -= 1;
            }
            // Who waits for that.
            state.count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn that_none_waits_is_told_when_the_last_starts_or_is_dropped() {
        let waiting = Waiting::default();
        waiting.none().await;
        let (one, other) = (waiting.join(), waiting.join());
        let none = tokio::spawn(waiting.none());
        drop(one);
        tokio::task::yield_now().await;
        assert!(!none.is_finished());
        drop(other);
        none.await.unwrap();
        let _dropped = waiting.join();
        let none = tokio::spawn(waiting.none());
        assert_eq!(waiting.drop_all(), 1);
        none.await.unwrap();
    }

    #[tokio::test]
    async fn what_waits_is_dropped_and_counted_once_and_what_started_is_not() {
        let waiting = Waiting::default();
        let (started, one, other) = (waiting.join(), waiting.join(), waiting.join());
        drop(started);
        let dropped = other.dropped();
        assert_eq!((one.drop_all(), other.drop_all()), (2, 0));
        dropped.await;
        let later = waiting.join();
        drop((one, other));
        assert!(!later.is_dropped());
        assert_eq!((waiting.drop_all(), waiting.drop_all()), (1, 0));
    }
}
