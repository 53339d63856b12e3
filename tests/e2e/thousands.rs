//! Thousands of jobs in one process: each has its line of each round, and the rounds leave no memory behind. (`cargo bench --bench
//! scale` is the same with ten thousand, and a server that takes its time.)

use std::{collections::HashSet, fmt::Write as _, fs, process::Command};

use support::{agent::Execd, greeter};

const JOBS: usize = 2000;
const ROUNDS: usize = 6;
/// What the allocator may hold back; a leak of two kilobytes a run would be as much.
const SLACK_KIB: u64 = 16 << 10;

#[test]
fn two_thousand_jobs_have_a_line_each_in_every_round_and_leave_no_memory_behind() {
    let (folder, port) = (tempfile::tempdir().unwrap(), greeter("554 5.7.1 no"));
    let mut config = String::new();
    for job in 0..JOBS {
        writeln!(config, "[[job]]\nname = \"{job}\"\nhost = \"127.0.0.1\"\nparameters.port = {port}")
            .unwrap();
    }
    let file = folder.path().join("sonde.toml");
    fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    let mut agent = Execd::start(command.args(["execd", "-c"]).arg(file));
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        agent.gather();
        let lines = agent.lines(JOBS);
        assert!(lines.iter().all(|line| line.tags["result"] == "rejected"), "{:?}", lines.first());
        let jobs: HashSet<&str> = lines.iter().map(|line| &*line.tags["job"]).collect();
        assert_eq!(jobs.len(), JOBS);
        memory.push(agent.resident_kib());
    }
    assert!(memory[ROUNDS - 1] <= memory[1] + SLACK_KIB, "KiB after each round: {memory:?}");
    assert_eq!(agent.stop().lines, [""; 0]);
}
