//! Look-ups that several runs share: a name, and how it is asked for, in; one answer for all who ask meanwhile, and for as long as
//! it holds, out. What nobody waits for any more is given up. No more begin at once than a name server bears, and what nobody answers
//! for holds up no other for long.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use super::{answer::Answer, progress::Progress};
use crate::net::unresolved::Unresolved;

/// Names whose turn it is at once; the others wait in line, each no longer than its runs do.
pub(super) const AT_ONCE: usize = 256;

/// So long it is a name's turn: longer than a server takes that knows. Then it is asked for beside the next ones; of runs there are no
/// more than there are files for.
const TURN: Duration = Duration::from_secs(1);

pub(super) struct Shared {
    /// No more than the configuration grants, each in two forms at most, with a dot at its end and without: checks look up nothing else,
    /// and another configuration has another table.
    names: Mutex<HashMap<String, State>>,
    line: Semaphore,
    /// Where is asked, whoever wants to know: runs on other threads wait for it, too. None: where who wants to know it runs.
    home: Option<Handle>,
}

enum State {
    Asked(Weak<LookUp>),
    Known(Arc<Answer>),
}

/// Held by all who wait for it, and ends with the last of them.
struct LookUp {
    answer: watch::Receiver<Option<Arc<Answer>>>,
    progress: Arc<Progress>,
    _asking: JoinSet<()>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { names: Mutex::default(), line: Semaphore::new(AT_ONCE), home: None }
    }
}

impl Shared {
    /// Asks on the runtime that this is made in.
    pub(super) fn here() -> Self {
        Self { home: Handle::try_current().ok(), ..Self::default() }
    }

    /// In which nobody's turn ever comes.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        Self { line: Semaphore::new(0), ..Self::here() }
    }

    /// What is known of a name; else it is asked for, once.
    pub(super) async fn answer<F>(
        self: &Arc<Self>,
        name: &str,
        ask: impl FnOnce(Arc<Progress>) -> F,
    ) -> Arc<Answer>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let asked = Instant::now();
        let look_up = {
            // Of two who ask on two threads at once, one looks and begins before the other.
            let mut names = self.names();
            let asked = match names.get(name) {
                Some(State::Known(answer)) if answer.ended.elapsed() < answer.holds => {
                    return Arc::clone(answer);
                }
                Some(State::Asked(look_up)) => look_up.upgrade(),
                _ => None,
            };
            asked.unwrap_or_else(|| self.begin(&mut names, name, ask))
        };
        let mut answer = look_up.answer.clone();
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| {
            let found = Err(Unresolved::System("the host failed over it; its log has the place".into()));
            Arc::new(Answer { started: asked, ended: Instant::now(), found, holds: Duration::ZERO })
        })
    }

    /// Why those who ask for it have no answer yet. None: it waits for its turn.
    pub(super) fn so_far(&self, name: &str) -> Option<Unresolved> {
        let look_up = match self.names().get(name) {
            Some(State::Asked(look_up)) => look_up.upgrade(),
            _ => None,
        };
        let unknown = || Some(Unresolved::Silent(String::new()));
        look_up.map_or_else(unknown, |look_up| look_up.progress.so_far())
    }

    fn begin<F>(
        self: &Arc<Self>,
        names: &mut HashMap<String, State>,
        name: &str,
        ask: impl FnOnce(Arc<Progress>) -> F,
    ) -> Arc<LookUp>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (sender, answer) = watch::channel(None);
        let (shared, own, progress) = (Arc::clone(self), name.to_owned(), Arc::<Progress>::default());
        let ask = ask(Arc::clone(&progress));
        let mut asking = JoinSet::new();
        let asked = async move {
            // Closed it is never.
            let turn = shared.line.acquire().await;
            let mut asking = pin!(ask);
            let answered = timeout(TURN, asking.as_mut()).await;
            drop(turn);
            let answer = match answered {
                Ok(answer) => answer,
                Err(_silent) => asking.await,
            };
            let answer = Arc::new(answer);
            shared.keep(own, &answer);
            sender.send_replace(Some(answer));
        };
        match &self.home {
            Some(home) => asking.spawn_on(asked, home),
            None => asking.spawn(asked),
        };
        let look_up = Arc::new(LookUp { answer, progress, _asking: asking });
        names.insert(name.to_owned(), State::Asked(Arc::downgrade(&look_up)));
        look_up
    }

    fn keep(&self, name: String, answer: &Arc<Answer>) {
        let mut names = self.names();
        if answer.holds.is_zero() {
            names.remove(&name);
        } else {
            names.insert(name, State::Known(Arc::clone(answer)));
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tokio::task;

    use super::*;

    fn answer(holds: Duration) -> Answer {
        Answer { started: Instant::now(), ended: Instant::now(), found: Ok(Vec::new()), holds }
    }

    /// How often it is asked when so many ask at once, and once more afterwards.
    async fn asked(shared: &Arc<Shared>, name: &'static str, holds: Duration) -> usize {
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (shared, asked) = (Arc::clone(shared), Arc::clone(&asked));
            let counted = async move {
                asked.fetch_add(1, Ordering::Relaxed);
                task::yield_now().await;
                answer(holds)
            };
            async move { shared.answer(name, |_| counted).await }
        };
        let mut runs: JoinSet<_> = (0..1000).map(|_| ask()).collect();
        while runs.join_next().await.is_some() {}
        ask().await;
        asked.load(Ordering::Relaxed)
    }

    /// Those who wait for as many names as have their turn at once, `0` and so on, which nobody answers for; all have begun.
    async fn dead(shared: &Arc<Shared>) -> JoinSet<Arc<Answer>> {
        let ask = |name: String| {
            let shared = Arc::clone(shared);
            async move { shared.answer(&name, |_| pending()).await }
        };
        let dead = (0..AT_ONCE).map(|number| ask(number.to_string())).collect();
        while shared.line.available_permits() > 0 {
            task::yield_now().await;
        }
        dead
    }

    #[tokio::test]
    async fn of_a_thousand_who_ask_at_once_one_does_and_later_ones_do_when_the_answer_does_not_hold() {
        let shared = Arc::default();
        assert_eq!(asked(&shared, "kept", Duration::from_mins(1)).await, 1);
        assert_eq!(asked(&shared, "not kept", Duration::ZERO).await, 2);
        let known = Arc::downgrade(&shared.answer("kept", |_| async { answer(Duration::ZERO) }).await);
        assert!(known.upgrade().is_some());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_given_up_and_lets_the_next_in() {
        let shared: Arc<Shared> = Arc::default();
        let dead = dead(&shared).await;
        let waiting = shared.answer("good", |_| async { answer(Duration::ZERO) });
        let mut waiting = std::pin::pin!(waiting);
        assert!(timeout(Duration::from_millis(1), &mut waiting).await.is_err());
        drop(dead);
        waiting.await;
        assert!(
            matches!(shared.names().get("0"), Some(State::Asked(look_up)) if look_up.strong_count() == 0)
        );
    }

    #[tokio::test]
    async fn a_name_that_nobody_answers_for_gives_its_turn_to_the_next_and_is_asked_for_still() {
        let shared: Arc<Shared> = Arc::default();
        let mut dead = dead(&shared).await;
        let good = shared.answer("good", |_| async { answer(Duration::ZERO) }).await;
        assert!(good.found.is_ok() && dead.try_join_next().is_none());
        assert!(matches!(shared.names().get("0"), Some(State::Asked(look_up)) if look_up.strong_count() > 0));
    }

    #[tokio::test]
    async fn who_waits_longer_has_the_answer_that_another_one_gave_up_waiting_for() {
        let shared: Arc<Shared> = Arc::default();
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let first = shared.answer("slow", |_| async {
            drop(receiver.await);
            answer(Duration::ZERO)
        });
        let mut first = Box::pin(first);
        assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
        let second = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { shared.answer("slow", |_| pending()).await }
        });
        for _ in 0..10 {
            task::yield_now().await;
        }
        drop(first);
        sender.send(()).unwrap();
        assert!(second.await.unwrap().found.is_ok());
    }

    #[tokio::test]
    async fn each_name_of_a_large_configuration_is_remembered() {
        let shared: Arc<Shared> = Arc::default();
        for round in 0..2 {
            for number in 0..10_000 {
                let asked = async move {
                    assert_eq!(round, 0, "{number} is asked for again");
                    answer(Duration::from_mins(1))
                };
                shared.answer(&number.to_string(), |_| asked).await.found.as_ref().unwrap();
            }
        }
        assert_eq!(shared.names().len(), 10_000);
    }
}
