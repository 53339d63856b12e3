//! What a session costs in memory while it waits: 4000 at once in one `sonde execd`, for a server that says nothing more, before
//! its greeting and behind STARTTLS; and beside it as many of a program that does nothing else and has no sandbox. Prints the
//! memory of each round, so that it shows whether it grows: what is not shared, and what is resident with the image of a check
//! that all its memories share. `-- --rounds N` for more of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark tells its result")]

mod client;
mod mail;
mod process;

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use mail::{Fault, MailServer, Manner, NAME, serve};
use process::{allow_descriptors, descriptors, load, own_kib, resident_mib};

const SESSIONS: usize = 4000;
/// How long a session waits: longer than all take to begin.
const TIMEOUT_SECONDS: u64 = 15;
/// Of a round, on a slow machine.
const LONGEST: Duration = Duration::from_mins(2);
/// Between two looks at a process.
const PAUSE: Duration = Duration::from_millis(50);
const ROUNDS: usize = 10;
/// By this argument it is the program without a sandbox.
const NATIVE: &str = "--native";

struct Program {
    child: Child,
    input: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Program {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, lines) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // What it does once only is done.
        thread::sleep(Duration::from_secs(2));
        Self { child, input, lines: BufReader::new(lines) }
    }

    fn own(&self) -> u64 {
        own_kib(self.child.id())
    }

    /// The most that it had while all sessions waited: of its own, and with what is shared.
    fn round(&mut self) -> (u64, u64) {
        let before = descriptors(self.child.id());
        self.input.write_all(b"\n").unwrap();
        let (mut own, mut resident, mut full) = (0, 0, false);
        let began = Instant::now();
        // Until those that began first are over.
        loop {
            let open = descriptors(self.child.id()).saturating_sub(before);
            if full && open < SESSIONS * 9 / 10 {
                break;
            }
            full |= open >= SESSIONS;
            assert!(
                began.elapsed() < LONGEST,
                "{open} of {SESSIONS} wait at once: may as many files be open?"
            );
            own = own.max(self.own());
            resident = resident.max(resident_mib(self.child.id()));
            thread::sleep(PAUSE);
        }
        let mut line = String::new();
        for _ in 0..SESSIONS {
            line.clear();
            self.lines.read_line(&mut line).unwrap();
            assert!(line.contains("timeout"), "{line}");
        }
        (own, resident)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn sonde(folder: &Path, connection: &str, port: u16) -> Program {
    let mut config = format!("max_concurrent = {SESSIONS}\n[[job]]\nname = \"bench\"\nhosts = [");
    for host in 0..SESSIONS {
        write!(config, "\"127.0.{}.{}\",", host / 250, 1 + host % 250).unwrap();
    }
    write!(config, "]\ntimeout = \"{TIMEOUT_SECONDS}s\"\n").unwrap();
    writeln!(config, "parameters = {{ port = {port}, connection = \"{connection}\" }}").unwrap();
    writeln!(config, "[job.tls]\nca_file = \"ca.pem\"\nserver_name = \"{NAME}\"").unwrap();
    let file = folder.join(format!("{connection}.toml"));
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    Program::start(command.args(["execd", "-c"]).arg(file).stderr(Stdio::null()))
}

fn without_sandbox(folder: &Path, connection: &str, port: u16) -> Program {
    let mut command = Command::new(env::current_exe().unwrap());
    Program::start(command.args([NATIVE, connection, &port.to_string()]).arg(folder.join("ca.pem")))
}

/// A round at each newline, as `sonde execd` does it.
fn be_native(arguments: &[String]) {
    let [connection, port, authority] = arguments else { panic!("{arguments:?}") };
    let (is_plain, port) = (connection == "plain", port.parse().unwrap());
    let connector = client::connector(&fs::read_to_string(authority).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in std::io::stdin().lines() {
        runtime.block_on(async {
            let mut waiting = JoinSet::new();
            for _ in 0..SESSIONS {
                let connector = connector.clone();
                waiting.spawn(tokio::time::timeout(Duration::from_secs(TIMEOUT_SECONDS), async move {
                    if is_plain {
                        client::plain(port).await
                    } else {
                        client::starttls(port, &connector).await
                    }
                }));
            }
            while let Some(done) = waiting.join_next().await {
                done.unwrap().unwrap_err();
                println!("timeout");
            }
        });
    }
}

fn compare(folder: &Path, connection: &str, port: u16, rounds: usize) {
    let mut programs = [
        ("sonde", sonde(folder, connection, port)),
        ("without a sandbox", without_sandbox(folder, connection, port)),
    ];
    println!("{SESSIONS} sessions wait, {connection}, {rounds} rounds; load {} before", load());
    for (name, program) in &mut programs {
        let before = program.own();
        let each: Vec<(u64, u64)> = (0..rounds).map(|_| program.round()).collect();
        let (most, resident) = each.iter().copied().max().unwrap_or_default();
        let number = |number: u64| f64::from(u32::try_from(number).unwrap());
        let kib = number(most - before) / number(SESSIONS as u64);
        let mib: Vec<u64> = each.iter().map(|(own, _)| own >> 10).collect();
        println!(
            "  {name:<18}{kib:>6.1} KiB a session; MiB: {} before, {mib:?}, {resident} resident",
            before >> 10
        );
    }
}

fn silent_at(reply: usize) -> MailServer {
    serve(move || Manner { fault: Some((reply, Fault::Silence)), ..Manner::default() })
}

fn main() -> ExitCode {
    allow_descriptors();
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, native @ ..] = &arguments[..]
        && first == NATIVE
    {
        be_native(native);
        return ExitCode::SUCCESS;
    }
    let mut given = arguments.iter().skip_while(|argument| *argument != "--rounds").skip(1);
    let rounds = given.next().map_or(ROUNDS, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    // The greeting, and the reply to EHLO behind TLS.
    for (connection, reply) in [("plain", 0), ("starttls", 3)] {
        let server = silent_at(reply);
        fs::write(folder.path().join("ca.pem"), &server.authority).unwrap();
        let port = if connection == "plain" { server.plain } else { server.starttls };
        compare(folder.path(), connection, port, rounds);
    }
    ExitCode::SUCCESS
}
