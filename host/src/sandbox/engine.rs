//! The engine's settings, shared by the host and its build script: code compiled by the one must load in the other.

use wasmtime::{Config, ModuleVersionStrategy};

/// Bytes of a memory that are kept as they are in the beginning, so that a run maps them instead of copying; a larger one
/// only where most of it is the component's own. Interpreters have ten megabytes with holes.
const DENSE_IMAGE_BYTES: u64 = 16 << 20;

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
    config.memory_guaranteed_dense_image_size(DENSE_IMAGE_BYTES);
    // What a check computes is the same on every machine.
    config.relaxed_simd_deterministic(true);
    #[cfg(feature = "compiler")]
    config.cranelift_nan_canonicalization(true);
    // Errors only for an over-long version; ours is a few dozen bytes.
    if let Err(error) = config.module_version(ModuleVersionStrategy::Custom(version.to_owned())) {
        unreachable!("{error}");
    }
    config
}
