//! How a run goes on: what it has computed in; whether it may compute on, and how long it stays aside for the others on its thread
//! before, out. It is asked at each tick while the check computes, and at each call into the host: of those no tick interrupts a
//! row, nor what the host computes for them. Refuses more computing than the check may do.

use std::{fmt, time::Duration};

use tokio::{task, time};
use wasmtime::UpdateDeadline;

use super::{
    cpu::{Busy, Crowd, Meter},
    limits::TICK,
};

/// Who has computed for less since the others had their turn goes on: it was woken shortly before the tick.
const SHORT: Duration = Duration::from_millis(1);

/// Of one run.
pub(crate) struct Pace {
    pub(crate) meter: Meter,
    cpu_time: Duration,
    crowd: Crowd,
    /// From when it has computed for more than a tick.
    busy: Option<Busy>,
}

impl Pace {
    pub(super) fn new(cpu_time: Duration, crowd: &Crowd) -> Self {
        Self { meter: Meter::default(), cpu_time, crowd: crowd.clone(), busy: None }
    }

    /// At a tick.
    pub(super) fn tick(&mut self) -> Result<UpdateDeadline, CpuUsedUp> {
        let aside = self.aside()?;
        Ok(if self.meter.turn() < SHORT {
            UpdateDeadline::Continue(1)
        } else {
            UpdateDeadline::YieldCustom(1, Box::pin(stay_aside(aside)))
        })
    }

    /// In a call into the host, or between two steps of what the host computes for it: none, where its turn was no longer than a
    /// tick.
    pub(super) fn call(&mut self) -> Result<Option<impl Future<Output = ()> + use<>>, CpuUsedUp> {
        if self.meter.turn() < TICK { Ok(None) } else { self.aside().map(|aside| Some(stay_aside(aside))) }
    }

    fn aside(&mut self) -> Result<Duration, CpuUsedUp> {
        let used = self.meter.running();
        if used > self.cpu_time {
            return Err(CpuUsedUp(self.cpu_time));
        }
        if used < TICK {
            return Ok(Duration::ZERO);
        }
        // One of several that have computed for more than a tick stays aside, or the others would wait for a turn of each.
        let busy = self.busy.get_or_insert_with(|| self.crowd.enter());
        Ok(busy.pause(&self.meter))
    }
}

/// The runtime looks at sockets, clocks and other threads only after some dozens of turns, or when nobody wants one. Who was woken in
/// his own turn, such as by what he has left for himself, wants one at once: that one gives way, and the next comes behind the look.
async fn stay_aside(time: Duration) {
    if !time.is_zero() {
        return time::sleep(time).await;
    }
    task::yield_now().await;
    task::yield_now().await;
}

/// The check computed for longer than this.
#[derive(Debug)]
pub(super) struct CpuUsedUp(Duration);

impl fmt::Display for CpuUsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the check computed for more than {:?}", self.0)
    }
}

impl std::error::Error for CpuUsedUp {}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };

    use super::*;

    #[tokio::test]
    async fn who_has_computed_for_long_and_only_waits_since_does_not_stay_aside_at_each_tick() {
        let crowd = Crowd::default();
        let _others = [crowd.enter(), crowd.enter()];
        let mut pace = Pace::new(Duration::from_mins(1), &crowd);
        let meter = pace.meter.clone();
        let run = async {
            while pace.meter.turn() < TICK {}
            let is_aside = |next| matches!(next, Ok(UpdateDeadline::YieldCustom(..)));
            assert!(is_aside(pace.tick()));
            task::yield_now().await;
            // The machine may let others go on here.
            while is_aside(pace.tick()) {
                task::yield_now().await;
            }
        };
        meter.count(Box::pin(run)).await;
    }

    #[tokio::test]
    async fn who_was_woken_in_his_own_turn_gives_way_to_sockets_as_any_other() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let reading = task::spawn(async move { other.read_u8().await.unwrap() });
        task::yield_now().await;
        one.write_u8(7).await.unwrap();
        let mut turns = 0;
        while !reading.is_finished() {
            turns += 1;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Ready(())
            })
            .await;
            stay_aside(Duration::ZERO).await;
        }
        assert!(turns <= 3, "{turns}");
    }
}
