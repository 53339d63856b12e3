//! What a plain session costs a daemon in computing: `sonde execd`, and beside it the TCP prober of `blackbox_exporter`, asked as
//! Prometheus would, and a program that does nothing else and has no sandbox. A thousand sessions, fifty at once, in turn against
//! one server on loopback with one dialogue. Prints medians and their ratios.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark tells its result")]

mod mail;
mod process;

use std::{
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::Ipv4Addr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    task::JoinSet,
};

use mail::{Manner, plain_session, serve};
use process::{allow_descriptors, cpu_time, load, median, own_cpu_time, resident_mib};
use support::{Server, free_port, listening, program};

const SESSIONS: usize = 1000;
const AT_ONCE: usize = 50;
/// Of each, after one that is not counted.
const ROUNDS: usize = 15;

struct Sonde {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Sonde {
    fn start(folder: &Path, port: u16, threads: usize) -> Self {
        let mut config =
            format!("max_concurrent = {AT_ONCE}\nthreads = {threads}\n[[job]]\nname = \"bench\"\nhosts = [");
        for host in 0..SESSIONS {
            write!(config, "\"127.0.{}.{}\",", host / 250, 1 + host % 250).unwrap();
        }
        write!(config, "]\nparameters.port = {port}\n").unwrap();
        let file = folder.join(format!("sonde-{threads}.toml"));
        fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
        command.args(["execd", "-c"]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn round(&mut self) -> Duration {
        let before = cpu_time(self.child.id());
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        for _ in 0..SESSIONS {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            assert!(line.contains("result=success"), "{line}");
        }
        cpu_time(self.child.id()).saturating_sub(before)
    }
}

impl Drop for Sonde {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Blackbox {
    process: Server,
    port: u16,
}

impl Blackbox {
    fn start(folder: &Path) -> Option<Self> {
        let program = program("prometheus-blackbox-exporter", &["/usr/bin/prometheus-blackbox-exporter"])?;
        // It sends a line feed behind what it sends.
        let config = "modules:\n  smtp:\n    prober: tcp\n    timeout: 10s\n    tcp:\n      preferred_ip_protocol: ip4\n      \
                      query_response:\n      - expect: \"^220 \"\n        send: \"EHLO bench.invalid\\r\"\n      \
                      - expect: \"^250 \"\n        send: \"QUIT\\r\"\n      - expect: \"^221 \"\n";
        let file = folder.join("blackbox.yml");
        fs::write(&file, config).unwrap();
        let port = free_port();
        let mut command = Command::new(program);
        command.arg("--config.file").arg(file).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut process = Server(child);
        listening(&mut process, port);
        Some(Self { process, port })
    }

    fn round(&self, runtime: &Runtime, server: u16) -> Duration {
        let before = cpu_time(self.process.0.id());
        all(runtime, move |sessions, port| probe(sessions, port, server), self.port);
        cpu_time(self.process.0.id()).saturating_sub(before)
    }
}

/// All sessions, so many at once, each in its turn by one of as many who ask.
fn all<F>(runtime: &Runtime, ask: impl Fn(usize, u16) -> F, port: u16)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..AT_ONCE {
            asking.spawn(ask(SESSIONS / AT_ONCE, port));
        }
        for done in asking.join_all().await {
            done.unwrap();
        }
    });
}

/// Over one connection, as Prometheus has it.
async fn probe(sessions: usize, port: u16, server: u16) -> io::Result<()> {
    let mut stream = tokio::io::BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
    let get = format!("GET /probe?target=127.0.0.1:{server}&module=smtp HTTP/1.1\r\nHost: bench\r\n\r\n");
    for _ in 0..sessions {
        stream.get_mut().write_all(get.as_bytes()).await?;
        let (mut length, mut is_chunked, mut line) = (0, false, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let header = line.to_ascii_lowercase();
            is_chunked |= header.starts_with("transfer-encoding: chunked");
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        while is_chunked {
            line.clear();
            stream.read_line(&mut line).await?;
            let chunk = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            let mut bytes = vec![0; chunk + 2];
            stream.read_exact(&mut bytes).await?;
            body.extend(bytes);
            is_chunked = chunk > 0;
        }
        if !String::from_utf8_lossy(&body).contains("\nprobe_success 1") {
            return Err(io::Error::other(String::from_utf8_lossy(&body).into_owned()));
        }
    }
    Ok(())
}

async fn sessions(sessions: usize, port: u16) -> io::Result<()> {
    for _ in 0..sessions {
        plain_session(port).await?;
    }
    Ok(())
}

fn microseconds(round: Duration) -> f64 {
    round.as_secs_f64() * 1e3
}

fn main() -> ExitCode {
    allow_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let server = serve(Manner::default).plain;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut single = Sonde::start(folder.path(), server, 1);
    let mut sonde = Sonde::start(folder.path(), server, 2);
    let blackbox = Blackbox::start(folder.path());
    println!(
        "{SESSIONS} plain sessions, {AT_ONCE} at once, {ROUNDS} rounds of each in turn; load {} before",
        load()
    );
    let (mut alone, mut ours, mut theirs, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let single = single.round();
        let sonde = sonde.round();
        let peer = blackbox.as_ref().map(|blackbox| blackbox.round(&runtime, server));
        let before = own_cpu_time();
        all(&runtime, sessions, server);
        let least = own_cpu_time().saturating_sub(before);
        if round > 0 {
            alone.push(single);
            ours.push(sonde);
            theirs.extend(peer);
            bare.push(least);
        }
    }
    let row = |name: &str, round: Duration, process: Option<u32>| {
        let memory = process.map_or_else(String::new, |process| format!(", {} MiB", resident_mib(process)));
        println!("  {name:<22}{:>7.1} µs CPU a session{memory}", microseconds(round));
    };
    let (ours, bare) = (median(ours), median(bare));
    let ratio = |to: Duration| ours.as_secs_f64() / to.as_secs_f64();
    row("sonde, one thread", median(alone), Some(single.child.id()));
    row("sonde, two threads", ours, Some(sonde.child.id()));
    if let Some(blackbox) = blackbox {
        let theirs = median(theirs);
        row("blackbox_exporter", theirs, Some(blackbox.process.0.id()));
        println!("  sonde / blackbox_exporter: {:.3}", ratio(theirs));
    }
    row("without a sandbox", bare, None);
    println!("  sonde / without a sandbox: {:.2}; load {} behind", ratio(bare), load());
    ExitCode::SUCCESS
}
