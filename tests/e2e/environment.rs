//! What whoever starts it leaves to it: signals, limits, pipes, variables.

use std::{
    fs::{self, File},
    io::{self, Read},
    net::TcpListener,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, Uid, mkfifo, pipe},
};

use support::{hostile, points, refusing, skip, sonde, stderr, stdout};

/// `sonde` with these arguments, after these commands of a shell.
fn after(shell: &str, arguments: &str, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{shell}; exec {} {arguments}", env!("CARGO_BIN_EXE_sonde"));
    command.args(["-c", &script]).current_dir(folder).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

fn ran(shell: &str, arguments: &str, folder: &Path) -> Output {
    after(shell, arguments, folder).output().unwrap()
}

fn job(name: &str, host: &str, port: u16) -> String {
    format!("[[job]]\nname = \"{name}\"\nhost = \"{host}\"\ntimeout = \"3s\"\nparameters.port = {port}\n")
}

#[test]
fn a_configuration_may_come_through_a_pipe_and_sigterm_ends_the_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&pipe).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waiting = command.spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    kill(Pid::from_raw(i32::try_from(waiting.id()).unwrap()), Signal::SIGTERM).unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((output.status.signal(), stderr(&output)), (Some(15), String::new()));

    let reading = command.spawn().unwrap();
    let (_held, port) = refusing();
    fs::write(&pipe, job("a", "127.0.0.1", port)).unwrap();
    let output = reading.wait_with_output().unwrap();
    assert_eq!(points(&stdout(&output)).len(), 1, "{output:?}");

    let output = sonde(&["config", "check", "/dev/zero"]);
    assert_eq!(stderr(&output), "E! cannot read /dev/zero: more than 16384 KiB\n");
}

#[test]
fn whoever_includes_nothing_is_told_and_a_pipe_includes_by_whole_paths() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("include = [\"conf.d/*.toml\"]\n{}", job("a", "127.0.0.1", 1));
    fs::write(folder.path().join("sonde.toml"), &config).unwrap();
    let output = ran(":", "config check sonde.toml", folder.path());
    assert_eq!((output.status.code(), &*stdout(&output)), (Some(0), "sonde.toml: 1 job, no error\n"));
    assert_eq!(stderr(&output), "W! sonde.toml: include: no file matches `conf.d/*.toml`\n");
    for (shell, path) in [("exec <sonde.toml", "/dev/stdin"), ("exec 7<sonde.toml", "/dev/fd/7")] {
        let output = ran(shell, &format!("config check {path}"), folder.path());
        let said = format!(
            "E! {path}: include: `conf.d/*.toml`: a configuration that comes through a pipe stands in no folder: write the path \
             in full\n"
        );
        assert_eq!((output.status.code(), stderr(&output)), (Some(2), said));
    }
}

#[test]
fn every_line_comes_through_a_pipe_that_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    // More than a pipe holds.
    let hosts: Vec<_> = (0..600).map(|host| format!("127.0.{}.{}", host / 250, 1 + host % 250)).collect();
    let (_held, port) = refusing();
    let config = format!("[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {port}\n");
    fs::write(&path, config).unwrap();
    let (reader, writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&path).stdout(writer).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // It has the other end, too.
    drop(command);
    thread::sleep(Duration::from_secs(2));
    let lines = io::read_to_string(File::from(reader)).unwrap();
    assert_eq!((child.wait().unwrap().code(), points(&lines).len()), (Some(0), 600));
}

#[test]
fn ignored_children_and_files_that_may_not_grow_end_nothing_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hostile.wasm"), hostile("honest")).unwrap();
    let output = ran("trap '' CHLD; ulimit -f 8", "describe ./hostile.wasm", folder.path());
    // It ends by itself, and says of the cache, and of the memory's image, what is wrong.
    assert!(output.status.code().is_some(), "{output:?}");
    assert!(stderr(&output).contains("File too large") && !stderr(&output).contains("child"), "{output:?}");
    // Whoever waits knows for what.
    assert!(stderr(&output).contains("I! compiling ./hostile.wasm ("), "{output:?}");
}

#[test]
fn limits_below_which_nothing_begins_are_said() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sonde.toml"), job("a", "127.0.0.1", 1)).unwrap();
    let refused = |output: Output, begin: &str, end: &str| {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = stderr(&output);
        assert!(said.starts_with(begin) && said.ends_with(end) && said.lines().count() == 1, "{said}");
    };
    let output = ran("ulimit -n 8", "run -c sonde.toml", folder.path());
    refused(output, "E! only 8 files may be open, and at least 32 are needed, ", "(`ulimit -n`)\n");
    let output = ran("ulimit -v 400000", "run -c sonde.toml", folder.path());
    refused(output, "E! ", "the address space is limited (LimitAS= of the agent's unit, `ulimit -v`)\n");
    if !Uid::effective().is_root() {
        return skip("only root may start a program as a user who has no other");
    }
    // A user of whom nothing else runs.
    let config = folder.path().join("sonde.toml");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = after(
        "ulimit -u 1 2>/dev/null || ulimit -p 1",
        &format!("run -c {}", config.display()),
        folder.path(),
    );
    refused(command.uid(54_321).output().unwrap(), "E! no thread is to be had: ", "\n");
}

#[test]
fn where_files_would_run_out_fewer_jobs_run_at_once_and_each_has_its_line() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let jobs: String = (0..100).map(|number| job(&number.to_string(), "localhost", port)).collect();
    let config = format!("max_concurrent = 100\nthreads = 2\n{jobs}");
    fs::write(folder.path().join("sonde.toml"), config).unwrap();
    let output = ran("ulimit -n 60", "run -c sonde.toml", folder.path());
    let points = points(&stdout(&output));
    assert_eq!(points.len(), 100);
    for point in points {
        assert_eq!(point.code("error_code"), 403, "{point:?}");
    }
    let said = "W! at most 3 jobs run at once, not 100: 60 files may be open: raise LimitNOFILE= of the agent's unit (`ulimit \
                -n`)";
    assert!(stderr(&output).lines().any(|line| line == said), "{output:?}");
}

/// Each run reserves some gigabytes of addresses.
#[test]
fn a_run_that_gets_no_memory_says_so_and_no_other_suffers() {
    let (folder, silent) = (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = silent.local_addr().unwrap().port();
    let jobs: String = (0..30).map(|number| job(&number.to_string(), "127.0.0.1", port)).collect();
    fs::write(folder.path().join("sonde.toml"), jobs).unwrap();
    let output = ran("ulimit -v 42000000", "run -c sonde.toml", folder.path());
    let points = points(&stdout(&output));
    assert_eq!(points.len(), 30, "{output:?}");
    let (silent, without): (Vec<_>, Vec<_>) =
        points.into_iter().partition(|point| point.code("error_code") == 407);
    assert!(!silent.is_empty() && !without.is_empty(), "{silent:?} {without:?}");
    for point in without {
        assert_eq!(point.code("error_code"), 201, "{point:?}");
        assert!(point.text("error").contains("the address space is limited"), "{point:?}");
    }
}

/// Whatever the machine has.
#[test]
fn where_not_all_threads_are_to_be_had_fewer_run_the_jobs_and_that_is_said() {
    if !Uid::effective().is_root() {
        return skip("only root may start a program as a user who has no other");
    }
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let jobs: String = (0..40).map(|number| job(&number.to_string(), "127.0.0.1", port)).collect();
    let config = folder.path().join("sonde.toml");
    fs::write(&config, format!("threads = 20\n{jobs}")).unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let few = "ulimit -u 9 2>/dev/null || ulimit -p 9";
    let mut command = after(few, &format!("run -c {}", config.display()), folder.path());
    let output = command.uid(54_322).output().unwrap();
    let points = points(&stdout(&output));
    assert_eq!(points.len(), 40, "{output:?}");
    assert!(points.iter().all(|point| point.code("error_code") == 403), "{points:?}");
    let said = |line: &str| {
        line.starts_with("W! jobs run on ") && line.contains(" of 20 threads: no thread is to be had")
    };
    assert_eq!(stderr(&output).lines().filter(|line| said(line)).count(), 1, "{output:?}");
}

#[test]
fn however_few_threads_are_to_be_had_a_daemon_runs_or_says_so() {
    if !Uid::effective().is_root() {
        return skip("only root may start a program as a user who has no other");
    }
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let at = |name: &str| folder.path().join(name);
    let user = 54_323;
    std::os::unix::fs::chown(folder.path(), Some(user), None).unwrap();
    fs::write(at("hostile.wasm"), hostile("honest")).unwrap();
    fs::write(at("newline"), "\n").unwrap();
    let (file, port_given) = (at("hostile.wasm"), format!("port={port}"));
    let pin = ["pin", file.to_str().unwrap(), "--host", "127.0.0.1", "-p", &port_given, "-p", "harm=none"];
    let jobs = stdout(&sonde(&pin)) + &job("a", "127.0.0.1", port) + &job("b", "localhost", port);
    fs::write(at("sonde.toml"), &jobs).unwrap();
    // Names cost a thread as well.
    fs::write(at("system.toml"), format!("[resolver]\nsystem = true\n{jobs}")).unwrap();
    let compiled = after(":", "compile -c sonde.toml", folder.path()).uid(user).output().unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    let mut ran = 0;
    for (threads, file) in (1..=16).flat_map(|threads| [(threads, "sonde.toml"), (threads, "system.toml")]) {
        let few = format!("ulimit -u {threads} 2>/dev/null || ulimit -p {threads}");
        let mut command = after(&few, &format!("execd -c {file}"), folder.path());
        command.uid(user).stdin(File::open(at("newline")).unwrap());
        let output = command.output().unwrap();
        assert!(!stderr(&output).contains("panicked"), "{threads}: {output:?}");
        match output.status.code() {
            Some(0) => ran += 1,
            _ => assert!(stderr(&output).contains("no thread is to be had"), "{threads}: {output:?}"),
        }
    }
    assert!((1..32).contains(&ran), "{ran}");
}

#[test]
fn where_data_is_limited_a_daemon_runs_without_memories_that_are_shared_and_says_so() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    fs::write(folder.path().join("newline"), "\n").unwrap();
    fs::write(folder.path().join("sonde.toml"), job("a", "127.0.0.1", port)).unwrap();
    // Less than all places might use, as much, and a little more: of that nothing would be left.
    for kib in [600_000, 960_000, 980_000, 1_000_000, 1_040_000, 4_000_000] {
        let mut command = after(&format!("ulimit -d {kib}"), "execd -c sonde.toml", folder.path());
        let output = command.stdin(File::open(folder.path().join("newline")).unwrap()).output().unwrap();
        assert_eq!((output.status.code(), points(&stdout(&output)).len()), (Some(0), 1), "{output:?}");
        let said = format!(
            "I! each run maps memory of its own, which takes more computing: data is limited to {} MiB (",
            kib >> 10
        );
        assert!(stderr(&output).lines().any(|line| line.starts_with(&said)), "{output:?}");
    }
}

#[test]
fn what_was_compiled_and_finds_no_room_is_said_with_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let pin = sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1"]);
    fs::write(folder.path().join("sonde.toml"), stdout(&pin)).unwrap();
    // As on a full disk: the key is written, and what a memory begins with, the code is not.
    let output = ran("trap '' XFSZ; ulimit -f 800", "compile -c sonde.toml", folder.path());
    let log = stderr(&output);
    let said =
        |begin: &str, end: &str| log.lines().any(|line| line.starts_with(begin) && line.ends_with(end));
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{log}");
    assert!(
        said("W! cache ", "hostile.wasm is compiled at every start") && log.contains("File too large"),
        "{log}"
    );
    assert!(said("E! sonde.toml: check `hostile` is not kept", ": a warning above says why"), "{log}");
}

#[test]
fn however_little_data_there_may_be_each_job_has_its_line_or_the_limit_is_named() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let hosts: Vec<String> = (1..=200).map(|host| format!("127.0.0.{host}")).collect();
    let jobs = format!("[[job]]\nname = \"a\"\nhosts = {hosts:?}\nparameters.port = {port}\n");
    fs::write(folder.path().join("sonde.toml"), jobs).unwrap();
    for mib in [8, 12, 16, 24, 31, 32, 40, 64, 128, 512] {
        let output = ran(&format!("ulimit -d {}", mib << 10), "run -c sonde.toml", folder.path());
        let said = stderr(&output).contains("data is limited to ");
        if mib < 32 {
            assert!(output.status.code() == Some(2) && said, "{mib}: {output:?}");
            continue;
        }
        let points = points(&stdout(&output));
        assert_eq!((output.status.code(), points.len()), (Some(0), 200), "{mib}: {}", stderr(&output));
        assert!(points.iter().all(|point| point.code("error_code") == 403), "{mib}: {points:?}");
        assert_eq!(said, mib < 512, "{mib}: {}", stderr(&output));
    }
}

/// Elsewhere it is copied.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn the_built_in_checks_code_runs_where_it_lies_in_the_program() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = env!("CARGO_BIN_EXE_sonde");
    let port = silent.local_addr().unwrap().port().to_string();
    let mut command = Command::new(program);
    let mut child =
        command.args(["check", "127.0.0.1", "--port", &port]).stdout(Stdio::null()).spawn().unwrap();
    let waiting = silent.accept().unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(waiting);
    let executable: Vec<&str> = maps.lines().filter(|line| line.contains(" r-xp ")).collect();
    let named = |name: &str| executable.iter().filter(|line| line.ends_with(name)).count();
    let nameless = executable.iter().filter(|line| line.split_whitespace().count() < 6).count();
    assert_eq!((named(program), nameless), (2, 0), "{executable:#?}");
}

#[test]
fn a_credential_of_the_unit_is_read_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let (_held, port) = refusing();
    let config = job("a", "127.0.0.1", port) + "parameters.password = { credential = \"smtp\" }\n";
    fs::write(folder.path().join("sonde.toml"), config + "parameters.username = \"u\"\n").unwrap();
    fs::write(folder.path().join("smtp"), "hunter2\n").unwrap();
    let check =
        format!("check 127.0.0.1 --port {port} --username u -p 'password={{ credential = \"smtp\" }}'");
    for command in ["run -c sonde.toml", &*check] {
        let output = ran("export CREDENTIALS_DIRECTORY=\"$PWD\"", command, folder.path());
        assert_eq!(points(&stdout(&output))[0].code("error_code"), 403, "{}", stderr(&output));
        let output = ran("unset CREDENTIALS_DIRECTORY", command, folder.path());
        let said =
            "there is no credential `smtp`, for $CREDENTIALS_DIRECTORY is not set: not started by systemd";
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

#[test]
fn an_empty_variable_or_pipe_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let config = job("a", "127.0.0.1", 1) + "parameters.password = { env = \"SONDE_TEST_EMPTY\" }\n";
    fs::write(folder.path().join("sonde.toml"), config).unwrap();
    let output = ran("export SONDE_TEST_EMPTY=", "config check sonde.toml", folder.path());
    let said =
        "E! sonde.toml: job `a`: parameters.password: the environment variable SONDE_TEST_EMPTY is empty\n";
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(2), said));
    let (_held, port) = refusing();
    let check = format!("check 127.0.0.1 --port {port} --username u --password-file /dev/stdin");
    let mut command = after(":", &check, folder.path());
    let output = command.output().unwrap();
    let said = "E! --password-file /dev/stdin: no secret in it\n";
    assert_eq!((output.status.code(), &*stderr(&output)), (Some(2), said));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    io::Write::write_all(&mut child.stdin.take().unwrap(), b"hunter2\n").unwrap();
    let mut line = String::new();
    child.stdout.take().unwrap().read_to_string(&mut line).unwrap();
    assert_eq!(points(&line)[0].code("error_code"), 403);
    child.wait().unwrap();
}
