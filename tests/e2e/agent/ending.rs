//! How it ends: in the agent's time, by itself, with every line that there is.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;

use support::{agent::Execd, hostile, points, refusing, sonde, stderr, stdout, succeed};

use super::{Config, job, many, times};

/// As `telegraf --test` asks: a newline, and at once the end.
#[test]
fn a_round_that_was_asked_for_is_there_as_a_whole_when_the_agent_closes_the_pipe_at_the_end() {
    let (_held, port) = refusing();
    let config = Config::new(&many(300, port));
    for _ in 0..5 {
        let mut agent = config.start();
        agent.gather();
        let stopped = agent.stop();
        assert_eq!((times(&stopped.lines.join("\n")).len(), &*stopped.unread), (300, ""));
    }
}

#[test]
fn what_does_not_end_in_the_agents_time_has_no_line_and_neither_sigterm_nor_sigkill_is_needed() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_held, port) = refusing();
    let jobs = job("silent", silent.local_addr().unwrap().port()) + &job("quick", port);
    let config = Config::new(&jobs);
    let mut agent = config.start();
    agent.gather();
    assert_eq!(agent.lines(1)[0].tags["job"], "quick");
    let stopped = agent.stop();
    assert!(stopped.took < Duration::from_millis(4500), "{stopped:?}");
    assert_eq!((stopped.lines.len(), &*stopped.unread), (0, ""));
    assert_eq!(stopped.log.last().unwrap(), "W! stopped by the end of input: 1 of 2 jobs has no line");
    // Of those that wait for their turn the same is true.
    let config = Config::new(&format!("max_concurrent = 1\n{jobs}"));
    let mut agent = config.start();
    agent.gather();
    let stopped = agent.stop();
    assert_eq!((stopped.lines.len(), stopped.log.len()), (0, 1), "{stopped:?}");
    assert_eq!(stopped.log[0], "W! stopped by the end of input: 2 of 2 jobs have no line");
}

#[test]
fn sigterm_and_sigint_end_it_as_the_end_of_input_does() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_held, port) = refusing();
    let config = Config::new(&(job("silent", silent.local_addr().unwrap().port()) + &job("quick", port)));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut agent = config.start();
        agent.gather();
        agent.line();
        let stopped = agent.stop_by(signal);
        assert!(stopped.took < Duration::from_millis(4500), "{stopped:?}");
        let said = format!("W! stopped by {signal}: 1 of 2 jobs has no line");
        assert_eq!(*stopped.log.last().unwrap(), said);
    }
}

#[test]
fn an_agent_that_does_not_read_is_left_in_time_and_has_no_part_of_a_line() {
    let (_held, port) = refusing();
    let config = Config::new(&many(1000, port));
    let mut agent = config.start();
    agent.read(false);
    agent.gather();
    agent.logged("127.0.3.250");
    let stopped = agent.stop();
    assert!(stopped.took < Duration::from_millis(4500), "{stopped:?}");
    let read = points(&stopped.unread).len();
    assert!(read > 0 && stopped.unread.ends_with('\n'));
    let said = format!("W! stopped by the end of input: {} of 1000 jobs have no line", 1000 - read);
    assert_eq!(*stopped.log.last().unwrap(), said);
}

#[test]
fn a_check_that_computes_without_end_does_not_hold_up_the_end() {
    let (_held, port) = refusing();
    let config = Config::new("");
    let file = config.folder.path().join("hostile.wasm");
    std::fs::write(&file, hostile("honest")).unwrap();
    let file = file.to_str().unwrap();
    let pinned = stdout(&sonde(&["pin", file, "--host", "127.0.0.1", "-p", "port=7", "-p", "harm=loop"]));
    let (check, own) = pinned.split_once("\n[[job]]").unwrap();
    let limits = "[check.limits]\ncpu_time = \"10m\"\n";
    // More of them than threads, and also where there is one core.
    let hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"];
    let own = own.replacen("\nhost = \"127.0.0.1\"", &format!("\ntimeout = \"60s\"\nhosts = {hosts:?}"), 1);
    let jobs = format!("{check}\n{limits}\n[[job]]{own}\n{}", job("quick", port));
    std::fs::write(&config.path, format!("threads = 3\n{jobs}")).unwrap();
    succeed(&mut config.sonde("compile"));
    let mut agent = config.start();
    agent.gather();
    assert_eq!(agent.lines(1)[0].tags["job"], "quick");
    // It computes by then.
    thread::sleep(Duration::from_secs(1));
    let stopped = agent.stop();
    assert!(stopped.took < Duration::from_millis(4500), "{stopped:?}");
    assert_eq!(stopped.log.last().unwrap(), "W! stopped by the end of input: 4 of 5 jobs have no line");
}

#[test]
fn where_the_agent_is_gone_it_ends() {
    let (_held, port) = refusing();
    let counted = job("a", port).replace("timeout", "max_per_hour = 9\ntimeout");
    let config = Config::new(&format!("[daemon]\nstate_file = \"state\"\n{counted}"));
    let mut command = config.command(&[]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    // Its input stays open.
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(log.by_ref().last().unwrap(), "E! standard output: Broken pipe (os error 32)");
    assert_eq!(child.wait().unwrap().code(), Some(2));
    drop(stdin);
    // What it was to remember, it has written.
    let state = std::fs::read_to_string(config.folder.path().join("state")).unwrap();
    assert!(state.contains("\"job\":\"a\""), "{state}");
}

#[test]
fn without_an_agent_and_an_interval_it_says_so_and_ends() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    // Closed, it is the same as nothing in it.
    let closed = |command: &mut Command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" <&-"]).arg(command.get_program()).args(command.get_args());
        shell.output().unwrap()
    };
    let mut command = config.command(&[]);
    let null = command.stdin(File::open("/dev/null").unwrap()).output().unwrap();
    for output in [closed(&mut command), null] {
        assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
        let said =
            "W! standard input is at its end from the start: without an agent, rounds come with --interval\n";
        assert_eq!(stderr(&output), said);
    }
}

#[test]
fn the_end_may_come_before_the_first_round() {
    let (_held, port) = refusing();
    let config = Config::new(&job("a", port));
    let stopped = Execd::start(&mut config.command(&[])).stop();
    assert_eq!(stopped.lines, [""; 0]);
}
