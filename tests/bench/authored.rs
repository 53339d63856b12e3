//! Checks as their authors make them: a language in; the component of the check that `sonde new` writes, built, out.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use support::{succeed, with_path};

/// Begins a project with `sonde new` and builds it; the component.
pub(crate) fn build(language: &str, tools: &Path, folder: &Path) -> PathBuf {
    let name = format!("hello-{language}");
    succeed(Command::new(env!("CARGO_BIN_EXE_sonde")).current_dir(folder).args([
        "new",
        &name,
        "--language",
        language,
    ]));
    let project = folder.join(&name);
    let mut command = match language {
        "rust" => {
            let mut command = Command::new(env!("CARGO"));
            command.args(["build", "--release", "--target", "wasm32-wasip2"]);
            command.env("CARGO_NET_OFFLINE", "true").env("CARGO_TARGET_DIR", project.join("target"));
            command
        }
        "python" => {
            let mut command = Command::new(tools.join("venv/bin/componentize-py"));
            command.args(["--wit-path", "wit", "--world", "checker", "componentize", "check", "--output"]);
            command.arg(format!("{name}.wasm"));
            command
        }
        _ => {
            let mut command = Command::new("npm");
            with_path(&mut command, &tools.join("node_modules/.bin")).args(["run", "build"]);
            command
        }
    };
    succeed(command.current_dir(&project));
    let built = project.join("target/wasm32-wasip2/release/check.wasm");
    if built.exists() { built } else { project.join(format!("{name}.wasm")) }
}
