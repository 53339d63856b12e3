//! A configuration's files: the path of the first in; its shape, and the shapes of those that it includes, out. Refuses what
//! cannot be read or understood, and what an included file may not say.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    decode,
    error::{At, ConfigError, Problem},
    file,
};
use crate::regular;

/// Bytes of one file: a hundred thousand jobs.
const FILE_BYTES: usize = 16 << 20;

/// What the paths in a file begin at.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// A file and those that it includes, in the order in which they count.
pub(super) fn read(path: &Path) -> Result<(file::File, Vec<(PathBuf, file::File)>), ConfigError> {
    let unreadable = |path: &Path, error: io::Error| Problem::Unreadable(path.into(), error.to_string());
    // Named by who starts this: a pipe, too.
    let text = regular::text_or_pipe(path, FILE_BYTES);
    let main =
        understand(path, &text.map_err(|error| At::whole(unreadable(path, error)).within(None, None))?)?;
    let mut files = Vec::new();
    for included in included(path, &main.include)? {
        let text = regular::text(&included, FILE_BYTES)
            .map_err(|error| At::key("include", unreadable(&included, error)).within(Some(path), None))?;
        let file = understand(&included, &text)?;
        if file.max_concurrent.is_some()
            || file.cache_dir.is_some()
            || !file.deny.is_empty()
            || !file.include.is_empty()
            || file.daemon.is_some()
        {
            return Err(At::whole(Problem::Included).within(Some(&included), None));
        }
        files.push((included, file));
    }
    Ok((main, files))
}

pub(super) fn understand(path: &Path, text: &str) -> Result<file::File, ConfigError> {
    decode::decode(text).map_err(|error| At::whole(Problem::Toml(error)).within(Some(path), None))
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
