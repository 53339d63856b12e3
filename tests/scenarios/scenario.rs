//! A scenario: a scripted server, a job, and the line that it must come to.
//!
//! `certificate` is `good` (the default), `expired`, `elsewhere` or `unknown`; `wants_client_certificate` refuses whoever has
//! none. What the script says: see `script.rs`.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use support::{
    Job, Point,
    certificates::{Authority, FAR, PAST},
};

use crate::script::{expand, play};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) server: String,
    #[serde(default)]
    pub(crate) certificate: Certificate,
    #[serde(default)]
    pub(crate) wants_client_certificate: bool,
    #[serde(default)]
    pub(crate) parameters: toml::Table,
    #[serde(default)]
    pub(crate) tls: toml::Table,
    #[serde(default = "host")]
    pub(crate) host: String,
    #[serde(default = "timeout")]
    pub(crate) timeout: String,
    pub(crate) result: String,
    pub(crate) sequence_code: i64,
    pub(crate) response_code: i64,
    pub(crate) error_code: i64,
    /// Fields that must be there.
    #[serde(default)]
    pub(crate) has: Vec<String>,
    /// Fields that must not.
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
    /// What text fields must contain.
    #[serde(default)]
    pub(crate) text: BTreeMap<String, String>,
    /// What integer fields must be.
    #[serde(default)]
    pub(crate) codes: BTreeMap<String, i64>,
    /// What times must at least be.
    #[serde(default)]
    pub(crate) least: BTreeMap<String, f64>,
}

/// Times that are sums of others.
const SUMS: [(&str, &[&str]); 2] = [
    ("login_time_ms", &["banner_time_ms", "ehlo_time_ms", "starttls_time_ms", "tls_time_ms", "auth_time_ms"]),
    ("transfer_time_ms", &["mail_time_ms", "rcpt_time_ms", "data_time_ms", "message_time_ms"]),
];

pub(crate) fn host() -> String {
    "127.0.0.1".to_owned()
}

pub(crate) fn timeout() -> String {
    "5s".to_owned()
}

#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Certificate {
    #[default]
    Good,
    Expired,
    Elsewhere,
    Unknown,
}

impl Scenario {
    /// Plays it; what is wrong, if anything is.
    pub(crate) fn play(&self) -> Result<(), String> {
        let authority = Authority::default();
        let identity = match self.certificate {
            Certificate::Expired => authority.issue("127.0.0.1", PAST),
            Certificate::Elsewhere => authority.issue("elsewhere.example", FAR),
            Certificate::Good | Certificate::Unknown => authority.issue("127.0.0.1", FAR),
        };
        let config = if self.wants_client_certificate {
            identity.server_for(authority.clients())
        } else {
            identity.server()
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = self.server.clone();
        let serves = !script.is_empty();
        let serving = thread::spawn(move || if serves { play(&listener, &script, &config) } else { Ok(()) });

        let folder = tempfile::tempdir().unwrap();
        let mut job =
            Job::new(&self.host, port).set("timeout", &*self.timeout).parameters(self.parameters.clone());
        if let Some(toml::Value::String(body)) = self.parameters.get("body") {
            job = job.parameter("body", expand(body));
        }
        for (key, value) in &self.tls {
            job = job.tls(key, value.clone());
        }
        if self.certificate != Certificate::Unknown {
            fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
            job = job.tls("ca_file", "ca.pem");
        }
        let began = Instant::now();
        let point = job.run(folder.path());
        let took = began.elapsed();
        let mut wrong = self.wrong(&point);
        if serves && self.host == host() {
            wrong.extend(serving.join().unwrap().err().map(|error| format!("server: {error}")));
        }
        // The hard deadline is half a second behind the soft one; the rest is a busy machine's.
        if took > Duration::from_secs(15) {
            wrong.push(format!("took {took:?}"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{point:#?}", wrong.join("\n"))) }
    }

    fn wrong(&self, point: &Point) -> Vec<String> {
        let expected = (&*self.result, self.sequence_code, self.response_code, self.error_code);
        let outcome = point.outcome();
        let outcome = (outcome != expected).then(|| format!("{outcome:?} instead of {expected:?}"));
        let has = |field: &String| point.fields.contains_key(field);
        let missing = self.has.iter().filter(|field| !has(field)).map(|field| format!("no {field}"));
        let present = self.lacks.iter().filter(|field| has(field)).map(|field| format!("{field} is there"));
        let texts = self.text.iter().filter(|(field, text)| !point.text(field).contains(text.as_str()));
        let codes = self.codes.iter().filter(|(field, code)| point.code(field) != **code);
        let short = |field: &str, least: f64| point.time(field).is_none_or(|time| time < least);
        let times = self.least.iter().filter(|(field, least)| short(field, **least));
        let not = |field: &str, value: &dyn std::fmt::Display| format!("{field} is not {value}");
        let parts = |parts: &[&str]| parts.iter().filter_map(|part| point.time(part)).sum::<f64>();
        let is_sum = |sum: &str, of| point.time(sum).is_none_or(|sum| (sum - parts(of)).abs() < 1e-6);
        let sums = SUMS.iter().filter(|(sum, of)| !is_sum(sum, of));
        (outcome.into_iter().chain(missing).chain(present))
            .chain(texts.map(|(field, text)| not(field, text)))
            .chain(codes.map(|(field, code)| not(field, code)))
            .chain(times.map(|(field, least)| not(field, &format!("at least {least}"))))
            .chain(sums.map(|(sum, _)| not(sum, &"the sum of its phases")))
            .collect()
    }
}
