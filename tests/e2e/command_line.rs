//! The commands as a person meets them.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use support::{greeter, points, refusing, root, run, sonde, stderr, stdout};

#[test]
fn the_demonstration_succeeds_and_shows_every_mode() {
    let output = sonde(&["demo"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(!text.contains('\x1b'), "colours into a pipe");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("smtp,")).collect();
    let points = points(&lines.join("\n"));
    assert!(points.iter().all(|point| point.measurement == "smtp"));
    let modes: Vec<_> =
        points.iter().map(|point| (&*point.tags["connection"], &*point.tags["result"])).collect();
    assert_eq!(
        modes,
        [
            ("plain", "success"),
            ("starttls", "success"),
            ("tls", "success"),
            ("tls", "success"),
            ("starttls", "rejected")
        ]
    );
}

#[test]
fn a_failed_check_exits_with_0_unless_told_to_fail() {
    let (_held, port) = refusing();
    let port = port.to_string();
    let check = |more: &[&str]| sonde(&[&["check", "127.0.0.1", "--port", &port], more].concat());
    let output = check(&[]);
    assert_eq!(output.status.code(), Some(0));
    let points = points(&stdout(&output));
    assert_eq!(points[0].outcome(), ("connection_failed", 11, -1, 403));
    assert_eq!(stderr(&output).lines().count(), 1);
    assert!(stderr(&output).starts_with("W! job 127.0.0.1: 127.0.0.1:"), "{}", stderr(&output));
    assert_eq!(check(&["--fail"]).status.code(), Some(1));
}

/// A server of one dialogue: `250` to all but QUIT.
fn willing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            let say = |text: &str| (&stream).write_all(text.as_bytes());
            // The other side may be gone.
            drop(say("220 mx1\r\n"));
            for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                drop(say(if line == "QUIT" { "221 bye\r\n" } else { "250 mx1\r\n" }));
            }
        }
    });
    port
}

#[test]
fn with_fail_a_broken_critical_limit_and_one_on_what_was_not_measured_fail_as_well() {
    let port = willing().to_string();
    for (limit, state, status) in
        [("response_code=0", 0, 0), ("total_time_ms=>= 0", 1, 0), ("total_time_ms=>= 0,>= 0", 2, 1)]
    {
        let output = sonde(&["check", "127.0.0.1", "--port", &port, "--fail", "--limit", limit]);
        let point = &points(&stdout(&output))[0];
        assert_eq!((point.outcome(), point.code("alarm_state")), (("success", 0, 0, 0), state), "{limit}");
        assert_eq!(output.status.code(), Some(status), "{limit}");
        let said = format!("W! job 127.0.0.1: alarm: {}\n", point.text("alarm"));
        assert_eq!(stderr(&output), if status == 0 { String::new() } else { said }, "{limit}");
    }
}

#[test]
fn limits_given_on_the_command_line_are_judged() {
    let (_held, port) = refusing();
    let port = port.to_string();
    let output = sonde(&[
        "check",
        "127.0.0.1",
        "--port",
        &port,
        "--limit",
        "error_code=0,500",
        "--limit",
        "login_time_ms=1",
    ]);
    let points = points(&stdout(&output));
    assert_eq!(points[0].code("alarm_state"), 3);
    assert_eq!(points[0].text("alarm"), "login_time_ms not measured, error_code 403 > 0");
}

#[test]
fn json_is_json() {
    let (_held, port) = refusing();
    let port = port.to_string();
    let output = sonde(&["check", "127.0.0.1", "--port", &port, "--output", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["fields"]["error_code"], 403);
    assert_eq!(json["tags"]["server"], "127.0.0.1");
}

#[test]
fn usage_and_configuration_errors_exit_with_2_and_one_line() {
    let refused = |arguments: &[&str], expected: &str| {
        let output = sonde(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert_eq!(stderr(&output), format!("E! {expected}\n"));
    };
    refused(
        &["run", "--config", "/nowhere.toml"],
        "cannot read /nowhere.toml: No such file or directory (os error 2)",
    );
    refused(&["describe", "pop3"], "there is no check `pop3`; built in: smtp");
    refused(&["check", "a b"], "host: expected a host name or address, without port");
    refused(
        &["check", "mx1.example.org:25"],
        "host: expected a host name or address, without port: the port is `--port`",
    );
    refused(
        &["check", "0x7f000001"],
        "host: expected a host name or address: what ends in a number is no name, and this is no address",
    );
    refused(&["pin", "x.wasm", "--host", "a b"], "--host: expected a host name or address, without port");
    refused(&["check", "h", "--port", "25", "-p", "port=26"], "port: given by its own flag and by -p");
    refused(&["check", "h", "-p", "prot=1"], "parameters.prot: unknown key; did you mean `port`?");
    refused(&["check", "h", "--limit", "x"], "limit: expected [PART.]FIELD=WARNING[,CRITICAL]");
    refused(
        &["check", "h", "--timeout", "1"],
        "--timeout: a time such as \"10s\", \"500ms\" or \"2m\", at most 10m",
    );
    assert_eq!(sonde(&["chekc"]).status.code(), Some(2));
}

#[test]
fn config_check_says_what_run_would_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    fs::write(&path, "[[job]]\nname = \"a\"\nhost = \"h\"\n[job.alarm]\nconect_time_ms = { warning = 1 }\n")
        .unwrap();
    let output = sonde(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!(
        "E! {}: job `a`: alarm.conect_time_ms: the check reports no such number; did you mean `connect_time_ms`?\n",
        path.display()
    );
    assert_eq!(stderr(&output), expected);
}

#[test]
fn what_a_parameter_makes_impossible_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    for (parameters, expected) in [
        (
            "from = \"<>\"\nto = [\"a@b.example\"]",
            "from: `<>` is no mail address such as a@example.org, in ASCII",
        ),
        (
            "from = \"a@b.example\"\nto = [\"a@b.example\", \"x\"]",
            "to: `x` is no mail address such as a@example.org, in ASCII",
        ),
        ("to = [\"a@b.example\"]", "from: needed to send a mail (`to` is not empty)"),
        (
            "ehlo_name = \"a b\"",
            "ehlo_name: expected a host name, or an address as in [192.0.2.1] or [IPv6:2001:db8::1], in ASCII",
        ),
        (
            "username = \"u\"\npassword = \"open-sesame\"\nauth = \"login\"",
            "auth: without TLS the password would be readable: `connection` must be starttls or tls, or \
             `allow_plaintext_auth` true",
        ),
        ("username = \"u\"", "password: needed to log in (`username` is not empty)"),
    ] {
        let job = format!("[[job]]\nname = \"a\"\nhost = \"127.0.0.1\"\n[job.parameters]\n{parameters}\n");
        fs::write(&path, job).unwrap();
        for command in [&["config", "check"][..], &["run", "--config"]] {
            let output = sonde(&[command, &[path.to_str().unwrap()]].concat());
            assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
            let said = format!("E! {}: job `a`: parameters.{expected}\n", path.display());
            assert_eq!(stderr(&output), said);
        }
    }
    for command in ["check", "test"] {
        let subject = if command == "check" { "127.0.0.1" } else { "smtp" };
        let output = sonde(&[command, subject, "-p", "ehlo_name=a b"]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
        assert!(stderr(&output).starts_with("E! parameters.ehlo_name: expected a host name"), "{output:?}");
    }
}

#[test]
fn what_the_configuration_denies_no_job_reaches() {
    let (folder, port) = (tempfile::tempdir().unwrap(), greeter("421 bye"));
    let jobs = format!(
        "[[job]]\nname = \"a\"\nhosts = [\"127.0.0.1\", \"::ffff:127.0.0.1\"]\nparameters.port = {port}\n\
         grants = [\"tcp://127.0.0.1:{port}\"]\n"
    );
    for point in run(&jobs, folder.path()) {
        assert_eq!(point.code("error_code"), 1023, "{point:?}");
    }
    for denied in ["127.0.0.0/8", "127.0.0.1"] {
        let points = run(&format!("deny = [\"{denied}\"]\n{jobs}"), folder.path());
        assert_eq!(points.len(), 2);
        for point in points {
            assert_eq!(point.code("error_code"), 401, "{point:?}");
            let text = point.text("error");
            assert!(text.ends_with("which `deny` of the configuration forbids"), "{text}");
        }
    }
}

#[test]
fn a_secret_shows_in_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hunter2\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    // In the greeting, as it is and in base64 (`\0u\0hunter2`).
    let port = greeter("554 5.7.1 not you, hunter2 nor AHUAaHVudGVyMg==").to_string();
    let secret = secret.to_str().unwrap();
    for output in ["influx", "json", "waterfall"] {
        let arguments = ["check", "127.0.0.1", "--port", &port, "--username", "u", "--password-file", secret];
        let output = sonde(&[&arguments[..], &["--output", output]].concat());
        let (text, log) = (stdout(&output), stderr(&output));
        assert!(text.contains("not you, *** nor ***"), "{text}");
        assert!(
            !format!("{text}{log}").contains("hunter2") && !format!("{text}{log}").contains("AHUA"),
            "{log}"
        );
    }
}

#[test]
fn a_password_file_of_a_check_without_a_password_says_how_its_secrets_are_read() {
    let component = root().join("tests/frozen/rust.wasm");
    let component = component.to_str().unwrap();
    let output =
        sonde(&["check", "127.0.0.1", "--check", component, "--port", "1", "--password-file", "/dev/null"]);
    let said = "rust.wasm` has no parameter `password`: of another secret `-p KEY=";
    assert!(output.status.code() == Some(2) && stderr(&output).contains(said), "{}", stderr(&output));
}

#[test]
fn a_ca_file_without_a_certificate_is_named() {
    let output = sonde(&["check", "127.0.0.1", "--ca-file", "/dev/null"]);
    let answer = (output.status.code(), stderr(&output));
    assert_eq!(answer, (Some(2), "E! --ca-file /dev/null: no certificate in it\n".to_owned()));
}

/// Their limit is often a thousand, and nobody can be asked to raise it for each user.
#[test]
fn as_many_connections_are_open_at_once_as_jobs_run_whatever_the_soft_limit_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let jobs = (0..100).map(|number| {
        format!(
            "[[job]]\nname = \"{number}\"\nhost = \"127.0.0.1\"\ntimeout = \"3s\"\nparameters.port = {port}\n"
        )
    });
    fs::write(&path, format!("max_concurrent = 100\n{}", jobs.collect::<String>())).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64; exec \"$0\" run --config \"$1\"", env!("CARGO_BIN_EXE_sonde")]);
    let output = command.arg(&path).stdin(Stdio::null()).output().unwrap();
    let points = points(&stdout(&output));
    assert_eq!(points.len(), 100);
    for point in points {
        assert_eq!(point.code("error_code"), 407, "{point:?}");
    }
}

#[test]
fn sigterm_ends_a_round_with_what_is_done_and_a_status_of_0() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let job = |name: &str, port| {
        format!(
            "[[job]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\ntimeout = \"60s\"\nparameters.port = {port}\n"
        )
    };
    let (_held, closed) = refusing();
    fs::write(&path, job("silent", silent.local_addr().unwrap().port()) + &job("closed", closed)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Its first line shows that the round is under way.
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    reader.read_to_string(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let points = points(&line);
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].tags["job"], "closed");
    assert!(
        stderr(&output).ends_with("W! stopped by SIGTERM: 1 of 2 jobs has no line\n"),
        "{}",
        stderr(&output)
    );
}

/// How a process ends within a while; one that does not is killed.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    None
}

#[test]
fn every_line_comes_also_where_nobody_reads_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    // Their warnings are more than a pipe holds.
    let hosts: Vec<_> = (0..2000).map(|host| format!("127.0.{}.{}", host / 250, 1 + host % 250)).collect();
    let (_held, port) = refusing();
    fs::write(&path, format!("[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {port}\n"))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdout, mut log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reading = thread::spawn(move || {
        let mut lines = String::new();
        stdout.read_to_string(&mut lines).unwrap();
        lines
    });
    let ended = ended(&mut child);
    assert_eq!(points(&reading.join().unwrap()).len(), 2000);
    assert_eq!(ended.expect("it is stuck in its log").code(), Some(0));
    let mut said = String::new();
    log.read_to_string(&mut said).unwrap();
    assert!(said.ends_with('\n') && said.lines().all(|line| line.starts_with("W! job many: ")), "{said}");
}

#[test]
fn a_log_that_is_read_late_says_how_much_of_it_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let hosts: Vec<_> = (0..2000).map(|host| format!("127.0.{}.{}", host / 250, 1 + host % 250)).collect();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_held, port) = refusing();
    let config = format!(
        "[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {}\n[[job]]\nname = \"silent\"\n\
         host = \"127.0.0.1\"\ntimeout = \"10s\"\nparameters.port = {}\n",
        port,
        silent.local_addr().unwrap().port()
    );
    fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // All but the silent one are done.
    assert_eq!(lines.by_ref().take(2000).flatten().count(), 2000);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(ended(&mut child).unwrap().code(), Some(0));
    let log: Vec<&str> = said.lines().collect();
    let [.., missing, last] = log[..] else { panic!("{said}") };
    assert!(last.starts_with("W! job silent: "), "{last}");
    let many = log.iter().filter(|line| line.starts_with("W! job many: ")).count();
    assert_eq!(missing, format!("W! {} log lines are missing: nobody read them", 2000 - many));
}

#[test]
fn sigterm_ends_a_round_whose_output_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    // More than a pipe holds.
    let hosts: Vec<_> = (0..500).map(|host| format!("127.0.{}.{}", host / 250, 1 + host % 250)).collect();
    let (_held, port) = refusing();
    fs::write(&path, format!("[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {port}\n"))
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&path).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    // Until it is stuck; a signal that comes earlier must end it as well.
    thread::sleep(Duration::from_secs(2));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = ended(&mut child);
    assert_eq!(ended.expect("it is stuck in its output").code(), Some(0));
}

#[test]
fn on_a_terminal_a_run_shows_how_far_it_is_and_sums_up_and_into_a_pipe_neither() {
    let (_held, port) = refusing();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let config = format!(
        "[[job]]\nname = \"a\"\nhosts = [\"127.0.0.1\", \"127.0.0.2\"]\nparameters.port = {port}\n[[job]]\nname = \"b\"\nhost = \
         \"127.0.0.1\"\ntimeout = \"1s\"\nparameters.port = {silent}\n"
    );
    fs::write(&path, config).unwrap();
    let lines = folder.path().join("lines");
    let command =
        format!("{} run --config {} > {}", support::binary().display(), path.display(), lines.display());
    // A terminal of its own, and what is seen there.
    let output =
        Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    let seen = stdout(&output);
    assert!(seen.contains("2 of 3 jobs"), "{seen:?}");
    assert!(seen.trim_end().ends_with("I! 3 jobs: 1 timeout, 2 connection_failed"), "{seen:?}");
    // What is drawn is taken away again before anything else is written.
    assert!(seen.contains("W! job a: 127.0.0.1:"), "{seen:?}");
    assert_eq!(points(&fs::read_to_string(lines).unwrap()).len(), 3);
    let output = sonde(&["run", "--config", path.to_str().unwrap()]);
    assert!(!stderr(&output).contains("jobs") && !stderr(&output).contains('\x1b'), "{}", stderr(&output));
}

#[test]
fn the_help_of_each_command_begins_with_what_it_does() {
    let all = stdout(&sonde(&["--help"]));
    let commands = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut seen = 0;
    for line in commands.take_while(|line| !line.is_empty()) {
        let (name, does) = line.trim_start().split_once(' ').unwrap();
        if name != "help" {
            assert_eq!(stdout(&sonde(&[name, "--help"])).lines().next(), Some(does.trim_start()), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 8, "{all}");
}
