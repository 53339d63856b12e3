//! What is tested, and what comes of it: a subject, a case of it, a verdict.

use std::{collections::BTreeMap, fmt, io, net::Ipv4Addr, sync::Arc, time::Duration};

use crate::{
    check::Check,
    config::{self, AdHoc},
    host::with_port,
    job::Job,
    outcome::Outcome,
    report::Report,
    sandbox::Sandbox,
    text,
    tls_rules::{TlsRules, Verify},
};

/// What passes for a greeting, and for an answer, in many protocols.
pub(super) const READY: &[u8] = b"220 ready\r\n";
/// Where every case runs.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Any: nobody is connected to.
pub(super) const SOME_PORT: u16 = 1;

/// What is to be tested, and how.
pub struct Subject<'a> {
    /// Where it runs.
    pub sandbox: &'a Arc<Sandbox>,
    /// The check.
    pub check: &'a Check,
    /// Parameters of its jobs, as text; its port is each case's.
    pub parameters: &'a BTreeMap<String, String>,
    /// Real servers of further endpoints, by name, each at the port of its parameter.
    pub endpoints: &'a BTreeMap<String, String>,
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
    /// What came of it.
    pub came: Came,
    /// Why this is not what a check must do.
    pub miss: Option<String>,
}

/// What came of a case.
#[derive(Debug)]
pub enum Came {
    /// The run's report.
    Report(Box<Report>),
    /// The check itself refuses the job, and why: nothing was tested.
    NotRun(String),
    /// The job was refused, as it had to be.
    Refused,
    /// None of these.
    Nothing,
}

impl Verdict {
    /// The report, where there was a run.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &self.came {
            Came::Report(report) => Some(report),
            Came::NotRun(_) | Came::Refused | Came::Nothing => None,
        }
    }
}

/// Why nothing could be tested.
#[derive(Debug)]
pub enum ConformanceError {
    /// The parameters do not make a job.
    Parameters(config::ConfigError),
    /// A real server is named for an endpoint that the check does not have.
    Endpoint(String),
    /// A peer does not start.
    Peer(io::Error),
    /// The check refuses every job, and what it says of the first.
    Refused(String),
    /// The real server is not there.
    Server(String, u16, io::Error),
}

impl fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameters(error) => write!(f, "{error} (parameters are given with -p KEY=VALUE)"),
            Self::Refused(text) => write!(f, "nothing can be tested, the check refuses its jobs: {text}"),
            Self::Endpoint(name) => {
                write!(f, "--endpoint {}: the check has no such endpoint", text::clean(name))
            }
            Self::Server(host, port, error) => write!(f, "--against {}: {error}", with_port(host, port)),
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
pub(super) enum Must {
    Report,
    /// Nobody is there: no check can succeed.
    Fail,
    /// As without the case's disturbance.
    End(Outcome),
}

/// A run, and what it must come to.
pub(super) type Case = (Job, Must);

/// A job of a case, for a peer at this port.
pub(super) fn job(
    subject: &Subject<'_>,
    name: &str,
    port: u16,
    changed: &[(&str, &str)],
) -> Result<Job, config::ConfigError> {
    planned(subject, name, port, changed).job()
}

/// The same, not yet looked at.
pub(super) fn planned<'a>(
    subject: &Subject<'a>,
    name: &str,
    port: u16,
    changed: &[(&str, &str)],
) -> AdHoc<'a> {
    let mut parameters = subject.parameters.clone();
    let port_text = port.to_string();
    let port = subject.check.description.port_of(None).map(|own| (&*own.name, &*port_text));
    for (name, value) in changed.iter().copied().chain(port) {
        parameters.insert(name.to_owned(), value.to_owned());
    }
    // A relay has no certificate of its own, and it is not the server's that is tested.
    let tls = TlsRules {
        verify: Verify::Off,
        server_name: subject.against.as_ref().map(|(host, _)| host.clone()),
        ..TlsRules::default()
    };
    // Every one that there is; where, the parameters say.
    let all = subject.check.description.endpoints.iter();
    let endpoints = all.map(|endpoint| (endpoint.name.clone(), HOST.to_string())).collect();
    let (timeout, bare) = (subject.timeout, AdHoc::new(name, subject.check, &HOST.to_string()));
    AdHoc { timeout, parameters, endpoints, tls, ..bare }
}
