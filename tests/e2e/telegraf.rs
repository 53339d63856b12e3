//! The real Telegraf, with the files that are made for it, into a real InfluxDB. Where there is none, `support::agent` plays its part
//! in the other tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value as Json;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use support::{Server, points, root, say_skipped, stderr, stdout};

use super::influx::Database;

const JOBS: usize = 200;
/// How long a test waits for what must come.
const WAIT: Duration = Duration::from_mins(2);

/// Where it is, which Debian does not have; none: that is said.
pub(crate) fn telegraf() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let found = env::split_paths(&path).map(|folder| folder.join("telegraf")).find(|path| path.is_file());
    if found.is_none() {
        say_skipped("there is no `telegraf` in PATH");
    }
    found
}

/// A mail server at all addresses of this machine, that can be started again.
struct MailServer {
    /// Nobody else is given its port.
    _held: Socket,
    port: u16,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

fn bound(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).unwrap();
    socket
}

impl MailServer {
    fn start() -> Self {
        let held = bound(0);
        let port = held.local_addr().unwrap().as_socket().unwrap().port();
        let mut server = Self { _held: held, port, running: None };
        server.start_again();
        server
    }

    fn start_again(&mut self) {
        let socket = bound(self.port);
        socket.listen(1024).unwrap();
        let (listener, ends) = (TcpListener::from(socket), Arc::new(AtomicBool::new(false)));
        let has_ended = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map(Result::unwrap) {
                if has_ended.load(Ordering::Acquire) {
                    return;
                }
                thread::spawn(move || drop(session(stream)));
            }
        });
        self.running = Some((ends, thread));
    }

    fn stop(&mut self) {
        let (ends, thread) = self.running.take().unwrap();
        ends.store(true, Ordering::Release);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        thread.join().unwrap();
    }
}

fn session(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(b"220 mail.example.org\r\n")?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let quit = line? == "QUIT";
        stream.write_all(if quit { b"221 bye\r\n" } else { b"250 ok\r\n" })?;
        if quit {
            break;
        }
    }
    Ok(())
}

/// A Telegraf with one of the files, and where its lines come to.
struct Agent {
    telegraf: Server,
    database: Database,
    folder: TempDir,
}

/// One of the files as it is, but for its paths and times.
fn file(name: &str, folder: &Path, port: u16) -> PathBuf {
    let hosts: Vec<_> = (1..=JOBS).map(|host| format!("127.0.0.{host}")).collect();
    let config = folder.join("sonde.toml");
    fs::write(&config, format!("[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {port}\n"))
        .unwrap();
    let text = fs::read_to_string(root().join("host/telegraf").join(name)).unwrap();
    let here = [
        ("/usr/local/bin/sonde", env!("CARGO_BIN_EXE_sonde")),
        ("/etc/sonde/sonde.toml", config.to_str().unwrap()),
        ("interval = \"60s\"", "interval = \"2s\""),
    ];
    let text = here.iter().fold(text, |text, (there, here)| {
        assert!(text.contains(there), "{name}: {there}");
        text.replace(there, here)
    });
    let path = folder.join(name);
    fs::write(&path, text.replace("restart_delay = \"10s\"", "restart_delay = \"1s\"")).unwrap();
    path
}

fn now_ns() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// The error codes of a round, by server.
type Codes = BTreeMap<String, i64>;

impl Agent {
    fn start(name: &str, port: u16) -> Option<Self> {
        let (telegraf, database) = (telegraf()?, Database::start()?);
        let folder = tempfile::tempdir().unwrap();
        let (own, sonde) = (folder.path().join("telegraf.conf"), file(name, folder.path(), port));
        let config = format!(
            "[agent]\nflush_interval = \"1s\"\nomit_hostname = true\n\
             [[outputs.influxdb]]\nurls = [\"http://127.0.0.1:{}\"]\ndatabase = \"sonde\"\nskip_database_creation = true\n\
             [[outputs.file]]\nfiles = [\"{}\"]\n",
            database.port,
            folder.path().join("lines").display()
        );
        fs::write(&own, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(telegraf);
        command.arg("--config").arg(own).arg("--config").arg(sonde);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Some(Self { telegraf: Server(command.spawn().unwrap()), database, folder })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.telegraf.0.id()).unwrap())
    }

    /// The `sonde` that it has started.
    fn plugin(&self) -> Option<Pid> {
        let stat = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let is_child = |pid: &i32| {
            let stat = stat(pid)?;
            let (_, behind_name) = stat.rsplit_once(") ")?;
            Some(behind_name.split(' ').nth(1)?.parse() == Ok(self.pid().as_raw()))
        };
        let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
        let pids = all.filter_map(|name| name.to_str()?.parse().ok());
        pids.into_iter().find(|pid| is_child(pid) == Some(true)).map(Pid::from_raw)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What is in the database, by the rounds' times: of each server one point.
    fn rounds(&self) -> BTreeMap<i64, Codes> {
        let answer = self.database.query("SELECT+error_code,server+FROM+smtp");
        let rows = answer["results"][0]["series"][0]["values"].as_array();
        let mut rounds: BTreeMap<i64, Codes> = BTreeMap::new();
        for row in rows.into_iter().flatten() {
            let (time, server) = (row[0].as_i64().unwrap(), row[2].as_str().unwrap().to_owned());
            let other = rounds.entry(time).or_default().insert(server, row[1].as_i64().unwrap());
            assert_eq!(other, None, "two points of {row}");
        }
        rounds
    }

    /// Waits for a round that began behind this time, has a point of each job, and this error code on each of them.
    fn round(&self, since: i64, code: i64) -> i64 {
        let until = Instant::now() + WAIT;
        loop {
            let rounds = self.rounds();
            let is_it = |codes: &Codes| codes.len() == JOBS && codes.values().all(|other| *other == code);
            if let Some((time, _)) = rounds.range(since + 1..).find(|(_, codes)| is_it(codes)) {
                return *time;
            }
            let counts: Vec<_> = rounds.iter().map(|(time, codes)| (time, codes.len())).collect();
            assert!(Instant::now() < until, "since {since} none of {code}: {counts:?}\n{}", self.log());
            thread::sleep(Duration::from_millis(300));
        }
    }

    /// Ends it, as systemd does: what it wrote into the file is what is in the database, each job once a round.
    fn stop(&mut self) -> BTreeMap<i64, Codes> {
        kill(self.pid(), Signal::SIGTERM).unwrap();
        assert!(ended(&mut self.telegraf.0), "{}", self.log());
        let text = fs::read_to_string(self.folder.path().join("lines")).unwrap();
        let (lines, mut written) = (points(&text), BTreeMap::<i64, Codes>::new());
        let mut kinds = BTreeMap::new();
        for (point, line) in lines.iter().zip(text.lines()) {
            let time = line.rsplit_once(' ').unwrap().1.parse().unwrap();
            let codes = written.entry(time).or_default();
            assert_eq!(
                codes.insert(point.tags["server"].clone(), point.code("error_code")),
                None,
                "twice: {line}"
            );
            kinds.extend(point.fields.iter().map(|(name, (kind, _))| (name.clone(), *kind)));
        }
        assert_eq!(self.rounds(), written);
        assert_eq!(self.kinds(), kinds);
        let log = self.log();
        assert!(!log.contains("parse error") && !log.contains("E! [outputs"), "{log}");
        written
    }

    /// The types of the fields in the database.
    fn kinds(&self) -> BTreeMap<String, char> {
        let answer = self.database.query("SHOW+FIELD+KEYS+FROM+smtp");
        let rows = answer["results"][0]["series"][0]["values"].as_array().unwrap();
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let kind = |name: &str| match name {
            "integer" => 'i',
            "float" => 'f',
            "string" => 's',
            other => panic!("{other}"),
        };
        rows.iter().map(|row| (text(&row[0]), kind(&text(&row[1])))).collect()
    }
}

/// By itself, and well.
fn ended(child: &mut Child) -> bool {
    let until = Instant::now() + WAIT;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn through_telegraf_each_round_is_in_influxdb_once_whatever_ends_and_starts_again() {
    let mut server = MailServer::start();
    let Some(mut agent) = Agent::start("sonde.conf", server.port) else { return };
    agent.round(0, 0);
    let first = agent.plugin().unwrap();

    kill(agent.pid(), Signal::SIGHUP).unwrap();
    let until = Instant::now() + WAIT;
    while agent.plugin().is_none_or(|plugin| plugin == first) {
        assert!(Instant::now() < until, "{}", agent.log());
        thread::sleep(Duration::from_millis(20));
    }
    agent.round(now_ns(), 0);

    server.stop();
    agent.round(now_ns(), 403);
    server.start_again();
    agent.round(now_ns(), 0);

    let killed = now_ns();
    kill(agent.plugin().unwrap(), Signal::SIGKILL).unwrap();
    agent.round(now_ns(), 0);

    let mut rounds = agent.stop();
    // What it was about when it was killed.
    let last = rounds.range(..killed).next_back().map(|(time, _)| *time);
    rounds.remove(&last.unwrap());
    for (time, codes) in rounds {
        assert_eq!(codes.len(), JOBS, "{time}: {}", agent.log());
    }
    assert!(agent.log().contains("W! [inputs.execd] job many: 127.0.0.1:"), "{}", agent.log());
}

#[test]
fn through_telegraf_a_program_for_each_round_comes_to_the_same() {
    let server = MailServer::start();
    let Some(mut agent) = Agent::start("sonde-exec.conf", server.port) else { return };
    let first = agent.round(0, 0);
    agent.round(first, 0);
    for (time, codes) in agent.stop() {
        assert_eq!((codes.len(), time % 1_000_000_000), (JOBS, 0));
    }
}

#[test]
fn telegraf_shows_a_round_when_it_is_asked_for_one() {
    let Some(telegraf) = telegraf() else { return };
    let (server, folder) = (MailServer::start(), tempfile::tempdir().unwrap());
    let path = file("sonde.conf", folder.path(), server.port);
    let output = Command::new(telegraf).arg("--test").arg("--config").arg(path).output().unwrap();
    let shown = stdout(&output);
    let servers: BTreeSet<_> =
        shown.lines().filter_map(|line| line.strip_prefix("> smtp,")?.split("server=").nth(1)).collect();
    assert_eq!(servers.len(), JOBS, "{shown}{}", stderr(&output));
}
