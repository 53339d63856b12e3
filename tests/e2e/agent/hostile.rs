//! Checks that do harm, in a daemon with its threads, round after round: each job has its line, and no other is harmed.

use std::{collections::BTreeMap, fs, net::TcpListener, process::Command, thread};

use support::{agent::Execd, hostile, points, sonde, stdout, succeed};

use super::{Config, answering, many};

/// What a check does, and what its line says.
const HARMS: &[(&str, &str)] = &[
    ("none", "success"),
    ("loop", "check_error"),
    ("fill", "check_error"),
    ("wait-on", "check_error"),
    ("trap", "check_error"),
    ("exit", "check_error"),
    ("stack", "check_error"),
    ("bloat", "check_error"),
    ("random", "check_error"),
    ("huge-report", "check_error"),
    ("flood-calls", "check_error"),
    ("flood-output", "check_error"),
    ("line-without-end", "check_error"),
    ("unannounced", "check_error"),
    ("forged-code", "check_error"),
    ("forged-line", "success"),
    ("secret-in-a-panic", "check_error"),
    ("silence", "timeout"),
    ("write-without-end", "timeout"),
];
const SECRET: &str = "open-sesame";
const GOOD: usize = 50;
const ROUNDS: usize = 3;
const SHARED: &str = "I! each run maps memory of its own, which takes more computing: ";

/// Accepts, and says nothing.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    port
}

/// Its log.
fn is_contained(start: impl FnOnce(&Config) -> Command) -> Vec<String> {
    let config = Config::new("");
    let file = config.folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let (file, port) = (file.to_str().unwrap(), format!("port={}", silent()));
    let password = format!("password={SECRET}");
    let pinned = stdout(&sonde(&[
        "pin",
        file,
        "--host",
        "127.0.0.1",
        "-p",
        &port,
        "-p",
        "harm=HARM",
        "-p",
        &password,
    ]));
    let (check, job) = pinned.split_once("\n[[job]]").unwrap();
    let jobs = HARMS.iter().map(|(harm, _)| {
        let job = job.replacen("HARM", harm, 1).replacen("\nhost", "\ntimeout = \"1s\"\nhost", 1);
        let name = job.lines().find(|line| line.starts_with("name = ")).unwrap();
        format!("[[job]]{}\n", job.replacen(name, &format!("name = \"{harm}\""), 1))
    });
    let (good, came) = answering();
    let text = format!(
        "max_concurrent = 16\nthreads = 2\n{check}\n{}\n{}",
        jobs.collect::<String>(),
        many(GOOD, good)
    );
    fs::write(&config.path, text).unwrap();
    succeed(&mut config.sonde("compile"));
    let mut agent = Execd::start(&mut start(&config));
    for _ in 0..ROUNDS {
        agent.gather();
        let lines: String = (0..HARMS.len() + GOOD).map(|_| agent.line() + "\n").collect();
        assert!(!lines.contains(SECRET), "{lines}");
        let mut results: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for point in points(&lines) {
            let server = &point.tags["server"];
            let job = format!("{} {server}", point.tags["job"]);
            results.entry(job).or_default().push(point.tags["result"].clone());
        }
        assert_eq!(results.len(), HARMS.len() + GOOD, "{lines}");
        for (harm, result) in HARMS {
            assert_eq!(results[&format!("{harm} 127.0.0.1")], [*result], "{harm}: {lines}");
        }
        let good: Vec<_> = results.iter().filter(|(job, _)| job.starts_with("many ")).collect();
        assert!(good.iter().all(|(_, results)| **results == ["rejected"]), "{good:?}");
    }
    let stopped = agent.stop();
    assert_eq!((stopped.lines.len(), came.try_iter().count()), (0, ROUNDS * GOOD), "{stopped:?}");
    stopped.log
}

#[test]
fn checks_that_do_harm_leave_every_other_job_its_lines() {
    let log = is_contained(|config| config.command(&[]));
    assert!(!log.iter().any(|line| line.starts_with(SHARED)), "{log:#?}");
}

#[test]
fn where_there_are_not_addresses_enough_for_memories_that_are_shared_each_run_has_its_own() {
    let log = is_contained(|config| {
        let mut command = Command::new("sh");
        // 128 GiB: enough for those that run at once, and not for all places.
        let script = "ulimit -v 134217728 && exec \"$0\" execd -c \"$1\"";
        command.args(["-c", script, env!("CARGO_BIN_EXE_sonde")]).arg(&config.path);
        command.env("XDG_CACHE_HOME", config.folder.path().join("cache"));
        command
    });
    assert!(log.iter().any(|line| line.starts_with(SHARED)), "{log:#?}");
}
