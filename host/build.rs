//! Compiles the SMTP probe ahead of time with the wasmtime that the host runs, so that the host starts in milliseconds.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

#[path = "src/sandbox/engine.rs"]
mod engine;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let lock = manifest.join("../Cargo.lock");
    for input in [&lock, &manifest.join("src/sandbox/engine.rs")] {
        println!("cargo:rerun-if-changed={}", input.display());
    }

    let version = engine_version(&lock)?;
    println!("cargo:rustc-env=SONDE_ENGINE_VERSION={version}");

    let mut config = engine::config(&version);
    // Also for a host without a compiler, whose engine has no such setting.
    config.cranelift_nan_canonicalization(true);
    // Not the features of the machine that builds, but those of every machine of its kind.
    config.target(&env::var("TARGET")?)?;
    let compiled = wasmtime::Engine::new(&config)?.precompile_component(sonde_smtp_component::WASM)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("smtp.cwasm"), compiled)?;
    Ok(())
}

/// wasmtime itself only compares major versions; code from before a fix must not be loaded after it.
fn engine_version(lock: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(lock)?;
    let mut lines = text.lines().skip_while(|line| *line != "name = \"wasmtime\"").skip(1);
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("version = \""))
        .and_then(|line| line.strip_suffix('"'));
    Ok(format!("sonde-1-wasmtime-{}", version.ok_or("Cargo.lock names no wasmtime")?))
}
