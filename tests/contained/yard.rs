//! Where the harm is done: a sandbox with hostile checks, a real mail server for good jobs, and a server that says nothing.

use std::{
    collections::BTreeMap,
    fs,
    future::ready,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use sonde_host::{
    check::Check,
    demo::server::Server,
    description::Description,
    grant::Deny,
    job::Job,
    line,
    net::Tls,
    report::{Outcome, Report},
    sandbox::{
        Compiler, Limits, LoadError, SMTP, Sandbox, Source,
        cache::{Cache, CacheError},
    },
    schedule::{Ended, Place, RoundTime, Schedule},
    secret::{Secrets, apart::Apart},
    tls_rules::{TlsRules, Verify},
    workers::Workers,
};

use support::points;

use crate::endpoints;

/// Jobs that do no harm, beside each that does.
pub(crate) const GOOD_JOBS: usize = 50;
/// Time of a job.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
/// What a report may take beyond that.
const GRACE: Duration = Duration::from_millis(500);
/// What a check is never to show.
pub(crate) const SECRET: &str = "open-sesame";
/// How long the silent server keeps a connection.
const SILENCE: Duration = Duration::from_secs(3);

/// A sandbox and what was loaded into it.
pub(crate) struct Checks {
    pub(crate) sandbox: Sandbox,
    compiler: Arc<Compiler>,
    by_name: BTreeMap<String, Check>,
}

impl Checks {
    /// Each run has new memory and a new stack, as in a process for a single round.
    pub(crate) async fn new() -> Self {
        Self::of(Sandbox::new().unwrap()).await
    }

    /// Runs use them one after the other, as in a daemon.
    pub(crate) async fn pooled() -> Self {
        Self::of(Sandbox::new().unwrap().pooling()).await
    }

    async fn of(sandbox: Sandbox) -> Self {
        let by_name = BTreeMap::from([(SMTP.to_owned(), Check::built_in(&sandbox).await.unwrap())]);
        Self { sandbox, compiler: Arc::new(compiler(Err(CacheError::NoFolder))), by_name }
    }

    /// The jobs of the check `name` report that it was not loaded.
    pub(crate) fn refuse(&mut self, name: &str, error: &LoadError) {
        self.by_name.insert(name.to_owned(), Check::unloaded(name, error));
    }

    /// Whether a check's runs have a memory one after the other.
    pub(crate) fn pools(&self, name: &str) -> bool {
        self.by_name[name].program.as_ref().is_ok_and(|program| program.is_pooled())
    }

    pub(crate) fn description(&self, name: &str) -> &Description {
        &self.by_name[name].description
    }
}

pub(crate) struct Yard {
    pub(crate) sandbox: Arc<Sandbox>,
    checks: BTreeMap<String, Check>,
    smtp: SocketAddr,
    silent: u16,
    /// Ports of the servers that do harm, by its name; elsewhere the silent one is.
    pub(crate) servers: BTreeMap<&'static str, u16>,
    /// Trust of the hostile jobs: none of their servers has a certificate that anybody knows.
    tls: Arc<Tls>,
    /// Time of a good job.
    pub(crate) good_timeout: Duration,
}

/// The compiler is the program itself; this test is another.
pub(crate) fn compiler(cache: Result<Cache, CacheError>) -> Compiler {
    Compiler::of(cache, env!("CARGO_BIN_EXE_sonde").into())
}

/// Loads a component, without a cache.
pub(crate) async fn load(
    checks: &mut Checks,
    name: &str,
    wasm: &[u8],
    limits: Limits,
) -> Result<(), LoadError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), wasm).unwrap();
    let source = Source { name: name.to_owned(), path: file.path().to_owned(), pinned: None, limits };
    let check = Check::load(&checks.sandbox, &source, &checks.compiler).await?;
    checks.by_name.insert(name.to_owned(), check);
    Ok(())
}

/// Accepts, reads nothing, says nothing, and closes after a while.
fn silent_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut kept = std::collections::VecDeque::new();
        listener.set_nonblocking(true).unwrap();
        loop {
            match listener.accept() {
                Ok((stream, _)) => kept.push_back((Instant::now(), stream)),
                Err(_nobody) => thread::sleep(Duration::from_millis(2)),
            }
            while kept.front().is_some_and(|(since, _)| since.elapsed() > SILENCE) {
                kept.pop_front();
            }
        }
    });
    port
}

/// A real mail server, for good jobs.
pub(crate) fn mail_server() -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::start().await.unwrap();
            sender.send(server.plain).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
}

impl Yard {
    pub(crate) fn new(checks: Checks) -> Self {
        Self {
            sandbox: Arc::new(checks.sandbox),
            checks: checks.by_name,
            smtp: mail_server(),
            silent: silent_server(),
            servers: BTreeMap::new(),
            tls: Arc::new(Tls::new(&TlsRules { verify: Verify::Off, ..TlsRules::default() }).unwrap()),
            good_timeout: Duration::from_secs(10),
        }
    }

    pub(crate) fn job(&self, name: &str, check: &str, timeout: Duration) -> Job {
        let port = match check {
            SMTP => self.smtp.port(),
            _ => self.servers.get(name).copied().unwrap_or(self.silent),
        };
        // Of the built-in probe all, of the others those that they have.
        let parameters = match check {
            SMTP => json!({
                "connection": "plain", "port": port, "username": "", "password": "", "from": "", "to": [], "subject": "",
                "body": "", "auth": "auto", "allow_plaintext_auth": false, "ehlo_name": "sonde.localdomain",
            }),
            _ => json!({ "harm": name, "port": port, "password": SECRET }),
        };
        let mut secrets = vec![SECRET.to_owned()];
        if name.ends_with("texts") {
            secrets.extend((0..250).map(|number| format!("{number:04}").repeat(256)));
        }
        let job = Job {
            name: name.into(),
            check: self.checks[check].clone(),
            host: "127.0.0.1".parse().unwrap(),
            port: Some(port),
            endpoints: Arc::default(),
            timeout,
            parameters: Arc::new(parameters.as_object().unwrap().clone()),
            tags: Vec::new(),
            grants: Vec::new(),
            deny: Deny::default(),
            secrets: Secrets::new(&secrets).unwrap(),
            apart: Apart::default(),
            tls: Arc::clone(&self.tls),
            alarm_limits: Vec::new(),
        };
        match check {
            "endpoints" => {
                endpoints::with_another(job, self.servers.get("imap").copied().unwrap_or(self.silent))
            }
            "without-port" => Job { port: None, ..job },
            _ => job,
        }
    }

    /// Runs these – name and check – with the good jobs around them; every job reports once, on a line of its own and one for
    /// each of its parts, and the good ones succeed. Gives the reports and lines of the others.
    pub(crate) async fn round(&self, hostile: &[(&str, &str)], timeout: Duration) -> Vec<(Report, String)> {
        self.round_on(&Arc::new(Workers::new(1)), hostile, timeout).await
    }

    /// The same on these threads.
    pub(crate) async fn round_on(
        &self,
        workers: &Arc<Workers>,
        hostile: &[(&str, &str)],
        timeout: Duration,
    ) -> Vec<(Report, String)> {
        let good = |_| self.job("good", SMTP, self.good_timeout);
        let mut jobs: Vec<Job> = (0..GOOD_JOBS / 2).map(good).collect();
        jobs.extend(hostile.iter().map(|(name, check)| self.job(name, check, timeout)));
        jobs.extend((GOOD_JOBS / 2..GOOD_JOBS).map(good));
        let (mut schedule, mut reports) = Schedule::new(64 + hostile.len(), None, workers);
        let jobs = jobs.into_iter().map(|job| (Place::default(), ready(job)));
        schedule.round(&self.sandbox, jobs, RoundTime::now());
        drop(schedule);
        let mut came: Vec<Option<(Report, String)>> = hostile.iter().map(|_| None).collect();
        let mut good = 0;
        while let Some(Ended { job, report, .. }) = reports.recv().await {
            let line = line::lines(&job.points(&report, 7)).trim_end().to_owned();
            assert_eq!(points(&line).len(), 1 + report.parts.len(), "{line}");
            let is_wrong = |line: &str| line.contains(SECRET) || line.contains(char::is_control);
            assert!(!line.lines().any(is_wrong), "{line:?}");
            if job.check.name == SMTP {
                assert_eq!(
                    report.outcome(),
                    Outcome::Success,
                    "{:?} harmed a good job: {report:?}",
                    hostile[0]
                );
                let took = report.measured.total.unwrap();
                assert!(took < self.good_timeout + GRACE, "{:?} held up a good job for {took:?}", hostile[0]);
                good += 1;
            } else {
                let here = |(place, (name, check)): (usize, &(&str, &str))| {
                    *name == job.name && *check == job.check.name && came[place].is_none()
                };
                let place = hostile.iter().enumerate().position(here);
                let place = place.unwrap_or_else(|| panic!("{} reported twice", job.name));
                came[place] = Some((report, line));
            }
        }
        assert_eq!(good, GOOD_JOBS);
        came.into_iter().map(Option::unwrap).collect()
    }
}
