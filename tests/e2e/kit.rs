//! What the author of a check does: as the README says, word for word, from `sonde new` to a line; and `sonde test`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use sonde_host::demo::server::{PASSWORD, RECIPIENT, Server, USERNAME};

use support::{authors, greeter, hostile, points, root, sonde, stderr, stdout, with_path};

/// The commands of a README, in order.
fn commands(readme: &str) -> String {
    readme.split("```sh\n").skip(1).filter_map(|block| block.split("```").next()).collect()
}

/// Runs commands as a person would, one after the other; only the port is another, and what they install is there already.
fn follow(commands: &str, folder: &Path, port: u16) -> String {
    let tools = authors().unwrap();
    let commands = commands
        .replace("port=25", &format!("port={port}"))
        .replace("localhost:25", &format!("localhost:{port}"));
    let mut shell = Command::new("sh");
    with_path(&mut shell, Path::new(env!("CARGO_BIN_EXE_sonde")).parent().unwrap());
    shell.args(["-eux", "-c", &commands]).current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    shell.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", tools.join("wheels"));
    shell.env("npm_config_offline", "true").env("npm_config_cache", tools.join("npm-cache"));
    shell.env("CARGO_NET_OFFLINE", "true").env_remove("CARGO_TARGET_DIR");
    let output = shell.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// The line at the end of what the commands printed.
fn line_of(printed: &str) {
    let points = points(printed.lines().last().unwrap());
    assert_eq!((&*points[0].measurement, &*points[0].tags["result"]), ("hello", "success"), "{printed}");
    assert_eq!(points[0].text("greeting"), "220 mail.test.example ready");
    assert!(points[0].fields.contains_key("greeting_time_ms"), "{points:?}");
}

fn a_new_project_becomes_a_line_by_its_own_readme(language: &str) {
    if authors().is_none() {
        return;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), greeter("220 mail.test.example ready"));
    follow(&format!("sonde new hello --language {language}"), folder.path(), port);
    let project = folder.path().join("hello");
    let printed = follow(&commands(&fs::read_to_string(project.join("README.md")).unwrap()), &project, port);
    assert!(printed.contains(" cases, 0 missed; "), "{printed}");
    line_of(&printed);
}

#[test]
fn a_new_rust_project_becomes_a_line_by_its_own_readme() {
    a_new_project_becomes_a_line_by_its_own_readme("rust");
}

#[test]
fn a_new_python_project_becomes_a_line_by_its_own_readme() {
    a_new_project_becomes_a_line_by_its_own_readme("python");
}

#[test]
fn a_new_javascript_project_becomes_a_line_by_its_own_readme() {
    a_new_project_becomes_a_line_by_its_own_readme("javascript");
}

#[test]
fn the_guide_beside_the_interface_leads_to_a_line() {
    if authors().is_none() {
        return;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), greeter("220 mail.test.example ready"));
    let guide = fs::read_to_string(root().join("wit/README.md")).unwrap();
    let commands = commands(&guide);
    let (to_the_line, wit) = commands.split_once("sonde wit").unwrap();
    let printed = follow(to_the_line, folder.path(), port);
    assert!(
        printed.contains("the server, a byte at a time ") && printed.contains(" cases, 0 missed; "),
        "{printed}"
    );
    line_of(&printed);
    follow(&format!("sonde wit{wit}"), folder.path(), port);
    for file in ["world", "check", "network", "log"] {
        let text = |path: &Path| fs::read_to_string(path.join(format!("{file}.wit"))).unwrap();
        assert_eq!(text(&folder.path().join("interface")), text(&root().join("wit")));
    }
}

#[test]
fn nothing_is_written_over_an_authors_work() {
    let folder = tempfile::tempdir().unwrap();
    let new = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
        command.current_dir(folder.path()).args(["new", name, "--language", "rust"]).output().unwrap()
    };
    assert!(new("mine").status.success());
    let again = new("mine");
    assert_eq!((again.status.code(), stdout(&again)), (Some(2), String::new()));
    assert_eq!(stderr(&again), "E! cannot write ./mine: File exists (os error 17)\n");
    let again = new("../mine");
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).starts_with("E! `../mine` is no name for a check: "), "{}", stderr(&again));
}

#[test]
fn the_built_in_probe_passes_the_test_that_authors_run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let (plain, starttls, tls) = (server.plain, server.starttls, server.tls);
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let mail = ["from=a@example.org".to_owned(), format!("to={RECIPIENT}")];
    let login = [format!("username={USERNAME}"), format!("password={PASSWORD}")];
    let mode = |mode: &str| vec![format!("connection={mode}")];
    for (address, parameters) in [
        (plain, mail.to_vec()),
        (starttls, [&mode("starttls")[..], &login, &mail].concat()),
        (tls, [&mode("tls")[..], &login].concat()),
    ] {
        let address = address.to_string();
        let mut arguments = vec!["test", "smtp", "--against", &address];
        arguments.extend(parameters.iter().flat_map(|pair| ["-p", pair]));
        let output = sonde(&arguments);
        let table = stdout(&output);
        assert!(
            output.status.success() && table.contains(" cases, 0 missed; "),
            "{table}{}",
            stderr(&output)
        );
        for case in ["the server, as it is ", "the server, a byte at a time "] {
            let line = table
                .lines()
                .find(|line| line.starts_with(case))
                .unwrap_or_else(|| panic!("{case}: {table}"));
            assert!(line.contains(" success "), "{table}");
        }
        assert!(table.contains("\nthe server, stalls at read 3 "), "{table}");
    }
    // Also without a server of its kind, and in every mode.
    let output = sonde(&["test", "smtp"]);
    assert!(output.status.success(), "{}", stdout(&output));
    let table = stdout(&output);
    assert!(table.contains("\n`connection` is starttls "), "{table}");
    // What the probe refuses before anything runs is tested by nothing.
    let refused = table.lines().find(|line| line.starts_with("`ehlo_name` empty ")).unwrap();
    assert!(
        refused.contains(" not run ") && refused.contains(" the check refuses it: parameters.ehlo_name: "),
        "{table}"
    );
    assert!(table.contains(" not run; at most ") && !table.contains("never connected"), "{table}");
}

#[test]
fn a_check_that_refuses_every_job_is_not_tested() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let output = sonde(&["test", file.to_str().unwrap(), "-p", "harm=validate-refuses"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()));
    assert!(stderr(&output).contains("E! parameters.harm: expected "), "{output:?}");
}

#[test]
fn a_check_that_does_not_report_misses() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let test = |harm: &str| sonde(&["test", file.to_str().unwrap(), "-p", &format!("harm={harm}")]);
    for (harm, said) in [
        ("trap", "MISS 201: "),
        ("bloat", "MISS 204: "),
        ("retyped", "MISS 206: field `state` is announced as integer and reported as "),
        ("none", "MISS success, and there is no server"),
    ] {
        let output = test(harm);
        let table = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{table}{}", stderr(&output));
        assert!(table.contains(said) && !table.contains('\x1b'), "{table}");
    }
}

#[test]
fn what_cannot_be_tested_says_why() {
    let refused = |arguments: &[&str]| {
        let output = sonde(arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{arguments:?}");
        stderr(&output)
    };
    for (arguments, expected) in [
        (&["test", "pop"][..], "E! there is no check `pop`; built in: smtp\n"),
        (&["test", "smtp", "-p", "to"], "E! -p to: expected KEY=VALUE\n"),
        (&["test", "smtp", "-p", "to=a", "-p", "to=b"], "E! -p to: given twice\n"),
        (
            &["test", "smtp", "-p", "too=a"],
            "E! parameters.too: unknown key; did you mean `to`? (parameters are given with -p KEY=VALUE)\n",
        ),
        (&["test", "smtp", "--against", "localhost"], "E! --against: expected HOST:PORT\n"),
        (
            &["test", "smtp", "--against", "127.0.0.1:1"],
            "E! --against 127.0.0.1:1: Connection refused (os error 111)\n",
        ),
        (&["test", "smtp", "--timeout", "1"], "E! --timeout: a time such as "),
        (
            &["test", "./none.wasm"],
            "E! the component ./none.wasm cannot be read: No such file or directory (os error 2)\n",
        ),
    ] {
        let said = refused(arguments);
        assert!(said.starts_with(expected), "{arguments:?}: {said}");
    }
}
