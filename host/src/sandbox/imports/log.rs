//! `log` for a check: each line is charged and written to the run's log.

use crate::{
    output::Level,
    sandbox::{bindings::sonde::check::log as wit, state::State},
};

impl wit::Host for State {
    async fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.charge_call().await?;
        let level = match level {
            wit::Level::Error => Level::Error,
            wit::Level::Warning => Level::Warning,
            wit::Level::Information => Level::Information,
            wit::Level::Debug => Level::Debug,
        };
        self.log.write(level, &message);
        Ok(())
    }
}

#[cfg(feature = "compiler")]
#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::task;
    use wasmtime::{
        Engine, Store,
        component::{Component, Linker},
    };

    use crate::{
        catalogue::HostError,
        net::Reach,
        sandbox::{
            bindings::sonde::check::log,
            cpu::Crowd,
            engine,
            limits::{CALL_BYTES, Limits, TICK},
            log::Log,
            state::{HasState, State},
            store::{failure, store},
        },
        secret::Secrets,
    };

    /// Bytes that a call writes: nearly as many as may be handed over in one.
    const BYTES: usize = 4_000_000;

    /// A component that writes so many bytes so often in a row, without anything between that is looked at, and how it may.
    async fn writing(bytes: usize, calls: usize, cpu_time: Duration) -> (Store<State>, wasmtime::Result<()>) {
        let row = format!("(call $write (i32.const 3) (i32.const 0) (i32.const {bytes}))").repeat(calls);
        let text = format!(
            "(component
               (import \"sonde:check/log@0.1.0\" (instance $log
                 (type $named (enum \"error\" \"warning\" \"information\" \"debug\"))
                 (export \"level\" (type $level (eq $named)))
                 (export \"write\" (func (param \"level\" $level) (param \"message\" string)))))
               (alias export $log \"write\" (func $write))
               (core module $room (memory (export \"memory\") 70)
                 (func $fill (memory.fill (i32.const 0) (i32.const 97) (i32.const {bytes}))) (start $fill))
               (core instance $room (instantiate $room))
               (alias core export $room \"memory\" (core memory $memory))
               (core func $lowered (canon lower (func $write) (memory $memory)))
               (core module $writer (import \"log\" \"write\" (func $write (param i32 i32 i32)))
                 (func $row {row}) (start $row))
               (core instance (instantiate $writer
                 (with \"log\" (instance (export \"write\" (func $lowered)))))))"
        );
        let engine = Engine::new(&engine::config("test")).unwrap();
        let component = Component::from_binary(&engine, &wat::parse_str(text).unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        log::add_to_linker::<State, HasState>(&mut linker, |state| state).unwrap();
        let log = Log::new("x".to_owned(), Secrets::default(), 0);
        let limits = Limits { cpu_time, ..Limits::default() };
        let state = State::new(limits, Reach::default(), Instant::now(), log, &Crowd::here());
        let meter = state.pace.meter.clone();
        let mut store = store(&engine, state);
        let pre = linker.instantiate_pre(&component).unwrap();
        let written = meter.count(Box::pin(pre.instantiate_async(&mut store))).await.map(drop);
        (store, written)
    }

    #[tokio::test]
    async fn who_writes_again_and_again_without_a_tick_between_gives_way_to_others() {
        let others = task::spawn(async {
            let mut turns = 0;
            loop {
                task::yield_now().await;
                turns += 1;
                if turns == 3 {
                    break Instant::now();
                }
            }
        });
        let (store, written) = writing(BYTES, 500, Duration::from_mins(1)).await;
        written.unwrap();
        assert!(store.data().pace.meter.used() > TICK, "it was not long");
        assert!(others.is_finished());
    }

    #[tokio::test]
    async fn who_writes_for_longer_than_he_may_compute_is_ended_though_no_tick_reaches_him() {
        let (store, written) = writing(BYTES, 2000, TICK * 2).await;
        let failure = failure(&written.unwrap_err(), store.data());
        assert_eq!(failure.text, "the check computed for more than 20ms: see `limits.cpu_time`, 20ms");
    }

    #[tokio::test]
    async fn who_hands_over_more_than_he_may_is_told_the_limit() {
        let (store, written) = writing(CALL_BYTES + 1, 1, Duration::from_mins(1)).await;
        let failure = failure(&written.unwrap_err(), store.data());
        assert_eq!(failure.code, HostError::CheckLimit.code());
        assert_eq!(failure.text, "more than 4096 KiB handed over in one call");
    }
}
