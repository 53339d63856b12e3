//! A job's table in; what of it can be judged without its check, and then, with the check, the job, out. Refuses by key.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Map, Value as Json};

use super::{
    check::Declared,
    duration::duration,
    error::{At, ConfigError, Problem, Subject, entry},
    file,
    include::folder,
    nearest::nearest,
    parameters, tls,
    tls::Trusts,
};
use crate::{
    alarm::{Limit, Severity},
    check::Check,
    description::{Description, ParameterKind, host_fields},
    grant::{Deny, Endpoint, NoEndpoint},
    host::{Host, NoHost},
    job::Job,
    net::Tls,
    sandbox::SMTP,
    secret::{self, Secrets},
    text,
    tls_rules::TlsRules,
    value::FieldKind,
};

/// A run's time, where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A job as its file has it, for one of its hosts: valid as far as that can be told without its check.
#[derive(Clone)]
pub struct Planned {
    host: Host,
    of: Arc<Table>,
}

/// A job's table.
struct Table {
    declared_in: PathBuf,
    check: String,
    given: toml::Table,
    parts: Parts,
    /// What its check makes of it: the hosts share parameters and secrets, which may be large.
    job: OnceLock<Result<Job, ConfigError>>,
}

/// What a job has whatever its check is.
#[derive(Clone)]
struct Parts {
    name: String,
    grants: Vec<Endpoint>,
    deny: Deny,
    timeout: Duration,
    tls: Arc<Tls>,
    alarm_limits: Vec<Limit>,
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

    /// The job, with its check, which is the same at every call and for every host. Refuses what by the check's description it
    /// cannot take.
    pub fn job(&self, check: &Check) -> Result<Job, ConfigError> {
        let job = self.of.job.get_or_init(|| self.of.build(check, &self.host)).clone()?;
        Ok(Job { host: self.host.clone(), ..job })
    }

    /// The job, with a check that cannot run it and says so.
    #[must_use]
    pub fn unfit(&self, check: Check) -> Job {
        let port = self.of.given.get("port").and_then(toml::Value::as_integer);
        let parts = self.of.parts.clone();
        Job {
            name: parts.name,
            check,
            host: self.host.clone(),
            port: port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
            grants: Vec::new(),
            deny: parts.deny,
            timeout: parts.timeout,
            parameters: Arc::default(),
            tags: Vec::new(),
            secrets: Secrets::default(),
            tls: parts.tls,
            alarm_limits: parts.alarm_limits,
        }
    }
}

impl Table {
    fn build(&self, check: &Check, host: &Host) -> Result<Job, ConfigError> {
        let build = || {
            for limit in &self.parts.alarm_limits {
                known_number(&check.description, &limit.field)?;
            }
            let folder = folder(&self.declared_in);
            let given = parameters::from_toml(self.given.clone(), &check.description, folder)?;
            job(self.parts.clone(), host.clone(), given, check)
        };
        build()
            .map_err(|at: At| at.within(Some(&self.declared_in), Some(Subject::Job(self.parts.name.clone()))))
    }
}

/// One for each of its hosts.
pub(super) fn planned(
    shape: file::Job,
    declared_in: &Path,
    checks: &[Declared],
    deny: &Deny,
    trusts: &mut Trusts,
) -> Result<Vec<Planned>, At> {
    let check = checks.iter().map(|check| &check.source).find(|check| check.name == shape.check);
    if check.is_none() && shape.check != SMTP {
        let all: Vec<&str> =
            std::iter::once(SMTP).chain(checks.iter().map(|check| &*check.source.name)).collect();
        let meant = nearest(&shape.check, all.iter().copied()).map(ToOwned::to_owned);
        return Err(At::key("check", Problem::NoCheck { meant, all: all.join(", ") }));
    }
    let wall_time = check.map(|check| check.limits.wall_time);
    let hosts = match (shape.host, shape.hosts) {
        (Some(host), None) => vec![("host".to_owned(), host)],
        (None, Some(hosts)) if !hosts.is_empty() => {
            hosts.into_iter().enumerate().map(|(index, host)| (entry("hosts", index), host)).collect()
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
    let mut alarm_limits = Vec::new();
    for (field, levels) in shape.alarm {
        if levels.warning.is_none() && levels.critical.is_none() {
            let expected = "`warning`, `critical` or both".into();
            return Err(At::key(format!("alarm.{field}"), Problem::Expected(expected)));
        }
        for (severity, name, limit) in [
            (Severity::Warning, "warning", levels.warning),
            (Severity::Critical, "critical", levels.critical),
        ] {
            if let Some(limit) = limit {
                let key = format!("alarm.{field}.{name}");
                alarm_limits.push(self::limit(&field, severity, &limit.0, &key)?);
            }
        }
    }
    let of = Arc::new(Table {
        declared_in: declared_in.to_owned(),
        check: shape.check,
        given: shape.parameters,
        parts: Parts { name: shape.name, grants, deny: deny.clone(), timeout, tls, alarm_limits },
        job: OnceLock::new(),
    });
    hosts
        .iter()
        .map(|(key, host)| {
            Ok(Planned { host: self::host(host, key, "`parameters.port`")?, of: Arc::clone(&of) })
        })
        .collect()
}

/// A name or an address, IPv6 with or without brackets; gives it without. Refuses it by its key, and says where its port belongs.
fn host(text: &str, key: &str, port: &str) -> Result<Host, At> {
    Host::bracketed(text).map_err(|wrong| {
        let hint = if wrong == NoHost::Port { format!(": the port is {port}") } else { String::new() };
        At::key(key, Problem::Expected(format!("{wrong}{hint}")))
    })
}

/// Fills in defaults, and draws from the parameters what the host itself needs.
fn job(parts: Parts, host: Host, given: Map<String, Json>, check: &Check) -> Result<Job, At> {
    let description = &check.description;
    let parameters = parameters::complete(given, description)?;
    let mut port = None;
    let mut secrets = Vec::new();
    for parameter in &description.parameters {
        let value = parameters.get(&parameter.name);
        match (parameter.kind, value) {
            (ParameterKind::Port, Some(value)) => {
                port = value.as_u64().and_then(|port| u16::try_from(port).ok());
            }
            (ParameterKind::Secret, Some(Json::String(secret))) if !secret.is_empty() => {
                secrets.push(secret.clone());
                secret::judge(&secrets).map_err(|error| {
                    At::key(format!("parameters.{}", parameter.name), Problem::Secret(error))
                })?;
            }
            _ => {}
        }
    }
    if port.is_none_or(|port| port == 0) {
        return Err(At::key("parameters.port", Problem::Expected("a port, 1 to 65535".into())));
    }
    // Of the built-in probe: a mail needs a sender, and the person who configures it is the one to tell.
    let has_text = |name: &str| match parameters.get(name) {
        Some(Json::String(text)) => !text.is_empty(),
        Some(Json::Array(list)) => !list.is_empty(),
        _ => false,
    };
    if check.name == SMTP && has_text("to") && !has_text("from") {
        return Err(At::key(
            "parameters.from",
            Problem::Contradiction("needed to send a mail (`to` is not empty)"),
        ));
    }
    let secrets = Secrets::new(&secrets).map_err(|error| At::key("parameters", Problem::Secret(error)))?;
    let shown = |value: &Json| {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        secrets.outgoing(&text, text::TEXT_BYTES)
    };
    let tags = description
        .tags
        .iter()
        .filter_map(|tag| Some((tag.name.clone(), shown(parameters.get(&tag.parameter)?))));
    Ok(Job {
        check: check.clone(),
        host,
        port,
        tags: tags.collect(),
        secrets,
        parameters: Arc::new(parameters),
        name: parts.name,
        grants: parts.grants,
        deny: parts.deny,
        timeout: parts.timeout,
        tls: parts.tls,
        alarm_limits: parts.alarm_limits,
    })
}

/// Refuses a limit on what is no number of the check's lines.
fn known_number(description: &Description, field: &str) -> Result<(), At> {
    let own = description.fields.iter().map(|field| (field.name.as_str(), field.kind));
    let all = host_fields().map(|field| (field.name, field.kind)).chain(own);
    let is_number = |(name, kind): &(&str, FieldKind)| {
        matches!(kind, FieldKind::Integer | FieldKind::Float) && *name != "alarm_state"
    };
    let numbers: Vec<&str> = all.filter(is_number).map(|(name, _)| name).collect();
    if numbers.contains(&field) {
        return Ok(());
    }
    let meant = nearest(field, numbers.into_iter()).map(ToOwned::to_owned);
    Err(At::key(format!("alarm.{field}"), Problem::Field(meant)))
}

fn limit(field: &str, severity: Severity, text: &str, key: &str) -> Result<Limit, At> {
    Limit::parse(field, severity, text).map_err(|error| At::key(key, Problem::Limit(error.to_string())))
}

/// A job that no file has: of the command line, or of a test.
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
    /// Those that are given, by name; numbers and `true` or `false` as in JSON, lists parted by commas.
    pub parameters: BTreeMap<String, String>,
    /// Trust in the server's TLS.
    pub tls: TlsRules,
    /// Each as `FIELD=WARNING[,CRITICAL]`.
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
            tls: TlsRules::default(),
            alarm_limits: Vec::new(),
        }
    }

    /// The job. Refuses what a file would be refused for.
    pub fn job(self) -> Result<Job, ConfigError> {
        self.build().map_err(|at| at.within(None, None))
    }

    fn build(self) -> Result<Job, At> {
        let description = &self.check.description;
        let mut alarm_limits = Vec::new();
        for text in &self.alarm_limits {
            let (field, levels) = text
                .split_once('=')
                .filter(|(_, levels)| levels.contains(|c: char| c != ',' && !c.is_whitespace()))
                .ok_or_else(|| At::key("limit", Problem::Expected("FIELD=WARNING[,CRITICAL]".into())))?;
            let (warning, critical) = levels.split_once(',').unwrap_or((levels, ""));
            for (severity, level) in [(Severity::Warning, warning), (Severity::Critical, critical)] {
                if !level.trim().is_empty() {
                    known_number(description, field)?;
                    alarm_limits.push(limit(field, severity, level, &format!("limit {field}"))?);
                }
            }
        }
        let given = parameters::from_texts(&self.parameters, description)?;
        let host = host(&self.host, "host", "`--port`")?;
        let parts = Parts {
            name: self.name,
            grants: Vec::new(),
            deny: Deny::default(),
            timeout: self.timeout,
            tls: tls::alone(&self.tls)?,
            alarm_limits,
        };
        job(parts, host, given, self.check)
    }
}
