//! A job's table in; what of it can be judged without its check, and then, with the check, the job, out. Refuses by key.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Map, Value as Json};

use super::{
    alarm,
    check::Declared,
    duration::{duration, interval},
    endpoints::{self, Defaults, Endpoints},
    error::{At, ConfigError, Problem, Subject, entry},
    file, hourly,
    nearest::nearest,
    parameters,
    place::folder,
    secret::Files,
    tls::Trusts,
};
use crate::{
    alarm::Limit,
    check::Check,
    description::{Parameter, ParameterKind},
    grant::{Deny, Endpoint, NoEndpoint},
    host::{Host, NoHost},
    job::Job,
    net::Tls,
    sandbox::{Judge, SMTP, Unfit},
    secret::{self, Secrets, apart::Apart},
    text,
};

/// A run's time, where the file does not say.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A job as its file has it, for one of its hosts: valid as far as that can be told without its check.
#[derive(Clone)]
pub struct Planned {
    host: Host,
    /// Its place among the hosts of its table; none: it is the one.
    place: Option<usize>,
    of: Arc<Table>,
}

/// A job's table.
struct Table {
    declared_in: Arc<Path>,
    check: String,
    given: toml::Table,
    secrets: Arc<Files>,
    parts: Parts,
    /// What its check makes of it: the hosts share parameters and secrets, which may be large.
    job: OnceLock<Result<Job, ConfigError>>,
}

/// What a job has whatever its check is.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) name: String,
    pub(super) grants: Vec<Endpoint>,
    pub(super) deny: Deny,
    pub(super) timeout: Duration,
    pub(super) every: Option<Duration>,
    pub(super) max_per_hour: Option<u8>,
    pub(super) tls: Arc<Tls>,
    pub(super) endpoints: Endpoints,
    pub(super) alarm_limits: Vec<Limit>,
}

impl Planned {
    /// Of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.of.parts.name
    }

    /// What its file calls its check: `smtp`, or one that is declared.
    #[must_use]
    pub fn check(&self) -> &str {
        &self.of.check
    }

    /// Without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.written()
    }

    /// How long a run may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.of.parts.timeout
    }

    /// How far apart its runs are; none: it is in each round.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        self.of.parts.every
    }

    /// How many of its runs may begin in an hour.
    #[must_use]
    pub fn max_per_hour(&self) -> Option<u8> {
        self.of.parts.max_per_hour
    }

    /// What in its table may be a mistake.
    pub(super) fn doubts(&self) -> impl Iterator<Item = ConfigError> {
        alarm::doubts(&self.of.parts.alarm_limits).map(|at| self.of.refused(at))
    }

    /// The job, with its check, which is the same at every call and for every host. Refuses what by the check's description it
    /// cannot take, and what the check itself refuses.
    pub async fn validated(&self, check: &Check, judge: &mut Judge) -> Result<Job, ConfigError> {
        let job = self.job(check)?;
        let judged = job.validate_by(judge).await;
        judged.map_err(|unfit| self.of.refused(refused(unfit, &host_key(self.place))))?;
        Ok(job)
    }

    /// The same, as far as can be told without asking the check.
    pub fn job(&self, check: &Check) -> Result<Job, ConfigError> {
        let job = self.of.job.get_or_init(|| self.of.build(check, &self.host)).clone()?;
        // A default may be about the host, and a clash with its port is that host's alone.
        let endpoints = self.of.parts.endpoints.complete(&check.description, &self.host, &job.parameters);
        let endpoints = endpoints.map_err(|at| self.of.refused(at))?;
        Ok(Job { host: self.host.clone(), endpoints, ..job })
    }

    /// The job, with a check that cannot run it and says so.
    #[must_use]
    pub fn unfit(&self, check: Check) -> Job {
        // As far as that can be told: its series is that of its other lines.
        let of_check = check.description.port_of(None);
        let given = self.of.given.get(of_check.map_or("port", |port| &port.name));
        let port = given.and_then(toml::Value::as_integer);
        let port = port.or_else(|| of_check?.default.as_ref()?.as_i64());
        let parts = self.of.parts.clone();
        let endpoints = parts.endpoints.of(&check.description, &self.host).unwrap_or_default();
        Job {
            name: parts.name,
            check,
            host: self.host.clone(),
            port: port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
            endpoints: endpoints.into(),
            grants: Vec::new(),
            deny: parts.deny,
            timeout: parts.timeout,
            parameters: Arc::default(),
            tags: Vec::new(),
            secrets: Secrets::default(),
            apart: Apart::default(),
            tls: parts.tls,
            alarm_limits: parts.alarm_limits,
        }
    }
}

impl Table {
    fn build(&self, check: &Check, host: &Host) -> Result<Job, ConfigError> {
        let build = || {
            for limit in &self.parts.alarm_limits {
                alarm::known_number(&check.description, limit)?;
            }
            let folder = folder(&self.declared_in);
            let given = parameters::from_toml(&self.given, &check.description, folder, &self.secrets)?;
            job(self.parts.clone(), host.clone(), given, check)
        };
        build().map_err(|at: At| self.refused(at))
    }

    fn refused(&self, at: At) -> ConfigError {
        at.within(Some(&self.declared_in), Some(Subject::Job(self.parts.name.clone())))
    }
}

/// Where a table has a host, by its place among several.
pub(super) fn host_key(place: Option<usize>) -> String {
    place.map_or_else(|| "host".to_owned(), |place| entry("hosts", place))
}

/// One for each of its hosts.
pub(super) fn planned(
    shape: file::Job,
    declared_in: &Arc<Path>,
    checks: &[Declared],
    deny: &Deny,
    trusts: &mut Trusts,
    secrets: &Arc<Files>,
) -> Result<Vec<Planned>, At> {
    let check = checks.iter().map(|check| &check.source).find(|check| check.name == shape.check);
    if check.is_none() && shape.check != SMTP {
        let all: Vec<&str> =
            std::iter::once(SMTP).chain(checks.iter().map(|check| &*check.source.name)).collect();
        let meant = nearest(&shape.check, all.iter().copied()).map(ToOwned::to_owned);
        return Err(At::key("check", Problem::NoCheck { meant, all: all.join(", ") }));
    }
    let wall_time = check.map(|check| check.limits.wall_time);
    let hosts: Vec<(Option<usize>, String)> = match (shape.host, shape.hosts) {
        (Some(host), None) => vec![(None, host)],
        (None, Some(hosts)) if !hosts.is_empty() => {
            hosts.into_iter().enumerate().map(|(place, host)| (Some(place), host)).collect()
        }
        (None, None) => return Err(At::key("host", Problem::Missing)),
        (None, Some(_)) => return Err(At::key("hosts", Problem::Expected("at least one host".into()))),
        (Some(_), Some(_)) => {
            return Err(At::key("host", Problem::Contradiction("either host or hosts, not both")));
        }
    };
    let timeout = match &shape.timeout {
        None => wall_time.map_or(TIMEOUT, |most| most.min(TIMEOUT)),
        Some(text) => {
            let timeout =
                duration(text).map_err(|expected| At::key("timeout", Problem::Expected(expected)))?;
            if let Some(most) = wall_time.filter(|most| timeout > *most) {
                return Err(At::key("timeout", Problem::WallTime(most)));
            }
            timeout
        }
    };
    let every = shape.every.as_deref().map(interval).transpose();
    let every = every.map_err(|expected| At::key("every", Problem::Expected(expected)))?;
    let max_per_hour = shape.max_per_hour.map(hourly::runs).transpose()?;
    let grants = shape
        .grants
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let refuse = |expected: NoEndpoint| {
                At::key(entry("grants", index), Problem::Expected(expected.to_string()))
            };
            text.parse().map_err(refuse)
        })
        .collect::<Result<Vec<Endpoint>, At>>()?;
    let tls = trusts.tls(shape.tls, folder(declared_in))?;
    let defaults = if check.is_none() { Defaults::All } else { Defaults::None };
    let endpoints = Endpoints::from_file(shape.endpoints, defaults, folder(declared_in), trusts)?;
    let alarm_limits = alarm::of_table(shape.alarm)?;
    if let Some(part) = alarm_limits.iter().find_map(|limit| limit.part.as_ref())
        && check.is_some_and(|check| check.limits.lines == 1)
    {
        let wrong = "no part has a line: `lines` in the [check.limits] of its check is 1";
        return Err(At::key(format!("alarm.{part}"), Problem::Contradiction(wrong)));
    }
    let (name, deny) = (shape.name, deny.clone());
    let parts = Parts { name, grants, deny, timeout, every, max_per_hour, tls, endpoints, alarm_limits };
    let of = Arc::new(Table {
        declared_in: Arc::clone(declared_in),
        check: shape.check,
        given: shape.parameters,
        secrets: Arc::clone(secrets),
        parts,
        job: OnceLock::new(),
    });
    hosts
        .iter()
        .map(|(place, host)| {
            let host = self::host(host, || host_key(*place), "`parameters.port`")?;
            Ok(Planned { host, place: *place, of: Arc::clone(&of) })
        })
        .collect()
}

/// A name or an address, IPv6 with or without brackets; gives it without. Refuses it by its key, and says where its port belongs.
pub(super) fn host(text: &str, key: impl FnOnce() -> String, port: &str) -> Result<Host, At> {
    Host::bracketed(text).map_err(|wrong| {
        let hint = if wrong == NoHost::Port { format!(": the port is {port}") } else { String::new() };
        At::key(key(), Problem::Expected(format!("{wrong}{hint}")))
    })
}

/// Fills in defaults, and draws from the parameters what the host itself needs.
pub(super) fn job(parts: Parts, host: Host, given: Map<String, Json>, check: &Check) -> Result<Job, At> {
    let description = &check.description;
    let endpoints = parts.endpoints.of(description, &host)?;
    endpoints::are_used(&given, description, &endpoints)?;
    endpoints::are_measured(&parts.alarm_limits, description, &endpoints)?;
    let is_absent = |parameter: &Parameter| endpoints::is_absent(parameter, &endpoints);
    let parameters = parameters::complete(given, description, is_absent)?;
    let mut secrets = Vec::new();
    for parameter in description.parameters.iter().filter(|known| known.kind == ParameterKind::Secret) {
        let secret = parameters.get(&parameter.name).and_then(Json::as_str).unwrap_or_default();
        if !secret.is_empty() {
            secrets.push(secret.to_owned());
            secret::judge(&secrets)
                .map_err(|error| At::key(format!("parameters.{}", parameter.name), Problem::Secret(error)))?;
        }
    }
    let port = endpoints::port(description, None, &parameters)?;
    let unfindable = |error| At::key("parameters", Problem::Secret(error));
    let secrets = Secrets::new(&secrets).map_err(unfindable)?;
    let apart = endpoints::apart(description, &parameters, &endpoints).map_err(unfindable)?;
    let shown = |name: &String| {
        let kind = description.parameters.iter().find(|parameter| parameter.name == *name)?.kind;
        let value = kind.written(parameters.get(name)?);
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        Some(secrets.outgoing(&text, text::TEXT_BYTES))
    };
    let tags = description.tags.iter().filter_map(|tag| Some((tag.name.clone(), shown(&tag.parameter)?)));
    Ok(Job {
        check: check.clone(),
        host,
        port,
        endpoints: endpoints.into(),
        tags: tags.collect(),
        secrets,
        apart,
        parameters: Arc::new(parameters),
        name: parts.name,
        grants: parts.grants,
        deny: parts.deny,
        timeout: parts.timeout,
        tls: parts.tls,
        alarm_limits: parts.alarm_limits,
    })
}

/// What a check says of a job reads as what the host does; `host` is the key of the job's own.
pub(super) fn refused(unfit: Unfit, host: &str) -> At {
    match unfit {
        Unfit::Refused(first, others) => {
            let others = others.iter().map(|refusal| format!("; {}", refusal.told(host)));
            let problem = Problem::Said(first.text + &others.collect::<String>());
            match first.blamed.key(host) {
                Some(key) => At::key(key, problem),
                None => At::whole(problem),
            }
        }
        Unfit::Unjudged(failure) => At::whole(Problem::Unjudged(failure.text)),
    }
}
