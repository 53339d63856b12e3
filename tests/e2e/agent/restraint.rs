//! Whom rounds leave out: whose log-in was refused, and who has run often enough.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::symlink,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use support::{agent::Execd, points, refusing, stderr, stdout};

use super::{Config, Gate, job};

/// A server that refuses each log-in, and how many there were.
fn refuser() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    thread::spawn(move || {
        for stream in listener.incoming().map(Result::unwrap) {
            // The other side may be gone.
            drop(refuse(&stream, &count));
        }
    });
    (port, refused)
}

fn refuse(stream: &TcpStream, refused: &AtomicUsize) -> std::io::Result<()> {
    let say = |text: &str| (&*stream).write_all(text.as_bytes());
    say("220 mx1\r\n")?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        match &line?[..4] {
            "EHLO" => say("250-mx1\r\n250 AUTH PLAIN\r\n")?,
            "AUTH" => {
                refused.fetch_add(1, Ordering::SeqCst);
                say("535 5.7.8 no\r\n")?;
            }
            _ => say("221 bye\r\n")?,
        }
    }
    Ok(())
}

fn login(name: &str, port: u16, password: &str) -> String {
    format!(
        "{}parameters.username = \"probe\"\nparameters.password = \"{password}\"\n\
         parameters.allow_plaintext_auth = true\n",
        job(name, port)
    )
}

/// The jobs of the lines of a round, which has one of `quick` at its end or before.
fn round(agent: &mut Execd, lines: usize) -> Vec<String> {
    agent.gather();
    let mut jobs: Vec<_> = agent.lines(lines).into_iter().map(|point| point.tags["job"].clone()).collect();
    jobs.sort();
    jobs
}

const LEFT_OUT: &str = "auth_failed: left out for 5m, so that nobody locks its account";

#[test]
fn a_refused_log_in_is_not_tried_in_the_next_round_unless_its_configuration_changed() {
    let ((port, refused), (_held, closed)) = (refuser(), refusing());
    let config = Config::new(&(login("a", port, "hunter2") + &job("quick", closed)));
    let mut agent = config.start();
    assert_eq!(round(&mut agent, 2), ["a", "quick"]);
    agent.logged(&format!("W! job a: 127.0.0.1: {LEFT_OUT}"));
    for _ in 0..3 {
        assert_eq!(round(&mut agent, 1), ["quick"]);
    }
    // What is read again and the same changes nothing; another password is tried.
    agent.signal(Signal::SIGHUP);
    assert_eq!(agent.lines(1)[0].tags["job"], "quick");
    assert_eq!(refused.load(Ordering::SeqCst), 1);
    fs::write(&config.path, login("a", port, "another") + &job("quick", closed)).unwrap();
    agent.signal(Signal::SIGHUP);
    assert_eq!(agent.lines(2).len(), 2);
    assert_eq!(round(&mut agent, 1), ["quick"]);
    assert_eq!(agent.stop().lines, [""; 0]);
    assert_eq!(refused.load(Ordering::SeqCst), 2);
}

#[test]
fn what_is_held_back_is_known_at_the_next_start_and_to_sonde_run() {
    let ((port, refused), (_held, closed)) = (refuser(), refusing());
    let seldom = job("seldom", closed).replace("timeout", "max_per_hour = 1\ntimeout");
    let jobs = login("a", port, "hunter2") + &seldom + &job("quick", closed);
    let config = Config::new(&("[daemon]\nstate_file = \"state\"\n".to_owned() + &jobs));
    let mut agent = config.start();
    assert_eq!(round(&mut agent, 3), ["a", "quick", "seldom"]);
    assert_eq!(round(&mut agent, 1), ["quick"]);
    agent.logged("I! left out of this round by `max_per_hour`: seldom (127.0.0.1)");
    agent.stop();
    let mut agent = config.start();
    assert_eq!(round(&mut agent, 1), ["quick"]);
    agent.logged(LEFT_OUT);
    // Who comes second has none.
    let ran = config.sonde("run").stdin(Stdio::null()).output().unwrap();
    assert_eq!(points(&stdout(&ran)).len(), 3);
    assert!(stderr(&ran).contains("/state: another sonde has it: "), "{}", stderr(&ran));
    agent.stop();
    // What was begun is there as a whole, and nothing else.
    assert!(!config.folder.path().join("state.new").exists());
    let ran = config.sonde("run").stdin(Stdio::null()).output().unwrap();
    let points = points(&stdout(&ran));
    assert_eq!((points.len(), &*points[0].tags["job"]), (1, "quick"), "{}", stderr(&ran));
    // At the end: an agent passes on the first line alone, which is to be of a failure.
    let last = stderr(&ran).lines().last().unwrap().to_owned();
    assert_eq!(last, "I! left out of this round by `max_per_hour`: seldom (127.0.0.1)");
    assert!(stderr(&ran).contains(LEFT_OUT), "{}", stderr(&ran));
    assert_eq!(refused.load(Ordering::SeqCst), 2);
    // Without it a round stands alone.
    fs::write(&config.path, &jobs).unwrap();
    let ran = config.sonde("run").stdin(Stdio::null()).output().unwrap();
    assert_eq!(support::points(&stdout(&ran)).len(), 3);
    assert!(
        stderr(&ran).contains("W! max_per_hour: no run is counted without state_file"),
        "{}",
        stderr(&ran)
    );
    assert!(!stderr(&ran).contains("left out"), "{}", stderr(&ran));
}

#[test]
fn the_state_file_of_a_daemon_that_is_about_to_end_is_waited_for() {
    let ((port, refused), gate, (_held, closed)) = (refuser(), Gate::new(), refusing());
    let jobs = login("a", port, "hunter2") + &job("slow", gate.port) + &job("quick", closed);
    let config = Config::new(&("[daemon]\nstate_file = \"state\"\n".to_owned() + &jobs));
    let mut first = config.start();
    assert_eq!(round(&mut first, 2), ["a", "quick"]);
    gate.wait();
    // Its agent is gone; what runs still has some seconds.
    let ending = thread::spawn(|| first.stop());
    let mut second = config.start();
    second.gather();
    ending.join().unwrap();
    gate.answer();
    gate.wait();
    gate.answer();
    let mut ran: Vec<_> = second.lines(2).into_iter().map(|point| point.tags["job"].clone()).collect();
    ran.sort();
    assert_eq!(ran, ["quick", "slow"]);
    second.logged(LEFT_OUT);
    let log = second.stop().log;
    assert!(!log.iter().any(|line| line.contains("another sonde")), "{log:?}");
    assert_eq!(refused.load(Ordering::SeqCst), 1);
}

#[test]
fn who_is_to_end_does_not_wait_for_another_ones_state_file() {
    let (_held, closed) = refusing();
    let config = Config::new(&("[daemon]\nstate_file = \"state\"\n".to_owned() + &job("quick", closed)));
    let mut first = config.start();
    assert_eq!(round(&mut first, 1), ["quick"]);
    // As `telegraf --test` does beside the daemon.
    let mut second = config.start();
    second.gather();
    let stopped = second.stop();
    assert_eq!(points(&(stopped.lines.join("\n") + "\n")).len(), 1, "{stopped:?}");
    assert!(stopped.log.iter().any(|line| line.contains("another sonde has it")), "{stopped:?}");
    first.stop();
}

#[test]
fn what_has_not_begun_when_the_program_ends_does_not_count() {
    let (silent, seldom) =
        (Gate::new(), |name: &str, port| job(name, port).replace("timeout", "max_per_hour = 1\ntimeout"));
    let text = "max_concurrent = 1\n[daemon]\nstate_file = \"state\"\n";
    for command in ["execd", "run"] {
        let config = Config::new(&format!("{text}{}{}", seldom("a", silent.port), seldom("b", silent.port)));
        if command == "execd" {
            let mut agent = config.start();
            agent.gather();
            silent.wait();
            assert_eq!(agent.stop().lines, [""; 0]);
        } else {
            let mut ran = config.sonde("run").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
            silent.wait();
            kill(Pid::from_raw(ran.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
            assert!(ran.wait().unwrap().success());
        }
        silent.answer();
        // One has run; the other has its turn.
        let ran = config.sonde("run").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        silent.wait();
        silent.answer();
        let ran = ran.wait_with_output().unwrap();
        assert_eq!(points(&stdout(&ran)).len(), 1, "{command}");
    }
}

#[test]
fn a_state_file_that_cannot_be_used_is_named_and_holds_up_no_round() {
    let (_held, closed) = refusing();
    let config = Config::new(&("[daemon]\nstate_file = \"state\"\n".to_owned() + &job("quick", closed)));
    let state = config.folder.path().join("state");
    let said = |text: &str| {
        let mut agent = config.start();
        agent.gather();
        assert_eq!(agent.lines(1)[0].tags["job"], "quick");
        agent.logged(&format!("state_file {}: {text}", state.display()));
        assert!(agent.stop().status.success());
    };
    fs::create_dir(&state).unwrap();
    said("not a regular file");
    fs::remove_dir(&state).unwrap();
    nix::unistd::mkfifo(&state, nix::sys::stat::Mode::S_IRWXU).unwrap();
    said("not a regular file");
    fs::remove_file(&state).unwrap();
    symlink("elsewhere", &state).unwrap();
    said("a symbolic link, which is not followed");
    fs::remove_file(&state).unwrap();
    fs::write(&state, "{\"version\":").unwrap();
    said("not what sonde writes: begun anew");
    fs::write(&state, "{\"version\":7}").unwrap();
    said("of version 7, and this sonde writes 2: begun anew");
    // It may be all that somebody has, such as the configuration itself.
    fs::write(&state, "my only copy").unwrap();
    said("not what sonde writes: remove it, or give `state_file` a name of its own");
    assert_eq!(fs::read_to_string(&state).unwrap(), "my only copy");
    fs::File::create(&state).unwrap().set_len((128 << 20) + 1).unwrap();
    said("more than 128 MiB: remove it, or give `state_file` a name of its own");
    fs::remove_file(&state).unwrap();
    // Its folder is gone, or what is to become it is in the way.
    fs::create_dir(config.folder.path().join("state.new")).unwrap();
    said("cannot be written: ");
}
