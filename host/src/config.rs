//! A configuration file, or the command line's parts, in; a plan, and jobs, out. Refuses the whole for any error, naming
//! file, job and key, before anything runs. What of a job only its check can judge is left to its [`Planned::job`].

mod check;
mod decode;
mod error;
mod file;
mod job;
mod parameters;
pub mod sample;
mod tls;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{line, net::Deny, text};

pub use self::{
    check::Declared,
    error::{ConfigError, Problem, Subject},
    job::{Planned, ad_hoc},
};
use self::{error::At, tls::Trusts};

/// The longest time-out: a run that takes longer is not a check.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);
/// A run's time, where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Jobs at once, where the file does not say.
const MAX_CONCURRENT: u16 = 64;

/// A configuration that was read: all of it that can be understood without its checks.
pub struct Plan {
    /// The file, for messages.
    pub path: PathBuf,
    /// Jobs that may run at once.
    pub max_concurrent: usize,
    /// Where compiled checks are kept.
    pub cache_dir: Option<PathBuf>,
    /// Its checks.
    pub checks: Vec<Declared>,
    /// Its jobs, in the order of the files: one for each host.
    pub jobs: Vec<Planned>,
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn parse(path: &Path) -> Result<file::File, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|error| At::whole(Problem::Unreadable(path.into(), error.to_string())).within(None, None))?;
    understand(path, &text)
}

fn understand(path: &Path, text: &str) -> Result<file::File, ConfigError> {
    decode::decode(text).map_err(|error| At::whole(Problem::Toml(error)).within(Some(path), None))
}

/// Reads a file and those that it includes.
pub fn read(path: &Path) -> Result<Plan, ConfigError> {
    let main = parse(path)?;
    let mut files = Vec::new();
    for included in included(path, &main.include)? {
        let file = parse(&included)?;
        if file.max_concurrent.is_some()
            || file.cache_dir.is_some()
            || !file.deny.is_empty()
            || !file.include.is_empty()
        {
            return Err(At::whole(Problem::Included).within(Some(&included), None));
        }
        files.push((included, file));
    }
    plan(path, main, files)
}

/// A text as if it stood in a file that includes no other.
#[cfg(any(test, fuzzing))]
pub(crate) fn of_text(path: &Path, text: &str) -> Result<Plan, ConfigError> {
    plan(path, understand(path, text)?, Vec::new())
}

/// From a file and those that it includes.
fn plan(path: &Path, main: file::File, mut files: Vec<(PathBuf, file::File)>) -> Result<Plan, ConfigError> {
    let max_concurrent = main.max_concurrent.map_or(MAX_CONCURRENT, std::num::NonZero::get).into();
    let deny = Deny::new(&main.deny).map_err(|text| {
        let expected = format!("networks such as \"10.0.0.0/8\" or addresses, not `{text}`");
        At::key("deny", Problem::Expected(expected)).within(Some(path), None)
    })?;
    let cache_dir = main.cache_dir.as_ref().map(|dir| folder(path).join(dir));
    files.insert(0, (path.to_owned(), main));
    let (mut checks, mut jobs) = (Vec::new(), Vec::new());
    for (path, file) in files {
        for check in file.check {
            let subject = Subject::Check(check.name.clone());
            let declared = check::declared(check, &path, folder(&path), &checks)
                .map_err(|at| at.within(Some(&path), Some(subject)))?;
            checks.push(declared);
        }
        jobs.extend(file.job.into_iter().map(|job| (path.clone(), job)));
    }
    let jobs = planned(jobs, &checks, &deny)?;
    if jobs.is_empty() {
        return Err(At::whole(Problem::NoJobs).within(Some(path), None));
    }
    Ok(Plan { path: path.to_owned(), max_concurrent, cache_dir, checks, jobs })
}

fn planned(
    shapes: Vec<(PathBuf, file::Job)>,
    checks: &[Declared],
    deny: &Deny,
) -> Result<Vec<Planned>, ConfigError> {
    let mut trusts = Trusts::default();
    let mut jobs = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut series = HashMap::new();
    for (path, shape) in shapes {
        let name = shape.name.clone();
        let refuse = |at: At| at.within(Some(&path), Some(Subject::Job(name.clone())));
        if name.is_empty() || name.len() > text::TEXT_BYTES || name.contains(char::is_control) {
            return Err(refuse(At::key("name", Problem::Name)));
        }
        if names.contains(&name) {
            return Err(refuse(At::key("name", Problem::DuplicateJob)));
        }
        names.push(name.clone());
        for job in job::planned(shape, &path, checks, deny, &mut trusts).map_err(refuse)? {
            if let Some(other) = series.insert(line::series(job.name(), job.host()), name.clone()) {
                return Err(refuse(At::key("host", Problem::SameSeries(other))));
            }
            jobs.push(job);
        }
    }
    Ok(jobs)
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

/// The known name that differs least, if by little or by a missing end, such as a unit.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.map(|name| (strsim::osa_distance(text, name), name)).min()?;
    let begins = text.len() > 2 && close.1.starts_with(text);
    (begins || close.0 <= 1 + text.len() / 4).then_some(close.1)
}

#[cfg(test)]
mod tests;
