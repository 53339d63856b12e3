//! A configuration file, or the command line's parts, in; a plan, and jobs, out. Refuses the whole for any error, naming
//! file, job and key, before anything runs. What of a job only its check can judge is left to its [`Planned::job`].

mod alarm;
mod check;
mod decode;
mod duration;
mod endpoints;
mod error;
mod file;
mod include;
mod job;
mod nearest;
mod parameters;
mod place;
mod resolver;
pub mod sample;
mod secret;
mod table;
mod tls;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{grant::Deny, line, net::NameServers, text};

pub use self::{
    check::Declared,
    duration::{duration, interval},
    error::{ConfigError, Problem, Subject},
    job::{AdHoc, Planned},
    secret::secret_or_pipe,
    tls::PEM_BYTES,
};
use self::{
    error::{At, entry},
    include::Files,
    place::{folder, place},
    tls::Trusts,
};

/// Jobs at once, where the file does not say.
const MAX_CONCURRENT: u16 = 64;

/// A configuration that was read: all of it that can be understood without its checks.
pub struct Plan {
    /// The file, for messages.
    pub path: PathBuf,
    /// Jobs that may run at once.
    pub max_concurrent: usize,
    /// Of the rounds that `sonde execd` begins by itself; none: it does not.
    pub interval: Option<Duration>,
    /// Where compiled checks are kept.
    pub cache_dir: Option<PathBuf>,
    /// Who is asked for addresses.
    pub name_servers: NameServers,
    /// Its checks.
    pub checks: Vec<Declared>,
    /// Its jobs, in the order of the files: one for each host.
    pub jobs: Vec<Planned>,
    /// What in it may be a mistake.
    pub doubts: Vec<ConfigError>,
}

/// Reads a file and those that it includes.
pub fn read(path: &Path) -> Result<Plan, ConfigError> {
    let Files { main, included, unmatched } = include::read(path)?;
    Ok(Plan { doubts: unmatched, ..plan(path, main, included)? })
}

/// A text as if it stood in a file that includes no other.
#[cfg(any(test, fuzzing))]
pub(crate) fn of_text(path: &Path, text: &str) -> Result<Plan, ConfigError> {
    plan(path, include::understand(path, text)?, Vec::new())
}

/// From a file and those that it includes.
fn plan(
    path: &Path,
    mut main: file::File,
    mut files: Vec<(PathBuf, file::File)>,
) -> Result<Plan, ConfigError> {
    let max_concurrent = main.max_concurrent.map_or(MAX_CONCURRENT, std::num::NonZero::get).into();
    let expected =
        |key: String, what: &str| At::key(key, Problem::Expected(what.to_owned())).within(Some(path), None);
    let deny = Deny::new(&main.deny).map_err(|text| {
        let index = main.deny.iter().position(|other| other == text).unwrap_or_default();
        expected(entry("deny", index), "a network such as \"10.0.0.0/8\" or an address")
    })?;
    let own_interval = main.daemon.as_ref().and_then(|daemon| daemon.interval.as_deref()).map(interval);
    let interval = own_interval.transpose().map_err(|what| expected("daemon.interval".to_owned(), &what))?;
    if main.cache_dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        return Err(expected("cache_dir".to_owned(), "a folder"));
    }
    let cache_dir = main.cache_dir.as_ref().map(|dir| place(folder(path), dir)).transpose();
    let cache_dir = cache_dir.map_err(|problem| At::key("cache_dir", problem).within(Some(path), None))?;
    let name_servers = main.resolver.take().map(resolver::name_servers).transpose();
    let name_servers = name_servers.map_err(|at| at.within(Some(path), None))?.unwrap_or_default();
    files.insert(0, (path.to_owned(), main));
    let (mut checks, mut jobs) = (Vec::new(), Vec::new());
    for (path, file) in files {
        for check in file.check {
            let subject = Subject::Check(check.name.clone());
            let declared = check::declared(check, &path, folder(&path), &checks)
                .map_err(|at| at.within(Some(&path), Some(subject)))?;
            checks.push(declared);
        }
        let path: Arc<Path> = path.into();
        jobs.extend(file.job.into_iter().map(|job| (Arc::clone(&path), job)));
    }
    let jobs = planned(jobs, &checks, &deny)?;
    if jobs.is_empty() {
        return Err(At::whole(Problem::NoJobs).within(Some(path), None));
    }
    let (path, doubts) = (path.to_owned(), Vec::new());
    Ok(Plan { path, max_concurrent, interval, cache_dir, name_servers, checks, jobs, doubts })
}

fn planned(
    shapes: Vec<(Arc<Path>, file::Job)>,
    checks: &[Declared],
    deny: &Deny,
) -> Result<Vec<Planned>, ConfigError> {
    let mut trusts = Trusts::default();
    let mut jobs = Vec::new();
    let mut names: HashSet<Arc<str>> = HashSet::new();
    let mut series = HashMap::new();
    for (path, shape) in shapes {
        let name: Arc<str> = shape.name.as_str().into();
        let refuse = |at: At| at.within(Some(&path), Some(Subject::Job(name.to_string())));
        if name.is_empty() || name.len() > text::TEXT_BYTES || name.contains(char::is_control) {
            return Err(refuse(At::key("name", Problem::Name)));
        }
        if !names.insert(Arc::clone(&name)) {
            return Err(refuse(At::key("name", Problem::DuplicateJob)));
        }
        for job in job::planned(shape, &path, checks, deny, &mut trusts).map_err(refuse)? {
            if let Some(other) = series.insert(line::series(job.name(), job.host()), Arc::clone(&name)) {
                return Err(refuse(At::key("host", Problem::SameSeries(other.to_string()))));
            }
            jobs.push(job);
        }
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests;
