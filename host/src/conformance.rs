//! Puts a check through what it will meet: a loaded check and a job for it in, what came of every case out. In each the
//! check must end in a report of its own, in time, with what it announced; what the sandbox had to end instead is a miss.

mod peer;

use std::{collections::BTreeMap, fmt::Write as _, io, net::Ipv4Addr, sync::Arc, time::Duration};

use self::peer::{Manner, Peer, Peers};
use crate::{
    config,
    description::{Description, Parameter, ParameterKind},
    job::{Job, TlsRules, Verify},
    report::{Outcome, Report},
    sandbox::{Limits, Sandbox},
    schedule::{self, RoundTime},
    text,
};

/// Cases at once: most of them only wait.
const AT_ONCE: usize = 16;
/// Places in a conversation at which it is broken off.
const PLACES: usize = 12;
/// A text that is longer than anybody means.
const LONG_TEXT_BYTES: usize = 16 << 10;
/// Where every case runs.
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What is to be tested, and how.
pub struct Subject<'a> {
    /// Knows the check.
    pub sandbox: &'a Arc<Sandbox>,
    /// The check's name there.
    pub check: &'a str,
    /// What it says of itself.
    pub description: &'a Description,
    /// Parameters of its jobs, as text; its port is each case's.
    pub parameters: &'a BTreeMap<String, String>,
    /// Time for each run.
    pub timeout: Duration,
    /// A real server to talk through to.
    pub against: Option<(String, u16)>,
}

/// What one case came to.
#[derive(Debug)]
pub struct Verdict {
    /// The case.
    pub case: String,
    /// The report; none: the job was refused, as it should be.
    pub report: Option<Report>,
    /// Why this is not what a check must do.
    pub miss: Option<String>,
}

/// Why nothing could be tested.
#[derive(Debug)]
pub enum ConformanceError {
    /// The parameters do not make a job.
    Parameters(config::ConfigError),
    /// A peer does not start.
    Peer(io::Error),
}

impl std::fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parameters(error) => write!(f, "{error} (parameters are given with -p KEY=VALUE)"),
            Self::Peer(error) => write!(f, "a server for the test does not start on {HOST}: {error}"),
        }
    }
}

impl std::error::Error for ConformanceError {}

impl From<io::Error> for ConformanceError {
    fn from(error: io::Error) -> Self {
        Self::Peer(error)
    }
}

/// What a case must come to, beyond a report.
enum Must {
    Report,
    /// Nobody is there: no check can succeed.
    Fail,
    /// As without the case's disturbance.
    End(Outcome),
}

/// Runs every case.
pub async fn run(subject: &Subject<'_>) -> Result<Vec<Verdict>, ConformanceError> {
    let mut peers = Peers::default();
    let source = match &subject.against {
        Some(server) => server.clone(),
        None => (HOST.to_string(), peers.start(Peer::Talker(b"220 ready\r\n".to_vec()))?),
    };
    let said = if subject.against.is_some() { "the server" } else { "a server that says yes to everything" };

    let relay = |manner| Peer::Relay(source.clone(), manner);
    let port = peers.start(relay(Manner::AsItIs))?;
    let plain =
        job(subject, &format!("{said}, as it is"), port, &[]).map_err(ConformanceError::Parameters)?;
    let mut verdicts = round(subject, vec![(plain, Must::Report)]).await;
    let undisturbed = verdicts
        .first()
        .and_then(|verdict| verdict.report.as_ref())
        .map_or(Outcome::CheckError, Report::outcome);

    let mut cases = Vec::new();
    for (name, peer, must) in [
        ("nobody listens", Peer::Absent, Must::Fail),
        ("silent", Peer::Silent, Must::Report),
        ("closes at once", Peer::Closing, Must::Report),
        ("resets at once", Peer::Resetting, Must::Report),
        ("garbage", Peer::Talker(peer::garbage()), Must::Report),
        ("not UTF-8", Peer::Talker(b"\xff\xfe\xc3(\xed\xa0\x80\r\n".to_vec()), Must::Report),
        ("lines of 64 KiB", Peer::Talker([&vec![b'x'; 64 << 10][..], b"\r\n"].concat()), Must::Report),
        ("lines without end", Peer::Endless(b"250-and so on\r\n"), Must::Report),
        ("a line without end", Peer::Endless(b"0123456789abcdef"), Must::Report),
    ] {
        let port = peers.start(peer)?;
        cases.push((job(subject, name, port, &[]).map_err(ConformanceError::Parameters)?, must));
    }
    let places = peers.replies().min(PLACES);
    let mut disturb = vec![(format!("{said}, a byte at a time"), Manner::ByteByByte, Must::End(undisturbed))];
    for place in 0..places {
        disturb.push((format!("{said}, stalls at read {}", place + 1), Manner::Stalls(place), Must::Report));
        disturb.push((format!("{said}, closes at read {}", place + 1), Manner::Closes(place), Must::Report));
        disturb.push((format!("{said}, resets at read {}", place + 1), Manner::Resets(place), Must::Report));
    }
    for (name, manner, must) in disturb {
        let port = peers.start(relay(manner))?;
        cases.push((job(subject, &name, port, &[]).map_err(ConformanceError::Parameters)?, must));
    }

    let port = peers.start(Peer::Talker(b"220 ready\r\n".to_vec()))?;
    for parameter in subject.description.parameters.iter().filter(|own| own.kind != ParameterKind::Port) {
        for (what, value) in odd_values(parameter) {
            let name = format!("`{}` {what}", parameter.name);
            // What the description rules out, or the host, never reaches the check.
            if let Ok(job) = job(subject, &name, port, &[(&parameter.name, &value)]) {
                cases.push((job, Must::Report));
            }
        }
        for value in wrong_values(parameter) {
            let accepted = job(subject, "", port, &[(&parameter.name, value)]).is_ok();
            verdicts.push(Verdict {
                case: format!("`{}` of another kind is refused", parameter.name),
                report: None,
                miss: accepted.then(|| format!("{value} was accepted")),
            });
        }
    }
    verdicts.extend(round(subject, cases).await);
    Ok(verdicts)
}

fn job(
    subject: &Subject<'_>,
    name: &str,
    port: u16,
    changed: &[(&str, &str)],
) -> Result<Job, config::ConfigError> {
    let mut parameters = subject.parameters.clone();
    let own_port = subject.description.parameters.iter().find(|own| own.kind == ParameterKind::Port);
    let port_text = port.to_string();
    let port = own_port.map(|own| (&*own.name, &*port_text));
    for (name, value) in changed.iter().copied().chain(port) {
        parameters.insert(name.to_owned(), value.to_owned());
    }
    // A relay has no certificate of its own, and it is not the server's that is tested.
    let tls = TlsRules {
        verify: Verify::Off,
        server_name: subject.against.as_ref().map(|(host, _)| host.clone()),
        ..TlsRules::default()
    };
    config::ad_hoc(
        name,
        subject.check,
        &HOST.to_string(),
        subject.timeout,
        &parameters,
        tls,
        &[],
        subject.description,
    )
}

async fn round(subject: &Subject<'_>, cases: Vec<(Job, Must)>) -> Vec<Verdict> {
    let (jobs, musts): (Vec<Job>, Vec<Must>) = cases.into_iter().unzip();
    let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
    let mut came = BTreeMap::new();
    let mut reports = schedule::round(subject.sandbox, jobs, AT_ONCE, RoundTime::now());
    while let Some((job, report)) = reports.recv().await {
        came.insert(job.name.clone(), report);
    }
    names
        .into_iter()
        .zip(musts)
        .map(|(case, must)| {
            let report = came.remove(&case);
            let miss = match &report {
                Some(report) => miss(report, &must),
                None => Some("no report".to_owned()),
            };
            Verdict { case, report, miss }
        })
        .collect()
}

fn miss(report: &Report, must: &Must) -> Option<String> {
    match (report.outcome(), must) {
        (Outcome::CheckError, _) => {
            let failure = report.failure.as_ref();
            Some(failure.map_or_else(String::new, |failure| format!("{}: {}", failure.code.0, failure.text)))
        }
        (Outcome::Success, Must::Fail) => Some("success, and there is no server".to_owned()),
        (came, Must::End(undisturbed)) if came != *undisturbed => {
            Some(format!("{} when not disturbed", undisturbed.name()))
        }
        _ => None,
    }
}

/// What the description allows and nobody means.
fn odd_values(parameter: &Parameter) -> Vec<(&'static str, String)> {
    match parameter.kind {
        ParameterKind::Text | ParameterKind::Secret | ParameterKind::TextList => vec![
            ("empty", String::new()),
            ("with special characters", "é\u{202e}\t'\"\\%s{}$(x)<&>;|\u{10ffff}".to_owned()),
            ("with line breaks", "a\r\n.\r\nb\0c".to_owned()),
            ("very long", "x".repeat(LONG_TEXT_BYTES)),
            ("very many", "x,".repeat(LONG_TEXT_BYTES / 2)),
        ],
        ParameterKind::Integer => {
            vec![
                ("least", i64::MIN.to_string()),
                ("zero", "0".to_owned()),
                ("greatest", i64::MAX.to_string()),
            ]
        }
        ParameterKind::Number => {
            vec![
                ("least", "-1e308".to_owned()),
                ("tiny", "5e-324".to_owned()),
                ("greatest", "1e308".to_owned()),
            ]
        }
        ParameterKind::Boolean => vec![("false", "false".to_owned()), ("true", "true".to_owned())],
        ParameterKind::Port => Vec::new(),
    }
}

/// What the description does not allow, as far as text can say it.
fn wrong_values(parameter: &Parameter) -> Vec<&'static str> {
    match parameter.kind {
        ParameterKind::Integer | ParameterKind::Number | ParameterKind::Boolean => vec!["\"text\""],
        ParameterKind::Text if !parameter.choices.is_empty() => vec!["no such choice"],
        _ => Vec::new(),
    }
}

/// A table of the verdicts, and of what the runs used up.
#[must_use]
pub fn table(verdicts: &[Verdict], limits: &Limits) -> String {
    let width = verdicts.iter().map(|verdict| verdict.case.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:width$}  {:18}{:>10}{:>10}{:>10}\n", "case", "result", "time", "CPU", "memory");
    let (mut cpu, mut memory) = (Duration::ZERO, 0);
    for verdict in verdicts {
        let _infallible = match &verdict.report {
            Some(report) => {
                cpu = cpu.max(report.used.cpu);
                memory = memory.max(report.used.memory_bytes);
                write!(
                    text,
                    "{:width$}  {:18}{:>7} ms{:>7.1} ms{:>6.1} MiB",
                    verdict.case,
                    report.outcome().name(),
                    report.measured.total.unwrap_or_default().as_millis(),
                    milliseconds(report.used.cpu),
                    mebibytes(report.used.memory_bytes),
                )
            }
            None => write!(text, "{:width$}  {:18}", verdict.case, "refused"),
        };
        if let Some(miss) = &verdict.miss {
            let _infallible = write!(text, "  MISS {}", text::clean(miss));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let misses = verdicts.iter().filter(|verdict| verdict.miss.is_some()).count();
    let _infallible = writeln!(
        text,
        "{} cases, {misses} missed; at most {:.1} ms of CPU (of {}) and {:.1} MiB (of {:.0})",
        verdicts.len(),
        milliseconds(cpu),
        limits.cpu_time.as_millis(),
        mebibytes(memory),
        mebibytes(limits.memory_bytes),
    );
    text
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}
