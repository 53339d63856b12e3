//! Stand-in for the crate of the same name, which has no body for wasm: a sandboxed component has no host name.
use std::ffi::OsString;

/// Always `localhost`: the probe states its own EHLO name and Message-ID and never asks for this.
#[must_use]
pub fn gethostname() -> OsString {
    OsString::from("localhost")
}
