//! Ten thousand jobs in one `sonde execd`, against a server that takes 200 ms for each reply. Prints what each round took, its
//! lines and memory; fails where a job has no line of a round, or two. `--jobs N`, `--rounds N`, `--at-once N`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark tells its result"
)]

mod mail;
mod process;

use std::{
    collections::HashSet,
    env,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use mail::{Manner, serve};
use process::{allow_descriptors, cpu_time, descriptors, load, resident_mib};
use support::points;

const DELAY: Duration = Duration::from_millis(200);
/// In which a round is to be over.
const INTERVAL: Duration = Duration::from_mins(1);

/// The number behind a flag.
fn given(flag: &str, usual: usize) -> usize {
    let mut arguments = env::args().skip_while(|argument| argument != flag).skip(1);
    arguments.next().map_or(usual, |number| number.parse().unwrap())
}

fn main() -> ExitCode {
    allow_descriptors();
    let (jobs, rounds, at_once) = (given("--jobs", 10_000), given("--rounds", 5), given("--at-once", 500));
    let server = serve(|| Manner { delay: DELAY, fault: None });
    let folder = tempfile::tempdir().unwrap();
    let mut config = format!("max_concurrent = {at_once}\n");
    for job in 0..jobs {
        let host = format!("127.{}.{}.{}", job / 62_500, job / 250 % 250, 1 + job % 250);
        writeln!(
            config,
            "[[job]]\nname = \"job{job}\"\nhost = \"{host}\"\nparameters.port = {}",
            server.plain
        )
        .unwrap();
    }
    let file = folder.path().join("sonde.toml");
    fs::write(&file, config).unwrap();
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.args(["execd", "-c"]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    println!("{jobs} jobs, {at_once} at once, {DELAY:?} a reply; load {} before", load());
    let (mut memory, mut is_good) = (Vec::new(), true);
    for round in 1..=rounds {
        let (since, before) = (if round == 1 { began } else { Instant::now() }, cpu_time(child.id()));
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let (mut seen, mut failed, mut most) = (HashSet::new(), 0, 0);
        for number in 0..jobs {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            let point = points(&line).pop().unwrap();
            failed += usize::from(point.tags["result"] != "success");
            // None twice, and with that as many lines as jobs are one of each.
            is_good &= seen.insert(point.tags["job"].clone());
            if number % 1000 == 0 {
                most = most.max(descriptors(child.id()));
            }
        }
        let (took, cpu) = (since.elapsed(), cpu_time(child.id()).saturating_sub(before));
        memory.push(resident_mib(child.id()));
        is_good &= took < INTERVAL;
        println!(
            "  round {round}: {} lines in {:.1} s, {failed} failed; {:.1} s CPU, {:.0} µs a job, {most} descriptors, {} MiB",
            seen.len(),
            took.as_secs_f64(),
            cpu.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(jobs).unwrap()),
            memory.last().unwrap(),
        );
    }
    drop(child.stdin.take());
    let more = lines.lines().count();
    let status = child.wait().unwrap();
    println!(
        "  memory {} MiB at first, {} in the middle, {} at last; {more} lines more, {status}; load {} behind",
        memory[0],
        memory[memory.len() / 2],
        memory[memory.len() - 1],
        load()
    );
    if is_good && more == 0 && status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
