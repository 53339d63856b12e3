//! What is promised in `host/SECURITY.md` is shown by tests that exist; and what is fuzzed is what is shipped.

use std::{collections::BTreeMap, fs, path::Path};

use support::root;

const SECURITY: &str = include_str!("../../host/SECURITY.md");

/// All of the program's and its tests' Rust below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// One that runs: of this name, with the attribute above it, and nothing that turns it off.
fn is_test(text: &str, name: &str) -> bool {
    text.split("\n\n").any(|block| {
        let (above, found) = block.split_once(&format!("fn {name}(")).unwrap_or_default();
        let above = above.rsplit_once("}\n").map_or(above, |(_, above)| above);
        let is_test = ["#[test]", "#[tokio::test]", "#[tokio::test("].iter().any(|it| above.contains(it));
        let is_off = ["ignore", "cfg(not"].iter().any(|it| above.contains(&format!("#[{it}")));
        !found.is_empty() && is_test && !is_off
    })
}

#[test]
fn every_promise_is_shown_by_tests_that_exist() {
    let mut text = String::new();
    for folder in ["host/src", "plugin/src", "tests"] {
        sources(&root().join(folder), &mut text);
    }
    let rows = SECURITY.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise |"));
    let mut count = 0;
    for row in rows {
        let [_, promise, tests, _] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!promise.trim().is_empty() && !names.is_empty(), "{row}");
        for name in names {
            let is_scenario = root().join("tests/scenarios").join(format!("{name}.toml")).is_file();
            assert!(is_scenario || is_test(&text, name), "no test is called {name}");
        }
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_target_of_the_fuzzer_is_named_and_has_seeds() {
    for folder in ["host/fuzz", "plugin/fuzz"] {
        for target in fs::read_dir(root().join(folder).join("fuzz_targets")).unwrap() {
            let path = target.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(SECURITY.lines().any(|line| line.starts_with("cd ") && line.contains(name)), "{name}");
            assert!(root().join(folder).join("seeds").join(name).is_dir(), "{name}");
        }
    }
}

/// Versions by crate.
fn locked(path: &str) -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = toml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap();
    let mut locked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap().to_owned());
        locked.entry(name).or_default().push(version);
    }
    locked
}

#[test]
fn what_is_fuzzed_is_what_is_shipped() {
    let shipped = locked("Cargo.lock");
    for path in ["host/fuzz/Cargo.lock", "plugin/fuzz/Cargo.lock"] {
        for (name, versions) in locked(path) {
            let Some(known) = shipped.get(&name) else { continue };
            let other: Vec<_> = versions.iter().filter(|version| !known.contains(version)).collect();
            let copy = "copy Cargo.lock there, and run `cargo metadata`";
            assert!(
                other.is_empty(),
                "{path}: {name} is {other:?} there, and {known:?} in Cargo.lock: {copy}"
            );
        }
    }
}
