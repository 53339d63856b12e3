//! Where files are: from a file's folder on, never from somebody's home; included ones, and patterns that match none.

use std::thread;

use super::*;

/// A configuration in a folder of its own, which is left out of what is said.
fn refused(text: &str) -> String {
    read(text).map(drop).unwrap_err()
}

#[test]
fn no_path_begins_at_somebodys_home() {
    let said = "`~` is not expanded: write the path in full";
    let digest = "0".repeat(64);
    let check = format!(
        "[[check]]\nname = 'c'\ncomponent = '~/c.wasm'\nsha256 = '{digest}'\ndescription_sha256 = '{digest}'\nmeasurement = 'c'"
    );
    for (text, key) in [
        ("cache_dir = '~/cache'", "cache_dir"),
        ("include = ['~/conf.d/*.toml']", "include"),
        ("include = ['~other/a.toml']", "include"),
        (&check, "check `c`: component"),
    ] {
        assert_eq!(refused(text), format!("sonde.toml: {key}: {said}"));
    }
    for (text, key) in [
        ("parameters.password = { file = '~/p' }", "parameters.password"),
        ("tls.ca_file = '~/p'", "tls.ca_file"),
        ("tls.crl_file = '~/p'", "tls.crl_file"),
        ("tls = { client_cert = '~/p', client_key = 'p' }", "tls.client_cert"),
        ("tls = { client_cert = 'p', client_key = '~/p' }", "tls.client_key"),
        ("endpoints.imap = { host = 'i', tls.ca_file = '~/p' }", "endpoints.imap.tls.ca_file"),
    ] {
        assert_eq!(job_with(text).unwrap_err(), format!("sonde.toml: job `a`: {key}: {said}"));
    }
}

#[test]
fn a_pattern_that_no_file_matches_is_told_and_one_that_is_a_name_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let job = "[[job]]\nname = 'a'\nhost = 'h'\n";
    fs::write(&path, format!("include = ['conf.d/*.toml', 's?nde.toml', 'x[ab].toml']\n{job}")).unwrap();
    // It is its own file that the second matches: its job is there twice.
    assert!(config::read(&path).is_err());
    fs::write(&path, format!("include = ['conf.d/*.toml', 'x[ab].toml']\n{job}")).unwrap();
    let doubts = |path: &Path| -> Vec<String> {
        config::read(path).unwrap().doubts.iter().map(ToString::to_string).collect()
    };
    let said = |pattern: &str| format!("{}: include: no file matches `{pattern}`", path.display());
    assert_eq!(doubts(&path), [said("conf.d/*.toml"), said("x[ab].toml")]);
    fs::write(folder.path().join("xa.toml"), "[[job]]\nname = 'b'\nhost = 'h'").unwrap();
    assert_eq!(doubts(&path), [said("conf.d/*.toml")]);
    fs::write(&path, "include = ['conf.d/a.toml']").unwrap();
    let none = config::read(&path).map(drop).unwrap_err().to_string();
    assert!(none.ends_with("conf.d/a.toml: No such file or directory (os error 2)"), "{none}");
}

#[test]
fn what_comes_through_a_pipe_stands_in_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(folder.path().join("a.toml"), "[[job]]\nname = 'a'\nhost = 'h'").unwrap();
    let through = |include: &str| {
        let (into, text) = (pipe.clone(), format!("include = [{include:?}]"));
        let writing = thread::spawn(move || fs::write(into, text).unwrap());
        let read = config::read(&pipe).map(|plan| plan.jobs.len()).map_err(|error| error.to_string());
        writing.join().unwrap();
        read
    };
    for relative in ["a.toml", "*.toml"] {
        let said = format!(
            "{}: include: `{relative}`: a configuration that comes through a pipe stands in no folder: write the path in full",
            pipe.display()
        );
        assert_eq!(through(relative), Err(said));
    }
    for absolute in ["a.toml", "*.toml"] {
        assert_eq!(through(folder.path().join(absolute).to_str().unwrap()), Ok(1));
    }
}

#[test]
fn an_unknown_key_of_an_included_file_is_told_with_that_file_and_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let (path, included) = (folder.path().join("sonde.toml"), folder.path().join("a.toml"));
    fs::write(&path, "include = ['*a.toml']").unwrap();
    for (text, expected) in [
        ("\n[[job]]\nname = 'a'\nhots = 'h'", "line 4: job: unknown key `hots`; did you mean `host`?"),
        ("\n\nnmae = 'a'", "line 3: unknown key `nmae`"),
    ] {
        fs::write(&included, text).unwrap();
        let refused = config::read(&path).map(drop).unwrap_err().to_string();
        assert_eq!(refused, format!("{}: {expected}", included.display()));
    }
}
