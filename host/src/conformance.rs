//! Puts a check through what it will meet: a loaded check and a job for it in, what came of every case out. In each the
//! check must end in a report of its own, in time, with what it announced; what the sandbox had to end instead is a miss.

mod cases;
mod peer;
mod table;

use std::{collections::BTreeMap, future::ready, io, net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::net::TcpStream;

pub use self::table::table;
use self::{
    cases::{Conversation, misbehaving, odd_values, wrong_values},
    peer::{Peer, Peers},
};
use crate::{
    check::Check,
    config::{self, AdHoc},
    description::ParameterKind,
    job::Job,
    report::{Outcome, Report},
    sandbox::Sandbox,
    schedule::{self, RoundTime},
    tls_rules::{TlsRules, Verify},
};

/// Cases at once: most of them only wait.
const AT_ONCE: usize = 16;
/// What passes for a greeting, and for an answer, in many protocols.
const READY: &[u8] = b"220 ready\r\n";
/// Where every case runs.
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// What is to be tested, and how.
pub struct Subject<'a> {
    /// Where it runs.
    pub sandbox: &'a Arc<Sandbox>,
    /// The check.
    pub check: &'a Check,
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
    /// The real server is not there.
    Server(String, u16, io::Error),
}

impl std::fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parameters(error) => write!(f, "{error} (parameters are given with -p KEY=VALUE)"),
            Self::Server(host, port, error) => write!(f, "--against {host}:{port}: {error}"),
            Self::Peer(error) => write!(f, "a server for the test does not start on {HOST}: {error}"),
        }
    }
}

impl std::error::Error for ConformanceError {}

impl From<config::ConfigError> for ConformanceError {
    fn from(error: config::ConfigError) -> Self {
        Self::Parameters(error)
    }
}

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

/// A run, and what it must come to.
type Case = (Job, Must);

/// Runs every case.
pub async fn run(subject: &Subject<'_>) -> Result<Vec<Verdict>, ConformanceError> {
    let mut peers = Peers::default();
    let conversation = if let Some((host, port)) = subject.against.clone() {
        let reached = TcpStream::connect((host.as_str(), port)).await;
        reached.map_err(|error| ConformanceError::Server(host.clone(), port, error))?;
        Conversation::new((host, port), "the server")
    } else {
        let port = peers.start(Peer::Talker(READY.to_vec()))?;
        Conversation::new((HOST.to_string(), port), "a server that says yes to everything")
    };
    let mut verdicts = round(subject, vec![conversation.undisturbed(subject, &mut peers)?]).await;
    let report = verdicts.first().and_then(|verdict| verdict.report.as_ref());
    let undisturbed = report.map_or(Outcome::CheckError, Report::outcome);

    verdicts.extend(wrong_values(subject));
    let mut cases = misbehaving(subject, &mut peers)?;
    cases.extend(conversation.disturbed(subject, &mut peers, undisturbed)?);
    cases.extend(odd_values(subject, &mut peers)?);
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
    let own_port = subject.check.description.parameters.iter().find(|own| own.kind == ParameterKind::Port);
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
    let (timeout, bare) = (subject.timeout, AdHoc::new(name, subject.check, &HOST.to_string()));
    AdHoc { timeout, parameters, tls, ..bare }.job()
}

async fn round(subject: &Subject<'_>, cases: Vec<Case>) -> Vec<Verdict> {
    let (jobs, musts): (Vec<Job>, Vec<Must>) = cases.into_iter().unzip();
    let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
    let mut came = BTreeMap::new();
    let mut reports =
        schedule::round(subject.sandbox, jobs.into_iter().map(ready), AT_ONCE, RoundTime::now());
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
