//! A job that no file has: what the command line, or a test, says of it in; the job out. Refuses what a file would be refused for.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value as Json;

use super::{
    alarm,
    endpoints::{Defaults, Endpoints},
    error::{At, ConfigError},
    job::{Parts, TIMEOUT, host, host_key, job, refused},
    parameters, tls,
};
use crate::{check::Check, grant::Deny, job::Job, tls_rules::TlsRules};

/// What is said of it.
#[derive(Clone)]
pub struct AdHoc<'a> {
    /// Tag `job`, and in the log.
    pub name: String,
    /// What it runs, loaded.
    pub check: &'a Check,
    /// Host name or address without port, IPv6 also in brackets.
    pub host: String,
    /// How long a run may take; 10 s by [`AdHoc::new`].
    pub timeout: Duration,
    /// Those that are given, by name; numbers, `true`, `false` and tables as in JSON, lists parted by commas, times as in a file.
    pub parameters: BTreeMap<String, String>,
    /// Further ones that were read already, such as a password: each is taken as it is.
    pub read: BTreeMap<String, String>,
    /// Hosts of further endpoints by their names, without port, IPv6 also in brackets.
    pub endpoints: BTreeMap<String, String>,
    /// Trust in the server's TLS; what of it is about this server alone does not hold at further endpoints.
    pub tls: TlsRules,
    /// Each as `[PART.]FIELD=WARNING[,CRITICAL]`.
    pub alarm_limits: Vec<String>,
}

impl<'a> AdHoc<'a> {
    /// With nothing that need not be given.
    #[must_use]
    pub fn new(name: &str, check: &'a Check, host: &str) -> Self {
        Self {
            name: name.to_owned(),
            check,
            host: host.to_owned(),
            timeout: TIMEOUT,
            parameters: BTreeMap::new(),
            read: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            tls: TlsRules::default(),
            alarm_limits: Vec::new(),
        }
    }

    /// The job. Refuses what a file would be refused for.
    pub async fn validated(self) -> Result<Job, ConfigError> {
        let job = self.job()?;
        job.validate().await.map_err(|unfit| refused(unfit, "host").within(None, None))?;
        Ok(job)
    }

    /// The same, as far as can be told without asking the check.
    pub fn job(self) -> Result<Job, ConfigError> {
        self.build().map_err(|at| at.within(None, None))
    }

    fn build(self) -> Result<Job, At> {
        let description = &self.check.description;
        let mut alarm_limits = Vec::new();
        for text in &self.alarm_limits {
            alarm_limits.extend(alarm::of_text(text, description)?);
        }
        let mut given = parameters::from_texts(&self.parameters, description)?;
        for (name, text) in self.read {
            given.insert(parameters::known(&name, description)?.name.clone(), Json::String(text));
        }
        let host = host(&self.host, || host_key(None), "`--port`")?;
        let tls = tls::alone(&self.tls)?;
        let is_built_in = self.check.program.as_ref().is_ok_and(|program| program.sha256().is_none());
        let defaults = if is_built_in { Defaults::All } else { Defaults::Below };
        let endpoints = Endpoints::from_texts(&self.endpoints, defaults, &tls);
        let parts = Parts {
            name: self.name,
            grants: Vec::new(),
            deny: Deny::default(),
            timeout: self.timeout,
            every: None,
            max_per_hour: None,
            tls,
            endpoints,
            alarm_limits,
        };
        let endpoints = parts.endpoints.clone();
        let job = job(parts, host, given, self.check)?;
        let endpoints = endpoints.complete(description, &job.host, &job.parameters)?;
        Ok(Job { endpoints, ..job })
    }
}
