//! Rounds of its own: at each multiple of the interval, beside those that an agent asks for.

use std::{collections::BTreeSet, fs::File};

use nix::sys::signal::Signal;

use support::{agent::Execd, refusing};

use super::{Config, Gate, job, times};

const SECOND: i64 = 1_000_000_000;

#[test]
fn each_multiple_of_the_interval_is_a_round_with_that_time_and_a_job_that_runs_still_is_skipped() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    gate.wait();
    let lines: String = (0..3).map(|_| agent.line() + "\n").collect();
    let quick = &times(&lines)["quick 127.0.0.1"];
    assert!(quick.len() == 3 && quick.iter().all(|time| time % SECOND == 0), "{lines}");
    assert!(quick.windows(2).all(|pair| pair[0] < pair[1]), "{lines}");
    agent.logged("W! 1 of 2 jobs still run or wait, and are skipped in this round");
    gate.answer();
    // The time of the round in which it began.
    let held = loop {
        let line = agent.line();
        if line.contains("job=held") {
            break times(&line)["held 127.0.0.1"][0];
        }
    };
    assert_eq!(held, quick[0]);
    // The next round is that of both again.
    gate.wait();
    gate.answer();
    agent.stop();
}

#[test]
fn a_job_that_is_taken_out_and_put_back_while_it_runs_does_not_run_twice_at_once() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let both = job("held", gate.port) + &job("quick", port);
    let config = Config::new(&both);
    let agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    gate.wait();
    for (jobs, said) in [(job("quick", port), ": read again: 1 job"), (both, ": read again: 2 jobs")] {
        std::fs::write(&config.path, jobs).unwrap();
        agent.signal(Signal::SIGHUP);
        agent.logged(said);
        agent.line();
    }
    // At least one is of a round of both.
    let rounds: String = (0..3).map(|_| agent.line() + "\n").collect();
    let last = times(&rounds)["quick 127.0.0.1"][2];
    let held = || loop {
        let line = agent.line();
        if line.contains("job=held") {
            break times(&line)["held 127.0.0.1"][0];
        }
    };
    gate.answer();
    assert!(held() < last);
    gate.wait();
    gate.answer();
    assert!(held() > last, "{rounds}");
    agent.stop();
}

#[test]
fn an_interval_stands_in_the_file_as_well_and_the_flag_is_above_it() {
    let (_held, port) = refusing();
    let jobs = job("a", port);
    for (own, more) in [("1s", &[][..]), ("1440m", &["--interval", "1s"])] {
        let config = Config::new(&format!("[daemon]\ninterval = \"{own}\"\n{jobs}"));
        let agent = Execd::start(&mut config.command(more));
        let lines: String = (0..2).map(|_| agent.line() + "\n").collect();
        let times = &times(&lines)["a 127.0.0.1"];
        assert!(times.iter().all(|time| time % SECOND == 0), "{lines}");
        // An agent may ask besides.
        agent.stop();
    }
    let config = Config::new(&format!("[daemon]\ninterval = \"1440m\"\n{jobs}"));
    let mut agent = config.start();
    agent.gather();
    assert_eq!(agent.lines(1).len(), 1);
    agent.stop();
}

#[test]
fn with_an_interval_it_needs_no_agent_and_ends_at_sigterm() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    let agent =
        Execd::start_with(&mut config.command(&["--interval", "1s"]), File::open("/dev/null").unwrap());
    let rounds: BTreeSet<_> = (0..2).map(|_| times(&agent.line())["a 127.0.0.1"][0]).collect();
    assert_eq!(rounds.len(), 2);
    agent.stop_by(Signal::SIGTERM);
}

#[test]
fn an_agent_that_is_gone_before_it_is_heard_ends_it_though_it_has_an_interval() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(writer);
    let stopped = Execd::start_with(&mut config.command(&["--interval", "1440m"]), reader).wait();
    assert_eq!((stopped.signal, stopped.status.code()), (None, Some(0)), "{stopped:?}");
}

#[test]
fn the_interval_changes_with_the_configuration() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    let mut agent = config.start();
    agent.gather();
    agent.line();
    std::fs::write(&config.path, format!("[daemon]\ninterval = \"1s\"\n{}", job("a", port))).unwrap();
    agent.signal(Signal::SIGHUP);
    let lines: String = (0..3).map(|_| agent.line() + "\n").collect();
    let times = &times(&lines)["a 127.0.0.1"];
    assert!(times[1..].iter().all(|time| time % SECOND == 0), "{lines}");
    agent.stop();
}
