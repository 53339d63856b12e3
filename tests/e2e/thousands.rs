//! Thousands of jobs in one process: each has its line of each round, holds little while it waits, and leaves no memory behind. (`cargo bench --bench
//! scale` is the same with ten thousand, and a server that takes its time.)

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use support::{
    agent::Execd,
    certificates::{Authority, FAR},
    greeter,
};
use tokio::{net::TcpListener, runtime, time};
use tokio_rustls::TlsAcceptor;

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

/// A mail server on any address of this machine that is silent once a connection is encrypted, and says when one is.
fn silent_behind_tls(authority: &Authority) -> (u16, mpsc::Receiver<()>) {
    let acceptor = TlsAcceptor::from(authority.issue("localhost", FAR).server());
    let (tell_port, port) = mpsc::channel();
    let (secured, waits) = mpsc::channel();
    thread::spawn(move || {
        runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
            tell_port.send(listener.local_addr().unwrap().port()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, secured) = (acceptor.clone(), secured.clone());
                tokio::spawn(async move {
                    let _stream = acceptor.accept(stream).await.unwrap();
                    secured.send(()).unwrap();
                    time::sleep(Duration::from_hours(1)).await;
                });
            }
        });
    });
    (port.recv().unwrap(), waits)
}

/// What mappings of this many bytes that are no file's have in memory: how many there are, and KiB of all.
fn mappings(process: u32, bytes: u64) -> (u64, u64) {
    let (mut count, mut resident, mut is_one) = (0, 0, false);
    for line in fs::read_to_string(format!("/proc/{process}/smaps")).unwrap().lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some((from, to)) = words[0].split_once('-') {
            let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).unwrap());
            is_one = words[1] == "rw-p" && words.len() == 5 && to - from == bytes;
            count += u64::from(is_one);
        } else if is_one && words[0] == "Rss:" {
            resident += words[1].parse::<u64>().unwrap();
        }
    }
    (count, resident)
}

#[test]
fn a_run_that_waits_behind_a_handshake_holds_little_of_its_stack() {
    const RUNS: u64 = 100;
    const STACK_BYTES: u64 = 2 << 20;
    // It is 29; with the handshake it would be 48.
    const STACK_KIB: u64 = 36;
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::default());
    let (port, waits) = silent_behind_tls(&authority);
    fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    let hosts: Vec<String> = (1..=RUNS).map(|host| format!("127.0.0.{host}")).collect();
    let config = format!(
        "max_concurrent = {RUNS}\n[[job]]\nname = \"a\"\nhosts = {hosts:?}\ntimeout = \"1m\"\n\
         parameters = {{ port = {port}, connection = \"tls\" }}\n\
         tls = {{ ca_file = \"ca.pem\", server_name = \"localhost\" }}\n"
    );
    fs::write(folder.path().join("sonde.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    command.args(["run", "-c", "sonde.toml"]).current_dir(folder.path()).stdout(Stdio::null());
    let mut run = command.spawn().unwrap();
    for _ in 0..RUNS {
        waits.recv_timeout(Duration::from_mins(1)).unwrap();
    }
    // The last has its own end of the handshake still to see.
    thread::sleep(Duration::from_millis(500));
    let (stacks, resident) = mappings(run.id(), STACK_BYTES);
    run.kill().unwrap();
    run.wait().unwrap();
    // Threads have some of that size, too.
    assert!((RUNS..RUNS + 20).contains(&stacks), "{stacks}");
    assert!(resident <= RUNS * STACK_KIB, "{resident} KiB of {stacks} stacks");
}
