//! The SMTP probe as a component. A crate of its own so that it is built beside the host's dependencies, and once for all
//! that need it.

#![no_std]

/// The component's file.
pub const WASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/smtp.wasm"));
