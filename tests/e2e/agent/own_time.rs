//! Which jobs are in a round, and which wait: times of their own, and hosts that are not to be asked all at once.

use std::{fs, thread, time::Duration};

use nix::sys::signal::Signal;

use support::{agent::Execd, points, refusing, stdout};

use super::{Config, Gate, job, times};

const SECOND: i64 = 1_000_000_000;

fn every(name: &str, time: &str, port: u16) -> String {
    job(name, port).replacen("\ntimeout", &format!("\nevery = \"{time}\"\ntimeout"), 1)
}

#[test]
fn a_job_with_a_time_of_its_own_is_in_the_rounds_that_are_its_own() {
    let (_held, port) = refusing();
    let config = Config::new(&(every("rare", "3s", port) + &job("usual", port)));
    let agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    let mut lines = String::new();
    while lines.matches("job=rare").count() < 3 {
        lines += &(agent.line() + "\n");
    }
    let times = times(&lines);
    let rare = &times["rare 127.0.0.1"];
    assert!(rare.windows(2).all(|pair| pair[1] - pair[0] == 3 * SECOND), "{times:?}");
    assert!(times["usual 127.0.0.1"].len() >= 6, "{times:?}");
    agent.stop_by(Signal::SIGTERM);
}

#[test]
fn a_job_that_runs_still_is_not_skipped_before_its_next_time() {
    let gate = Gate::new();
    let config = Config::new(&every("slow", "5s", gate.port));
    let agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    gate.wait();
    // Two rounds of others.
    thread::sleep(Duration::from_millis(2500));
    gate.answer();
    assert_eq!(agent.lines(1)[0].tags["job"], "slow");
    let log = agent.stop_by(Signal::SIGTERM).log;
    assert!(!log.iter().any(|line| line.contains("skipped")), "{log:#?}");
}

#[test]
fn a_run_alone_has_all_jobs_or_by_the_clock_those_that_are_due() {
    let (_held, port) = refusing();
    let config = Config::new(&(every("daily", "1440m", port) + &job("usual", port)));
    let jobs = |more: &[&str]| -> Vec<String> {
        let ran = config.sonde("run").args(more).output().unwrap();
        let mut jobs: Vec<_> = points(&stdout(&ran)).iter().map(|point| point.tags["job"].clone()).collect();
        jobs.sort();
        jobs
    };
    assert_eq!(jobs(&[]), ["daily", "usual"]);
    // One second of the day is its own.
    assert_eq!(jobs(&["--interval", "1s"]), ["usual"]);
    assert_eq!(jobs(&["--interval", "1440m"]), ["daily", "usual"]);
}

#[test]
fn the_next_start_knows_when_a_job_with_a_time_of_its_own_ran() {
    let (_held, port) = refusing();
    let jobs = every("daily", "1440m", port) + &job("usual", port);
    let config = Config::new(&format!("[daemon]\nstate_file = \"state\"\n{jobs}"));
    let round = |lines: usize| -> Vec<String> {
        let mut agent = config.start();
        agent.gather();
        let mut jobs: Vec<_> =
            agent.lines(lines).into_iter().map(|point| point.tags["job"].clone()).collect();
        assert_eq!(agent.stop().lines, [""; 0]);
        jobs.sort();
        jobs
    };
    // It is new.
    assert_eq!(round(1), ["usual"]);
    let state = config.folder.path().join("state");
    let mut notes: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    let ran = &mut notes["rounds"][0];
    assert_eq!((ran["job"].as_str(), ran["host"].as_str()), (Some("daily"), Some("127.0.0.1")), "{ran}");
    // Its time came while nothing ran.
    ran["is"] = (ran["is"].as_i64().unwrap() - 2 * 24 * 60 * 60_000).into();
    fs::write(&state, notes.to_string()).unwrap();
    assert_eq!(round(2), ["daily", "usual"]);
    for _ in 0..2 {
        assert_eq!(round(1), ["usual"]);
    }
}

#[test]
fn who_waits_for_a_host_takes_no_time_and_no_place_of_others() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let of_gate = job("one", gate.port) + &job("two", gate.port).replace("60s", "2s");
    let other = job("other", port).replace("127.0.0.1", "127.0.0.2");
    let config = Config::new(&format!("max_concurrent = 2\nmax_per_host = 1\n{of_gate}{other}"));
    let mut agent = config.start();
    agent.gather();
    assert_eq!(agent.lines(1)[0].tags["job"], "other");
    gate.wait();
    // Longer than the second one's whole time.
    thread::sleep(Duration::from_millis(2500));
    assert!(gate.came.try_recv().is_err(), "two of one host at once");
    gate.answer();
    assert_eq!(agent.lines(1)[0].tags["job"], "one");
    gate.wait();
    gate.answer();
    let two = agent.lines(1).remove(0);
    assert_eq!((&*two.tags["job"], &*two.tags["result"]), ("two", "rejected"));
    assert!(two.time("total_time_ms").unwrap() < 2000.0, "{two:?}");
    agent.stop();
}

#[test]
fn a_round_that_is_late_by_chance_has_the_time_of_its_tick() {
    let (_held, port) = refusing();
    let config = Config::new(&format!("[daemon]\ninterval = \"1s\"\njitter = \"900ms\"\n{}", job("a", port)));
    let mut agent = config.start();
    let lines: String = (0..3).map(|_| agent.line() + "\n").collect();
    assert!(times(&lines)["a 127.0.0.1"].iter().all(|time| time % SECOND == 0), "{lines}");
    agent.gather();
    while times(&agent.line())["a 127.0.0.1"][0] % SECOND == 0 {}
    agent.stop();
}

#[test]
fn lateness_by_chance_is_for_rounds_of_an_interval_and_elsewhere_said_to_have_no_effect() {
    let (_held, port) = refusing();
    let config = Config::new(&format!("[daemon]\njitter = \"20s\"\n{}", job("a", port)));
    let mut agent = config.start();
    agent.gather();
    assert_eq!(agent.lines(1)[0].tags["job"], "a");
    let said =
        "W! `jitter` of [daemon] has no effect without an interval: a round that is asked for begins at once";
    assert_eq!(agent.stop().log[0], said);
}

#[test]
fn lateness_by_chance_that_is_longer_than_the_interval_of_the_command_line_is_said_to_be_cut() {
    let (_held, port) = refusing();
    let config = Config::new(&format!("[daemon]\ninterval = \"1m\"\njitter = \"20s\"\n{}", job("a", port)));
    let agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    agent.lines(2);
    let said =
        "W! `jitter` of [daemon] is not less than --interval: rounds are late by less than that interval";
    assert_eq!(agent.stop_by(Signal::SIGTERM).log[0], said);
}

#[test]
fn a_file_that_changes_is_read_again_and_a_broken_one_is_said_once() {
    let (_held, port) = refusing();
    let config = Config::new("");
    let write = |name: &str, text: &str| fs::write(config.folder.path().join(name), text).unwrap();
    write("sonde.toml", &format!("include = [\"conf.d/*.toml\"]\n{}", job("a", port)));
    fs::create_dir(config.folder.path().join("conf.d")).unwrap();
    let mut agent = config.start();
    agent.gather();
    agent.line();
    write("conf.d/b.toml", &job("b", port));
    agent.logged(": read again: 2 jobs");
    write("conf.d/b.toml", "[[job]");
    let said = agent.logged("E! ");
    assert!(
        said.starts_with("E! not changed, what ran before goes on: ") && said.contains("b.toml"),
        "{said}"
    );
    // Looked at some times more.
    thread::sleep(Duration::from_secs(8));
    // Nobody asked for a round meanwhile.
    agent.gather();
    assert_eq!(agent.lines(2).len(), 2);
    write("conf.d/b.toml", &job("c", port));
    write("password", "open-sesame");
    let secret = "connection = \"tls\"\nusername = \"u\"\npassword = { file = \"../password\" }\n";
    write(
        "conf.d/c.toml",
        &format!(
            "{}[job.parameters]\nport = {port}\n{secret}",
            job("d", port).replace(&format!("parameters.port = {port}\n"), "")
        ),
    );
    agent.logged(": read again: 3 jobs");
    write("password", "open-barley");
    agent.logged(": read again: 3 jobs");
    let stopped = agent.stop();
    assert_eq!(
        (stopped.lines.len(), stopped.log.iter().filter(|line| line.starts_with("E! ")).count()),
        (0, 0),
        "{stopped:?}"
    );
}

#[test]
fn a_file_that_changes_ends_no_job_that_was_begun_and_has_not_started() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let jobs = format!("max_concurrent = 1\n{}{}", job("held", gate.port), job("quick", port));
    let config = Config::new(&jobs);
    let mut agent = config.start();
    agent.gather();
    gate.wait();
    fs::write(&config.path, format!("{jobs}# another\n")).unwrap();
    // It is seen to change, and is read.
    thread::sleep(Duration::from_secs(7));
    gate.answer();
    let ran: Vec<_> = agent.lines(2).iter().map(|point| point.tags["job"].clone()).collect();
    assert_eq!(ran, ["held", "quick"]);
    agent.logged(": read again: 2 jobs");
    let stopped = agent.stop();
    assert!(!stopped.log.iter().any(|line| line.contains("skipped")), "{:?}", stopped.log);
}
