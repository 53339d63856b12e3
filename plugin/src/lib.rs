//! The SMTP probe: a check component that tests a mail server by opening a session or by sending a mail.
//!
//! job → dialogue (its steps in order, each over a session that keeps in step with the server) → report. Only `component` is
//! wasm's: the dialogue is tested natively over a scripted transport. What each file does, and how
//! to add to it: `README.md` beside this folder.

mod address;
mod auth;
mod bindings;
#[cfg(target_family = "wasm")]
mod component;
pub mod describe;
pub mod dialogue;
pub mod error;
pub mod field;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod hello;
pub mod job;
mod mail;
pub mod message;
mod opening;
pub mod parameters;
pub mod queue_id;
pub mod reply;
pub mod report;
mod session;
mod step;
mod stop;
mod table;
mod tls;
pub mod transport;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn assert_told(folder: &Path, readme: &str) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            assert!(readme.contains(&format!("`{}`", name.trim_end_matches(".rs"))), "{name}");
        }
    }

    #[test]
    fn the_readme_tells_of_every_file() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let readme = fs::read_to_string(source.join("../README.md")).unwrap();
        assert_told(&source, &readme);
        assert_told(&source.join("auth"), &readme);
    }
}
