//! A configuration file, or the command line's parts, in; valid jobs out. Refuses the whole for any error, naming file,
//! job and key, before anything runs.

mod check;
mod error;
mod file;
mod parameters;
mod read;
pub mod sample;
mod tls;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value as Json};

use crate::{
    alarm::{Limit, Severity},
    description::{Description, FieldKind, HOST_FIELDS, OWN_MEASUREMENT, ParameterKind},
    job::{Config, Job, TlsRules},
    line,
    net::{Endpoint, NoEndpoint, Tls},
    secret::{self, Secrets},
};

pub use self::{
    check::Declared,
    error::{ConfigError, Problem, Subject},
};
use self::{error::At, tls::Trusts};

/// The longest time-out: a run that takes longer is not a check.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);
/// A run's time, where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Jobs at once, where the file does not say.
const MAX_CONCURRENT: usize = 64;

/// What is known of a check.
#[derive(Clone, Debug)]
pub enum Known {
    /// It can be run.
    Usable(Arc<Description>),
    /// It could not be loaded: its jobs report that, whatever their parameters.
    Broken,
}

/// What knows the checks.
pub type Describe<'a> = &'a dyn Fn(&str) -> Option<Known>;

/// A configuration that was read: its checks are to be loaded before its jobs can be understood.
pub struct Draft {
    path: PathBuf,
    max_concurrent: usize,
    /// Where compiled checks are kept.
    pub cache_dir: Option<PathBuf>,
    /// Its checks.
    pub checks: Vec<Declared>,
    /// Each job with the file that it stands in.
    jobs: Vec<(PathBuf, file::Job)>,
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn parse(path: &Path) -> Result<file::File, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|error| At::whole(Problem::Unreadable(path.into(), error.to_string())).within(None, None))?;
    toml::from_str(&text)
        .map_err(|error| At::whole(Problem::Toml(shorten(&error, &text))).within(Some(path), None))
}

/// Reads a file and those that it includes.
pub fn read(path: &Path) -> Result<Draft, ConfigError> {
    let main = parse(path)?;
    let max_concurrent = main.max_concurrent.map_or(MAX_CONCURRENT, std::num::NonZero::get);
    let cache_dir = main.cache_dir.as_ref().map(|dir| folder(path).join(dir));
    let mut files = Vec::new();
    for included in included(path, &main.include)? {
        let file = parse(&included)?;
        if file.max_concurrent.is_some() || file.cache_dir.is_some() || !file.include.is_empty() {
            return Err(At::whole(Problem::Included).within(Some(&included), None));
        }
        files.push((included, file));
    }
    files.insert(0, (path.to_owned(), main));
    let (mut checks, mut names, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    for (path, file) in files {
        for check in &file.check {
            let declared = check::declared(check, &path, folder(&path), &mut names)
                .map_err(|at| at.within(Some(&path), Some(Subject::Check(check.name.clone()))))?;
            checks.push(declared);
        }
        jobs.extend(file.job.into_iter().map(|job| (path.clone(), job)));
    }
    Ok(Draft { path: path.to_owned(), max_concurrent, cache_dir, checks, jobs })
}

/// The files that the patterns name, each pattern's in the order of their names. One that is no pattern must be there.
fn included(path: &Path, patterns: &[String]) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = Vec::new();
    for pattern in patterns {
        let refuse = |problem| At::key("include", problem).within(Some(path), None);
        let is_pattern = pattern.contains(['*', '?', '[']);
        if !is_pattern {
            files.push(folder(path).join(pattern));
            continue;
        }
        // The folder's own name is no pattern.
        let whole = Path::new(&glob::Pattern::escape(&folder(path).to_string_lossy())).join(pattern);
        let found = glob::glob(&whole.to_string_lossy())
            .map_err(|error| refuse(Problem::Pattern(format!("`{pattern}`: {}", error.msg))))?;
        for file in found {
            files.push(file.map_err(|error| {
                refuse(Problem::Unreadable(error.path().to_owned(), error.error().to_string()))
            })?);
        }
    }
    Ok(files)
}

impl Draft {
    /// Its jobs, now that `describe` knows its checks.
    pub fn jobs(self, describe: Describe<'_>) -> Result<Config, ConfigError> {
        let mut trusts = Trusts::default();
        let mut jobs: Vec<Job> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut series = HashMap::new();
        for (path, shape) in self.jobs {
            let name = shape.name.clone();
            let refuse = |at: At| at.within(Some(&path), Some(Subject::Job(name.clone())));
            if name.is_empty() || name.contains(char::is_control) {
                return Err(refuse(At::key("name", Problem::Name)));
            }
            if names.contains(&name) {
                return Err(refuse(At::key("name", Problem::DuplicateJob)));
            }
            names.push(name.clone());
            let wall_time = self
                .checks
                .iter()
                .find(|check| check.name == shape.check)
                .map(|check| check.limits.wall_time);
            let measurement = match describe(&shape.check) {
                Some(Known::Usable(description)) => description.measurement.clone(),
                _ => OWN_MEASUREMENT.to_owned(),
            };
            let built = self::jobs(shape, folder(&path), describe, wall_time, &mut trusts);
            for job in built.map_err(refuse)? {
                if let Some(other) = series.insert(line::series(&job, &measurement), name.clone()) {
                    return Err(refuse(At::key("host", Problem::SameSeries(other))));
                }
                jobs.push(job);
            }
        }
        if jobs.is_empty() {
            return Err(At::whole(Problem::NoJobs).within(Some(&self.path), None));
        }
        Ok(Config { path: self.path, max_concurrent: self.max_concurrent, jobs })
    }
}

/// The library's message is a picture of several lines; one is wanted, without the file's text, which may hold a secret.
fn shorten(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    let mut message = error.message().replace('\n', " ");
    if let Some((_, rest)) = message.split_once("unknown field `")
        && let Some((unknown, expected)) = rest.split_once('`')
    {
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        if let Some(meant) = nearest(unknown, known.into_iter()) {
            message = format!("unknown key `{unknown}`; did you mean `{meant}`?");
        }
    }
    line.map_or(message.clone(), |line| format!("line {line}: {message}"))
}

fn jobs(
    shape: file::Job,
    folder: &Path,
    describe: Describe<'_>,
    wall_time: Option<Duration>,
    trusts: &mut Trusts,
) -> Result<Vec<Job>, At> {
    let known = describe(&shape.check)
        .ok_or_else(|| At::key("check", Problem::Expected("the name of a check, such as \"smtp\"".into())))?;
    let hosts = match (shape.host, shape.hosts) {
        (Some(host), None) => vec![host],
        (None, Some(hosts)) if !hosts.is_empty() => hosts,
        (None, None) => return Err(At::key("host", Problem::Missing)),
        (None, Some(_)) => return Err(At::key("hosts", Problem::Expected("at least one host".into()))),
        (Some(_), Some(_)) => {
            return Err(At::key("host", Problem::Contradiction("either host or hosts, not both")));
        }
    };
    let hosts = hosts.iter().map(|text| host(text)).collect::<Result<Vec<String>, At>>()?;
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
        .map(|text| text.parse())
        .collect::<Result<Vec<Endpoint>, NoEndpoint>>()
        .map_err(|expected| At::key("grants", Problem::Expected(expected.to_string())))?;
    let tls = trusts.tls(shape.tls, folder)?;
    let Known::Usable(description) = known else {
        let port = shape.parameters.get("port").and_then(toml::Value::as_integer);
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
        let broken = |host| broken(&shape.name, &shape.check, host, port);
        return Ok(hosts.into_iter().map(broken).collect());
    };
    let mut limits = Vec::new();
    for (field, levels) in shape.alarm {
        for (severity, name, limit) in [
            (Severity::Warning, "warning", levels.warning),
            (Severity::Critical, "critical", levels.critical),
        ] {
            let Some(limit) = limit else { continue };
            limits.push(self::limit(
                &description,
                &field,
                severity,
                &limit.text(),
                &format!("alarm.{field}.{name}"),
            )?);
        }
    }
    let given = parameters::from_toml(shape.parameters, &description, folder)?;
    let mut jobs = Vec::new();
    for host in hosts {
        let parts = Parts {
            name: shape.name.clone(),
            host,
            grants: grants.clone(),
            timeout,
            tls: Arc::clone(&tls),
            limits: limits.clone(),
        };
        jobs.push(job(parts, given.clone(), &description, &shape.check)?);
    }
    Ok(jobs)
}

/// A name or an address, IPv6 with or without brackets; gives it without.
fn host(text: &str) -> Result<String, At> {
    let bare = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(text);
    let legal = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '@' | '[' | ']');
    if bare.is_empty() || !bare.chars().all(legal) {
        return Err(At::key("host", Problem::Expected("a host name or address, without port".into())));
    }
    Ok(bare.to_owned())
}

/// A job of a check that could not be loaded.
fn broken(name: &str, check: &str, host: String, port: u16) -> Job {
    Job {
        name: name.to_owned(),
        check: check.to_owned(),
        host,
        port,
        grants: Vec::new(),
        timeout: TIMEOUT,
        parameters: Map::new(),
        tags: Vec::new(),
        secrets: Secrets::default(),
        tls: Arc::default(),
        limits: Vec::new(),
    }
}

struct Parts {
    name: String,
    host: String,
    grants: Vec<Endpoint>,
    timeout: Duration,
    tls: Arc<Tls>,
    limits: Vec<Limit>,
}

/// Fills in defaults, and draws from the parameters what the host itself needs.
fn job(parts: Parts, given: Map<String, Json>, description: &Description, check: &str) -> Result<Job, At> {
    let parameters = parameters::complete(given, description)?;
    let mut port = 0;
    let mut secrets = Vec::new();
    for parameter in &description.parameters {
        let value = parameters.get(&parameter.name);
        match (parameter.kind, value) {
            (ParameterKind::Port, Some(value)) => {
                port = value.as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
            }
            (ParameterKind::Secret, Some(Json::String(secret))) if !secret.is_empty() => {
                secrets.push(secret.clone());
                secret::check(&secrets).map_err(|error| {
                    At::key(format!("parameters.{}", parameter.name), Problem::Secret(error))
                })?;
            }
            _ => {}
        }
    }
    if port == 0 {
        return Err(At::key("parameters.port", Problem::Expected("a port, 1 to 65535".into())));
    }
    // Of the built-in probe: a mail needs a sender, and the person who configures it is the one to tell.
    let has_text = |name: &str| match parameters.get(name) {
        Some(Json::String(text)) => !text.is_empty(),
        Some(Json::Array(list)) => !list.is_empty(),
        _ => false,
    };
    if check == sample::SMTP && has_text("to") && !has_text("from") {
        return Err(At::key(
            "parameters.from",
            Problem::Contradiction("needed to send a mail (`to` is not empty)"),
        ));
    }
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let tags = description
        .tags
        .iter()
        .filter_map(|tag| Some((tag.name.clone(), text(parameters.get(&tag.parameter)?))));
    Ok(Job {
        check: check.to_owned(),
        host: parts.host,
        port,
        tags: tags.collect(),
        secrets: Secrets::new(&secrets).map_err(|error| At::key("parameters", Problem::Secret(error)))?,
        parameters,
        name: parts.name,
        grants: parts.grants,
        timeout: parts.timeout,
        tls: parts.tls,
        limits: parts.limits,
    })
}

fn limit(
    description: &Description,
    field: &str,
    severity: Severity,
    text: &str,
    key: &str,
) -> Result<Limit, At> {
    let own = description.fields.iter().map(|field| (field.name.as_str(), field.kind));
    let all = || HOST_FIELDS.iter().map(|field| (field.0, field.1)).chain(own.clone());
    let numbers: Vec<&str> = all()
        .filter(|(name, kind)| {
            matches!(kind, FieldKind::Integer | FieldKind::Float) && *name != "alarm_state"
        })
        .map(|(name, _)| name)
        .collect();
    if !numbers.contains(&field) {
        let meant = nearest(field, numbers.into_iter()).map(ToOwned::to_owned);
        return Err(At::key(format!("alarm.{field}"), Problem::Field(meant)));
    }
    Limit::parse(field, severity, text).map_err(|error| At::key(key, Problem::Limit(error.to_string())))
}

/// Reads `10s`, `500ms`, `2m`; says what is expected otherwise.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let duration = number.parse::<u64>().ok().and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    });
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST_TIMEOUT)
        .ok_or_else(|| "a time such as \"10s\", \"500ms\" or \"2m\", at most 10m".to_owned())
}

/// A job from the command line; every parameter as text. Limits are `FIELD=WARNING[,CRITICAL]`.
#[expect(clippy::too_many_arguments, reason = "the parts of a job")]
pub fn ad_hoc(
    name: &str,
    check: &str,
    host: &str,
    timeout: Duration,
    parameters: &BTreeMap<String, String>,
    tls: &TlsRules,
    limits: &[String],
    description: &Description,
) -> Result<Job, ConfigError> {
    let build = || {
        let mut judged = Vec::new();
        for text in limits {
            let (field, levels) = text
                .split_once('=')
                .ok_or_else(|| At::key("limit", Problem::Expected("FIELD=WARNING[,CRITICAL]".into())))?;
            let (warning, critical) = levels.split_once(',').unwrap_or((levels, ""));
            for (severity, level) in [(Severity::Warning, warning), (Severity::Critical, critical)] {
                if !level.trim().is_empty() {
                    judged.push(limit(description, field, severity, level, &format!("limit {field}"))?);
                }
            }
        }
        let given = parameters::from_texts(parameters, description)?;
        let parts = Parts {
            name: name.to_owned(),
            host: self::host(host)?,
            grants: Vec::new(),
            timeout,
            tls: tls::alone(tls)?,
            limits: judged,
        };
        job(parts, given, description, check)
    };
    build().map_err(|at| at.within(None, None))
}

/// The known name that differs least, if by little or by a missing end, such as a unit.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.map(|name| (strsim::osa_distance(text, name), name)).min()?;
    let begins = text.len() > 2 && close.1.starts_with(text);
    (begins || close.0 <= 1 + text.len() / 4).then_some(close.1)
}

#[cfg(test)]
mod tests;
