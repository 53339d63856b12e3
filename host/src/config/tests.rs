//! Refusals with their exact words, and what is accepted.

use super::*;
use crate::description::{ConditionalDefault, Field, Parameter, Tag};

fn description() -> Arc<Description> {
    let parameter = |name: &str, kind, default: Option<Json>| Parameter {
        name: name.into(),
        kind,
        required: false,
        default,
        conditional_defaults: Vec::new(),
        choices: Vec::new(),
        single_line: true,
        doc: String::new(),
    };
    let mut connection = parameter("connection", ParameterKind::Text, Some("plain".into()));
    connection.choices = ["plain", "starttls", "tls"].map(Into::into).into();
    let mut port = parameter("port", ParameterKind::Port, Some(25.into()));
    port.conditional_defaults = vec![ConditionalDefault {
        parameter: "connection".into(),
        equals: "tls".into(),
        default: 465.into(),
    }];
    Arc::new(Description {
        name: "smtp".into(),
        version: "1".into(),
        measurement: "smtp".into(),
        doc: String::new(),
        parameters: vec![
            connection,
            port,
            parameter("password", ParameterKind::Secret, None),
            parameter("from", ParameterKind::Text, None),
            parameter("to", ParameterKind::TextList, None),
            parameter("subject", ParameterKind::Text, None),
        ],
        fields: vec![Field {
            name: "login_time_ms".into(),
            kind: FieldKind::Float,
            unit: "ms".into(),
            doc: String::new(),
            when_unreported: None,
        }],
        tags: vec![Tag { name: "connection".into(), parameter: "connection".into(), doc: String::new() }],
        errors: Vec::new(),
    })
}

fn read(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("secret"), "hunter2\r\n").unwrap();
    let describe = |name: &str| (name == "smtp").then(description);
    super::read(&path)
        .and_then(|draft| {
            draft.checks()?;
            draft.jobs(&describe, &|_| Ok(()))
        })
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn job_with(text: &str) -> Result<Job, String> {
    read(&format!("[[job]]\nname = \"a\"\nhost = \"h\"\n{text}")).map(|config| config.jobs[0].clone())
}

#[test]
fn defaults_are_filled_in_and_465_goes_with_tls() {
    let job = job_with("").unwrap();
    assert_eq!((job.port, job.timeout, &*job.check), (25, Duration::from_secs(10), "smtp"));
    assert_eq!(job.tags, [("connection".to_owned(), "plain".to_owned())]);
    assert_eq!(job_with("parameters.connection = \"tls\"").unwrap().port, 465);
    assert_eq!(job_with("parameters = { connection = \"tls\", port = 26 }").unwrap().port, 26);
}

#[test]
fn a_secret_comes_from_a_file_and_shows_nowhere() {
    let job = job_with("parameters.password = { file = \"secret\" }").unwrap();
    assert_eq!(job.parameters["password"], "hunter2");
    assert_eq!(job.secrets, [Secret("hunter2".into())]);
    assert!(!format!("{job:?}{:?}", job.secrets).contains("hunter2"));
}

#[test]
fn hosts_make_one_job_each_and_brackets_go() {
    let config = read("[[job]]\nname = \"a\"\nhosts = [\"h\", \"[::1]\"]").unwrap();
    let hosts: Vec<_> = config.jobs.iter().map(|job| (&*job.name, &*job.host)).collect();
    assert_eq!(hosts, [("a", "h"), ("a", "::1")]);
}

#[test]
fn every_refusal_names_file_job_and_key() {
    for (text, expected) in [
        (
            "parameters.conection = 1",
            "job `a`: parameters.conection: unknown key; did you mean `connection`?",
        ),
        (
            "parameters.connection = \"ssl\"",
            "job `a`: parameters.connection: expected one of plain, starttls, tls",
        ),
        ("parameters.port = 70000", "job `a`: parameters.port: expected a port, 1 to 65535"),
        ("parameters.port = \"25\"", "job `a`: parameters.port: expected a port, 1 to 65535"),
        ("parameters.subject = \"a\\nb\"", "job `a`: parameters.subject: a line break or NUL is not allowed"),
        ("parameters.to = [\"a@b\"]", "job `a`: parameters.from: needed to send a mail (`to` is not empty)"),
        ("parameters.to = [1]", "job `a`: parameters.to: expected a list of texts"),
        (
            "parameters.password = { file = \"none\" }",
            "job `a`: parameters.password: cannot read none: No such file or directory (os error 2)",
        ),
        (
            "parameters.password = { env = \"SONDE_TEST_UNSET\" }",
            "job `a`: parameters.password: the environment variable SONDE_TEST_UNSET is not set",
        ),
        (
            "parameters.password = { vault = \"x\" }",
            "job `a`: parameters.password: expected text, { file = \"…\" } or { env = \"…\" }",
        ),
        ("hosts = [\"b\"]", "job `a`: host: either host or hosts, not both"),
        (
            "timeout = \"10\"",
            "job `a`: timeout: expected a time such as \"10s\", \"500ms\" or \"2m\", at most 10m",
        ),
        ("check = \"pop\"", "job `a`: check: expected the name of a check, such as \"smtp\""),
        (
            "tls.ca_file = \"none\"",
            "job `a`: tls.ca_file: cannot read none: No such file or directory (os error 2)",
        ),
        ("tls.client_cert = \"secret\"", "job `a`: tls: client_cert and client_key: both or neither"),
        (
            "alarm.login_time = { warning = 1 }",
            "job `a`: alarm.login_time: the check reports no such number; did you mean `login_time_ms`?",
        ),
        (
            "alarm.login_time_ms = { warning = \"lots\" }",
            "job `a`: alarm.login_time_ms.warning: `lots` is no limit: expected a number or, for example, \"< 30\" \
             (>, >=, <, <=, ==, !=)",
        ),
        ("timout = \"1s\"", "line 4: unknown key `timout`; did you mean `timeout`?"),
        ("[[job]]\nname = \"a\"\nhost = \"h\"", "job `a`: name: another job has this name"),
        ("[[job]]\nname = \"b\"", "job `b`: host: missing"),
    ] {
        assert_eq!(job_with(text).unwrap_err(), format!("sonde.toml: {expected}"));
    }
    assert_eq!(read("").unwrap_err(), "sonde.toml: no [[job]] in it");
    assert!(read("max_concurrent = 0").unwrap_err().starts_with("sonde.toml: line 1: "));
}

#[test]
fn a_check_that_is_not_the_pinned_one_is_refused() {
    // Of `hunter2` with CR and LF, by sha256sum.
    let digest = "cf2c26438b4e03456111c34450101768d07a5ace90fbac35fc26430115f9da38";
    let zeros = "0".repeat(64);
    for (text, expected) in [
        (
            format!("name = \"a\"\ncomponent = \"secret\"\nsha256 = \"{zeros}\""),
            format!(
                "check `a`: sha256: the file's digest is {digest}: it is not the one that was pinned; look at it with `sonde describe`"
            ),
        ),
        (
            "name = \"a\"\ncomponent = \"secret\"\nsha256 = \"0\"".to_owned(),
            "check `a`: sha256: expected 64 hexadecimal digits".to_owned(),
        ),
        ("name = \"a\"\ncomponent = \"secret\"".to_owned(), "line 1: missing field `sha256`".to_owned()),
        (
            format!("name = \"a\"\ncomponent = \"none\"\nsha256 = \"{zeros}\""),
            "check `a`: component: cannot read none: No such file or directory (os error 2)".to_owned(),
        ),
        (
            format!("name = \"A\"\ncomponent = \"secret\"\nsha256 = \"{zeros}\""),
            "check `A`: name: expected lower-case letters, digits and -".to_owned(),
        ),
        (
            format!("name = \"smtp\"\ncomponent = \"secret\"\nsha256 = \"{zeros}\""),
            "check `smtp`: name: another check has this name".to_owned(),
        ),
    ] {
        let refused = read(&format!("[[check]]\n{text}\n[[job]]\nname = \"a\"\nhost = \"h\"")).unwrap_err();
        assert_eq!(refused, format!("sonde.toml: {expected}"));
    }
}

#[test]
fn the_sample_loads_as_it_is() {
    let sample = sample::sample(&[description()]);
    let config = read(&sample).unwrap();
    assert_eq!(config.jobs[0].limits.len(), 4);
    for parameter in &description().parameters {
        assert!(sample.contains(&format!("\n# {} = ", parameter.name)), "{}", parameter.name);
    }
}
