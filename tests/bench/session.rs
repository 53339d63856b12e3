//! One plain session as a whole process, `sonde check` beside `check_smtp` (Debian's monitoring-plugins-basic), in turn
//! against the same server on loopback. Prints medians and their ratio.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells its result"
)]

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use sonde_host::demo::server::Server;

/// Runs of each, after one that is not counted.
const RUNS: usize = 200;
const PEER: &str = "/usr/lib/nagios/plugins/check_smtp";

fn time(program: &str, arguments: &[&str]) -> Duration {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let began = Instant::now();
    let status = command.status().unwrap();
    let took = began.elapsed();
    assert!(status.success(), "{program}: {status}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() -> ExitCode {
    if !Path::new(PEER).exists() {
        eprintln!("{PEER} is not there: install monitoring-plugins-basic");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let port = server.plain.port().to_string();
    // The server answers on a thread of its own while this one waits for the processes.
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let sonde = time(env!("CARGO_BIN_EXE_sonde"), &["check", "127.0.0.1", "--port", &port, "--fail"]);
        let peer = time(PEER, &["-H", "127.0.0.1", "-p", &port]);
        if run > 0 {
            ours.push(sonde);
            theirs.push(peer);
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "sonde check {ours:?}, check_smtp {theirs:?}, ratio {:.2}",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
    ExitCode::SUCCESS
}
