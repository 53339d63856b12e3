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

#[cfg(feature = "compiler")]
#[cfg(test)]
mod tests {
    use wasmtime::{Engine, component::Component};

    use super::*;

    #[test]
    fn of_webassemblys_proposals_those_are_taken_that_authors_are_told_of() {
        let engine = Engine::new(&config("test")).unwrap();
        let takes = |module: &str| {
            let text = format!("(component (core module {module}))");
            Component::from_binary(&engine, &wat::parse_str(text).unwrap()).is_ok()
        };
        for taken in [
            "(func (drop (i8x16.relaxed_swizzle (v128.const i64x2 1 2) (v128.const i64x2 1 2))))",
            "(func $f (return_call $f))",
            "(memory 1) (memory 1)",
            "(memory i64 1) (table i64 1 funcref)",
            "(type $t (func)) (func $f (type $t)) (elem declare func $f) (func (call_ref $t (ref.func $f)))",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        ] {
            assert!(takes(taken), "{taken}");
        }
        for refused in [
            "(tag $e) (func (block $b (try_table (catch $e $b) (throw $e))))",
            "(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))",
            "(memory 1 1 shared)",
            "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
            "(type $f (func)) (type $c (cont $f)) (func $g (type $f)) (elem declare func $g) (func (drop (cont.new $c (ref.func $g))))",
            "(func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 1)))",
            "(memory 1 (pagesize 1))",
        ] {
            assert!(!takes(refused), "{refused}");
        }
        let asynchronous = wat::parse_str("(component (core func (canon task.cancel)))").unwrap();
        assert!(Component::from_binary(&engine, &asynchronous).is_err());
    }
}
