//! `log` for a check: each line is charged and written to the run's log.

use crate::{
    output::Level,
    sandbox::{bindings::sonde::check::log as wit, state::State},
};

impl wit::Host for State {
    async fn write(&mut self, level: wit::Level, message: String) -> wasmtime::Result<()> {
        self.charge_call()?;
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
