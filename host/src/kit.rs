//! What the author of a check starts from: a name and a language in, a folder with the interface, a small working check and
//! what it is made of out. Refuses a name that is none, and to write over anything.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use crate::{
    description::{OWN_MEASUREMENT, is_within},
    sandbox::SMTP,
};

/// The interface, file by file.
pub const WIT: &[(&str, &str)] = &[
    ("world.wit", include_str!("../../wit/world.wit")),
    ("check.wit", include_str!("../../wit/check.wit")),
    ("network.wit", include_str!("../../wit/network.wit")),
    ("log.wit", include_str!("../../wit/log.wit")),
];

const README: &str = include_str!("../kit/README.md");
/// Where the README of a language's project says how to build it.
const BUILD: &str = "<!-- build -->\n";

/// A language that there is a beginning for; a check may be written in any.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[expect(missing_docs, reason = "known by their names")]
pub enum Language {
    Rust,
    Python,
    #[value(name = "javascript")]
    JavaScript,
}

impl Language {
    /// Its files, and what its README says about building them.
    fn files(self) -> (&'static [(&'static str, &'static str)], &'static str) {
        match self {
            Self::Rust => (
                &[
                    ("Cargo.toml", include_str!("../kit/rust/Cargo.toml")),
                    ("src/lib.rs", include_str!("../kit/rust/src/lib.rs")),
                    ("src/sonde.rs", include_str!("../kit/rust/src/sonde.rs")),
                    (".rustfmt.toml", include_str!("../../.rustfmt.toml")),
                    (".gitignore", "/target\n*.wasm\n"),
                ],
                include_str!("../kit/rust/build.md"),
            ),
            Self::Python => (
                &[
                    ("check.py", include_str!("../kit/python/check.py")),
                    ("sonde.py", include_str!("../kit/python/sonde.py")),
                    (".gitignore", "/venv\n__pycache__\n*.wasm\n"),
                ],
                include_str!("../kit/python/build.md"),
            ),
            Self::JavaScript => (
                &[
                    ("check.js", include_str!("../kit/javascript/check.js")),
                    ("sonde.js", include_str!("../kit/javascript/sonde.js")),
                    ("package.json", include_str!("../kit/javascript/package.json")),
                    (".gitignore", "/node_modules\n*.wasm\n"),
                ],
                include_str!("../kit/javascript/build.md"),
            ),
        }
    }
}

/// Why nothing, or not everything, was written.
#[derive(Debug)]
pub enum KitError {
    /// Not a check's name.
    Name(String),
    /// Its measurement would be one that is not for checks.
    Taken(String),
    /// This cannot be written; above all because it is there.
    Io(PathBuf, io::Error),
}

impl fmt::Display for KitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "`{name}` is no name for a check: a lower-case letter, then lower-case letters, digits and -, at most 64"
            ),
            Self::Taken(name) => {
                write!(
                    f,
                    "`{name}` is taken: measurements of the built-in check and of sonde itself begin so"
                )
            }
            Self::Io(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for KitError {}

/// Writes the interface into a folder, which may be there but not have its files.
pub fn wit(folder: &Path) -> Result<(), KitError> {
    WIT.iter().try_for_each(|(name, text)| write(&folder.join(name), text))
}

/// Writes a project into a new folder of that name.
pub fn project(within: &Path, name: &str, language: Language) -> Result<(), KitError> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // The names of measurements, packages and modules come from it.
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(legal) || name.len() > 64 {
        return Err(KitError::Name(name.to_owned()));
    }
    let measurement = name.replace('-', "_");
    if [SMTP, OWN_MEASUREMENT].iter().any(|own| is_within(&measurement, own)) {
        return Err(KitError::Taken(name.to_owned()));
    }
    let folder = within.join(name);
    fs::create_dir(&folder).map_err(|error| KitError::Io(folder.clone(), error))?;
    wit(&folder.join("wit"))?;
    let filled = |text: &str| text.replace("MEASUREMENT", &measurement).replace("NAME", name);
    let (files, build) = language.files();
    for (file, text) in files {
        write(&folder.join(file), &filled(text))?;
    }
    write(&folder.join("README.md"), &filled(&README.replace(BUILD, build)))
}

fn write(path: &Path, text: &str) -> Result<(), KitError> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::File::create_new(path)?.write_all(text.as_bytes())
    };
    write().map_err(|error| KitError::Io(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_is_written_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        files.sort();
        let mut written: Vec<&str> = WIT.iter().map(|(name, _)| *name).collect();
        written.sort_unstable();
        assert_eq!(files, written);
    }

    #[test]
    fn nothing_is_written_over_and_a_name_must_be_one() {
        let folder = tempfile::tempdir().unwrap();
        for language in [Language::Rust, Language::Python, Language::JavaScript] {
            let name = format!("my-{language:?}").to_lowercase();
            project(folder.path(), &name, language).unwrap();
            let readme = fs::read_to_string(folder.path().join(&name).join("README.md")).unwrap();
            assert!(readme.contains(&format!("sonde test {name}.wasm")), "{readme}");
            // What fills in names leaves alone what a check is made of.
            for (file, text) in language.files().0.iter().filter(|(file, _)| file.contains("sonde.")) {
                assert_eq!(fs::read_to_string(folder.path().join(&name).join(file)).unwrap(), *text);
            }
            assert!(!readme.contains("NAME") && !readme.contains("<!--"), "{readme}");
            assert!(matches!(project(folder.path(), &name, language), Err(KitError::Io(..))));
        }
        assert!(matches!(wit(&folder.path().join("my-rust/wit")), Err(KitError::Io(..))));
        for name in ["", "Check", "1st", "../check", "a b", "-a"] {
            assert!(matches!(project(folder.path(), name, Language::Rust), Err(KitError::Name(_))), "{name}");
        }
        for name in ["smtp", "smtp-x", "sonde"] {
            assert!(
                matches!(project(folder.path(), name, Language::Rust), Err(KitError::Taken(_))),
                "{name}"
            );
            assert!(!folder.path().join(name).exists());
        }
        project(folder.path(), "smtps", Language::Rust).unwrap();
    }
}
