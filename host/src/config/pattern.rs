//! A pattern of files, such as `conf.d/*.toml`, in; the files that it matches out. Refuses what is no pattern.

use std::{
    ffi::OsStr,
    path::{Component, PathBuf},
};

/// `*` is no hidden file or folder, as in a shell (glob(7)): an editor or another system leaves them beside
/// others, or somebody put them aside. Nor is it a folder's own name, or that of the one around it.
pub(super) fn matching(
    pattern: &str,
) -> Result<impl Iterator<Item = glob::GlobResult> + use<>, glob::PatternError> {
    let names = pattern.split('/').filter(|name| name.starts_with('.'));
    let hidden: Vec<_> = names.filter_map(|name| glob::Pattern::new(name).ok()).collect();
    let is_named = move |name: &OsStr| {
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        !is_hidden || name.to_str().is_some_and(|name| hidden.iter().any(|pattern| pattern.matches(name)))
    };
    let is_taken = move |found: &glob::GlobResult| {
        let path = found.as_ref().map_or_else(glob::GlobError::path, PathBuf::as_path);
        let text = path.as_os_str().as_encoded_bytes();
        let is_folder = text.ends_with(b"/.") || text.ends_with(b"/..");
        let mut names = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        !is_folder && names.all(&is_named)
    };
    Ok(glob::glob(pattern)?.filter(is_taken))
}
