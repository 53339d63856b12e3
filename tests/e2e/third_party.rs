//! A check that is not built in, from looking at it to its lines.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, process::Command};

use support::{hostile, points, refusing, say_skipped, sonde, stderr, stdout};

#[test]
fn a_check_is_looked_at_pinned_and_run_beside_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let path = file.to_str().unwrap();

    let text = stdout(&sonde(&["describe", path]));
    for expected in [
        "| `sonde:check/network@0.1.0` | network through the host, to what the job grants |\n",
        "| nothing else | |\n",
        "Check `hostile` 0: \n",
        "| `harm` | text | `\"none\"` |  |\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }

    let pinned = sonde(&["pin", path]);
    assert!(pinned.status.success(), "{}", stderr(&pinned));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = folder.path().join("sonde.toml");
    let port = listener.local_addr().unwrap().port();
    // The port that is granted stands there, also where the check has a default.
    assert!(stdout(&pinned).contains("\n[job.parameters]\nport = 1\n"), "{pinned:?}");
    let (_held, closed) = refusing();
    let text = stdout(&pinned)
        .replace("host.example.org", "127.0.0.1")
        .replace("port = 1\n", &format!("port = {port}\n"))
        + &format!("[[job]]\nname = \"mx\"\nhost = \"127.0.0.1\"\nparameters.port = {closed}\n");
    fs::write(&config, text).unwrap();
    let output = sonde(&["run", "--config", config.to_str().unwrap()]);
    let mut points = points(&stdout(&output));
    points.sort_by(|a, b| a.measurement.cmp(&b.measurement));
    let lines: Vec<_> =
        points.iter().map(|p| (&*p.measurement, &*p.tags["job"], &*p.tags["result"])).collect();
    assert_eq!(lines, [("hostile", "hostile", "success"), ("smtp", "mx", "connection_failed")]);

    // Replaced after it was pinned: its job says so, the other runs.
    let mut replaced = hostile("honest");
    replaced.push(0);
    fs::write(&file, replaced).unwrap();
    let output = sonde(&["run", "--config", config.to_str().unwrap()]);
    let mut points = self::points(&stdout(&output));
    points.sort_by(|a, b| a.measurement.cmp(&b.measurement));
    let lines: Vec<_> =
        points.iter().map(|p| (&*p.measurement, &*p.tags["job"], p.code("error_code"))).collect();
    assert_eq!(lines, [("smtp", "mx", 403), ("sonde", "hostile", 209)]);
    assert!(points[1].text("error").contains("is not the pinned one"), "{points:?}");
    let begin =
        format!("E! {}: check `hostile`: component: the component is not the pinned one", config.display());
    // Once, and not for each job; the other job's failure is said as ever, and waits for nobody.
    let mut said: Vec<String> = stderr(&output).lines().map(ToOwned::to_owned).collect();
    said.sort();
    assert!(said.len() == 2 && said[0].starts_with(&begin) && said[1].starts_with("W! job mx: "), "{said:?}");
    // Whoever only looks is told before anything runs.
    let output = sonde(&["config", "check", config.to_str().unwrap()]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
    assert!(stderr(&output).starts_with(&begin), "{}", stderr(&output));
}

#[test]
fn a_file_that_is_no_check_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.wasm");
    fs::write(&path, wat::parse_str("(module)").unwrap()).unwrap();
    for command in ["describe", "pin"] {
        let output = sonde(&[command, path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        let said = format!(
            "E! {}: a core WebAssembly module, not a component: build it for wasm32-wasip2, or make it one with `wasm-tools \
             component new`\n",
            path.display()
        );
        assert_eq!(stderr(&output), said);
        fs::write(&path, "#!/bin/sh").unwrap();
        let output = sonde(&[command, path.to_str().unwrap()]);
        let said = format!("\nE! {}: not a usable component: ", path.display());
        assert!(
            stderr(&output).starts_with("I! compiling ") && stderr(&output).contains(&said),
            "{output:?}"
        );
        fs::write(&path, wat::parse_str("(module)").unwrap()).unwrap();
    }
    let output = sonde(&["pin", "/nowhere.wasm"]);
    assert_eq!(
        stderr(&output),
        "E! the component /nowhere.wasm cannot be read: No such file or directory (os error 2)\n"
    );
}

#[test]
fn compiling_fails_where_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (file, cache) = (folder.path().join("hostile.wasm"), folder.path().join("cache"));
    fs::write(&file, hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1"]));
    let config = folder.path().join("sonde.toml");
    let pinned = format!("cache_dir = {cache:?}\n{pinned}").replace("host = ", "timeout = \"1ms\"\nhost = ");
    fs::write(&config, pinned).unwrap();
    let compile = || sonde(&["compile", "--config", config.to_str().unwrap()]);
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let output = compile();
    let said = format!(
        "E! {}: what is compiled is not kept: others may write to {1} (mode 777) and could put code of theirs there: `chmod \
         go-w {1}`, or set `cache_dir` to a folder elsewhere\n",
        config.display(),
        cache.display()
    );
    // Before anything is compiled.
    let answer = (output.status.code(), stdout(&output), stderr(&output));
    assert_eq!(answer, (Some(1), String::new(), said));
    // Nor would that help a job which cannot wait.
    let output = sonde(&["run", "--config", config.to_str().unwrap()]);
    let points = points(&stdout(&output));
    assert_eq!(points[0].code("error_code"), 213);
    let said = "check `hostile`: not ready within 1ms: it is compiled at every start, for nothing is kept: others may write to";
    assert!(points[0].text("error").starts_with(said), "{points:?}");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    let output = compile();
    let said = format!("{}: 1 check compiled and kept\n", config.display());
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), said), "{}", stderr(&output));
    // What was compiled before is, too.
    assert_eq!(stdout(&compile()), stdout(&output));
}

#[test]
fn compiling_fails_where_what_is_kept_cannot_be_executed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, cache) = (folder.path().join("hostile.wasm"), folder.path().join("cache"));
    fs::write(&file, hostile("honest")).unwrap();
    fs::create_dir(&cache).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1"]));
    let config = folder.path().join("sonde.toml");
    fs::write(&config, format!("cache_dir = {cache:?}\n{pinned}")).unwrap();
    let mount =
        "mount -t tmpfs -o mode=700,noexec none \"$0\" || exit 99; exec \"$1\" compile --config \"$2\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", mount]).arg(&cache).arg(env!("CARGO_BIN_EXE_sonde")).arg(&config);
    let output = match command.output() {
        Ok(output) if output.status.code() != Some(99) && !stderr(&output).contains("unshare") => output,
        _ => return say_skipped("a mount of its own is not allowed here"),
    };
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{}", stderr(&output));
    let last = stderr(&output).lines().last().unwrap().to_owned();
    let begin = format!("E! {}: check `hostile` is not kept: cache {}/", config.display(), cache.display());
    assert!(last.starts_with(&begin) && last.contains("is mounted `noexec`"), "{last}");
}

#[test]
fn an_authors_words_neither_colour_a_terminal_nor_forge_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("escapes")).unwrap();
    let path = file.to_str().unwrap();
    for arguments in [&["describe", path][..], &["describe", path, "--output", "json"], &["pin", path]] {
        let text = stdout(&sonde(arguments));
        let printed = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
        assert!(text.chars().all(printed), "{text:?}");
        let forged = ["[[job]]", "name = \"forged\"", "| `smtp`"];
        let lines = text.lines().filter(|line| forged.iter().any(|begin| line.starts_with(begin)));
        // The pinned job's own.
        assert_eq!(lines.count(), usize::from(arguments[0] == "pin"), "{text}");
    }
}

#[test]
fn a_pinned_path_is_the_files_own_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a  \"quoted\" name").join("x".repeat(250));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("h.wasm"), hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", deep.join("h.wasm").to_str().unwrap(), "--host", "127.0.0.1"]));
    let config = folder.path().join("sonde.toml");
    fs::write(&config, pinned).unwrap();
    let output = sonde(&["config", "check", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    // Named from where it is, and from elsewhere used.
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    let pinned = command.args(["pin", "h.wasm", "--host", "[::1]"]).current_dir(&deep).output().unwrap();
    fs::write(&config, pinned.stdout).unwrap();
    let output = sonde(&["config", "check", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_pipe_in_a_components_place_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.wasm");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let output = sonde(&["describe", pipe.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = format!("E! the component {} cannot be read: not a regular file\n", pipe.display());
    assert_eq!(stderr(&output), said);
}

#[test]
fn one_component_may_be_two_checks_but_two_components_share_no_measurement() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let pinned = |mode: &str, name: &str| {
        let file = folder.path().join(format!("{mode}.wasm"));
        fs::write(&file, hostile(mode)).unwrap();
        let file = file.to_str().unwrap();
        let text = stdout(&sonde(&["pin", file, "--host", "127.0.0.1", "-p", &format!("port={port}")]));
        text.replace("name = \"hostile\"", &format!("name = \"{name}\""))
            .replace("check = \"hostile\"", &format!("check = \"{name}\""))
    };
    let run = |text: String| {
        let config = folder.path().join("sonde.toml");
        fs::write(&config, text).unwrap();
        let output = sonde(&["run", "--config", config.to_str().unwrap()]);
        let mut ended: Vec<_> =
            points(&stdout(&output)).iter().map(|p| (p.tags["job"].clone(), p.code("error_code"))).collect();
        ended.sort();
        (ended, stderr(&output))
    };
    let (small, large) = (pinned("honest", "small"), pinned("honest", "large"));
    let (ended, said) = run(format!("{small}{large}").replacen("sha256", "limits.memory_mib = 8\nsha256", 1));
    assert_eq!(ended, [("large".to_owned(), 0), ("small".to_owned(), 0)], "{said}");
    fs::write(folder.path().join("sonde.toml"), format!("{small}{}", pinned("network", "other"))).unwrap();
    for command in [&["run", "--config"][..], &["config", "check"]] {
        let output = sonde(&[command, &[folder.path().join("sonde.toml").to_str().unwrap()]].concat());
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
        let said = "check `other`: measurement: check `small`, another component, writes this measurement, or may do so of its \
                    parts\n";
        assert!(stderr(&output).ends_with(said), "{}", stderr(&output));
    }
}

/// A component says the same wherever it is; another version of this program may read it differently.
#[test]
fn a_check_whose_description_is_not_the_pinned_one_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1"]));
    let job = "[[job]]\nname = \"mx\"\nhost = \"127.0.0.1\"\nparameters.port = 1\n";
    let config = folder.path().join("sonde.toml");
    let (_, rest) = pinned.split_once("description_sha256 = \"").unwrap();
    let (digest, _) = rest.split_once('"').unwrap();
    for (text, said) in [
        (
            pinned.replace(digest, &"0".repeat(64)),
            format!("the configuration pins, the sha256 of its description is {digest}: look at it"),
        ),
        (
            pinned.replace("measurement = \"hostile\"", "measurement = \"other\""),
            "the component's lines are of measurement `hostile`, and the configuration pins another"
                .to_owned(),
        ),
    ] {
        fs::write(&config, text + job).unwrap();
        let output = sonde(&["run", "--config", config.to_str().unwrap()]);
        let codes: Vec<_> = points(&stdout(&output)).iter().map(|point| point.code("error_code")).collect();
        assert_eq!(codes.iter().sum::<i64>(), 214 + 403, "{output:?}");
        assert!(stderr(&output).contains(&said), "{}", stderr(&output));
    }
}

/// The description is a stranger's: what it does not allow ends no round.
#[test]
fn a_job_that_its_check_cannot_run_says_so_on_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1", "-p", "port=7"]));
    let config = folder.path().join("sonde.toml");
    for (wrong, said) in [
        ("port = \"7\"", "job `hostile`: parameters.port: expected a port, 1 to 65535"),
        ("port = 7\nprot = 1", "job `hostile`: parameters.prot: unknown key; did you mean `port`?"),
        (
            "port = 7\n[job.alarm]\nx = { warning = 1 }",
            "job `hostile`: alarm.x: the check reports no such number",
        ),
    ] {
        let job = "[[job]]\nname = \"mx\"\nhost = \"127.0.0.1\"\nparameters.port = 1\n";
        fs::write(&config, pinned.replace("port = 7", wrong) + job).unwrap();
        let output = sonde(&["run", "--config", config.to_str().unwrap()]);
        let mut points = points(&stdout(&output));
        points.sort_by(|a, b| a.measurement.cmp(&b.measurement));
        assert_eq!((output.status.code(), points.len()), (Some(0), 2), "{output:?}");
        assert_eq!((&*points[0].measurement, points[0].code("error_code")), ("hostile", 215));
        assert_eq!(points[0].code("state"), -1);
        let text = format!("{}: {said}", config.display());
        assert_eq!(points[0].text("error"), text.chars().take(256).collect::<String>());
        assert_eq!(stderr(&output).matches(said).count(), 1, "{output:?}");
        let output = sonde(&["config", "check", config.to_str().unwrap()]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(2), format!("E! {text}\n")));
    }
}

#[test]
fn what_a_check_refuses_reads_like_what_the_host_does() {
    let folder = tempfile::tempdir().unwrap();
    let (file, config) = (folder.path().join("hostile.wasm"), folder.path().join("sonde.toml"));
    fs::write(&file, hostile("honest")).unwrap();
    let path = file.to_str().unwrap();
    let refused = "parameters.harm: expected [31m \"good\" E! forged\n";
    for arguments in [
        &["pin", path, "-p", "harm=validate-refuses"][..],
        &["check", "127.0.0.1", "--check", path, "-p", "harm=validate-refuses"],
    ] {
        let output = sonde(arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
        assert!(stderr(&output).ends_with(&format!("E! {refused}")), "{output:?}");
    }
    let pinned = stdout(&sonde(&["pin", path, "--host", "127.0.0.1", "-p", "harm=none"]));
    fs::write(&config, pinned.replace("\"none\"", "\"validate-refuses\"")).unwrap();
    let said = format!("E! {}: job `hostile`: {refused}", config.display());
    let output = sonde(&["config", "check", config.to_str().unwrap()]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(2), said.clone()));
    // Where jobs run, the others do: it is on the line of its own.
    let output = sonde(&["run", "--config", config.to_str().unwrap()]);
    let points = points(&stdout(&output));
    assert_eq!((points.len(), points[0].code("error_code"), stderr(&output)), (1, 215, said));
    assert!(points[0].text("error").ends_with(refused.trim_end()), "{points:?}");
}

/// One after the other, each to its time and not beyond it: two hundred milliseconds of computing each would be four seconds.
#[test]
fn a_check_that_is_slow_to_judge_its_jobs_holds_up_none_beyond_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let (file, config) = (folder.path().join("hostile.wasm"), folder.path().join("sonde.toml"));
    fs::write(&file, hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1", "-p", "harm=none"]));
    let (check, job) = pinned.split_once("\n[[job]]").unwrap();
    let job = |number: usize| {
        let job = job.replace("\"none\"", "\"validate-loop\"");
        let job = job.replacen("name = \"hostile\"", &format!("name = \"{number}\"\ntimeout = \"1s\""), 1);
        format!("\n[[job]]{job}")
    };
    fs::write(&config, check.to_owned() + &(0..20).map(job).collect::<String>()).unwrap();
    let points = points(&stdout(&sonde(&["run", "--config", config.to_str().unwrap()])));
    assert_eq!(points.len(), 20);
    assert!(points.iter().all(|point| point.code("error_code") == 215), "{points:?}");
    let late = "check `hostile`: it has not judged the job within 1s: it judges one after the other";
    assert!(points.iter().any(|point| point.text("error") == late), "{points:?}");
}
