//! How long it takes until a configuration of thousands of jobs is read and judged: what `sonde config check` computes for 1000,
//! 10,000 and 30,000 jobs of several kinds, and how long `sonde execd` takes to its first line. Prints milliseconds, and by how
//! much a job costs more among 30,000 than among 10,000: about 1 where nothing grows faster than the configuration. Beside it stands
//! how long the library takes to parse the file of 30,000 alone.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark tells its result"
)]

mod process;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};

use process::{allow_descriptors, load, median};
use support::refusing;

const JOBS: [usize; 3] = [1_000, 10_000, 30_000];
/// Of each, in turn.
const RUNS: usize = 5;

/// Writes a configuration of so many jobs at this port.
type Written = fn(&Path, usize, u16) -> String;

const KINDS: [(&str, Written); 5] = [
    ("one table", |_, jobs, port| table("a", 0, jobs, port)),
    ("ten hosts a table", |_, jobs, port| {
        (0..jobs / 10).map(|number| table(&format!("job{number}"), number * 10, 10, port)).collect()
    }),
    ("a table each", |_, jobs, port| {
        (0..jobs).map(|number| table(&format!("job{number}"), number, 1, port)).collect()
    }),
    ("with passwords", |folder, jobs, port| {
        let job = |number: usize| {
            // A password each, in as many files as a folder may well have.
            let file = folder.join(format!("password{}", number % 1000));
            fs::write(&file, format!("open-sesame-{number}\n")).unwrap();
            let password = format!("username = \"u{number}\"\npassword.file = '{}'\n", file.display());
            table(&format!("job{number}"), number, 1, port) + &password + "connection = \"starttls\"\n"
        };
        (0..jobs).map(job).collect()
    }),
    ("in included files", |folder, jobs, port| {
        let included = folder.join(format!("included{jobs}"));
        fs::create_dir(&included).unwrap();
        for number in 0..jobs / 10 {
            let text = table(&format!("job{number}"), number * 10, 10, port);
            fs::write(included.join(format!("{number}.toml")), text).unwrap();
        }
        format!("include = [\"included{jobs}/*.toml\"]\n")
    }),
];

/// So many hosts from this one on, all of this machine.
fn table(name: &str, first: usize, hosts: usize, port: u16) -> String {
    let mut text = format!("[[job]]\nname = \"{name}\"\nhosts = [");
    for host in first..first + hosts {
        write!(text, "\"127.{}.{}.{}\",", host / 62_500, host / 250 % 250, 1 + host % 250).unwrap();
    }
    text + &format!("]\n[job.parameters]\nport = {port}\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\n")
}

fn sonde(arguments: [&str; 3]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.args(arguments);
    command
}

/// What a configuration costs to check: computing, and by the clock.
fn check(file: &str) -> (Duration, Duration) {
    let used = || {
        let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let micros =
            [used.user_time(), used.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
        Duration::from_micros(micros.iter().sum::<i64>().unsigned_abs())
    };
    let (before, began) = (used(), Instant::now());
    let status = sonde(["config", "check", file]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{file}: {status}");
    (used().saturating_sub(before), began.elapsed())
}

/// From the start to the first line, where a round is asked for at once.
fn first_line(file: &str) -> Duration {
    let began = Instant::now();
    let mut command = sonde(["execd", "-c", file]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.contains("result="), "{line:?}");
    took
}

/// What the library takes to parse a file, and to take down what it made.
fn parsed(file: &Path) -> Duration {
    let text = fs::read_to_string(file).unwrap();
    let began = Instant::now();
    drop(toml::de::DeTable::parse(&text).unwrap());
    began.elapsed()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() -> ExitCode {
    allow_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let (_held, port) = refusing();
    let file = |name: &str, text: &str| -> PathBuf {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let one = file("one.toml", &table("a", 0, 1, port));
    let one = one.to_str().unwrap();
    println!(
        "Load {} before. The start of the program, as with one job, is taken off the computing.",
        load()
    );
    for (at, (kind, text)) in KINDS.into_iter().enumerate() {
        let files = JOBS.map(|jobs| file(&format!("{at}-{jobs}.toml"), &text(folder.path(), jobs, port)));
        let mut computed = JOBS.map(|_| Vec::new());
        let (mut took, mut first) = (computed.clone(), computed.clone());
        for _ in 0..RUNS {
            let (least, _) = check(one);
            for (at, file) in files.iter().enumerate() {
                let file = file.to_str().unwrap();
                let (cpu, wall) = check(file);
                for (all, one) in [
                    (&mut computed, cpu.saturating_sub(least)),
                    (&mut took, wall),
                    (&mut first, first_line(file)),
                ] {
                    all.get_mut(at).unwrap().push(one);
                }
            }
        }
        let (computed, took, first) = (computed.map(median), took.map(median), first.map(median));
        println!("{kind}");
        for (((jobs, cpu), wall), first) in JOBS.into_iter().zip(computed).zip(took).zip(first) {
            println!(
                "  {jobs:>6} jobs: {:>7.1} ms CPU, {:>5.1} µs a job; check {:>7.1} ms, first line {:>7.1} ms",
                milliseconds(cpu),
                milliseconds(cpu) * 1e3 / jobs as f64,
                milliseconds(wall),
                milliseconds(first)
            );
        }
        let [_, some, most] = computed.map(milliseconds);
        let [_, _, largest] = &files;
        let parsed = median((0..RUNS).map(|_| parsed(largest)).collect());
        println!(
            "  a job of 30,000 / of 10,000: {:.2}; TOML of 30,000 alone: {:.1} ms",
            most / some / 3.0,
            milliseconds(parsed)
        );
    }
    println!("Load {} behind.", load());
    ExitCode::SUCCESS
}
