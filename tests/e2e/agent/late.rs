//! What is late: rounds that wait for others, runs whose round is over, configurations that nobody can read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use nix::sys::{signal::Signal, stat::Mode};

use support::{Point, agent::Execd, name_server::NameServer, refusing};

use super::{Config, Gate, answering, job, many, now_ns, times};

const SECOND: i64 = 1_000_000_000;

#[test]
fn what_has_not_started_when_nobody_reads_is_skipped_and_one_fresh_round_comes() {
    const JOBS: usize = 4600;
    let (port, came) = answering();
    let config = Config::new(&many(JOBS, port));
    let mut agent = config.start();
    agent.read(false);
    agent.gather();
    let said = agent.logged("nobody reads standard output");
    let ran = came.try_iter().count();
    assert!((4096..JOBS).contains(&ran), "{ran}");
    let skipped = JOBS - ran;
    assert_eq!(
        said,
        format!("W! nobody reads standard output: {skipped} jobs had not started, and are skipped")
    );
    for _ in 0..3 {
        agent.gather();
        thread::sleep(Duration::from_millis(100));
    }
    let read_again = now_ns();
    agent.read(true);
    let lines: String = (0..ran + JOBS).map(|_| agent.line() + "\n").collect();
    let mut rounds: BTreeMap<i64, usize> = BTreeMap::new();
    times(&lines).values().flatten().for_each(|time| *rounds.entry(*time).or_default() += 1);
    let rounds: Vec<_> = rounds.into_iter().collect();
    assert_eq!((rounds.len(), rounds[0].1, rounds[1].1), (2, ran, JOBS), "{rounds:?}");
    assert!(rounds[0].0 < read_again && read_again < rounds[1].0);
    assert_eq!(came.try_iter().count(), JOBS);
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn what_has_not_started_of_a_configuration_that_is_gone_does_not_start() {
    let (gate, (port, came)) = (Gate::new(), answering());
    let config = Config::new(&format!("max_concurrent = 1\n{}{}", job("held", gate.port), many(20, port)));
    let mut agent = config.start();
    agent.gather();
    gate.wait();
    fs::write(&config.path, job("new", port)).unwrap();
    agent.signal(Signal::SIGHUP);
    let said = agent.logged("had not started");
    assert_eq!(said, "W! 20 jobs of the configuration before had not started, and are skipped");
    gate.answer();
    let jobs: Vec<_> = agent.lines(2).iter().map(|point| point.tags["job"].clone()).collect();
    assert_eq!(jobs, ["held", "new"]);
    let stopped = agent.stop();
    assert_eq!((stopped.lines.len(), came.try_iter().count()), (0, 1), "{stopped:?}");
}

#[test]
fn whom_a_round_waits_for_is_said_once() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let mut agent = config.start();
    agent.gather();
    gate.wait();
    let begin = "W! a round that was asked for waits for 1 job: held (127.0.0.1) has run for ";
    for round in 0..2 {
        agent.gather();
        if round == 0 {
            let said = agent.logged("waits for");
            assert!(said.starts_with(begin), "{said}");
        } else {
            thread::sleep(Duration::from_secs(6));
        }
        gate.answer();
        gate.wait();
    }
    gate.answer();
    assert_eq!(agent.lines(6).len(), 6);
    let log = agent.stop().log;
    assert!(!log.iter().any(|line| line.contains("waits for")), "{log:?}");
}

#[test]
fn under_an_interval_a_newline_waits_only_for_what_ran_when_it_came() {
    let ([one, other], (_held, port)) = ([Gate::new(), Gate::new()], refusing());
    let config = Config::new(&(job("one", one.port) + &job("other", other.port) + &job("quick", port)));
    let mut agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    one.wait();
    other.wait();
    agent.gather();
    // The newline is there.
    thread::sleep(Duration::from_millis(300));
    one.answer();
    one.wait();
    // Something runs at any time from here on. The one that ends now is in the round: the others may run still.
    other.answer();
    other.wait();
    other.answer();
    let is_asked = |line: &String| times(line).values().any(|time| time[0] % SECOND != 0);
    let lines: Vec<_> = (0..20).map(|_| agent.line()).take_while(|line| !is_asked(line)).collect();
    assert!(lines.len() < 20, "no round between the ticks: {lines:#?}");
    one.answer();
    agent.stop_by(Signal::SIGTERM);
}

#[test]
fn jobs_without_a_line_are_counted_of_those_that_there_are() {
    let (gate, (_held, port)) = (Gate::new(), refusing());
    let config = Config::new(&(job("held", gate.port) + &job("quick", port)));
    let agent = Execd::start(&mut config.command(&["--interval", "1s"]));
    assert_eq!(agent.lines(3).len(), 3);
    let stopped = agent.stop_by(Signal::SIGTERM);
    assert_eq!(stopped.log.last().unwrap(), "W! stopped by SIGTERM: 1 of 2 jobs has no line");
}

/// A configuration that comes through a pipe of this name.
fn through_a_pipe() -> Config {
    let config = Config::new("");
    fs::remove_file(&config.path).unwrap();
    nix::unistd::mkfifo(&config.path, Mode::S_IRWXU).unwrap();
    config
}

fn write(pipe: &Path, text: &str) {
    fs::write(pipe, text).unwrap();
}

#[test]
fn a_configuration_that_nobody_writes_is_given_up_and_one_that_somebody_writes_is_read() {
    let (_held, port) = refusing();
    let config = through_a_pipe();
    let mut agent = config.start();
    write(&config.path, &job("a", port));
    agent.gather();
    assert_eq!(agent.lines(1)[0].tags["job"], "a");
    agent.signal(Signal::SIGHUP);
    let said = agent.logged("not changed");
    let expected = format!(
        "E! not changed, what ran before goes on: {}: it could not be read within 30s: nobody writes into it, or its disk \
         does not answer",
        config.path.display()
    );
    assert_eq!(said, expected);
    assert_eq!(agent.lines(1)[0].tags["job"], "a");
    agent.signal(Signal::SIGHUP);
    // It waits for the pipe by then.
    thread::sleep(Duration::from_millis(300));
    write(&config.path, &job("b", port));
    assert_eq!(agent.lines(1)[0].tags["job"], "b");
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn while_a_configuration_is_waited_for_the_end_comes_as_at_any_time() {
    let config = through_a_pipe();
    let stopped = config.start().stop();
    assert_eq!(stopped.lines, [""; 0]);
    let said = "W! stopped by the end of input: the configuration was not read by then";
    assert_eq!(stopped.log, [said]);
}

/// What comes of a job whose process is stopped while the greeting is awaited, until longer than it would have been waited for with
/// the grace of a check that goes on by itself; and what the server heard, which said this meanwhile.
fn stopped(greeting: &str) -> (Point, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::new(&job("a", listener.local_addr().unwrap().port()).replace("60s", "3s"));
    let mut agent = config.start();
    agent.gather();
    let (mut peer, _) = listener.accept().unwrap();
    // By then it waits for the greeting.
    thread::sleep(Duration::from_millis(500));
    agent.signal(Signal::SIGSTOP);
    peer.write_all(greeting.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(3500));
    agent.signal(Signal::SIGCONT);
    let point = agent.lines(1).remove(0);
    let mut heard = String::new();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(agent.stop().lines, [""; 0]);
    (point, heard)
}

#[test]
fn of_a_process_that_was_stopped_what_came_in_time_counts_and_nothing_begins_when_the_time_is_over() {
    let (refused, _) = stopped("554 5.7.1 no\r\n");
    assert_eq!((&*refused.tags["result"], refused.code("response_code")), ("rejected", 554));
    let (greeted, heard) = stopped("220 mx1\r\n");
    assert_eq!((&*greeted.tags["result"], greeted.code("sequence_code")), ("timeout", 3), "{greeted:?}");
    assert!(greeted.text("error").contains("of it went by here (this process was stopped"), "{greeted:?}");
    assert!(greeted.time("own_time_ms").unwrap() > 3000.0, "{greeted:?}");
    assert_eq!(heard, "");
}

#[test]
fn a_name_server_that_answered_in_time_was_not_silent_where_the_process_was_stopped() {
    let (_held, port) = refusing();
    let (asking, asked) = mpsc::channel();
    let (answering, answered) = mpsc::channel::<()>();
    let ends = Mutex::new((asking, answered));
    let server = NameServer::of_addresses(60, move |_name| {
        let ends = ends.lock().unwrap();
        // The test may be over.
        ends.0.send(()).ok();
        // Until there is none to come.
        ends.1.recv().ok();
        vec![Ipv4Addr::LOCALHOST.into()]
    });
    let job = job("a", port).replace("\"127.0.0.1\"", "\"mx.test\"").replace("60s", "3s");
    let granted = job.replace("timeout", &format!("grants = [\"tcp://127.0.0.1:{port}\"]\ntimeout"));
    let config = Config::new(&format!("[resolver]\nservers = [\"{}\"]\n{granted}", server.address));
    let mut agent = config.start();
    agent.gather();
    asked.recv_timeout(Duration::from_mins(1)).unwrap();
    thread::sleep(Duration::from_millis(200));
    agent.signal(Signal::SIGSTOP);
    drop(answering);
    thread::sleep(Duration::from_millis(3500));
    agent.signal(Signal::SIGCONT);
    let point = agent.lines(1).remove(0);
    assert_eq!(point.code("error_code"), 402, "{point:?}");
    assert!(point.text("error").contains("of it went by here (this process was stopped"), "{point:?}");
    // No longer than it would have been waited for.
    let times = (point.time("dns_time_ms").unwrap(), point.time("own_time_ms").unwrap());
    assert!(times.0 < 3000.1 && times.1 > 500.0, "{point:?}");
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn that_nobody_asks_any_more_is_said() {
    let (_held, port) = refusing();
    let config = Config::new(&format!("[daemon]\ninterval = \"1s\"\n{}", job("a", port)));
    let agent = Execd::start_with(&mut config.command(&[]), File::open("/dev/null").unwrap());
    agent.line();
    fs::write(&config.path, job("b", port)).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.logged(
        "W! standard input is at its end, and no interval is given any more: rounds come at signals only",
    );
    while !agent.line().contains("job=b") {}
    agent.stop_by(Signal::SIGTERM);
}
