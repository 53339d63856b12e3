//! Why a configuration is refused: file, job or check, key and problem; one sentence for people.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::decode::Misshapen;
use crate::{secret::NoSecret, text};

/// Why a configuration is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// The file; none: the command line.
    pub path: Option<PathBuf>,
    /// The job or check.
    pub subject: Option<Subject>,
    /// The key, from there on.
    pub key: Option<String>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What of the file is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A job, by name.
    Job(String),
    /// A declared check, by name.
    Check(String),
}

/// What is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// A file cannot be read.
    Unreadable(PathBuf, String),
    /// Not TOML, or of a wrong shape.
    Toml(Misshapen),
    /// No job in it.
    NoJobs,
    /// The name stands twice.
    DuplicateJob,
    /// Another job of this name writes the same series.
    SameSeries(String),
    /// A name that is none.
    Name,
    /// A check's name that is none.
    CheckName,
    /// The check's name stands twice, or is a built-in one's.
    DuplicateCheck,
    /// No check has this name, and one that it may be meant to be, or all.
    NoCheck {
        /// The nearest.
        meant: Option<String>,
        /// Their names.
        all: String,
    },
    /// The lines are, or could be, another check's or those of its parts, of another component.
    Measurement(String),
    /// The lines are, or could be, the host's own.
    OwnMeasurement,
    /// A key of the whole configuration in an included file.
    Included,
    /// A pattern that no file matches.
    NoMatch(String),
    /// A path that would begin at the folder of a configuration which has none.
    NoFolder(String),
    /// A path that begins at somebody's home.
    Home,
    /// Longer than the check's `wall_time`.
    WallTime(Duration),
    /// A name that nobody knows, what it would be of, and one that it may be meant to be.
    Unknown(NoSuch, Option<String>),
    /// What is given is for this endpoint, which the job does not have.
    NoEndpoint(String),
    /// The same host and port as another endpoint has.
    SameEndpoint(String),
    /// A key that must be there.
    Missing,
    /// Two keys that exclude or need each other.
    Contradiction(&'static str),
    /// A value of the wrong kind; what is expected.
    Expected(String),
    /// What those say of it who know more: the check, the sandbox, TLS, or who reads limits and patterns.
    Said(String),
    /// The check does not judge the job, and why.
    Unjudged(String),
    /// A line break or NUL where there must be none.
    LineBreak,
    /// A secret that cannot be kept out of texts.
    Secret(NoSecret),
    /// An environment variable that has no secret in it, and why.
    Environment(String, &'static str),
    /// A credential that is not there, by its name, and why.
    Credential(String, NoCredential),
}

/// What nobody knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoSuch {
    /// A key.
    Key,
    /// The check has no such endpoint.
    Endpoint,
    /// The check announces no such field, or it is no number.
    Number,
    /// The check announces no such kind of parts.
    Parts,
}

/// Why a credential is not there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoCredential {
    /// There is no folder of credentials.
    Folder,
    /// It is not in this folder.
    Absent(PathBuf),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        match &self.subject {
            Some(Subject::Job(name)) => write!(f, "job `{name}`: ")?,
            Some(Subject::Check(name)) => write!(f, "check `{name}`: ")?,
            None => {}
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        let meant = |f: &mut fmt::Formatter<'_>, meant: &Option<String>| match meant {
            Some(meant) => write!(f, "; did you mean `{meant}`?"),
            None => Ok(()),
        };
        match &self.problem {
            Problem::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Problem::NoJobs => f.write_str("no [[job]] in it"),
            Problem::DuplicateJob => f.write_str("another job has this name"),
            Problem::SameSeries(other) => write!(
                f,
                "its lines could not be told from those of job `{other}`: the same host is listed twice, or the names \
                 differ only in what line protocol cannot carry, or Telegraf does not read (`\\\"` beside a space, comma or `=`)"
            ),
            Problem::Name => write!(
                f,
                "expected a text without line breaks, not empty, of at most {} bytes",
                text::TEXT_BYTES
            ),
            Problem::CheckName => f.write_str("expected lower-case letters, digits and -"),
            Problem::DuplicateCheck => f.write_str("another check has this name"),
            Problem::Measurement(other) => {
                write!(
                    f,
                    "check `{other}`, another component, writes this measurement, or may do so of its parts"
                )
            }
            Problem::NoCheck { meant: None, all } => write!(f, "no check has this name; there is: {all}"),
            Problem::NoCheck { meant: known, .. } => {
                f.write_str("no check has this name")?;
                meant(f, known)
            }
            Problem::OwnMeasurement => f.write_str("the host's own lines are of this measurement"),
            Problem::Included => f.write_str("an included file may only have [[check]] and [[job]]"),
            Problem::NoMatch(pattern) => write!(f, "no file matches `{pattern}`"),
            Problem::NoFolder(name) => write!(
                f,
                "`{name}`: a configuration that comes through a pipe stands in no folder: write the path in full"
            ),
            Problem::Home => f.write_str("`~` is not expanded: write the path in full"),
            Problem::WallTime(most) => write!(f, "the check's limits allow at most {most:?}"),
            Problem::Unknown(what, known) => {
                f.write_str(match what {
                    NoSuch::Key => "unknown key",
                    NoSuch::Endpoint => "the check has no such endpoint",
                    NoSuch::Number => "the check reports no such number",
                    NoSuch::Parts => "the check reports no such parts",
                })?;
                meant(f, known)
            }
            Problem::NoEndpoint(name) => {
                write!(f, "it is for endpoint `{name}`, whose host, `endpoints.{name}.host`, is not given")
            }
            Problem::SameEndpoint(other) => {
                write!(f, "the same host and port as {other}: whose a connection is could not be told")
            }
            Problem::Missing => f.write_str("missing"),
            Problem::Contradiction(text) => f.write_str(text),
            Problem::Expected(expected) => write!(f, "expected {expected}"),
            Problem::LineBreak => f.write_str("a line break or NUL is not allowed"),
            Problem::Secret(error) => write!(f, "{error}"),
            Problem::Environment(name, wrong) => write!(f, "the environment variable {name} {wrong}"),
            Problem::Credential(name, NoCredential::Folder) => write!(
                f,
                "there is no credential `{name}`, for $CREDENTIALS_DIRECTORY is not set: not started by systemd with \
                 LoadCredential={name}:…"
            ),
            Problem::Credential(name, NoCredential::Absent(folder)) => write!(
                f,
                "there is no credential `{name}` in {}: the unit has no LoadCredential={name}:…",
                folder.display()
            ),
            Problem::Toml(error) => write!(f, "{error}"),
            Problem::Unjudged(error) => write!(f, "its check does not judge it: {error}"),
            Problem::Said(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The key of an entry of a list. Which one, by its place: what stands there may be a secret.
pub(super) fn entry(key: &str, index: usize) -> String {
    format!("{key}, entry {}", index + 1)
}

/// A problem at a key, before file and job are known.
pub(super) struct At(Option<String>, Problem);

impl At {
    /// Of the file as a whole.
    pub(super) fn whole(problem: Problem) -> Self {
        Self(None, problem)
    }

    pub(super) fn key(key: impl Into<String>, problem: Problem) -> Self {
        Self(Some(key.into()), problem)
    }

    /// In a table of the job's.
    pub(super) fn below(self, table: &str) -> Self {
        Self(self.0.map(|key| format!("{table}.{key}")), self.1)
    }

    pub(super) fn within(self, path: Option<&Path>, subject: Option<Subject>) -> ConfigError {
        ConfigError { path: path.map(Into::into), subject, key: self.0, problem: self.1 }
    }
}
