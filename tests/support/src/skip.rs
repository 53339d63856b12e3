//! Tests that need what is not here: said, and in CI not to happen.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
};

/// A program, or none: then the test is skipped, which under `CI` it must not be.
pub fn program(package: &str, candidates: &[&str]) -> Option<PathBuf> {
    let found = candidates.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        skip(&format!("Debian's package {package} is not installed"));
    }
    found
}

/// Skips a test, which under `CI` must not be.
pub fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "{reason}, and in CI nothing is skipped");
    say_skipped(reason);
}

/// Says why something is not tested, past the test runner's capture: nothing is skipped silently.
pub fn say_skipped(reason: &str) {
    io::stderr().lock().write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
}
