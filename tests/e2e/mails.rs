//! A mail is sent once: whatever becomes of the answer to it, and wherever else the name leads.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;
use support::{Job, agent::Execd, name_server::NameServer, points, sonde, stdout};

/// What a server does when it has the mail.
#[derive(Clone, Copy, Debug)]
enum Then {
    Close,
    Reset,
    HalfAReply,
    Silence,
    Take,
}

/// What has come to a server.
#[derive(Default)]
struct Came {
    sessions: AtomicUsize,
    mails: AtomicUsize,
}

impl Came {
    fn counts(&self) -> (usize, usize) {
        (self.sessions.load(Ordering::SeqCst), self.mails.load(Ordering::SeqCst))
    }
}

/// Takes a mail; mostly it does not say so.
fn session(stream: &TcpStream, then: Then, came: &Came) -> std::io::Result<()> {
    came.sessions.fetch_add(1, Ordering::SeqCst);
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let say = |text: &str| (&*stream).write_all(text.as_bytes());
    say("220 mx1\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        if line != "DATA" {
            say("250 ok\r\n")?;
            continue;
        }
        say("354 go\r\n")?;
        while lines.next().transpose()?.is_some_and(|line| line != ".") {}
        came.mails.fetch_add(1, Ordering::SeqCst);
        match then {
            Then::Close => {}
            Then::Reset => SockRef::from(stream).set_linger(Some(Duration::ZERO))?,
            Then::HalfAReply => say("250 2.0.0 queu")?,
            // Until the other side has enough of it.
            Then::Silence => drop(lines.next()),
            Then::Take => say("250 2.0.0 queued\r\n")?,
        }
        break;
    }
    Ok(())
}

/// A server at two addresses with one port, and what has come to both.
fn server(then: Then) -> (u16, Arc<Came>) {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let came = Arc::new(Came::default());
    for listener in [first, second] {
        let came = Arc::clone(&came);
        thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                // The other side may be gone.
                drop(session(&stream, then, &came));
            }
        });
    }
    (port, came)
}

/// The stack of the built-in check is small.
#[test]
fn a_mail_as_large_as_parameters_may_be_goes_to_a_hundred_recipients() {
    let (port, came) = server(Then::Take);
    let to: Vec<_> = (0..100).map(|number| format!("recipient{number}@mx{number}.example")).collect();
    let body = "<p>Gr\u{fc}\u{df}e \u{1f600}\n".repeat(153_000);
    let folder = tempfile::tempdir().unwrap();
    let job = Job::new("127.0.0.1", port).parameter("from", "a@b.example").parameter("to", to);
    let point = job.parameter("subject", "\u{e4}".repeat(500)).parameter("body", body).run(folder.path());
    assert_eq!((&*point.tags["result"], came.counts()), ("success", (1, 1)), "{point:?}");
}

#[test]
fn a_mail_whose_end_is_ambiguous_is_not_sent_again() {
    let both = || vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
    let names = NameServer::of_addresses(60, move |_| both());
    for (then, result) in [
        (Then::Close, "read_failed"),
        (Then::Reset, "read_failed"),
        (Then::HalfAReply, "read_failed"),
        (Then::Silence, "timeout"),
    ] {
        let (port, came) = server(then);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sonde.toml");
        let config = format!(
            "[resolver]\nservers = [\"{}\"]\n[[job]]\nname = \"a\"\nhost = \"mx1.test\"\ntimeout = \"2s\"\n\
             grants = [\"tcp://127.0.0.1:{port}\", \"tcp://127.0.0.2:{port}\"]\n[job.parameters]\nport = {port}\n\
             from = \"a@b.example\"\nto = [\"c@d.example\"]\n",
            names.address
        );
        fs::write(&path, config).unwrap();
        let file = path.to_str().unwrap();
        let run = stdout(&sonde(&["run", "--config", file]));
        assert_eq!(came.counts(), (1, 1), "{then:?}: {run}");
        // A daemon has time: it does not use it.
        let mut agent =
            Execd::start(Command::new(env!("CARGO_BIN_EXE_sonde")).args(["execd", "--config", file]));
        agent.gather();
        let round = agent.line();
        assert_eq!(agent.stop().lines, [""; 0]);
        assert_eq!(came.counts(), (2, 2), "{then:?}: {round}");
        for line in [run, round] {
            let point = &points(&line)[0];
            assert_eq!((&*point.tags["result"], point.code("error_code")), (result, 1022), "{line}");
        }
    }
}
