//! Secrets, and what may be one, show nowhere; what is none is refused.

use super::*;

#[test]
fn a_secret_comes_from_a_file_and_shows_nowhere() {
    let job = job_with("parameters.password = { file = \"secret\" }").unwrap();
    assert_eq!(job.parameters["password"], "hunter2");
    assert_eq!(job.secrets.outgoing("535 hunter2", 99), "535 ***");
    assert!(!format!("{job:?}{:?}", job.secrets).contains("hunter2"));
}

/// A job of the command line.
fn on_command_line(parameters: &[(&str, &str)]) -> Result<Job, String> {
    let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    AdHoc { parameters, ..AdHoc::new("a", &check("smtp"), "h") }.job().map_err(|error| error.to_string())
}

#[test]
fn a_command_line_names_the_place_of_a_secret_as_a_file_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, "hunter2\n").unwrap();
    let password = |text: &str| on_command_line(&[("password", text)]);
    for text in [format!("{{ file = {file:?} }}"), format!(" {{file={file:?}}} ")] {
        let job = password(&text).unwrap();
        assert_eq!(job.parameters["password"], "hunter2", "{text}");
        assert_eq!(job.secrets.outgoing("535 hunter2", 99), "535 ***");
    }
    // Cargo sets it for every test.
    let package = std::env::var("CARGO_PKG_NAME").unwrap();
    assert_eq!(password("{ env = \"CARGO_PKG_NAME\" }").unwrap().parameters["password"], *package);
    assert_eq!(password("hunter2").unwrap().parameters["password"], "hunter2");
    // Of another kind it is what it was.
    let subject = on_command_line(&[("subject", "{ file = \"none\" }")]).unwrap();
    assert_eq!(subject.parameters["subject"], "{ file = \"none\" }");

    let expected = "expected text, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }";
    for (text, said) in [
        ("{ file = \"none\" }", "cannot read none: No such file or directory (os error 2)"),
        ("{ file = \"/dev/zero\" }", "cannot read /dev/zero: not a regular file"),
        ("{ file = \"~/p\" }", "`~` is not expanded: write the path in full"),
        ("{ env = \"SONDE_TEST_UNSET\" }", "the environment variable SONDE_TEST_UNSET is not set"),
        // A mistake is not sent to anybody as a password.
        ("{ file = hunter2 }", expected),
        ("{ vault = \"hunter2\" }", expected),
        ("{ file = \"hunter2\", env = \"a\" }", expected),
        ("{ file = \"hunter2\", credential = \"a\" }", expected),
        ("{ env = \"hunter2\", credential = \"a\" }", expected),
        ("{ file = \"hunter2\" }\nport = 1", expected),
        ("{hunter2", expected),
        ("{}", expected),
    ] {
        assert_eq!(password(text).unwrap_err(), format!("parameters.password: {said}"), "{text}");
    }
}

#[test]
fn a_credential_is_read_where_systemd_puts_it_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("credentials");
    fs::create_dir(&inside).unwrap();
    fs::write(folder.path().join("outside"), "hunter2").unwrap();
    fs::write(inside.join("smtp"), "hunter2\n").unwrap();
    fs::write(inside.join("empty"), "\n").unwrap();
    fs::write(inside.join("marked"), "\u{feff}hunter2\r\n").unwrap();
    let read = |name: &str, folder: Option<&Path>| {
        let read = config::secret::credential(name.to_owned(), folder.map(Into::into));
        read.map_err(|problem| At::key("p", problem).within(None, None).to_string())
    };
    let there = |name: &str| read(name, Some(&inside));
    assert_eq!(there("smtp"), Ok("hunter2".to_owned()));
    let at = inside.display();
    assert_eq!(
        there("imap").unwrap_err(),
        format!("p: there is no credential `imap` in {at}: the unit has no LoadCredential=imap:…")
    );
    assert_eq!(there("empty").unwrap_err(), format!("p: cannot read {at}/empty: no secret in it"));
    let marked = format!("p: cannot read {at}/marked: begins with a byte order mark: save it without");
    assert_eq!(there("marked").unwrap_err(), marked);
    for unset in [None, Some(Path::new("")), Some(Path::new("credentials"))] {
        assert_eq!(
            read("smtp", unset).unwrap_err(),
            "p: there is no credential `smtp`, for $CREDENTIALS_DIRECTORY is not set: not started by systemd with \
             LoadCredential=smtp:…"
        );
    }
    // What is no name is not shown: it may be the secret.
    let long = "x".repeat(256);
    for wrong in ["", ".", "..", "../outside", "a/b", "/etc/passwd", "smtp:x", "a b", "é", "a\n", &long] {
        let expected = "p: expected for `credential` a name as in LoadCredential=, without / and :";
        assert_eq!(there(wrong).unwrap_err(), expected, "{wrong}");
    }
}

#[test]
fn what_was_read_already_is_a_secret_whatever_it_begins_with() {
    let (check, read) = (check("smtp"), [("password".to_owned(), "{ file = \"a\" }".to_owned())].into());
    let job = AdHoc { read, ..AdHoc::new("a", &check, "h") }.job().unwrap();
    assert_eq!(job.parameters["password"], "{ file = \"a\" }");
}

#[test]
fn what_is_pinned_names_the_place_of_a_secret_and_not_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sec\"ret");
    fs::write(&file, "hunter2").unwrap();
    let pinned = |text: String| {
        let given = [("password".to_owned(), text)].into();
        sample::pinned(&check("a"), "a.wasm", "mx1", &given, &BTreeMap::new()).unwrap()
    };
    let source = format!("{{ file = {file:?} }}");
    let text = pinned(source.clone());
    assert!(text.contains(&format!("\npassword = {source}\n")) && !text.contains("hunter2"), "{text}");
    let text = pinned("{ env = \"CARGO_PKG_NAME\" }".to_owned());
    assert!(text.contains("\npassword = { env = \"CARGO_PKG_NAME\" }\n"), "{text}");
    let source = config::secret::source("{ credential = \"smtp\" }").unwrap();
    assert_eq!(config::secret::in_any_file(source), Some("{ credential = \"smtp\" }".to_owned()));
    // Wherever the configuration comes to stand.
    let source = config::secret::source("{ file = \"secret\" }").unwrap();
    let here = std::env::current_dir().unwrap().join("secret");
    assert_eq!(config::secret::in_any_file(source), Some(format!("{{ file = {here:?} }}")));
}

#[test]
fn a_tag_is_clean_short_and_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let mut description = Description::clone(&description());
    for shown in ["subject", "to"] {
        description.tags.push(Tag { name: shown.into(), parameter: shown.into(), doc: String::new() });
        description.parameters.iter_mut().for_each(|parameter| parameter.single_line = false);
    }
    let text = format!(
        "[[job]]\nname = 'a'\nhost = 'h'\n[job.parameters]\npassword = 'hun\"ter'\nfrom = 'f'\n\
         subject = \"\"\"a\n<hun\"ter>{}\"\"\"\nto = ['hun\"ter', 'b']\n",
        "é".repeat(300)
    );
    fs::write(&path, text).unwrap();
    let check = Check { description: Arc::new(description), ..check("smtp") };
    let job = config::read(&path).unwrap().jobs[0].job(&check).unwrap();
    let shown: BTreeMap<_, _> = job.tags.iter().cloned().collect();
    assert_eq!(shown["subject"], format!("a <***>{}", "é".repeat(124)));
    assert_eq!(shown["to"], "[\"***\",\"b\"]");
}

#[test]
fn a_secrets_file_that_is_a_pipe_is_refused_and_not_waited_for() {
    let refused = job_with("parameters.password = { file = \"/dev/zero\" }").unwrap_err();
    assert_eq!(
        refused,
        "sonde.toml: job `a`: parameters.password: cannot read /dev/zero: not a regular file"
    );
}

#[test]
fn an_empty_file_or_variable_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    fs::write(&path, "[[job]]\nname = 'a'\nhost = 'h'\nparameters.password = { file = 'empty' }").unwrap();
    for empty in ["", "\n", "\r\n"] {
        fs::write(folder.path().join("empty"), empty).unwrap();
        let refused = jobs_of(&path).unwrap_err().to_string();
        let said = format!(
            "job `a`: parameters.password: cannot read {}/empty: no secret in it",
            folder.path().display()
        );
        assert_eq!(refused, format!("{}: {said}", path.display()), "{empty:?}");
        assert!(secret_or_pipe(&folder.path().join("empty")).is_err());
    }
}

#[test]
fn a_secret_that_cannot_be_kept_out_of_texts_is_refused() {
    assert_eq!(
        job_with("parameters.password = 'abc'").unwrap_err(),
        "sonde.toml: job `a`: parameters.password: shorter than 4 bytes: it would be masked wherever it stands by chance"
    );
    assert!(job_with("parameters.password = ''").is_ok());
}

#[test]
fn what_stands_in_a_wrong_place_is_not_shown() {
    for text in [
        "hosts = 'hunter2'",
        "host = ['hunter2']",
        "timeout = 'hunter2'",
        "timeout = ['hunter2']",
        "grants = 'hunter2'",
        "grants = ['hunter2']",
        "check = 'hunter2'",
        "parameters = 'hunter2'",
        "parameters.port = 'hunter2'",
        "parameters.connection = 'hunter2'",
        "parameters.to = [['hunter2']]",
        "parameters.password = ['hunter2']",
        "parameters.password = { file = ['hunter2'] }",
        "tls = 'hunter2'",
        "tls.server_name = 'hunter2 hunter2'",
        "tls.verify = 'hunter2'",
        "tls.min_version = 'hunter2'",
        "tls.ca_file = ['hunter2']",
        "alarm.login_time_ms = 'hunter2'",
        "alarm.login_time_ms.warning = 'hunter2'",
        "alarm.login_time_ms.warning = ['hunter2']",
        "[[check]]\nname = ['hunter2']",
        "[[check]]\nname = 'a'\ncomponent = 'a'\nsha256 = 'hunter2'",
        "[[check]]\nname = 'a'\ncomponent = 'a'\nsha256 = 'a'\nlimits.log_lines = 'hunter2'",
        "parameters.password = hunter2",
        "parameters.password = 'hunter2",
        "parameters.password = \"hunter2\\x\"",
    ] {
        let refused = job_with(text).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    let refused = read("deny = ['hunter2']").unwrap_err();
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn jobs_that_name_one_file_have_one_secret_which_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = config::secret::Files::default();
    let read = |job: &str| {
        let source = toml::from_str("file = \"secret\"").unwrap();
        config::secret::read(job, toml::Value::Table(source), folder.path(), &secrets).ok()
    };
    // That there is none is not remembered.
    assert_eq!(read("a"), None);
    for text in ["hunter2", "open-sesame"] {
        fs::write(folder.path().join("secret"), text).unwrap();
        assert_eq!(read("b").as_deref(), Some("hunter2"));
    }
}
