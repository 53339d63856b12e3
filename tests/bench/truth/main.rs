//! Whether the times on a line are true: `sonde run` and `sonde execd` against a server that knows, in the kernel's own clock, when each
//! command reached it and when each reply left. Prints the errors of every field, beside those of `blackbox_exporter`, and
//! how long Postfix takes to greet behind TLS. Judges nothing.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark tells its result"
)]

mod blackbox;
mod clock;
mod compare;
mod packets;
mod postfix;
mod server;
mod table;

use std::{
    collections::{BTreeMap, HashMap},
    env,
    fmt::Write as _,
    fs,
    ops::Range,
    path::Path,
    process::{Command, ExitCode},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use blackbox::Blackbox;
use compare::{PHASES, Round, SUMS, Truth, adds_up, phases, time};
use packets::Packets;
use server::Scripted;
use support::{Point, agent::Execd, binary, points};
use table::{errors, figures, head};

/// Jobs, how many of them at once, and how often.
struct Case {
    jobs: usize,
    at_once: usize,
    runs: usize,
}

impl Case {
    /// The numbers of the jobs of one run.
    fn numbers(&self, run: usize) -> Range<usize> {
        run * self.jobs..(run + 1) * self.jobs
    }
}

const CASES: [Case; 4] = [
    Case { jobs: 100, at_once: 1, runs: 1 },
    Case { jobs: 64, at_once: 64, runs: 5 },
    Case { jobs: 1000, at_once: 1000, runs: 1 },
    Case { jobs: 4000, at_once: 4000, runs: 1 },
];
const MOST: usize = 4000;

/// Of `blackbox_exporter`, which has two for each probe.
const DESCRIPTORS: u64 = 2 * MOST as u64 + 1000;

/// Allows this process, and with it its children, all the open files that may be.
fn allow_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let more = DESCRIPTORS.max(hard);
    if setrlimit(Resource::RLIMIT_NOFILE, more, more).is_err() {
        println!("Only {hard} open files are allowed: some of {MOST} sessions will fail.");
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

/// Has an agent's program run a configuration once.
fn gather(config: &str, folder: &Path, jobs: usize) -> Vec<Point> {
    let path = folder.join("sonde.toml");
    fs::write(&path, config).unwrap();
    let mut agent = Execd::start(Command::new(binary()).arg("execd").arg("-c").arg(path));
    agent.gather();
    let lines = agent.lines(jobs);
    agent.stop();
    lines
}

/// Runs the jobs of a case by this command; their numbers and lines.
fn ask_sonde(
    command: &str,
    folder: &Path,
    server: u16,
    connection: &str,
    case: &Case,
) -> Vec<(usize, Point)> {
    let mut lines = Vec::new();
    for run in 0..case.runs {
        let mut config = format!("max_concurrent = {}\n", case.at_once);
        for job in case.numbers(run) {
            // One each: of one host not all begin at once.
            let host = format!("127.0.{}.{}", job / 250 % 250, 1 + job % 250);
            let parameters = format!(
                "connection = \"{connection}\"\nport = {server}\nehlo_name = \"job{job}.truth.invalid\"\n\
                 from = \"probe@truth.invalid\"\nto = [\"box@truth.invalid\"]\n"
            );
            write!(
                config,
                "\n[[job]]\nname = \"{job}\"\nhost = \"{host}\"\ntimeout = \"30s\"\ntls.ca_file = \"ca.pem\"\n\
                 tls.server_name = \"127.0.0.1\"\n\
                 [job.parameters]\n{parameters}"
            )
            .unwrap();
        }
        let printed = match command {
            "run" => points(&support::run_text(&config, folder)),
            _ => gather(&config, folder, case.jobs),
        };
        lines.extend(printed.into_iter().map(|line| (line.tags["job"].parse().unwrap(), line)));
    }
    lines
}

/// What is true of each job whose session the server saw.
fn truths(server: &mut Scripted, packets: Option<&Packets>) -> HashMap<usize, Truth> {
    let sessions = server.sessions();
    let openings = packets.map(Packets::take).unwrap_or_default();
    let unstamped: usize = sessions.iter().map(|session| session.unstamped).sum();
    if unstamped > 0 {
        println!("  {unstamped} replies have no stamp of the kernel: they left a little later than is told");
    }
    sessions.iter().filter_map(|session| Some((session.job?, Truth::new(session, &openings)))).collect()
}

fn print_case(connection: &str, round: &Round<Point>) {
    let lines = || round.said.iter().map(|(_, line)| line);
    let mut results = BTreeMap::<&str, usize>::new();
    for line in lines() {
        *results.entry(&line.tags["result"]).or_default() += 1;
    }
    println!("  lines: {results:?}");
    head();
    for phase in PHASES.into_iter().chain(SUMS.map(|(sum, _)| sum)) {
        if connection == "starttls" || !["starttls", "tls"].contains(&phase) {
            errors(phase, &round.pairs(|line| time(line, phase), |truth| truth.phase(phase)));
        }
    }
    for (sum, parts) in SUMS {
        let sums: Vec<bool> = lines().filter_map(|line| adds_up(line, sum, parts)).collect();
        let wrong = sums.iter().filter(|right| !**right).count();
        println!("  {sum}_time_ms is not the sum of its phases on {wrong} of {} lines", sums.len());
    }
    for name in ["connect", "own", "total"] {
        figures(&format!("{name}_time_ms"), &lines().filter_map(|line| time(line, name)).collect());
    }
}

/// The whole session: one figure beside `blackbox_exporter`'s only one.
fn print_whole(ours: &Round<Point>, theirs: Option<&Round<f64>>) {
    type Of = fn(&Truth) -> Option<f64>;
    let rights: [(&str, Of); 2] = [
        ("from the first SYN to the last reply", |truth| truth.whole),
        ("what network and server took of it", Truth::waits),
    ];
    for (right, of) in rights {
        println!("  the whole session, beside {right}:");
        head();
        if let Some(theirs) = theirs {
            errors("blackbox", &theirs.pairs(|took| Some(*took), of));
        }
        errors("total", &ours.pairs(|line| time(line, "total"), of));
        errors("total - own", &ours.pairs(|line| Some(time(line, "total")? - time(line, "own")?), of));
        errors("all phases", &ours.pairs(|line| Some(phases(line)), of));
    }
}

fn main() -> ExitCode {
    if env::args().nth(1).is_some_and(|argument| argument == server::ARGUMENT) {
        return server::serve().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    allow_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Scripted::start();
    fs::write(folder.path().join("ca.pem"), &server.authority).unwrap();
    let packets = Packets::watch(server.port);
    if let Err(error) = &packets {
        println!(
            "What is true of connect, banner, login and the whole is not to be had: no packet socket, {error}."
        );
    }
    let packets = packets.ok();
    println!(
        "Errors are a line's values less what is true: median, p99 and worst of their size, and the lowest below 0."
    );
    let blackbox = Blackbox::start(folder.path(), MOST);
    for (command, connection) in
        [("run", "plain"), ("execd", "plain"), ("run", "starttls"), ("execd", "starttls")]
    {
        for case in &CASES {
            let sessions = case.jobs * case.runs;
            println!("\nsonde {command}, {connection}, {} at once, {sessions} sessions", case.at_once);
            let said = ask_sonde(command, folder.path(), server.port, connection, case);
            let ours = Round { said, truths: truths(&mut server, packets.as_ref()) };
            print_case(connection, &ours);
            if command != "run" || connection != "plain" || packets.is_none() {
                continue;
            }
            let theirs = blackbox.as_ref().map(|blackbox| {
                let runs = (0..case.runs).map(|run| case.numbers(run));
                let said = runs.flat_map(|jobs| blackbox.probe(server.port, jobs, case.at_once)).collect();
                Round { said, truths: truths(&mut server, packets.as_ref()) }
            });
            print_whole(&ours, theirs.as_ref());
        }
    }
    drop(blackbox);
    postfix::print();
    ExitCode::SUCCESS
}
