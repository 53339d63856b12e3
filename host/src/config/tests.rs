//! Refusals with their exact words, and what is accepted.

mod alarm;
mod check;
mod daemon;
mod endpoints;
mod judging;
mod kinds;
mod paths;
mod secret;
mod threads;

use std::{collections::BTreeMap, ffi::OsStr, fs, os::unix::ffi::OsStrExt, sync::Arc, time::Duration};

use serde_json::Value as Json;

use super::*;
use crate::{
    alarm::{Limit, Severity},
    catalogue::HostError,
    check::Check,
    config,
    description::{ConditionalDefault, Description, Field, Parameter, ParameterKind, Part, Tag},
    job::Job,
    value::FieldKind,
};

fn description() -> Arc<Description> {
    let parameter = |name: &str, kind, default: Option<Json>| Parameter {
        default,
        single_line: true,
        ..Parameter::plain(name, kind)
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
        fields: vec![Field { unit: "ms".into(), ..Field::plain("login_time_ms", FieldKind::Float) }],
        tags: vec![Tag { name: "connection".into(), parameter: "connection".into(), doc: String::new() }],
        endpoints: Vec::new(),
        parts: Vec::new(),
        errors: Vec::new(),
    })
}

/// The check of this name, as far as its jobs are concerned.
fn check(name: &str) -> Check {
    Check { description: description(), ..Check::unknown(name, HostError::CheckLoad, String::new()) }
}

fn jobs_of(path: &Path) -> Result<Vec<Job>, ConfigError> {
    let plan = config::read(path)?;
    plan.jobs.iter().map(|planned| planned.job(&check(planned.check()))).collect()
}

fn read(text: &str) -> Result<Vec<Job>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("secret"), "hunter2\r\n").unwrap();
    jobs_of(&path).map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn job_with(text: &str) -> Result<Job, String> {
    read(&format!("[[job]]\nname = \"a\"\nhost = \"h\"\n{text}")).map(|jobs| jobs[0].clone())
}

#[test]
fn defaults_are_filled_in_and_465_goes_with_tls() {
    let job = job_with("").unwrap();
    assert_eq!((job.port, job.timeout, &*job.check.name), (Some(25), Duration::from_secs(10), "smtp"));
    assert_eq!(job.tags, [("connection".to_owned(), "plain".to_owned())]);
    assert_eq!(job_with("parameters.connection = \"tls\"").unwrap().port, Some(465));
    assert_eq!(job_with("parameters = { connection = \"tls\", port = 26 }").unwrap().port, Some(26));
}

#[test]
fn hosts_make_one_job_each_and_brackets_go() {
    let jobs = read("[[job]]\nname = \"a\"\nhosts = [\"h\", \"[::1]\"]").unwrap();
    let hosts: Vec<_> = jobs.iter().map(|job| (&*job.name, job.host.written())).collect();
    assert_eq!(hosts, [("a", "h"), ("a", "::1")]);
    // A thousand hosts have one body of a mail between them.
    assert!(Arc::ptr_eq(&jobs[0].parameters, &jobs[1].parameters));
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
        (
            "parameters.to = [\"a\", \"b\\n\"]",
            "job `a`: parameters.to, entry 2: a line break or NUL is not allowed",
        ),
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
            "job `a`: parameters.password: expected text, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }",
        ),
        ("hosts = [\"b\"]", "job `a`: host: either host or hosts, not both"),
        (
            "[[job]]\nname = \"b\"\nhost = \"mx1.example.org:25\"",
            "job `b`: host: expected a host name or address, without port: the port is `parameters.port`",
        ),
        (
            "[[job]]\nname = \"b\"\nhosts = [\"mx1\", \"127.1\"]",
            "job `b`: hosts, entry 2: expected a host name or address: what ends in a number is no name, and this is no \
             address",
        ),
        (
            "timeout = \"10\"",
            "job `a`: timeout: expected a time such as \"10s\", \"500ms\" or \"2m\", at most 10m",
        ),
        ("check = \"pop\"", "job `a`: check: no check has this name; there is: smtp"),
        ("check = \"smpt\"", "job `a`: check: no check has this name; did you mean `smtp`?"),
        (
            "tls.ca_file = \"none\"",
            "job `a`: tls.ca_file: cannot read none: No such file or directory (os error 2)",
        ),
        ("tls.client_cert = \"secret\"", "job `a`: tls: client_cert and client_key: both or neither"),
        (
            "tls.server_name = \"a b\"",
            "job `a`: tls.server_name: expected a name that a certificate can have",
        ),
        (
            "alarm.login_time = { warning = 1 }",
            "job `a`: alarm.login_time: the check reports no such number; did you mean `login_time_ms`?",
        ),
        ("alarm.login_time_ms = {}", "job `a`: alarm.login_time_ms: expected `warning`, `critical` or both"),
        (
            "alarm.login_time_ms = { warning = \"lots\" }",
            "job `a`: alarm.login_time_ms.warning: no limit: expected a number or, for example, \"< 30\" \
             (>, >=, <, <=, ==, !=)",
        ),
        ("timout = \"1s\"", "line 4: job: unknown key `timout`; did you mean `timeout`?"),
        ("[[job]]\nname = \"a\"\nhost = \"h\"", "job `a`: name: another job has this name"),
        ("[[job]]\nname = \"b\"", "job `b`: host: missing"),
        (
            &format!("[[job]]\nname = \"b\"\nhost = \"{}\"", "h".repeat(257)),
            "job `b`: host: expected a host name or address, without port",
        ),
    ] {
        assert_eq!(job_with(text).unwrap_err(), format!("sonde.toml: {expected}"));
    }
    assert_eq!(read("").unwrap_err(), "sonde.toml: no [[job]] in it");
    assert_eq!(read("cache_dir = ''").unwrap_err(), "sonde.toml: cache_dir: expected a folder");
    assert!(read("max_concurrent = 0").unwrap_err().starts_with("sonde.toml: line 1: "));
}

#[test]
fn a_run_takes_no_longer_than_its_check_may() {
    let digest = "0".repeat(64);
    let check = format!(
        "[[check]]\nname = \"b\"\ncomponent = \"c\"\nsha256 = \"{digest}\"\n\
         description_sha256 = \"{digest}\"\nmeasurement = \"b\"\nlimits.wall_time = \"5s\"\n\
         [[job]]\nname = \"b\"\ncheck = \"b\"\nhost = \"h\"\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        jobs_of(&path)
    };
    assert_eq!(read(&check).unwrap()[0].timeout, Duration::from_secs(5));
    let refused = read(&format!("{check}timeout = \"6s\"")).unwrap_err().to_string();
    assert!(refused.ends_with("job `b`: timeout: the check's limits allow at most 5s"), "{refused}");
}

#[test]
fn a_job_of_a_check_that_cannot_run_it_is_kept_whatever_its_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let job = "[[job]]\nname = \"a\"\nhosts = [\"h\", \"[::1]\"]\nparameters = { port = 6379, x = 1 }\n\
               alarm.y = { warning = 1 }";
    fs::write(&path, job).unwrap();
    let broken = Check::unknown("smtp", HostError::CheckLoad, String::new());
    let plan = config::read(&path).unwrap();
    let jobs: Vec<_> = plan.jobs.iter().map(|planned| planned.unfit(broken.clone())).collect();
    // Its limits, too: they are not judged well.
    let jobs: Vec<_> =
        jobs.iter().map(|job| (job.host.written(), job.port, job.alarm_limits.len())).collect();
    assert_eq!(jobs, [("h", Some(6379), 1), ("::1", Some(6379), 1)]);
    // What its description says of the port is known where that is: its series stays the same.
    let mut described = (*description()).clone();
    described.parameters.iter_mut().filter(|known| known.name == "port").for_each(|port| {
        port.name = "tcp".to_owned();
        port.default = Some(25.into());
    });
    let refusing = Check { description: Arc::new(described), ..broken };
    assert_eq!(plan.jobs[0].unfit(refusing).port, Some(25));
    for wrong in [job.replace("[::1]", "i:25/"), job.replace("warning = 1", "warning = \"x\"")] {
        fs::write(&path, wrong).unwrap();
        assert!(config::read(&path).is_err());
    }
}

#[test]
fn included_files_bring_jobs_and_checks_with_paths_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    let job = |name: &str| format!("[[job]]\nname = \"{name}\"\nhost = \"h\"\n");
    let read =
        || Ok::<_, ConfigError>(jobs_of(&path)?.iter().map(|job| job.name.clone()).collect::<Vec<_>>());
    write("sonde.toml", &format!("include = [\"conf.d/*.toml\"]\n{}", job("main")));
    assert_eq!(read().unwrap(), ["main"]);
    write("conf.d/b.toml", &job("b"));
    // An editor's, and one that was put aside.
    write("conf.d/.#b.toml", "half a jo");
    write("conf.d/.old.toml", &job("old"));
    // Of a system that writes names in Latin-1.
    fs::write(folder.path().join("conf.d").join(OsStr::from_bytes(b"M\xfcll.bak")), "?").unwrap();
    write("conf.d/a.toml", &(job("a") + "parameters.password = { file = \"secret\" }"));
    write("conf.d/secret", "hunter2");
    write("conf.d/ignored.txt", "?");
    assert_eq!(read().unwrap(), ["main", "a", "b"]);
    fs::create_dir(folder.path().join("conf.d/.git")).unwrap();
    write("conf.d/.git/x.toml", &job("x"));
    for (pattern, expected) in [
        ("conf.d/.o*.toml", &["main", "old"][..]),
        ("conf.d/.[n-z]*", &["main", "old"]),
        ("conf.d/.git/*.toml", &["main", "x"]),
        ("conf.d/*/*.toml", &["main"]),
        ("**/[ab].toml", &["main", "a", "b"]),
        ("**/x.toml", &["main"]),
        ("conf.d/*.toml", &["main", "a", "b"]),
    ] {
        write("sonde.toml", &format!("include = [{pattern:?}]\n{}", job("main")));
        assert_eq!(read().unwrap(), expected, "{pattern}");
    }
    let digest = "0".repeat(64);
    write(
        "conf.d/c.toml",
        &format!(
            "[[check]]\nname = \"c\"\ncomponent = \"c.wasm\"\nsha256 = \"{digest}\"\n\
             description_sha256 = \"{digest}\"\nmeasurement = \"c\""
        ),
    );
    assert_eq!(config::read(&path).unwrap().checks[0].source.path, folder.path().join("conf.d/c.wasm"));
    let refused = |name: &str, text: &str| {
        write(name, text);
        read().unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(
        refused("conf.d/c.toml", &job("b")),
        "conf.d/c.toml: job `b`: name: another job has this name"
    );
    for of_all in [
        "max_concurrent = 1",
        "max_per_host = 1",
        "threads = 1",
        "cache_dir = \"cache\"",
        "deny = [\"10.0.0.0/8\"]",
        "include = [\"a.toml\"]",
        "[resolver]",
        "[daemon]",
    ] {
        let expected = "conf.d/c.toml: an included file may only have [[check]] and [[job]]";
        assert_eq!(refused("conf.d/c.toml", of_all), expected, "{of_all}");
    }
    assert_eq!(
        refused("sonde.toml", "include = [\"none.toml\"]"),
        "sonde.toml: include: cannot read none.toml: No such file or directory (os error 2)"
    );
    nix::unistd::mkfifo(&folder.path().join("conf.d/pipe.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(
        refused("sonde.toml", "include = [\"conf.d/p*.toml\"]"),
        "sonde.toml: include: cannot read conf.d/pipe.toml: not a regular file"
    );
    assert!(refused("sonde.toml", "include = [\"***\"]").starts_with("sonde.toml: include: `***`: "));
}

#[test]
fn grants_are_read_and_refused() {
    assert_eq!(job_with("grants = [\"tcp://10.1.0.0/16:6379-6389\"]").unwrap().grants.len(), 1);
    let refused = job_with("grants = [\"tcp://10.1.0.1:1\", \"10.1.0.1\"]").unwrap_err();
    assert!(
        refused.starts_with("sonde.toml: job `a`: grants, entry 2: expected an endpoint such as \"tcp://"),
        "{refused}"
    );
}

#[test]
fn what_is_denied_holds_for_every_job_and_a_bad_entry_is_refused() {
    let job = "[[job]]\nname = \"a\"\nhosts = [\"h\", \"i\"]\n";
    let denied = Deny::new(&["10.0.0.0/8".to_owned(), "fd00::1".to_owned()]).unwrap();
    let jobs = read(&format!("deny = [\"10.0.0.0/8\", \"fd00::1\"]\n{job}")).unwrap();
    assert!(jobs.iter().all(|job| job.deny == denied));
    assert_eq!(read(job).unwrap()[0].deny, Deny::default());
    assert_eq!(
        read(&format!("deny = [\"10.0.0.0/8\", \"h\"]\n{job}")).unwrap_err(),
        "sonde.toml: deny, entry 2: expected a network such as \"10.0.0.0/8\" or an address"
    );
    // Nor can a job lift it, or have one of its own.
    let refused = job_with("deny = []").unwrap_err();
    assert_eq!(
        refused,
        "sonde.toml: line 4: job: unknown key `deny`: it belongs at the top; what the check takes stands in [job.parameters]"
    );
}

#[test]
fn the_sample_loads_as_it_is() {
    let sample = sample::sample(&description());
    assert_eq!(read(&sample).unwrap()[0].alarm_limits.len(), 2);
    for parameter in &description().parameters {
        assert!(sample.contains(&format!("\n# {} = ", parameter.name)), "{}", parameter.name);
    }
}

#[test]
fn two_jobs_never_write_the_same_series() {
    let job = |name: &str, more: &str| format!("[[job]]\nname = '{name}'\n{more}\n");
    let refusal = |other: &str| {
        format!(
            "host: its lines could not be told from those of job `{other}`: the same host is listed twice, or the names \
             differ only in what line protocol cannot carry, or Telegraf does not read (`\\\"` beside a space, comma or `=`)"
        )
    };
    for (text, expected) in [
        (job("a", "hosts = ['h', 'h']"), format!("sonde.toml: job `a`: {}", refusal("a"))),
        (job("a", "hosts = ['::1', '[::1]']"), format!("sonde.toml: job `a`: {}", refusal("a"))),
        (
            job("a", "host = 'h'") + &job("a\\", "host = 'h'"),
            format!("sonde.toml: job `a\\`: {}", refusal("a")),
        ),
        (
            job("a \"x", "host = 'h'") + &job("a \\\"x", "host = 'h'"),
            format!("sonde.toml: job `a \\\"x`: {}", refusal("a \"x")),
        ),
    ] {
        assert_eq!(read(&text).unwrap_err(), expected, "{text}");
    }
    let quoted = job("a\"x", "host = 'h'") + &job("a\\\"x", "host = 'h'");
    let apart = job("a", "hosts = ['h', 'i']") + &job("b", "host = 'h'") + &quoted;
    assert_eq!(read(&apart).unwrap().len(), 5);
}

#[test]
fn parameters_beyond_what_a_check_is_handed_are_refused() {
    let subject = |bytes| job_with(&format!("parameters.subject = '{}'", "x".repeat(bytes)));
    assert!(subject(2_000_000).is_ok());
    assert_eq!(
        subject(2560 << 10).unwrap_err(),
        "sonde.toml: job `a`: parameters: expected at most 2560 KiB, all together"
    );
}

#[test]
fn the_port_is_pinned_that_the_job_would_have() {
    for (given, port) in [(None, 25), (Some("plain"), 25), (Some("tls"), 465)] {
        let given = given.map(|value| ("connection".to_owned(), value.to_owned())).into_iter().collect();
        let pinned = sample::pinned(&check("a"), "a.wasm", "mx1", &given, &BTreeMap::new()).unwrap();
        assert!(pinned.contains(&format!("\nport = {port}\n")), "{pinned}");
    }
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_such_keys_stand() {
    let job = "line 4: job: unknown key `port`: what the check takes stands in [job.parameters], rules of TLS in [job.tls]";
    let refused = |text: &str| read(text).map(drop).unwrap_err();
    let job = format!("sonde.toml: {job}");
    assert_eq!(refused("[[job]]\nname = \"a\"\nhost = \"h\"\nport = 25"), job);
    assert_eq!(
        refused("[[job]]\nname = \"a\"\nhost = \"h\"\n[job.endpoints.imap]\nport = 993"),
        "sonde.toml: line 5: job.endpoints.imap: unknown key `port`: the port of an endpoint is a parameter, see `sonde \
         describe`"
    );
    assert_eq!(
        refused("[job]\nname = \"a\""),
        "sonde.toml: line 1: job: expected a list, not a table: write two brackets, as in [[job]]; its tables, such as \
         [job.parameters], stand below it"
    );
    assert_eq!(refused("[include]\na = 1"), "sonde.toml: line 1: include: expected a list, not a table");
    assert_eq!(
        refused("[[job]]\nname = \"a\"\nhost = \"h\"\nalarm.total_time_ms = 5"),
        "sonde.toml: line 4: job.alarm.total_time_ms: expected a table such as { warning = 200, critical = 1000 }, not a \
         whole number"
    );
}
