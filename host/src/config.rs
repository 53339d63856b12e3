//! A configuration file, or the command line's parts, in; a plan, and jobs, out. Refuses the whole for any error, naming
//! file, job and key, before anything runs. What of a job only its check can judge is left to its [`Planned::job`].

mod ad_hoc;
mod alarm;
mod check;
mod decode;
mod duration;
mod elsewhere;
mod endpoints;
mod error;
mod file;
mod hourly;
mod include;
mod job;
mod nearest;
mod parameters;
mod pattern;
mod place;
mod resolver;
pub mod sample;
mod secret;
mod shard;
mod table;
mod tls;
mod watched;

use std::{
    collections::{HashMap, HashSet},
    mem,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{
    alarm::Limit,
    grant::Deny,
    line,
    net::{NameServers, system_roots_file},
    text,
};

pub use self::{
    ad_hoc::AdHoc,
    check::Declared,
    duration::{duration, interval},
    error::{ConfigError, Problem, Subject},
    job::Planned,
    secret::secret_or_pipe,
    shard::Shard,
    tls::PEM_BYTES,
    watched::{Look, Watched},
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
    /// The same of jobs with one host; none: any.
    pub max_per_host: Option<usize>,
    /// Threads that they run on: no more than are of use.
    pub threads: usize,
    /// Of the rounds that `sonde execd` begins by itself; none: it does not.
    pub interval: Option<Duration>,
    /// By how much these are late at most.
    pub jitter: Duration,
    /// Each round of `sonde execd` has a line about the program itself.
    pub self_metrics: bool,
    /// Where is kept who is held back.
    pub state_file: Option<PathBuf>,
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

impl Plan {
    /// Where a share keeps who is held back: it knows nothing of the others' jobs. (Not by how many shares there are: most jobs
    /// stay where there is one more.)
    #[must_use]
    pub fn state_file_of(&self, shard: Option<Shard>) -> Option<PathBuf> {
        let mut file = self.state_file.clone()?.into_os_string();
        if let Some(shard) = shard {
            file.push(format!(".{}", shard.number()));
        }
        Some(file.into())
    }

    /// Leaves the jobs of a share, and the checks that these run; gives the other jobs.
    pub fn keep(&mut self, shard: Shard) -> Vec<Planned> {
        let jobs = mem::take(&mut self.jobs).into_iter();
        let (own, others) = jobs.partition(|job| shard.has(job.name(), job.host()));
        self.jobs = own;
        let used: HashSet<&str> = self.jobs.iter().map(Planned::check).collect();
        self.checks.retain(|check| used.contains(&*check.source.name));
        others
    }
}

/// Reads a file and those that it includes.
pub fn read(path: &Path) -> Result<Plan, ConfigError> {
    read_watching(path, &mut Watched::default())
}

/// The same; `watched` is what of it can change, as far as it was seen: of what is refused, too.
pub fn read_watching(path: &Path, watched: &mut Watched) -> Result<Plan, ConfigError> {
    let Files { main, included, unmatched } = include::read(path, watched)?;
    if let Some(roots) = system_roots_file() {
        watched.add_file(&roots);
    }
    let plan = plan(path, main, included)?;
    watched.add_source(&plan.name_servers);
    let doubts = unmatched.into_iter().chain(plan.doubts).collect();
    Ok(Plan { doubts, ..plan })
}

/// What in limits of no file may be a mistake.
#[must_use]
pub fn doubts(limits: &[Limit]) -> Vec<ConfigError> {
    alarm::doubts(limits).map(|at| at.within(None, None)).collect()
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
    let (whole, deny) = whole(path, &mut main).map_err(|at| at.within(Some(path), None))?;
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
    let (jobs, doubts) = planned(jobs, &checks, &deny)?;
    if jobs.is_empty() {
        return Err(At::whole(Problem::NoJobs).within(Some(path), None));
    }
    let threads = whole.threads.min(whole.max_concurrent).min(jobs.len());
    Ok(Plan { threads, checks, jobs, doubts, ..whole })
}

/// A plan without checks and jobs, of what the file says of all, and where none of them may lead.
fn whole(path: &Path, main: &mut file::File) -> Result<(Plan, Deny), At> {
    let expected = |key: &str, what: &str| At::key(key, Problem::Expected(what.to_owned()));
    let placed =
        |key: &str, written: &Path| place(folder(path), written).map_err(|problem| At::key(key, problem));
    let deny = Deny::new(&main.deny).map_err(|text| {
        let index = main.deny.iter().position(|other| other == text).unwrap_or_default();
        expected(&entry("deny", index), "a network such as \"10.0.0.0/8\" or an address")
    })?;
    let daemon = main.daemon.take().unwrap_or_default();
    let interval = daemon.interval.as_deref().map(interval).transpose();
    let interval = interval.map_err(|what| expected("daemon.interval", &what))?;
    let jitter = daemon.jitter.as_deref().map_or(Ok(Duration::ZERO), |text| {
        let jitter = duration::jitter(text)?;
        let is_less = interval.is_none_or(|interval| jitter < interval);
        if is_less { Ok(jitter) } else { Err("less than the interval".to_owned()) }
    });
    let jitter = jitter.map_err(|what| expected("daemon.jitter", &what))?;
    let state_file = daemon.state_file.as_deref();
    if state_file.is_some_and(|file| file.file_name().is_none()) {
        return Err(expected("daemon.state_file", "a file"));
    }
    let state_file = state_file.map(|file| placed("daemon.state_file", file)).transpose()?;
    let cache_dir = main.cache_dir.as_deref();
    if cache_dir.is_some_and(|dir| dir.as_os_str().is_empty()) {
        return Err(expected("cache_dir", "a folder"));
    }
    let cache_dir = cache_dir.map(|dir| placed("cache_dir", dir)).transpose()?;
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    let plan = Plan {
        path: path.to_owned(),
        max_concurrent: main.max_concurrent.map_or(MAX_CONCURRENT, NonZero::get).into(),
        max_per_host: main.max_per_host.map(|most| most.get().into()),
        threads: main.threads.map_or_else(cores, |threads| threads.get().into()),
        interval,
        jitter,
        self_metrics: daemon.self_metrics,
        state_file,
        cache_dir,
        name_servers: main.resolver.take().map(resolver::name_servers).transpose()?.unwrap_or_default(),
        checks: Vec::new(),
        jobs: Vec::new(),
        doubts: Vec::new(),
    };
    Ok((plan, deny))
}

fn planned(
    shapes: Vec<(Arc<Path>, file::Job)>,
    checks: &[Declared],
    deny: &Deny,
) -> Result<(Vec<Planned>, Vec<ConfigError>), ConfigError> {
    let (mut trusts, secrets) = (Trusts::default(), Arc::default());
    // Most have one host.
    let tables = shapes.len();
    let (mut jobs, mut doubts) = (Vec::with_capacity(tables), Vec::new());
    let mut names: HashSet<Arc<str>> = HashSet::with_capacity(tables);
    let mut series = HashMap::with_capacity(tables);
    for (path, shape) in shapes {
        let name: Arc<str> = shape.name.as_str().into();
        let refuse = |at: At| at.within(Some(&path), Some(Subject::Job(name.to_string())));
        if name.is_empty() || name.len() > text::TEXT_BYTES || name.contains(char::is_control) {
            return Err(refuse(At::key("name", Problem::Name)));
        }
        if !names.insert(Arc::clone(&name)) {
            return Err(refuse(At::key("name", Problem::DuplicateJob)));
        }
        let own = job::planned(shape, &path, checks, deny, &mut trusts, &secrets).map_err(refuse)?;
        // Of all its hosts the same.
        doubts.extend(own.iter().take(1).flat_map(Planned::doubts));
        for job in own {
            if let Some(other) = series.insert(line::series(job.name(), job.host()), Arc::clone(&name)) {
                return Err(refuse(At::key("host", Problem::SameSeries(other.to_string()))));
            }
            jobs.push(job);
        }
    }
    Ok((jobs, doubts))
}

#[cfg(test)]
mod tests;
