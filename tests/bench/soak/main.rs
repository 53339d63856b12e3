//! `sonde execd` for many minutes as an agent runs it: two thousand jobs, some of them of checks in Python and JavaScript, against
//! a mail server that fails in every way, while the configuration is read again and nobody reads the lines for seconds. Prints
//! what came; fails where a line is torn or doubled, or where their number is not jobs times rounds without what the program says
//! that it skipped, or that was cut off at the end.
//! `--minutes N`, and `--seed N` for the chances of an earlier run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark tells its result"
)]

mod account;
#[path = "../authored.rs"]
mod authored;
mod jobs;
#[path = "../mail.rs"]
mod mail;
#[path = "../process.rs"]
mod process;

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, ExitCode, Stdio},
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

use account::{Account, Log};
use jobs::{Jobs, SECONDS};
use mail::{Dice, FAULTS, Manner, serve};
use process::{allow_descriptors, cpu_time, descriptors, load, resident_mib};

const MINUTES: u64 = 1;
/// Of a hundred connections, those at which something goes wrong.
const FAULTY: u64 = 15;
/// The longest delay before a reply.
const DELAY_MS: u64 = 120;
/// The longest time for which nobody reads.
const BLOCKED_MS: u64 = 5_000;
/// What the memory may grow by from the middle to the end, in a run that is long enough to tell: by so much it comes and goes.
const GROWTH_MIB: u64 = 32;
const LONG_MINUTES: u64 = 10;

fn given(flag: &str) -> Option<u64> {
    let mut arguments = env::args().skip_while(|argument| argument != flag).skip(1);
    arguments.next().map(|number| number.parse().unwrap())
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// How each connection fares.
fn fortune(mut dice: Dice) -> impl FnMut() -> Manner + Send + 'static {
    move || {
        let fault = (dice.throw(100) < FAULTY).then(|| {
            let fault = FAULTS[usize::try_from(dice.throw(FAULTS.len() as u64)).unwrap()];
            (usize::try_from(dice.throw(6)).unwrap(), fault)
        });
        Manner { delay: Duration::from_millis(dice.throw(DELAY_MS)), fault }
    }
}

/// Reads lines into an account, while it may.
fn read(mut pipe: impl Read + Send + 'static, blocked: &Arc<AtomicBool>) -> JoinHandle<Account> {
    let blocked = Arc::clone(blocked);
    thread::spawn(move || {
        let (mut account, mut begun, mut bytes) = (Account::default(), Vec::new(), [0; 4096]);
        loop {
            while blocked.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(5));
            }
            let count = pipe.read(&mut bytes).unwrap();
            if count == 0 {
                account.torn += usize::from(!begun.is_empty());
                return account;
            }
            begun.extend_from_slice(&bytes[..count]);
            while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = begun.drain(..=end).collect();
                account.take(&line);
            }
        }
    })
}

/// What is seen of the process, again and again.
#[derive(Default)]
struct Looks {
    memory: Vec<u64>,
    most_descriptors: usize,
    reloads: usize,
    blocked: Duration,
}

/// Disturbs it for so long.
fn disturb(child: &mut Child, jobs: &Jobs, blocked: &AtomicBool, dice: &mut Dice, length: Duration) -> Looks {
    let (mut looks, began) = (Looks::default(), Instant::now());
    let process = Pid::from_raw(child.id().try_into().unwrap());
    while began.elapsed() < length {
        thread::sleep(Duration::from_millis(250 + dice.throw(500)));
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        match dice.throw(60) {
            0 => {
                looks.reloads += 1;
                jobs.write(looks.reloads);
                kill(process, Signal::SIGHUP).unwrap();
            }
            1 => kill(process, Signal::SIGUSR1).unwrap(),
            2 => child.stdin.as_mut().unwrap().write_all(b"\n").unwrap(),
            3..6 => {
                let length = Duration::from_millis(dice.throw(BLOCKED_MS));
                blocked.store(true, Ordering::Release);
                thread::sleep(length);
                blocked.store(false, Ordering::Release);
                looks.blocked += length;
            }
            _ => {}
        }
        looks.memory.push(resident_mib(child.id()));
        looks.most_descriptors = looks.most_descriptors.max(descriptors(child.id()));
    }
    looks
}

fn main() -> ExitCode {
    allow_descriptors();
    let minutes = given("--minutes").unwrap_or(MINUTES);
    let seed = given("--seed").unwrap_or_else(|| now_ns().unsigned_abs()).max(1);
    println!("{minutes} minutes, --seed {seed}; load {} before", load());
    let server = serve(fortune(Dice(seed)));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), &server.authority).unwrap();
    let jobs = Jobs::new(folder.path(), server);
    jobs.write(0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.args(["execd", "-c"]).arg(&jobs.file).args(["--interval", &format!("{SECONDS}s")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let blocked = Arc::new(AtomicBool::new(false));
    let lines = read(child.stdout.take().unwrap(), &blocked);
    let said = BufReader::new(child.stderr.take().unwrap());
    let said = thread::spawn(move || said.lines().map(Result::unwrap).fold(Log::default(), Log::with));
    let length = Duration::from_secs(minutes * 60);
    let looks = disturb(&mut child, &jobs, &blocked, &mut Dice(seed ^ u64::MAX), length);
    let cpu = cpu_time(child.id());
    drop(child.stdin.take());
    let status = child.wait().unwrap();
    let (account, said) = (lines.join().unwrap(), said.join().unwrap());

    let sums = account.sums(jobs.count, &said);
    println!("  {sums}");
    println!("  results: {:?}", account.results);
    println!(
        "  read again {} times for {} signals, {:.0} s of nobody reading, {} log lines and {} missing, {:.0} s CPU, \
         at most {} descriptors, {status}",
        said.read_again,
        looks.reloads,
        looks.blocked.as_secs_f64(),
        said.lines,
        said.missing,
        cpu.as_secs_f64(),
        looks.most_descriptors
    );
    let third = |part: usize| {
        let (from, to) = (looks.memory.len() * part / 3, looks.memory.len() * (part + 1) / 3);
        looks.memory[from..to].iter().copied().max().unwrap_or_default()
    };
    let memory = [third(0), third(1), third(2)];
    println!("  memory, the most of each third: {memory:?} MiB; load {} behind", load());
    let mut wrong = sums.wrong;
    // What is asked for while it is read is read once.
    if said.read_again == 0 && looks.reloads > 1 {
        wrong.push("never read again".to_owned());
    }
    if minutes >= LONG_MINUTES && memory[2] > memory[1] + GROWTH_MIB {
        wrong.push("memory grows".to_owned());
    }
    if !status.success() {
        wrong.push("it did not end well".to_owned());
    }
    for wrong in &wrong {
        println!("  WRONG: {wrong}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
