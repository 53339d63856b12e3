//! One session as a whole process, `sonde check` beside `check_smtp` (Debian's monitoring-plugins-basic), in turn against the
//! same server on loopback: a plain one, and one with STARTTLS, of which `check_smtp` does not verify the certificate; ours does
//! too, by a `ca_file` and by the system's roots, and looks for an issuer that nobody knows. Prints medians and their ratios.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark tells its result"
)]

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use sonde_host::demo::server::Server;

/// Runs of each, after one that is not counted.
const RUNS: usize = 200;
const PEER: &str = "/usr/lib/nagios/plugins/check_smtp";
/// The system's roots (Debian's ca-certificates), and the folder that has each of them once more.
const FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
const FOLDER: &str = "/etc/ssl/certs";

fn time(program: &str, arguments: &[&str], roots: &Path) -> Duration {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("SSL_CERT_FILE", roots)
        .env("SSL_CERT_DIR", FOLDER)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
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

/// Ours in each of these ways, beside the peer's.
fn compare<const N: usize>(roots: &Path, ways: [(&str, &[&str]); N], peer: &[&str]) {
    let (mut ours, mut theirs) = ([(); N].map(|()| Vec::new()), Vec::new());
    for run in 0..=RUNS {
        for ((_, arguments), ours) in ways.iter().zip(&mut ours) {
            let arguments = [&["check", "127.0.0.1", "--fail"], *arguments].concat();
            let took = time(env!("CARGO_BIN_EXE_sonde"), &arguments, roots);
            if run > 0 {
                ours.push(took);
            }
        }
        let took = time(PEER, &[&["-H", "127.0.0.1"], peer].concat(), roots);
        if run > 0 {
            theirs.push(took);
        }
    }
    let theirs = median(theirs);
    for ((name, _), ours) in ways.iter().zip(ours) {
        let ours = median(ours);
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        println!("{name}: sonde check {ours:?}, check_smtp {theirs:?}, ratio {ratio:.2}");
    }
}

fn main() -> ExitCode {
    if !Path::new(PEER).exists() {
        eprintln!("{PEER} is not there: install monitoring-plugins-basic");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [server, unknown] = [(); 2].map(|()| runtime.block_on(Server::start()).unwrap());
    let [plain, starttls, unknown] =
        [server.plain, server.starttls, unknown.starttls].map(|of| of.port().to_string());
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    fs::write(&authority, &server.ca_pem).unwrap();
    // A machine with an authority of its own.
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, [fs::read(FILE).unwrap(), server.ca_pem.into_bytes()].concat()).unwrap();
    // The server answers on a thread of its own while this one waits for the processes.
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    compare(&roots, [("plain", &["--port", &plain])], &["-p", &plain]);
    let tls = ["--port", &starttls, "--connection", "starttls"];
    let unknown = ["--port", &unknown, "--connection", "starttls", "--verify", "report"];
    compare(
        &roots,
        [
            (
                "STARTTLS, verified by ca_file",
                &[&tls[..], &["--ca-file", authority.to_str().unwrap()]].concat(),
            ),
            ("STARTTLS, verified by the system's roots", &tls[..]),
            // Which `report` lets pass.
            ("STARTTLS, of an issuer that nobody knows", &unknown),
            ("STARTTLS, not verified, as the peer does", &[&tls[..], &["--verify", "off"]].concat()),
        ],
        &["-S", "-p", &starttls],
    );
    ExitCode::SUCCESS
}
