//! A path as a file has it in; where that is, from the file's own folder on, out. Refuses `~`: whoever writes it means a folder
//! that only a shell looks up.

use std::path::{Component, Path, PathBuf};

use super::error::Problem;

/// What the paths in a file begin at.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// The file stands in `folder`.
pub(super) fn place(folder: &Path, written: &Path) -> Result<PathBuf, Problem> {
    if is_home(written) { Err(Problem::Home) } else { Ok(folder.join(written)) }
}

/// `~`, or a path below `~` or somebody's. A mere name may begin so.
fn is_home(path: &Path) -> bool {
    let mut parts = path.components();
    let first = match parts.next() {
        Some(Component::Normal(first)) => first.to_string_lossy(),
        _ => return false,
    };
    first == "~" || first.starts_with('~') && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_not_looked_up_and_a_name_may_begin_like_one() {
        for home in ["~", "~/", "~/a", "~other/a"] {
            assert_eq!(place(Path::new("b"), Path::new(home)), Err(Problem::Home), "{home}");
        }
        for name in ["~a.toml", "./~/a", "a~/b", "/~/a", ""] {
            assert_eq!(place(Path::new("b"), Path::new(name)), Ok(Path::new("b").join(name)), "{name}");
        }
    }
}
