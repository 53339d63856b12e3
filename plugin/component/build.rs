//! Builds the SMTP probe for the sandbox: a nested cargo, for another target and profile; and makes a component of what that links,
//! which imports what it calls and nothing else.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_component::ComponentEncoder;

mod bare;

const TARGET: &str = "wasm32-wasip2";

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest.ancestors().nth(2).ok_or("this crate lies in the plugin's folder")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for input in [
        "plugin/src",
        "plugin/Cargo.toml",
        "plugin/build.rs",
        "plugin/component/bare.rs",
        "plugin/gethostname",
        "wit",
        "Cargo.lock",
        "Cargo.toml",
        ".cargo/config.toml",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(input).display());
    }
    let module = bare::bare(&fs::read(build(root, &out)?)?)?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    fs::write(out.join("smtp.wasm"), component)?;
    Ok(())
}

/// In a target directory of its own: the outer cargo holds the lock on the usual one.
fn build(root: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let target_dir = out.join("target");
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .current_dir(root)
        .args([
            "rustc",
            "--locked",
            "--package",
            "sonde-smtp",
            "--profile",
            "component",
            "--crate-type",
            "cdylib",
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .args(["--", "-C", "link-arg=--skip-wit-component"]);
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
        return Err(format!("building the SMTP probe for {TARGET} failed: {status}").into());
    }
    Ok(target_dir.join(TARGET).join("component/sonde_smtp.wasm"))
}
