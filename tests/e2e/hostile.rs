//! Checks that trap, loop, grow, flood and lie: each becomes a report with its own number, and good jobs in the same
//! round are not harmed.

use std::{
    net::TcpListener,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use sonde_host::{
    alarm::Alarm,
    catalogue::HostError,
    job::{Job, Secret, TlsRules},
    line,
    report::{Outcome, Report, Value},
    sandbox::{Limits, LoadError, Sandbox, cache::CacheError},
    schedule::{self, RoundTime},
};

use crate::support::points;

/// Jobs that do no harm, beside each that does.
const GOOD_JOBS: usize = 10;
const SOFT: Duration = Duration::from_secs(2);

/// The component of `tests/hostile`.
pub(crate) fn hostile() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&root).args(["build", "--release", "--locked", "--package", "sonde-hostile"]);
    cargo.args(["--target", "wasm32-wasip2", "--message-format", "json"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let file = messages.split('"').find(|word| word.ends_with("sonde_hostile.wasm")).unwrap();
    std::fs::read(file).unwrap()
}

/// Loads a component with the usual limits, and without a cache.
async fn load(sandbox: &mut Sandbox, name: &str, wasm: &[u8]) -> Result<(), LoadError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), wasm).unwrap();
    sandbox.load(name, file.path(), None, Limits::default(), Err(&CacheError::NoFolder)).await
}

fn job(harm: &str, port: u16) -> Job {
    let parameters = serde_json::json!({ "harm": harm, "port": port, "password": "open-sesame" });
    Job {
        name: harm.into(),
        check: "hostile".into(),
        host: "127.0.0.1".into(),
        port,
        timeout: SOFT,
        parameters: parameters.as_object().unwrap().clone(),
        tags: Vec::new(),
        grants: Vec::new(),
        secrets: vec![Secret("open-sesame".into())],
        tls: TlsRules::default(),
        limits: Vec::new(),
    }
}

/// Runs it with good jobs beside it; gives its report and line.
async fn round(sandbox: &Arc<Sandbox>, harm: &str, port: u16) -> (Report, String) {
    let mut jobs = vec![job(harm, port)];
    jobs.extend((0..GOOD_JOBS).map(|_| job("none", port)));
    let began = Instant::now();
    let mut reports = schedule::round(sandbox, jobs, 64, RoundTime::now());
    let (mut bad, mut good) = (None, 0);
    while let Some((job, report)) = reports.recv().await {
        let description = sandbox.description("hostile").unwrap();
        let line = line::line(&job, &description, &report, &Alarm::default(), 7);
        assert_eq!(points(&line).len(), 1);
        if job.name == "none" {
            assert_eq!(report.outcome(), Outcome::Success, "{harm} harmed a good job: {report:?}");
            good += 1;
        } else {
            assert!(bad.replace((report, line)).is_none(), "{harm} reported twice");
        }
    }
    assert_eq!(good, GOOD_JOBS, "{harm}");
    assert!(began.elapsed() < SOFT + Duration::from_secs(10), "{harm} took {:?}", began.elapsed());
    bad.unwrap()
}

fn said(report: &Report) -> &str {
    match report.fields.iter().find(|(name, _)| name == "said") {
        Some((_, Value::Text(text))) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_check_that_does_harm_is_contained() {
    let mut sandbox = Sandbox::new().await.unwrap();
    load(&mut sandbox, "hostile", &hostile()).await.unwrap();
    let sandbox = Arc::new(sandbox);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for (harm, expected) in [
        ("loop", HostError::CheckCpu),
        ("trap", HostError::CheckTrapped),
        ("stack", HostError::CheckTrapped),
        ("bloat", HostError::CheckMemory),
        ("huge-report", HostError::CheckTrapped),
        ("flood-calls", HostError::CheckLimit),
        ("unannounced", HostError::CheckReport),
        ("twice", HostError::CheckReport),
        ("retyped", HostError::CheckReport),
        ("not-a-number", HostError::CheckReport),
        ("forged-code", HostError::CheckReport),
        ("silence", HostError::ReadTimeout),
    ] {
        let (report, line) = round(&sandbox, harm, port).await;
        let failure = report.failure.as_ref().unwrap_or_else(|| panic!("{harm} succeeded"));
        assert_eq!(failure.code, expected.code(), "{harm}: {failure:?}");
        assert_eq!(report.outcome(), expected.outcome(), "{harm}");
        assert!(!failure.text.is_empty() && !line.contains('\x1b'), "{harm}: {line}");
        if expected.outcome() == Outcome::CheckError {
            // What the check announced for a run that cannot report.
            assert_eq!(report.fields, [("state".to_owned(), Value::Integer(-1))], "{harm}");
        }
    }
    for (harm, expected) in
        [("elsewhere", "3"), ("connections", "992"), ("forged-line", "\",state=9i 1\nsmtp,job=x state=1i\\")]
    {
        let (report, _) = round(&sandbox, harm, port).await;
        assert_eq!(report.failure, None, "{harm}");
        assert_eq!(said(&report), expected, "{harm}");
    }
    for harm in ["long-report", "flood-log"] {
        let (report, line) = round(&sandbox, harm, port).await;
        assert_eq!(report.failure, None, "{harm}");
        assert!(line.len() < 1000, "{harm}");
    }
    let (_, line) = round(&sandbox, "secret", port).await;
    assert!(!line.contains("open-sesame") && line.contains("said=\"***\""), "{line}");
}

#[tokio::test]
async fn what_is_not_a_usable_component_is_refused_by_what_is_wrong() {
    let mut sandbox = Sandbox::new().await.unwrap();
    for (text, expected) in [
        ("(module)", "not a usable component: "),
        ("(component)", "not a usable component: "),
        (
            "(component (import \"wasi:http/types@0.2.0\" (instance)))",
            "the component imports `wasi:http/types@0.2.0`, which no check gets",
        ),
        (
            "(component (import \"sonde:check/network@0.9.0\" (instance)))",
            "the component is built for sonde:check@0.9.0; this host speaks sonde:check@0.1.0",
        ),
    ] {
        let refused = load(&mut sandbox, "x", &wat::parse_str(text).unwrap()).await.unwrap_err().to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
    let refused = load(&mut sandbox, "x", b"no wasm at all").await.unwrap_err().to_string();
    assert!(refused.starts_with("not a usable component: "), "{refused}");
}
