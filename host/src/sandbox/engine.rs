//! The engine's settings, shared by the host and its build script: code compiled by the one must load in the other.

use wasmtime::{Config, ModuleVersionStrategy};

/// Settings for an engine whose compiled code carries `version`.
pub(crate) fn config(version: &str) -> Config {
    let mut config = Config::new();
    // Lets the host stop a check that computes without end.
    config.epoch_interruption(true);
    // Nothing of one check's stack may be seen by the next.
    config.async_stack_zeroing(true);
    // Names inside a component are the author's text and would reach our error messages raw.
    config.wasm_backtrace_max_frames(None);
    config.generate_address_map(false);
    // Errors only for an over-long version; ours is a few dozen bytes.
    if let Err(error) = config.module_version(ModuleVersionStrategy::Custom(version.to_owned())) {
        unreachable!("{error}");
    }
    config
}
