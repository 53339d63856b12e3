//! The checks that a configuration declares: tables in; names, files, digests, measurements and limits out. Refuses a name
//! that is none or is taken, a digest that is none, a measurement whose lines are or could be another check's, and limits that
//! cannot be kept. What the files hold, the sandbox says.

use std::path::{Path, PathBuf};

use super::{
    duration::duration,
    error::{At, ConfigError, Problem, Subject},
    file,
    place::place,
};
use crate::{
    description::{OWN_MEASUREMENT, is_within},
    digest,
    sandbox::{
        Limits, Pinned, SMTP, Source,
        limits::{CONNECTIONS, MOST_LINES},
    },
};

/// Lines that an operator may let a run write into the log: with more, nothing else is found there.
const LOG_LINES: u32 = 10_000;

/// A declared check.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its component and what that must be.
    pub source: Source,
    /// The configuration file that declares it.
    pub declared_in: PathBuf,
}

impl Declared {
    /// SHA-256 of the component that may run: each is pinned.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.source.pinned.as_ref().map_or("", |pinned| &pinned.sha256)
    }

    /// Refuses the configuration because the component cannot be used.
    #[must_use]
    pub fn refuse(&self, error: String) -> ConfigError {
        At::key("component", Problem::Said(error))
            .within(Some(&self.declared_in), Some(Subject::Check(self.source.name.clone())))
    }
}

/// One more, behind `others`.
pub(super) fn declared(
    check: file::Check,
    declared_in: &Path,
    folder: &Path,
    others: &[Declared],
) -> Result<Declared, At> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if check.name.is_empty() || !check.name.chars().all(good) {
        return Err(At::key("name", Problem::CheckName));
    }
    if check.name == SMTP || others.iter().any(|other| other.source.name == check.name) {
        return Err(At::key("name", Problem::DuplicateCheck));
    }
    for (key, text) in [("sha256", &check.sha256), ("description_sha256", &check.description_sha256)] {
        if !digest::is_sha256(text) {
            return Err(At::key(key, Problem::Expected("64 hexadecimal digits".into())));
        }
    }
    let sha256 = check.sha256.to_lowercase();
    let limits = limits(&check.limits)?;
    if is_within(&check.measurement, OWN_MEASUREMENT) {
        return Err(At::key("measurement", Problem::OwnMeasurement));
    }
    let writes = |other: &&Declared| {
        other.source.pinned.as_ref().is_some_and(|pinned| {
            let of_other = (&*pinned.measurement, other.source.limits.lines);
            // One component may be declared more than once, with other limits.
            pinned.sha256 != sha256 && share_lines((&check.measurement, limits.lines), of_other)
        })
    };
    let taken = if is_within(&check.measurement, SMTP) {
        Some(SMTP.to_owned())
    } else {
        others.iter().find(writes).map(|other| other.source.name.clone())
    };
    if let Some(other) = taken {
        return Err(At::key("measurement", Problem::Measurement(other)));
    }
    let pinned = Pinned {
        sha256,
        description_sha256: check.description_sha256.to_lowercase(),
        measurement: check.measurement,
    };
    Ok(Declared {
        source: Source {
            name: check.name,
            path: place(folder, &check.component).map_err(|problem| At::key("component", problem))?,
            pinned: Some(pinned),
            limits,
        },
        declared_in: declared_in.to_owned(),
    })
}

/// Two checks, each by its measurement and the lines of a run, could write the same one: what their parts are called nobody
/// knows before they are loaded, which may be one without the other.
fn share_lines(one: (&str, u32), other: (&str, u32)) -> bool {
    let writes = |(own, lines): (&str, u32), other: &str| own == other || lines > 1 && is_within(other, own);
    writes(one, other.0) || writes(other, one.0)
}

fn limits(given: &file::Limits) -> Result<Limits, At> {
    let usual = Limits::default();
    let time = |key: &str, text: &Option<String>, usual| match text {
        None => Ok(usual),
        Some(text) => {
            duration(text).map_err(|expected| At::key(format!("limits.{key}"), Problem::Expected(expected)))
        }
    };
    let within = |key: &str, given: Option<i64>, usual, least, most| {
        let Some(given) = given else { return Ok(usual) };
        let given = u32::try_from(given).ok().filter(|given| (least..=most).contains(given));
        let expected = || Problem::Expected(format!("a whole number from {least} to {most}"));
        given.ok_or_else(|| At::key(format!("limits.{key}"), expected()))
    };
    let mebibytes = |mib: std::num::NonZero<u16>| usize::from(mib.get()) << 20;
    Ok(Limits {
        memory_bytes: given.memory_mib.map_or(usual.memory_bytes, mebibytes),
        cpu_time: time("cpu_time", &given.cpu_time, usual.cpu_time)?,
        wall_time: time("wall_time", &given.wall_time, usual.wall_time)?,
        connections: within("connections", given.connections, usual.connections, 0, CONNECTIONS)?,
        traffic_bytes: given.traffic_mib.map_or(usual.traffic_bytes, |mib| mebibytes(mib) as u64),
        log_lines: within("log_lines", given.log_lines, usual.log_lines, 0, LOG_LINES)?,
        lines: within("lines", given.lines, usual.lines, 1, MOST_LINES)?,
    })
}
