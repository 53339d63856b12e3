//! A secret that stands elsewhere: where, as a file or a command line says it, in; the secret out. Refuses what names no place,
//! and a place where there is none.

use std::{
    collections::HashMap,
    env::{self, VarError},
    ffi::OsString,
    io,
    path::{Path, PathBuf, absolute},
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    error::{At, NoCredential, Problem},
    file::Source,
    place::place,
    table::written,
};
use crate::regular;

/// Bytes of a secret's file; no key or token is longer.
const SECRET_BYTES: usize = 64 << 10;
/// How a secret is given.
pub(super) const EXPECTED: &str = "text, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }";
/// Some editors and shells begin a text with it; it is part of no secret.
const MARK: char = '\u{feff}';
/// Where systemd says that the credentials of a unit are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Bytes of a credential's name, by systemd.
const NAME_BYTES: usize = 255;

/// The files of secrets that were read so far: jobs that name one have the same secret, and it is read once.
#[derive(Default)]
pub(super) struct Files(Mutex<HashMap<PathBuf, String>>);

impl Files {
    fn secret(&self, path: &Path) -> io::Result<String> {
        let read = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = read().get(path) {
            return Ok(secret.clone());
        }
        let secret = of_file(path)?;
        // Somebody else may have been first.
        Ok(read().entry(path.to_owned()).or_insert(secret).clone())
    }
}

/// Reads that of a parameter, whose file stands in `folder`.
pub(super) fn read(parameter: &str, source: toml::Value, folder: &Path, files: &Files) -> Result<String, At> {
    let refuse = |problem| At::key(format!("parameters.{parameter}"), problem);
    match Source::deserialize(source).map_err(|_| refuse(Problem::Expected(EXPECTED.into())))? {
        Source::File(file) => {
            let path = place(folder, &file).map_err(refuse)?;
            files.secret(&path).map_err(|error| refuse(Problem::Unreadable(path, error.to_string())))
        }
        Source::Env(variable) => {
            let wrong = match env::var(&variable) {
                Ok(text) if text.starts_with(MARK) => "begins with a byte order mark",
                Ok(text) if !text.is_empty() => return Ok(text),
                Ok(_) => "is empty",
                Err(VarError::NotPresent) => "is not set",
                Err(VarError::NotUnicode(_)) => "is not UTF-8",
            };
            Err(refuse(Problem::Environment(variable, wrong)))
        }
        Source::Credential(name) => credential(name, env::var_os(CREDENTIALS)).map_err(refuse),
    }
}

/// The table as which a text of a command line begins; none: the text is the secret itself. One that is misspelt names no
/// place: as a secret it would be sent to a server.
pub(super) fn source(text: &str) -> Option<toml::Value> {
    let begins = text.trim_start().starts_with('{');
    begins.then(|| text.trim().parse().unwrap_or_else(|_| toml::Table::new().into()))
}

/// Such a table as it stands in a file, wherever that is.
pub(super) fn in_any_file(source: toml::Value) -> Option<String> {
    let (key, place) = match Source::deserialize(source).ok()? {
        Source::File(file) => ("file", absolute(&file).unwrap_or(file).to_str()?.to_owned()),
        Source::Env(variable) => ("env", variable),
        Source::Credential(name) => ("credential", name),
    };
    Some(format!("{{ {key} = {} }}", written(&Json::from(place))))
}

/// The secret that systemd put into this folder, by its name alone: it leads to no other.
pub(super) fn credential(name: String, folder: Option<OsString>) -> Result<String, Problem> {
    // As systemd has them.
    let is_legal = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':');
    if !(1..=NAME_BYTES).contains(&name.len()) || !name.chars().all(is_legal) || [".", ".."].contains(&&*name)
    {
        let expected = "for `credential` a name as in LoadCredential=, without / and :";
        return Err(Problem::Expected(expected.to_owned()));
    }
    let folder = folder.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let Some(folder) = folder else { return Err(Problem::Credential(name, NoCredential::Folder)) };
    let path = folder.join(&name);
    of_file(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Credential(name, NoCredential::Absent(folder)),
        _ => Problem::Unreadable(path, error.to_string()),
    })
}

/// The secret in a file that a command names, or that comes through a pipe.
pub fn secret_or_pipe(path: &Path) -> io::Result<String> {
    in_file(&regular::text_or_pipe(path, SECRET_BYTES)?)
}

fn of_file(path: &Path) -> io::Result<String> {
    regular::text(path, SECRET_BYTES).and_then(|text| in_file(&text))
}

/// Without one line end at its end. Refuses none at all, which would be tried as an empty password, and a byte order mark, which would be
/// part of it.
fn in_file(text: &str) -> io::Result<String> {
    let secret = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.starts_with(MARK) {
        return Err(io::Error::other("begins with a byte order mark: save it without"));
    }
    if secret.is_empty() { Err(io::Error::other("no secret in it")) } else { Ok(secret.to_owned()) }
}
