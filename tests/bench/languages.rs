//! What a sandboxed check costs in each language, beside a script that an agent would start for each check instead: the check
//! that `sonde new` writes, and `hello.py` and `hello.js`, which do the same, against one server on loopback. Prints sizes,
//! times, CPU times and memory, and the ratios of CPU time. What is loaded was digested before, as it was whenever an agent asks but
//! for once a day; that once has a row of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark tells its result"
)]

mod authored;

use std::{
    env,
    fmt::{self, Write as _},
    fs,
    io::Read,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use sonde_host::{
    check::Check,
    config,
    report::Outcome,
    sandbox::{Compiler, Sandbox, cache::Cache},
};

use authored::build;
use support::{authors, greeter, succeed};

const SONDE: &str = env!("CARGO_BIN_EXE_sonde");
/// Checks at once.
const CHECKS: usize = 200;
/// Of each figure that is a median.
const RUNS: usize = 11;
/// Until then no file is told by its stamp.
const SETTLED: Duration = Duration::from_secs(4);
/// Set where this program only runs another one, to measure that alone.
const MEASURE: &str = "SONDE_BENCH_MEASURE";

/// What a command used up, its children included.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_kib: i64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.1} ms, {:>9.1} ms CPU, peak {:>4} MiB",
            milliseconds(self.wall),
            milliseconds(self.cpu),
            self.peak_kib >> 10
        )
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Runs a command in a process that has no other children.
fn cost(command: &[&str]) -> Cost {
    let mut measuring = Command::new(env::current_exe().unwrap());
    let told = succeed(measuring.args(command).env(MEASURE, "1"));
    let numbers: Vec<u64> =
        told.lines().last().unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    Cost {
        wall: Duration::from_micros(numbers[0]),
        cpu: Duration::from_micros(numbers[1]),
        peak_kib: i64::try_from(numbers[2]).unwrap(),
    }
}

/// The other side of [`cost`].
fn measure(command: &[String]) -> ExitCode {
    let began = Instant::now();
    let mut child = Command::new(&command[0]);
    let mut child = child.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    let status = child.wait().unwrap();
    let wall = began.elapsed();
    assert!(status.success(), "{command:?}: {status}: {printed}");
    let expected = printed.lines().all(|line| !line.starts_with("hello,") || line.contains("220 ready"));
    assert!(expected, "{printed}");
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = [used.user_time(), used.system_time()]
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .iter()
        .sum::<i64>();
    println!("{} {cpu} {}", wall.as_micros(), used.max_rss());
    ExitCode::SUCCESS
}

fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.cpu);
    costs[costs.len() / 2]
}

/// Loads it from the cache and runs it, in this process; medians.
async fn in_process(config: &Path) -> (Duration, Duration, Duration, usize) {
    let (mut load, mut wall, mut cpu, mut memory) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..RUNS {
        let plan = config::read(config).unwrap();
        let compiler = Arc::new(Compiler::of(Cache::open(plan.cache_dir.clone()), SONDE.into()));
        let sandbox = Sandbox::new().unwrap();
        let began = Instant::now();
        let check = Check::load(&sandbox, &plan.checks[0].source, &compiler).await.unwrap();
        load.push(began.elapsed());
        let job = plan.jobs[0].job(&check).unwrap();
        for run in 0..20 {
            let began = Instant::now();
            let report = job.run(&sandbox, 0, &format!("{run}")).await;
            assert_eq!(report.outcome(), Outcome::Success, "{report:?}");
            wall.push(began.elapsed());
            cpu.push(report.used.cpu);
            memory = report.used.memory_bytes;
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    (median(load), median(wall), median(cpu), memory)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn compiled_bytes(cache: &Path) -> u64 {
    let sizes = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    sizes.max().unwrap()
}

fn row(label: &str, text: &str) {
    println!("  {label:<30}{text}");
}

/// Makes it forget what it has digested.
fn forget(cache: &Path) {
    for file in fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()) {
        if file.to_str().unwrap().ends_with("-seen") {
            fs::remove_file(file).unwrap();
        }
    }
}

/// Prints the cost of a command, and of each check in it.
fn told(label: &str, runs: Vec<Cost>, checks: usize) -> Cost {
    let cost = median(runs);
    row(label, &format!("{cost}, {:.2} ms CPU a check", milliseconds(cost.cpu) / checks as f64));
    cost
}

/// The costs of a command, run so often.
fn costs(command: &[&str], runs: usize) -> Vec<Cost> {
    (0..runs).map(|_| cost(command)).collect()
}

/// The configuration of a component's check with so many jobs; its file.
fn configuration(folder: &Path, language: &str, pinned: &str, jobs: usize) -> String {
    let (check, job) = pinned.split_once("\n[[job]]\n").unwrap();
    let cache = folder.join(format!("cache-{language}"));
    let file = folder.join(format!("{language}-{jobs}.toml"));
    let mut text = format!("max_concurrent = {CHECKS}\ncache_dir = '{}'\n\n{check}\n", cache.display());
    for number in 0..jobs {
        let job = job.replacen("name = \"hello", &format!("name = \"{number}-hello"), 1);
        write!(text, "\n[[job]]\n{job}").unwrap();
    }
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A script's language beside that of a check: its interpreter, how that names its own program, and the script.
type Script = (&'static str, [&'static str; 2], &'static str);

const LANGUAGES: [(&str, Option<Script>); 3] = [
    ("rust", None),
    ("python", Some(("python3", ["-c", "import sys; print(sys.executable)"], "hello.py"))),
    ("javascript", Some(("node", ["-p", "process.execPath"], "hello.js"))),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if env::var_os(MEASURE).is_some() {
        return measure(&arguments);
    }
    let Some(tools) = authors() else { return ExitCode::FAILURE };
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = greeter("220 ready").to_string();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench");
    for (language, script) in LANGUAGES {
        let component = build(language, &tools, folder.path());
        let mut pin = Command::new(SONDE);
        pin.arg("pin").arg(&component).args(["--host", "127.0.0.1", "-p", &format!("port={port}")]);
        let pinned = succeed(pin.env("XDG_CACHE_HOME", folder.path().join("unused")));
        let [one, many] = [1, CHECKS].map(|jobs| configuration(folder.path(), language, &pinned, jobs));
        let compile = cost(&[SONDE, "compile", "--config", &one]);
        println!("{language}");
        row("component", &format!("{:>9.1} MiB", mebibytes(component.metadata().unwrap().len())));
        let cache = folder.path().join(format!("cache-{language}"));
        row("compiled", &format!("{:>9.1} MiB", mebibytes(compiled_bytes(&cache))));
        row("first compile", &format!("{compile}"));
        thread::sleep(SETTLED);
        let (load, wall, cpu, memory) = runtime.block_on(in_process(Path::new(&one)));
        row("load from cache, describe", &format!("{:>9.1} ms", milliseconds(load)));
        let memory = mebibytes(u64::try_from(memory).unwrap());
        let (wall, cpu) = (milliseconds(wall), milliseconds(cpu));
        row("instantiate and run", &format!("{wall:>9.2} ms, {cpu:>9.2} ms CPU, {memory:.1} MiB"));
        let one = [SONDE, "run", "--config", &one];
        let digested = (0..RUNS).map(|_| {
            forget(&cache);
            cost(&one)
        });
        told("sonde run, 1 check, digested", digested.collect(), 1);
        let round = costs(&[SONDE, "run", "--config", &many], 3);
        let round = told(&format!("sonde run, {CHECKS} at once"), round, CHECKS);
        let Some((interpreter, itself, script)) = script else {
            told("sonde run, 1 check", costs(&one, RUNS), 1);
            continue;
        };
        // The program, not a script in its place that chooses a version.
        let program = succeed(Command::new(interpreter).args(itself));
        let (program, script) = (program.trim(), scripts.join(script).to_str().unwrap().to_owned());
        let all = format!("for i in $(seq {CHECKS}); do {program} {script} {port} & done; wait");
        let all = told(&format!("{interpreter}, {CHECKS} at once"), costs(&["sh", "-c", &all], 3), CHECKS);
        // In turn, so that both have the same machine.
        let (single, forked): (Vec<_>, Vec<_>) =
            (0..RUNS).map(|_| (cost(&one), cost(&[program, &script, &port]))).unzip();
        let single = told("sonde run, 1 check", single, 1);
        let forked = told(&format!("{interpreter}, 1 process"), forked, 1);
        let ratio = |ours: Cost, theirs: Cost| ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64();
        let (at_once, alone) = (ratio(round, all), ratio(single, forked));
        row("CPU, sandbox / processes", &format!("{at_once:.3} at once, {alone:.2} alone"));
    }
    ExitCode::SUCCESS
}
