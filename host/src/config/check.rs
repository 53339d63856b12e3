//! The checks that a configuration declares: tables in; names, files, digests and limits out. Refuses a name that is none
//! or is taken, a digest that is none, and limits that cannot be kept. What the files hold, the sandbox says.

use std::path::{Path, PathBuf};

use super::{At, ConfigError, Problem, Subject, duration, file, sample};
use crate::sandbox::Limits;

/// A declared check.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Name by which jobs call it.
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    /// SHA-256 of the component that may run, in hexadecimal digits.
    pub sha256: String,
    /// What each of its runs may use up.
    pub limits: Limits,
    /// The configuration file that declares it.
    pub declared_in: PathBuf,
}

impl Declared {
    /// Refuses the configuration because the component cannot be used.
    #[must_use]
    pub fn refuse(&self, error: String) -> ConfigError {
        At::key("component", Problem::Component(error))
            .within(Some(&self.declared_in), Some(Subject::Check(self.name.clone())))
    }
}

pub(super) fn declared(
    check: &file::Check,
    declared_in: &Path,
    folder: &Path,
    names: &mut Vec<String>,
) -> Result<Declared, At> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if check.name.is_empty() || !check.name.chars().all(good) {
        return Err(At::key("name", Problem::CheckName));
    }
    if check.name == sample::SMTP || names.contains(&check.name) {
        return Err(At::key("name", Problem::DuplicateCheck));
    }
    names.push(check.name.clone());
    if check.sha256.len() != 64 || !check.sha256.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(At::key("sha256", Problem::Expected("64 hexadecimal digits".into())));
    }
    Ok(Declared {
        name: check.name.clone(),
        component: folder.join(&check.component),
        sha256: check.sha256.clone(),
        limits: limits(&check.limits)?,
        declared_in: declared_in.to_owned(),
    })
}

fn limits(given: &file::Limits) -> Result<Limits, At> {
    let usual = Limits::default();
    let time = |key: &str, text: &Option<String>, usual| match text {
        None => Ok(usual),
        Some(text) => {
            duration(text).map_err(|expected| At::key(format!("limits.{key}"), Problem::Expected(expected)))
        }
    };
    let mebibytes = |mib: std::num::NonZero<u16>| usize::from(mib.get()) << 20;
    Ok(Limits {
        memory_bytes: given.memory_mib.map_or(usual.memory_bytes, mebibytes),
        cpu_time: time("cpu_time", &given.cpu_time, usual.cpu_time)?,
        wall_time: time("wall_time", &given.wall_time, usual.wall_time)?,
        connections: given.connections.unwrap_or(usual.connections),
        traffic_bytes: given.traffic_mib.map_or(usual.traffic_bytes, |mib| mebibytes(mib) as u64),
        log_lines: given.log_lines.unwrap_or(usual.log_lines),
    })
}
