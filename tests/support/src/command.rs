//! Commands: the binary under test, with a configuration where it wants one, and others that must succeed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{Point, points};

/// The binary under test, which cargo builds beside the test.
pub fn binary() -> PathBuf {
    env::var_os("CARGO_BIN_EXE_sonde").unwrap().into()
}

/// Runs the binary, which keeps what it compiles beside itself, and not among what is its user's.
pub fn sonde(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.env("XDG_CACHE_HOME", binary().with_file_name("cache"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What it printed.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it printed on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a configuration; the lines it prints.
pub fn run(config: &str, folder: &Path) -> Vec<Point> {
    points(&run_text(config, folder))
}

/// Runs a configuration; what it prints.
pub fn run_text(config: &str, folder: &Path) -> String {
    let path = folder.join("sonde.toml");
    fs::write(&path, config).unwrap();
    let output = sonde(&["run", "--config", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Puts a folder in front of the command's PATH.
pub fn with_path<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let usual = env::var_os("PATH").unwrap();
    let paths = std::iter::once(folder.to_owned()).chain(env::split_paths(&usual));
    command.env("PATH", env::join_paths(paths).unwrap())
}

/// Runs a command that must succeed; what it prints.
pub fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}
