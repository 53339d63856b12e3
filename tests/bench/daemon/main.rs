//! What a session costs a daemon in computing, plain and with TLS: `sonde execd`, and beside it the TCP prober of
//! `blackbox_exporter`, asked as Prometheus would, and a program that does nothing else and has no sandbox. A thousand sessions,
//! fifty at once, in turn against one server on loopback with one dialogue; all three verify its certificate, of whose chain `sonde`
//! computes each signature once only. Prints medians and their ratios. `-- starttls` for one kind of connection alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark tells its result")]

mod blackbox;
#[path = "../client.rs"]
mod client;
#[path = "../mail.rs"]
mod mail;
#[path = "../process.rs"]
mod process;
mod sonde;

use std::{env, fs, io, path::Path, process::ExitCode, time::Duration};

use tokio::{runtime::Runtime, task::JoinSet};
use tokio_rustls::TlsConnector;

use blackbox::Blackbox;
use mail::{MailServer, Manner, serve};
use process::{allow_descriptors, load, median, own_cpu_time, resident_mib};
use sonde::Sonde;

const SESSIONS: usize = 1000;
const AT_ONCE: usize = 50;
/// Of each, after one that is not counted.
const ROUNDS: usize = 15;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Connection {
    Plain,
    StartTls,
    Tls,
}

impl Connection {
    const ALL: [Self; 3] = [Self::Plain, Self::StartTls, Self::Tls];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::StartTls => "starttls",
            Self::Tls => "tls",
        }
    }
}

/// All sessions, so many at once, each in its turn by one of as many who ask.
fn all<F>(runtime: &Runtime, ask: impl Fn(usize) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..AT_ONCE {
            asking.spawn(ask(SESSIONS / AT_ONCE));
        }
        for done in asking.join_all().await {
            done.unwrap();
        }
    });
}

async fn sessions(
    sessions: usize,
    connection: Connection,
    port: u16,
    connector: TlsConnector,
) -> io::Result<()> {
    for _ in 0..sessions {
        match connection {
            Connection::Plain => client::plain(port).await?,
            Connection::StartTls => client::starttls(port, &connector).await?,
            Connection::Tls => client::tls(port, &connector).await?,
        }
    }
    Ok(())
}

fn compare(folder: &Path, runtime: &Runtime, connection: Connection, server: &MailServer) {
    let port = match connection {
        Connection::Plain => server.plain,
        Connection::StartTls => server.starttls,
        Connection::Tls => server.tls,
    };
    let connector = client::connector(&server.authority);
    let mut single = Sonde::start(folder, connection, port, 1);
    let mut sonde = Sonde::start(folder, connection, port, 2);
    let blackbox = Blackbox::start(folder);
    println!(
        "{SESSIONS} sessions, {}, {AT_ONCE} at once, {ROUNDS} rounds of each in turn; load {} before",
        connection.name(),
        load()
    );
    let (mut alone, mut ours, mut theirs, mut bare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let single = single.round();
        let sonde = sonde.round();
        let peer = blackbox.as_ref().map(|blackbox| blackbox.round(runtime, connection, port));
        let before = own_cpu_time();
        all(runtime, |count| sessions(count, connection, port, connector.clone()));
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
    row("sonde, one thread", median(alone), Some(single.process()));
    row("sonde, two threads", ours, Some(sonde.process()));
    if let Some(blackbox) = blackbox {
        let theirs = median(theirs);
        row("blackbox_exporter", theirs, Some(blackbox.process()));
        println!("  sonde / blackbox_exporter: {:.3}", ratio(theirs));
    }
    row("without a sandbox", bare, None);
    println!("  sonde / without a sandbox: {:.2}; load {} behind", ratio(bare), load());
}

/// Of one of a thousand sessions.
fn microseconds(round: Duration) -> f64 {
    round.as_secs_f64() * 1e3
}

fn main() -> ExitCode {
    allow_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let server = serve(Manner::default);
    fs::write(folder.path().join("ca.pem"), &server.authority).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let named: Vec<String> = env::args().skip(1).collect();
    let wanted = |connection: &Connection| {
        let is_named = |connection: &Connection| named.iter().any(|name| name == connection.name());
        is_named(connection) || !Connection::ALL.iter().any(is_named)
    };
    for connection in Connection::ALL.into_iter().filter(wanted) {
        compare(folder.path(), &runtime, connection, &server);
    }
    ExitCode::SUCCESS
}
