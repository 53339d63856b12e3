//! A secret that stands elsewhere: where, as a file or a command line says it, in; the secret out. Refuses what names no place,
//! and a place where there is none.

use std::{
    env::{self, VarError},
    io,
    path::{Path, absolute},
};

use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    error::{At, Problem},
    file::Source,
    place::place,
    table::written,
};
use crate::regular;

/// Bytes of a secret's file; no key or token is longer.
const SECRET_BYTES: usize = 64 << 10;
/// How a secret is given.
pub(super) const EXPECTED: &str = "text, { file = \"…\" } or { env = \"…\" }";

/// Reads that of a parameter, whose file stands in `folder`.
pub(super) fn read(parameter: &str, source: toml::Value, folder: &Path) -> Result<String, At> {
    let refuse = |problem| At::key(format!("parameters.{parameter}"), problem);
    let expected = || refuse(Problem::Expected(EXPECTED.into()));
    let source = Source::deserialize(source).map_err(|_| expected())?;
    match (source.file, source.env) {
        (Some(file), None) => {
            let path = place(folder, &file).map_err(refuse)?;
            let read = regular::text(&path, SECRET_BYTES).and_then(|text| in_file(&text));
            read.map_err(|error| refuse(Problem::Unreadable(path, error.to_string())))
        }
        (None, Some(variable)) => {
            let wrong = match env::var(&variable) {
                Ok(text) if !text.is_empty() => return Ok(text),
                Ok(_) => "is empty",
                Err(VarError::NotPresent) => "is not set",
                Err(VarError::NotUnicode(_)) => "is not UTF-8",
            };
            Err(refuse(Problem::Environment(variable, wrong)))
        }
        _ => Err(expected()),
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
    let Source { file, env } = Source::deserialize(source).ok()?;
    let text = |text: &str| written(&Json::from(text));
    match (file, env) {
        (Some(file), _) => {
            Some(format!("{{ file = {} }}", text(absolute(&file).as_deref().unwrap_or(&file).to_str()?)))
        }
        (None, variable) => Some(format!("{{ env = {} }}", text(&variable?))),
    }
}

/// The secret in a file that a command names, or that comes through a pipe.
pub fn secret_or_pipe(path: &Path) -> io::Result<String> {
    in_file(&regular::text_or_pipe(path, SECRET_BYTES)?)
}

/// Without one line end at its end. Refuses none at all: it would be tried as an empty password.
fn in_file(text: &str) -> io::Result<String> {
    let secret = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() { Err(io::Error::other("no secret in it")) } else { Ok(secret.to_owned()) }
}
