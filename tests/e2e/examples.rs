//! The example checks of `tests/checks`, built as their authors would build them, beside SMTP in one run: against Dovecot,
//! Redis, nginx and Postfix, into InfluxDB, and through Telegraf where there is one.

mod jobs;
mod servers;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    time::Instant,
};

use tempfile::TempDir;

use support::{Point, authors, component, points, root, sonde, stderr, stdout, succeed, with_path};

use self::servers::{Dovecot, Nginx, PASSWORD, Redis, scripted};
use crate::{influx::Database, mail_servers::MailServer, telegraf::telegraf};

/// Where each component is.
pub(crate) struct Examples {
    folder: TempDir,
}

impl Examples {
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).join(format!("{name}.wasm")).to_str().unwrap().to_owned()
    }
}

/// Builds all three, once, each as a project of `sonde new` with another check in it; none where the tools are missing.
pub(crate) fn examples() -> Option<&'static Examples> {
    static BUILT: OnceLock<Option<Examples>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let tools = authors()?;
            let examples = Examples { folder: tempfile::tempdir().unwrap() };
            let project = |name: &str, language: &str, check: &str| {
                let mut new = Command::new(env!("CARGO_BIN_EXE_sonde"));
                succeed(new.current_dir(examples.folder.path()).args(["new", name, "--language", language]));
                let project = examples.folder.path().join(name);
                fs::copy(root().join("tests/checks").join(name).join(check), project.join(check)).unwrap();
                project
            };
            let mut python = Command::new(tools.join("venv/bin/componentize-py"));
            python.current_dir(project("imap", "python", "check.py"));
            python.args(["--wit-path", "wit", "--world", "checker", "componentize", "check"]);
            succeed(python.args(["--output", "imap.wasm"]));
            let mut javascript = Command::new("npm");
            javascript.current_dir(project("redis", "javascript", "check.js"));
            with_path(&mut javascript, &tools.join("node_modules/.bin"));
            succeed(javascript.args(["run", "build"]));
            fs::create_dir(examples.folder.path().join("http")).unwrap();
            fs::write(examples.path("http"), component("sonde-http")).unwrap();
            Some(examples)
        })
        .as_ref()
}

/// The block that `sonde pin` prints, without its job.
fn pinned(examples: &Examples, name: &str) -> String {
    let output = sonde(&["pin", &examples.path(name)]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).split_once("\n[[job]]").unwrap().0.to_owned()
}

fn of<'a>(points: &'a [Point], job: &str) -> &'a Point {
    points.iter().find(|point| point.tags["job"] == job).unwrap_or_else(|| panic!("no {job} in {points:?}"))
}

#[test]
fn checks_in_three_languages_and_smtp_run_side_by_side_into_influxdb() {
    let (Some(examples), Some(database)) = (examples(), Database::start()) else { return };
    let began = Instant::now();
    let (Some(dovecot), Some(redis)) = (Dovecot::start(), Redis::start()) else { return };
    let (Some(nginx), Some(postfix)) = (Nginx::start(), MailServer::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let ca = dovecot.folder.path().join("ca.pem");
    let login = format!("username = \"probe\"\npassword = \"{PASSWORD}\"\n");
    let imap = |name: &str, connection: &str, port: u16, more: &str| {
        format!(
            "[[job]]\nname = \"{name}\"\ncheck = \"imap\"\nhost = \"127.0.0.1\"\ntls.ca_file = {ca:?}\n[job.parameters]\n\
             connection = \"{connection}\"\nport = {port}\n{more}"
        )
    };
    let job = |name: &str, check: &str, port: u16, more: &str| {
        format!(
            "[[job]]\nname = \"{name}\"\ncheck = \"{check}\"\nhost = \"127.0.0.1\"\n[job.parameters]\nport = {port}\n{more}"
        )
    };
    let config = [
        format!("cache_dir = {:?}\ninclude = [\"conf.d/*.toml\"]\n", folder.path().join("cache")),
        imap("imap-tls", "tls", dovecot.tls, &format!("{login}mailboxes = [\"INBOX\", \"Missing\"]\n")),
        imap("imap-starttls", "starttls", dovecot.plain, &login),
        imap("imap-clear", "plain", dovecot.plain, &login),
        imap("imap-wrong", "tls", dovecot.tls, "username = \"probe\"\npassword = \"wrong\"\n"),
        job("redis", "redis", redis.master, &format!("password = \"{PASSWORD}\"\n")),
        job("redis-replica", "redis", redis.replica, &format!("password = \"{PASSWORD}\"\n")),
        job("redis-refused", "redis", redis.master, ""),
        job("http", "http", nginx.port, "match = \"all is well\"\n"),
        job("http-mismatch", "http", nginx.port, "match = \"fire\"\n"),
        job("http-not", "http", redis.master, ""),
        job("smtp", "smtp", postfix.plain, ""),
    ]
    .concat();
    // As a package would bring them.
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    for name in ["imap", "redis", "http"] {
        fs::write(folder.path().join(format!("conf.d/{name}.toml")), pinned(examples, name)).unwrap();
    }
    let path = folder.path().join("sonde.toml");
    fs::write(&path, config).unwrap();
    let path = path.to_str().unwrap();
    let compiled = sonde(&["compile", "--config", path]);
    assert!(
        compiled.status.success() && stdout(&compiled).ends_with(": 3 checks compiled and kept\n"),
        "{compiled:?}"
    );

    let output = sonde(&["run", "--config", path]);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = stdout(&output);
    assert!(!lines.contains(PASSWORD) && !stderr(&output).contains(PASSWORD), "{lines}{}", stderr(&output));
    let printed = points(&lines);
    // Each job's, and those of two mailboxes behind their job's.
    assert_eq!(printed.len(), 13, "{lines}");
    for (name, result, code) in [
        ("imap-tls", "success", 0),
        ("imap-starttls", "success", 0),
        ("imap-clear", "auth_failed", 1004),
        ("imap-wrong", "auth_failed", 1003),
        ("redis", "success", 0),
        ("redis-replica", "success", 0),
        ("redis-refused", "auth_failed", 1001),
        ("http", "success", 0),
        ("http-mismatch", "string_mismatch", 1002),
        ("http-not", "protocol_error", 1000),
        ("smtp", "success", 0),
    ] {
        let point = of(&printed, name);
        assert_eq!((&*point.tags["result"], point.code("error_code")), (result, code), "{point:?}");
        assert_eq!(point.measurement, name.split('-').next().unwrap());
    }
    // Nobody locks an account for a log-in that was not tried: the next round tries again.
    assert_eq!(of(&printed, "imap-clear").code("response_code"), -1);
    assert!(!of(&printed, "imap-wrong").fields.contains_key("response_code"));
    for name in ["imap-tls", "imap-starttls"] {
        let point = of(&printed, name);
        assert_eq!(point.code("messages"), 2);
        // Two hours when Dovecot started; since then three components were compiled.
        let newest = 7190..7210 + i64::try_from(began.elapsed().as_secs()).unwrap();
        assert!(newest.contains(&point.code("newest_age_s")), "{point:?}");
        for field in ["greeting_time_ms", "login_time_ms", "tls_time_ms", "cert_days_left"] {
            assert!(point.fields.contains_key(field), "{field}: {point:?}");
        }
        assert!(point.text("capabilities").contains("IMAP4REV1"), "{point:?}");
    }
    let master = of(&printed, "redis");
    assert!(
        master.code("used_memory_bytes") > 100_000 && master.code("connected_clients") >= 1,
        "{master:?}"
    );
    let replica = of(&printed, "redis-replica");
    assert_eq!((master.text("role"), replica.text("role")), ("master", "slave"));
    assert_eq!(master.code("connected_replicas"), 1);
    for point in [master, replica] {
        assert!((0..20).contains(&point.code("replication_lag_s")), "{point:?}");
    }
    assert!(master.fields.contains_key("replication_lag_bytes"), "{master:?}");
    assert_eq!((of(&printed, "http").code("status"), of(&printed, "http").code("body_bytes")), (200, 11));

    database.write(&lines);
    for (measurement, count) in [("imap", 4), ("imap_mailbox", 2), ("redis", 3), ("http", 3), ("smtp", 1)] {
        assert_eq!(database.read(measurement).1.len(), count, "{measurement}");
    }
    through_telegraf(path, &database);
}

/// The same through the agent's `exec` and `execd`; where there is no agent, which Debian does not have, that is said.
fn through_telegraf(config: &str, database: &Database) {
    let Some(telegraf) = telegraf() else { return };
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("telegraf.conf");
    let text = format!(
        "[agent]\nomit_hostname = true\n[[inputs.exec]]\ncommands = [[\"{}\", \"run\", \"--config\", \"{config}\"]]\n\
         timeout = \"20s\"\ndata_format = \"influx\"\n[[inputs.execd]]\ncommand = [\"{}\", \"execd\", \"-c\", \"{config}\"]\n\
         signal = \"STDIN\"\ndata_format = \"influx\"\n[[outputs.influxdb]]\nurls = [\"http://127.0.0.1:{}\"]\n\
         database = \"sonde\"\nskip_database_creation = true\n",
        env!("CARGO_BIN_EXE_sonde"),
        env!("CARGO_BIN_EXE_sonde"),
        database.port,
    );
    fs::write(&agent, text).unwrap();
    succeed(Command::new(telegraf).arg("--config").arg(&agent).args(["--once", "--test-wait", "20"]));
    for (measurement, count) in [("imap", 12), ("imap_mailbox", 6), ("redis", 9), ("http", 9), ("smtp", 3)] {
        assert_eq!(database.read(measurement).1.len(), count, "{measurement} through Telegraf");
    }
}

/// As an agent does whose patience is shorter than the first compilation.
#[test]
fn sigterm_while_a_check_is_compiled_says_what_to_do() {
    let Some(examples) = examples() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, cache) = (folder.path().join("sonde.toml"), folder.path().join("cache"));
    let head = format!("cache_dir = '{}'\n", cache.display());
    let job = |name: &str, check: &str| {
        format!(
            "\n[[job]]\nname = \"{name}\"\ncheck = \"{check}\"\nhost = \"127.0.0.1\"\ntimeout = \"1m\"\n\
             parameters.port = 1\n"
        )
    };
    let jobs = job("mail", "imap") + &job("mx", "smtp");
    fs::write(&path, head + &pinned(examples, "imap") + &jobs).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.arg("run").arg("--config").arg(&path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Whose check is there has its line at once.
    let mut line = String::new();
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    printed.read_line(&mut line).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    printed.read_to_string(&mut line).unwrap();
    let jobs: Vec<_> = points(&line).iter().map(|point| point.tags["job"].clone()).collect();
    assert_eq!(jobs, ["mx"]);
    let said = format!(
        "stopped by SIGTERM: 1 of 2 jobs has no line; checks were not ready yet: what has to be compiled is compiled by \
         `sonde compile -c {}`, run as this user ({})\n",
        path.display(),
        nix::unistd::geteuid()
    );
    assert!(stderr(&output).ends_with(&said), "{}", stderr(&output));
}

/// Each against a server of its kind: it must report whatever happens, also in the middle of a conversation.
#[test]
fn the_examples_pass_the_test_that_authors_run() {
    let Some(examples) = examples() else { return };
    let (Some(dovecot), Some(redis), Some(nginx)) = (Dovecot::start(), Redis::start(), Nginx::start()) else {
        return;
    };
    let password = format!("password={PASSWORD}");
    for (name, port, parameters) in [
        ("imap", dovecot.plain, vec!["connection=starttls", "username=probe", &password]),
        ("redis", redis.master, vec![&*password]),
        ("http", nginx.port, vec!["match=all is well"]),
    ] {
        let server = format!("127.0.0.1:{port}");
        let path = examples.path(name);
        let mut arguments = vec!["test", &path, "--against", &server];
        arguments.extend(parameters.iter().flat_map(|pair| ["-p", *pair]));
        let output = sonde(&arguments);
        let table = stdout(&output);
        assert!(output.status.success(), "{table}{}", stderr(&output));
        let real: Vec<&str> = table.lines().filter(|line| line.starts_with("the server, ")).collect();
        let undisturbed = ["as it is", "a byte at a time"].map(|case| {
            real.iter().find(|line| line.contains(case)).is_some_and(|line| line.contains(" success "))
        });
        assert!(undisturbed == [true, true] && real.len() >= 5, "{table}");
    }
}

/// Servers of their own kind that lie: numbers that are none, parts that are missing, dates that do not exist.
#[test]
fn the_examples_report_whatever_a_server_of_their_kind_says() {
    let Some(examples) = examples() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut config = format!("cache_dir = '{}'\n", folder.path().join("cache").display());
    for name in ["imap", "redis", "http"] {
        config += &pinned(examples, name);
        config.push('\n');
    }
    let mut count = 0;
    let mut job = |check: &str, parameters: &str, replies: Vec<String>| {
        count += 1;
        write!(
            config,
            "[[job]]\nname = \"{check}-{count}\"\ncheck = \"{check}\"\nhost = \"127.0.0.1\"\ntimeout = \"3s\"\n\
             [job.parameters]\nport = {}\n{parameters}\n",
            scripted(replies)
        )
        .unwrap();
    };
    for info in [
        "slave0",
        "role:master\r\nslave0:\r\nslave1:offset\r\nslave2:offset=x,lag=-1",
        "role",
        "role:slave\r\nmaster_last_io_seconds_ago:-1",
        "used_memory:99999999999999999999\r\nconnected_clients:1e3\r\nmaxmemory:",
        "\r\n::\r\n:x\r\nslave0:offset=1=2,lag=,,",
        "",
    ] {
        let info = format!("${}\r\n{info}\r\n", info.len());
        job("redis", "", vec![String::new(), "+PONG\r\n".into(), info]);
    }
    for reply in ["$-1\r\n", "$999999999\r\n", "*1\r\n", "$\r\n", "\r\n", "-\r\n", "+\r\n"] {
        job("redis", "", vec![String::new(), "+PONG\r\n".into(), reply.into()]);
    }
    let login = "username = \"u\"\npassword = \"word\"\nallow_plaintext_auth = true\nmailboxes = [\"a\"]";
    for (exists, fetched) in [
        ("99999999999999999999999", "* 1 FETCH (INTERNALDATE \"32-Foo-2026 99:99:99 +9999\")"),
        ("\u{b2}", ""),
        ("1", "* 1 FETCH (INTERNALDATE \"01-Jan-0001 00:00:00 +0000\")"),
        ("1", "* 1 FETCH (INTERNALDATE \"31-Dec-9999 23:59:59 -2359\")"),
        ("1", "* 1 FETCH (INTERNALDATE \""),
        ("-1", "*"),
    ] {
        let ok = |number: u8, untagged: &str| format!("{untagged}\r\na{number} OK\r\n");
        let exists = format!("* {exists} EXISTS");
        let untagged = ["* CAPABILITY", "* x", &exists, fetched, "* STATUS a (MESSAGES \u{b2} UNSEEN"];
        let replies = untagged.into_iter().zip(1..).map(|(text, number)| ok(number, text));
        job("imap", login, std::iter::once("* OK\r\n".to_owned()).chain(replies).collect());
    }
    for reply in
        ["HTTP/1.1 \r\n\r\n", "HTTP/1.1 2\u{e9}0\r\n\r\n", "HTTP/1.1 999999\r\n\r\n", "HTTP/1.", "\r\n\r\n"]
    {
        job("http", "", vec![String::new(), reply.into()]);
    }
    let path = folder.path().join("sonde.toml");
    fs::write(&path, &config).unwrap();
    let compiled = sonde(&["compile", "--config", path.to_str().unwrap()]);
    assert!(compiled.status.success(), "{}", stderr(&compiled));
    let output = sonde(&["run", "--config", path.to_str().unwrap()]);
    let points = points(&stdout(&output));
    // Each job's; what they say of mailboxes beside them.
    let jobs = points.iter().filter(|point| point.measurement != "imap_mailbox").count();
    assert_eq!(jobs, count, "{}", stderr(&output));
    for point in points {
        assert_ne!(point.tags["result"], "check_error", "{point:?}\n{}", stderr(&output));
        assert_ne!(point.tags["result"], "timeout", "{point:?}");
    }
}

/// No longer than a person reads at once.
#[test]
fn each_example_and_what_it_is_made_of_has_less_than_150_lines() {
    for file in [
        "tests/checks/imap/check.py",
        "tests/checks/redis/check.js",
        "tests/checks/http/src/lib.rs",
        "host/kit/python/sonde.py",
        "host/kit/javascript/sonde.js",
        "host/kit/rust/src/sonde.rs",
    ] {
        let lines = fs::read_to_string(root().join(file)).unwrap().lines().count();
        assert!(lines < 150, "{file}: {lines}");
    }
}

/// What an example's build needs is where the README says.
#[test]
fn the_tools_of_the_examples_are_pinned_to_one_version() {
    let kit = root().join("host/kit");
    let package = |path: PathBuf| fs::read_to_string(path).unwrap();
    // It needs the other and does not say so: by its name, so that installing again does not remove it.
    for (name, version) in [("componentize-js", "0.23.0"), ("preview2-shim", "0.25.0")] {
        let pinned = format!("\"@bytecodealliance/{name}\": \"{version}\"");
        assert!(package(kit.join("javascript/package.json")).contains(&pinned));
        let named = format!("@bytecodealliance/{name}@{version}");
        assert!(package(root().join(".ci/run")).contains(&named));
        assert!(package(root().join("README.md")).contains(&named));
    }
    assert!(package(kit.join("python/build.md")).contains("componentize-py==0.25.1"));
    let gate = package(root().join(".ci/run"));
    assert!(gate.contains("componentize-py==0.25.1"));
}
