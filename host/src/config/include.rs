//! A configuration's files: the path of the first in; its shape, the shapes of those that it includes, and which patterns no file
//! matches, out; what was found on the way is watched in any case. Refuses what cannot be read or understood, and what an included
//! file may not say.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    decode,
    error::{At, ConfigError, Problem},
    file,
    pattern::matching,
    place::{folder, place},
    watched::Watched,
};
use crate::regular;

/// Bytes of one file: a hundred thousand jobs.
const FILE_BYTES: usize = 16 << 20;
/// Where the files are that have no place: a pipe's or a stream's end is there by its number.
const NUMBERED: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc"];

/// A configuration's files.
pub(super) struct Files {
    /// The first.
    pub(super) main: file::File,
    /// Those that it includes, in the order in which they count.
    pub(super) included: Vec<(PathBuf, file::File)>,
    /// Patterns that no file matches: most likely a mistake, and as usual as an empty `conf.d`.
    pub(super) unmatched: Vec<ConfigError>,
}

/// Reads a file and those that it includes.
pub(super) fn read(path: &Path, watched: &mut Watched) -> Result<Files, ConfigError> {
    watched.add_file(path);
    let unreadable = |path: &Path, error: io::Error| Problem::Unreadable(path.into(), error.to_string());
    // Named by who starts this: a pipe, too.
    let text = regular::text_or_pipe(path, FILE_BYTES);
    let main =
        understand(path, &text.map_err(|error| At::whole(unreadable(path, error)).within(None, None))?)?;
    watched.add_named(path, &main);
    let (mut files, mut unmatched) = (Vec::new(), Vec::new());
    for included in named(path, &main.include, watched, &mut unmatched)? {
        let text = regular::text(&included, FILE_BYTES)
            .map_err(|error| At::key("include", unreadable(&included, error)).within(Some(path), None))?;
        let file = understand(&included, &text)?;
        watched.add_named(&included, &file);
        if !says_nothing_of_all(&file) {
            return Err(At::whole(Problem::Included).within(Some(&included), None));
        }
        files.push((included, file));
    }
    Ok(Files { main, included: files, unmatched })
}

/// Each key is named here: who adds one is asked which it is.
fn says_nothing_of_all(file: &file::File) -> bool {
    let file::File {
        max_concurrent: None,
        max_per_host: None,
        threads: None,
        cache_dir: None,
        deny,
        include,
        resolver: None,
        daemon: None,
        check: _,
        job: _,
    } = file
    else {
        return false;
    };
    deny.is_empty() && include.is_empty()
}

pub(super) fn understand(path: &Path, text: &str) -> Result<file::File, ConfigError> {
    decode::decode(text).map_err(|error| At::whole(Problem::Toml(error)).within(Some(path), None))
}

/// The files that the patterns name, each pattern's in the order of their names. One that is no pattern must be there.
fn named(
    path: &Path,
    include: &[String],
    watched: &mut Watched,
    unmatched: &mut Vec<ConfigError>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = Vec::new();
    for pattern in include {
        let refuse = |problem| At::key("include", problem).within(Some(path), None);
        if Path::new(pattern).is_relative() && !has_folder(path) {
            return Err(refuse(Problem::NoFolder(pattern.clone())));
        }
        // The folder's own name is no pattern.
        let escaped = glob::Pattern::escape(&folder(path).to_string_lossy());
        let whole = place(Path::new(&escaped), Path::new(pattern)).map_err(refuse)?;
        let is_pattern = pattern.contains(['*', '?', '[']);
        if !is_pattern {
            let file = folder(path).join(pattern);
            watched.add_file(&file);
            files.push(file);
            continue;
        }
        let found = matching(&whole.to_string_lossy())
            .map_err(|error| refuse(Problem::Said(format!("`{pattern}`: {}", error.msg))))?;
        watched.add_pattern(whole.to_string_lossy().into_owned());
        let before = files.len();
        for file in found {
            files.push(file.map_err(|error| {
                refuse(Problem::Unreadable(error.path().to_owned(), error.error().to_string()))
            })?);
        }
        if files.len() == before {
            unmatched.push(refuse(Problem::NoMatch(pattern.clone())));
        }
    }
    Ok(files)
}

/// A regular file has one, by the name that it was called by.
fn has_folder(path: &Path) -> bool {
    !NUMBERED.iter().any(|numbered| path.starts_with(numbered)) && path.is_file()
}
