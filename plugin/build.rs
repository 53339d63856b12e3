//! Gives the component a stack of a size of its own.

/// Bytes: enough for the largest mail, to a hundred recipients. A stack lies below all else in memory, and what a host keeps, and
/// wipes, for the next run begins there.
const STACK_BYTES: u32 = 32 << 10;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
