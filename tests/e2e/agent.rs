//! What an agent relies on: `sonde execd` under a stand-in for Telegraf's `inputs.execd`, rule by rule.

mod ending;
mod hostile;
mod interval;
mod itself;
mod late;
mod log;
mod own_time;
mod restraint;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::TcpListener,
    path::PathBuf,
    process::Command,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use support::{
    Point,
    agent::{Execd, exec},
    points, refusing,
};

/// A configuration in a folder of its own.
struct Config {
    folder: TempDir,
    path: PathBuf,
}

impl Config {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sonde.toml");
        fs::write(&path, text).unwrap();
        Self { folder, path }
    }

    fn sonde(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
        command.arg(name).arg("-c").arg(&self.path);
        command.env("XDG_CACHE_HOME", self.folder.path().join("cache"));
        command
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.sonde("execd");
        command.args(more);
        command
    }

    fn start(&self) -> Execd {
        Execd::start(&mut self.command(&[]))
    }
}

fn job(name: &str, port: u16) -> String {
    format!("[[job]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\ntimeout = \"60s\"\nparameters.port = {port}\n")
}

/// A job with so many hosts, all of this machine.
fn many(hosts: usize, port: u16) -> String {
    let hosts: Vec<_> = (0..hosts).map(|host| format!("127.0.{}.{}", host / 250, 1 + host % 250)).collect();
    format!("[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {port}\n")
}

/// A server that says when somebody comes, and answers when it is told to.
struct Gate {
    port: u16,
    came: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((coming, came), (open, opened)) = (mpsc::channel(), mpsc::channel());
        thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                // The test may be over.
                if coming.send(()).is_err() || opened.recv().is_err() {
                    return;
                }
                drop((&stream).write_all(b"554 5.7.1 no\r\n"));
            }
        });
        Self { port, came, open }
    }

    /// Somebody came.
    fn wait(&self) {
        self.came.recv_timeout(Duration::from_mins(1)).unwrap();
    }

    fn answer(&self) {
        self.open.send(()).unwrap();
    }
}

/// A server of all IPv4 addresses that refuses, and says whenever it did.
fn answering() -> (u16, Receiver<()>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (coming, came) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            drop((&stream).write_all(b"554 5.7.1 no\r\n"));
            // The test may be over.
            if coming.send(()).is_err() {
                return;
            }
        }
    });
    (port, came)
}

/// Of each job, by host, the time stamps of its lines.
fn times(lines: &str) -> BTreeMap<String, Vec<i64>> {
    let mut times: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for (point, line) in points(lines).iter().zip(lines.lines()) {
        let time = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        times.entry(format!("{} {}", point.tags["job"], point.tags["server"])).or_default().push(time);
    }
    times
}

fn now_ns() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn a_newline_asks_for_a_round_whatever_else_stands_on_its_line() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    let mut agent = config.start();
    let rounds: [&[u8]; 5] = [b"\n", b"\r\n", b"gather, please\n", b"\xff\0\n", b"\n"];
    let mut last = 0;
    for round in rounds {
        agent.say(round);
        let line = agent.line();
        let time = times(&line)["a 127.0.0.1"][0];
        assert!(time > last, "{line}");
        last = time;
    }
    agent.say(b"without an end");
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn newlines_during_a_round_are_exactly_one_further_round_after_it() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let mut agent = config.start();
    agent.gather();
    gate.wait();
    assert_eq!(agent.lines(1)[0].tags["job"], "quick");
    agent.say(&b"\n".repeat(1000));
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(100));
        agent.gather();
    }
    thread::sleep(Duration::from_millis(300));
    gate.answer();
    // Not before the first has ended.
    assert_eq!(agent.lines(1)[0].tags["job"], "held");
    gate.wait();
    gate.answer();
    let jobs: BTreeSet<_> = agent.lines(2).iter().map(|point| point.tags["job"].clone()).collect();
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    assert_eq!(agent.stop().lines, [""; 0]);
    assert!(gate.came.try_recv().is_err(), "a third round");
}

#[test]
fn a_line_is_there_as_soon_as_its_check_ends() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let mut agent = config.start();
    agent.gather();
    let first = agent.lines(1);
    assert_eq!(first[0].tags["job"], "quick");
    gate.wait();
    gate.answer();
    assert_eq!(agent.lines(1)[0].tags["job"], "held");
    agent.stop();
}

#[test]
fn each_job_has_one_line_a_round_with_the_rounds_start_in_nanoseconds_and_the_same_tags() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("rejected", gate.port) + &many(20, port)));
    let mut agent = config.start();
    let (mut last, mut tags) = (0, BTreeMap::new());
    for _ in 0..20 {
        let before = now_ns();
        agent.gather();
        gate.wait();
        gate.answer();
        let lines: String = (0..21).map(|_| agent.line() + "\n").collect();
        let times = times(&lines);
        assert_eq!(times.len(), 21, "{lines}");
        let of_round: BTreeSet<_> = times.values().flatten().collect();
        assert_eq!(of_round.len(), 1, "{lines}");
        let time = **of_round.first().unwrap();
        assert!(time > last && (before..now_ns()).contains(&time), "{lines}");
        last = time;
        for Point { tags: now, .. } in points(&lines) {
            let names: Vec<_> = now.keys().cloned().collect();
            let key = (now["job"].clone(), now["server"].clone());
            assert_eq!(*tags.entry(key).or_insert_with(|| names.clone()), names);
        }
    }
    let stopped = agent.stop();
    // A failure that goes on is in the log once.
    assert_eq!((stopped.lines.len(), stopped.log.len()), (0, 21), "{stopped:?}");
}

#[test]
fn the_signals_that_an_agent_may_ask_with_ask_for_a_round() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    let mut agent = config.start();
    agent.gather();
    agent.line();
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGHUP] {
        agent.signal(signal);
        assert_eq!(agent.lines(1)[0].tags["job"], "a");
    }
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn an_agent_that_is_stuck_loses_no_line_and_gets_none_twice_or_torn() {
    const JOBS: usize = 4600;
    let (port, came) = answering();
    let config = Config::new(&many(JOBS, port));
    let mut agent = config.start();
    agent.read(false);
    agent.gather();
    // Its check judges each job before the first begins.
    came.recv_timeout(Duration::from_mins(1)).unwrap();
    let mut count = 1;
    // Until nobody comes any more.
    while came.recv_timeout(Duration::from_secs(5)).is_ok() {
        count += 1;
        if count % 1000 == 0 {
            agent.gather();
        }
    }
    // What is held, what the pipe and the writer have, and the checks that ran when there was no more room.
    assert!((4096..4096 + 64 + 300).contains(&count), "{count}");
    agent.read(true);
    let lines: String = (0..2 * JOBS).map(|_| agent.line() + "\n").collect();
    let times = times(&lines);
    assert_eq!(times.len(), JOBS);
    for times in times.values() {
        // The newlines meanwhile were one further round.
        assert!(times.len() == 2 && times[0] != times[1], "{times:?}");
    }
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn a_log_that_the_agent_does_not_read_holds_up_no_line_and_not_the_end() {
    let (_held, port) = refusing();
    let config = Config::new(&many(2000, port));
    let mut agent = config.start();
    agent.read_log(false);
    for _ in 0..2 {
        agent.gather();
        assert_eq!(agent.lines(2000).len(), 2000);
    }
    agent.stop();
}

#[test]
fn started_again_behind_a_crash_it_goes_on() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let mut agent = config.start();
    agent.gather();
    agent.line();
    gate.wait();
    agent.signal(Signal::SIGKILL);
    let stopped = agent.wait();
    assert_eq!((stopped.status.code(), stopped.lines.len()), (None, 0), "{stopped:?}");
    gate.answer();
    let mut agent = config.start();
    agent.gather();
    gate.wait();
    gate.answer();
    assert_eq!(agent.lines(2).len(), 2);
    agent.stop();
}

#[test]
fn sighup_changes_the_configuration_in_one_and_a_broken_one_changes_nothing() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("old", port)));
    let write = |text: &str| fs::write(&config.path, text).unwrap();
    let mut agent = config.start();
    agent.gather();
    agent.line();
    gate.wait();
    // What runs goes on; a round of the new one comes behind it.
    write(&(job("held", gate.port) + &job("new", port)));
    agent.signal(Signal::SIGHUP);
    thread::sleep(Duration::from_millis(300));
    gate.answer();
    assert_eq!(agent.lines(1)[0].tags["job"], "held");
    gate.wait();
    gate.answer();
    let jobs = |points: Vec<Point>| -> BTreeSet<String> {
        points.into_iter().map(|point| point.tags["job"].clone()).collect()
    };
    assert_eq!(jobs(agent.lines(2)), ["held", "new"].map(ToOwned::to_owned).into());

    write("[[job]]\nname = \"broken\"\n");
    agent.signal(Signal::SIGHUP);
    let said = agent.logged("not changed");
    let refused =
        format!("E! not changed, what ran before goes on: {}: job `broken`: host: ", config.path.display());
    assert!(said.starts_with(&refused), "{said}");
    gate.wait();
    gate.answer();
    assert_eq!(jobs(agent.lines(2)), ["held", "new"].map(ToOwned::to_owned).into());
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn a_broken_configuration_is_refused_before_anything_runs() {
    for (text, more, said) in [
        ("", &[][..], "no [[job]] in it"),
        (
            "[daemon]\ninterval = \"1\"\n",
            &[],
            "daemon.interval: expected a time such as \"60s\" or \"5m\", from 1s to 1440m",
        ),
        ("[daemon]\nevery = \"1s\"\n", &[], "line 2: daemon: unknown key `every`"),
        (
            "",
            &["--interval", "500ms"],
            "--interval: expected a time such as \"60s\" or \"5m\", from 1s to 1440m",
        ),
    ] {
        let config = Config::new(text);
        let stopped = Execd::start(&mut config.command(more)).wait();
        assert_eq!((stopped.status.code(), stopped.log.len()), (Some(2), 1), "{stopped:?}");
        assert!(stopped.log[0].starts_with("E! ") && stopped.log[0].contains(said), "{stopped:?}");
    }
}

#[test]
fn under_exec_a_round_that_takes_longer_than_the_agent_waits_keeps_what_is_done() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let run = |config: &Config, timeout| exec(&mut config.sonde("run"), timeout);
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let lines = run(&config, Duration::from_secs(3)).unwrap();
    assert_eq!((lines.len(), &*lines[0].tags["job"]), (1, "quick"));
    let config = Config::new(&many(300, port));
    assert_eq!(run(&config, Duration::from_mins(1)).unwrap().len(), 300);
    let config = Config::new("");
    assert!(run(&config, Duration::from_mins(1)).unwrap_err().contains("no [[job]]"));
}
