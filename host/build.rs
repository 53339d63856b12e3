//! Builds the SMTP probe for the sandbox and compiles it ahead of time with the wasmtime that the host runs, so that the
//! host starts in milliseconds. Both forms are embedded: the `.wasm` is the fallback where the compiled one does not fit.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[path = "src/sandbox/engine.rs"]
mod engine;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.parent().ok_or("the host crate lies in the workspace")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in
        ["plugin", "wit", "Cargo.lock", "Cargo.toml", "host/src/sandbox/engine.rs", ".cargo/config.toml"]
    {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }

    let version = engine_version(&root.join("Cargo.lock"))?;
    println!("cargo:rustc-env=SONDE_ENGINE_VERSION={version}");

    let wasm = build_plugin(root, &out)?;
    fs::copy(&wasm, out.join("smtp.wasm"))?;
    let mut config = engine::config(&version);
    // Not the features of the machine that builds, but those of every machine of its kind.
    config.target(&env::var("TARGET")?)?;
    let compiled = wasmtime::Engine::new(&config)?.precompile_component(&fs::read(&wasm)?)?;
    fs::write(out.join("smtp.cwasm"), compiled)?;
    Ok(())
}

/// A nested cargo with a target directory of its own: the outer one holds the lock on the usual directory.
fn build_plugin(root: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target_dir = out.join("plugin");
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--package", "sonde-smtp", "--profile", "component"])
        .args(["--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target_dir);
    // What the outer cargo set for this build (flags for the host's target, clippy's driver) must not reach the inner one.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_ENCODED_RUSTFLAGS")
            || text.starts_with("RUSTFLAGS")
            || text.starts_with("CARGO_PROFILE")
            || matches!(&*text, "RUSTC_WRAPPER" | "RUSTC_WORKSPACE_WRAPPER" | "CLIPPY_ARGS" | "TARGET")
        {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!("building the SMTP probe for wasm32-wasip2 failed: {status}").into());
    }
    Ok(target_dir.join("wasm32-wasip2/component/sonde_smtp.wasm"))
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
