//! Components, and the tools that make them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{skip, succeed};

/// Builds a package of the workspace for the sandbox; the component.
pub fn component(package: &str) -> Vec<u8> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--release", "--locked", "--package", package]);
    let told = succeed(cargo.args(["--target", "wasm32-wasip2", "--message-format", "json"]));
    let name = format!("{}.wasm", package.replace('-', "_"));
    fs::read(told.split('"').find(|word| word.ends_with(&name)).unwrap()).unwrap()
}

/// The component of `tests/hostile`, which describes itself in this way.
pub fn hostile(mode: &str) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut wasm = BUILT.get_or_init(|| component("sonde-hostile")).clone();
    let marker = b"hostile-describe:";
    let at = wasm.windows(marker.len()).position(|window| window == marker).unwrap();
    let word = &mut wasm[at + marker.len()..at + 48];
    word.fill(b' ');
    word[..mode.len()].copy_from_slice(mode.as_bytes());
    wasm
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Where the tools are that turn Python and JavaScript into components, see the README; or none.
pub fn authors() -> Option<PathBuf> {
    let tools = root().join("target/authors");
    let there = ["venv/bin/componentize-py", "wheels", "node_modules/.bin/componentize-js", "npm-cache"];
    if let Some(missing) = there.iter().find(|name| !tools.join(name).exists()) {
        skip(&format!(
            "{} is missing: see \"Test and measure\" in the README",
            tools.join(missing).display()
        ));
        return None;
    }
    Some(tools)
}
