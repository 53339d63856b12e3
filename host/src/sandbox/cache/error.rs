//! Why the cache cannot be used.

use std::{fmt, io, path::PathBuf};

/// Why the cache cannot be used.
#[derive(Debug)]
pub enum CacheError {
    /// No folder is named, and there is no usual one.
    NoFolder,
    /// This cannot be read or written.
    Io(PathBuf, io::Error),
    /// This belongs to somebody else, by the user's number.
    Foreign(PathBuf, u32),
    /// Others may write to this, by its mode.
    Writable(PathBuf, u32),
    /// This file is not what was stored.
    Tag(PathBuf),
    /// The code in this file is of another engine or machine.
    Code(PathBuf, String),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder => {
                f.write_str("no folder for compiled checks: CACHE_DIRECTORY (`CacheDirectory=` of the agent's unit), XDG_CACHE_HOME \
                    or HOME names it, or `cache_dir` of the configuration")
            }
            Self::Io(path, error) => write!(f, "cache {}: {error}", path.display()),
            Self::Foreign(path, user) => write!(
                f,
                "{} belongs to user {user}, who could put other code there: set `cache_dir` to a folder that is this user's, \
                 below none but this user's and root's",
                path.display()
            ),
            Self::Writable(path, mode) => write!(
                f,
                "others may write to {0} (mode {mode:o}) and could put code of theirs there: `chmod go-w {0}`, or set \
                 `cache_dir` to a folder elsewhere",
                path.display()
            ),
            Self::Tag(path) => write!(f, "cache {}: not what was stored", path.display()),
            Self::Code(path, error) => write!(f, "cache {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for CacheError {}
