//! One harm at a time, while a check runs and while it is loaded: each ends in its own error code and text, in time, with the
//! process's memory within its bound.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sonde_host::{
    catalogue::HostError,
    check::Check,
    report::{Outcome, Report},
    sandbox::{
        Limits, LoadError, Pinned, Source,
        cache::{Cache, CacheError},
    },
    schedule::{self, RoundTime},
    value::Value,
};
use tokio::task::JoinSet;

use support::hostile;

use crate::{
    components::{OWN_IMPORTS, Wat, doubled, instances, wat},
    process::{ALONE, Log, forget_peak, peak_kib, resident_kib},
    servers::Server,
    yard::{Checks, GOOD_JOBS, SECRET, TIMEOUT, Yard, compiler, load},
};

/// What a round may add to the process's memory: the hostile check's own limit, and 2 MiB for each job beside it.
const MEMORY_KIB: u64 = (64 + 2 * GOOD_JOBS as u64) << 10;
/// From the time-out to the end of a round: the grace, and what two busy cores may add.
const LATE: Duration = Duration::from_secs(3);
/// Lines in the log of one round: a check's own, what is said of them, and a failed job's.
const LOG_LINES: usize = 20 + 8;

fn said(report: &Report) -> &str {
    match report.fields.iter().find(|(name, _)| name == "said") {
        Some((_, Value::Text(text))) => text,
        other => panic!("{other:?}"),
    }
}

/// Small checks by name; all but the last do harm.
fn small_checks() -> Vec<(&'static str, Wat<'static>)> {
    let loop_ = Wat { run: "(call $loop)", ..Wat::default() };
    vec![
        ("wat-loop", loop_),
        ("realloc-loop", Wat { realloc: "(call $loop)", run: "", ..loop_ }),
        ("post-return-loop", Wat { post_return: "(call $loop)", run: "", ..loop_ }),
        (
            "drop-loop",
            Wat {
                imports: OWN_IMPORTS,
                parts: "(func (export \"harm:harm/things#[dtor]thing\") (param i32) (call $loop))",
                run: "(call $drop (call $new (i32.const 1)))",
                ..loop_
            },
        ),
        ("recursion", Wat { run: "(drop (call $recurse (i32.const 0)))", ..loop_ }),
        ("unreachable", Wat { run: "unreachable", ..loop_ }),
        (
            "tables",
            Wat {
                parts: "(table $t 1 funcref)",
                run: "(if (i32.eq (table.grow $t (ref.null func) (i32.const 1000000000)) (i32.const -1)) (then unreachable))",
                ..loop_
            },
        ),
        (
            "memory",
            Wat {
                run: "(if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable))",
                ..loop_
            },
        ),
        // Fields: a pointer outside of memory, or more than there can be.
        ("pointer", Wat { run: "", report: &[0xf0, 0xff, 0xff, 0xff, 1, 0, 0, 0], ..loop_ }),
        ("length", Wat { run: "", report: &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], ..loop_ }),
        // A failure that comes from neither the network nor a judgement; one whose text is not UTF-8.
        ("case", Wat { run: "", report: &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 77], ..loop_ }),
        (
            "text",
            Wat {
                parts: "(data (i32.const 1500) \"\\ff\\fe\")",
                run: "",
                report: &[
                    0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdc, 5, 0, 0, 2,
                    0, 0, 0,
                ],
                ..loop_
            },
        ),
        ("honest-wat", Wat { run: "", ..loop_ }),
    ]
}

/// The harm, the check that does it, and what its line then says.
const FAILURES: &[(&str, &str, HostError, &str)] = &[
    ("loop", "hostile", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("fill", "hostile", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("random", "hostile", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("write-letters", "hostile", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("wat-loop", "wat-loop", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("realloc-loop", "realloc-loop", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("post-return-loop", "post-return-loop", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("drop-loop", "drop-loop", HostError::CheckCpu, "the check computed for more than 500ms"),
    ("wait-on", "hostile", HostError::CheckDeadline, "no report within 1s and 500ms of grace: stopped"),
    ("bloat", "hostile", HostError::CheckMemory, "wasm trap: "),
    ("memory", "memory", HostError::CheckMemory, "wasm trap: "),
    ("tables", "tables", HostError::CheckMemory, "wasm trap: "),
    ("flood-calls", "hostile", HostError::CheckLimit, "more than 100000 calls into the host"),
    ("flood-writes", "hostile", HostError::CheckLimit, "more than 100000 calls into the host"),
    ("write-at-once", "hostile", HostError::CheckTrapped, "wrote more to a stream than it takes at once"),
    ("trap", "hostile", HostError::CheckTrapped, "wasm trap: "),
    ("unreachable", "unreachable", HostError::CheckTrapped, "wasm trap: wasm `unreachable`"),
    ("exit", "hostile", HostError::CheckTrapped, "exit"),
    ("stack", "hostile", HostError::CheckTrapped, "wasm trap: "),
    ("recursion", "recursion", HostError::CheckTrapped, "wasm trap: call stack exhausted"),
    ("huge-report", "hostile", HostError::CheckTrapped, "fuel"),
    ("random-at-once", "hostile", HostError::CheckTrapped, "exceeds limit 4096"),
    ("pointer", "pointer", HostError::CheckTrapped, "out of bounds"),
    ("length", "length", HostError::CheckTrapped, ""),
    ("case", "case", HostError::CheckTrapped, "discriminant"),
    ("text", "text", HostError::CheckTrapped, "utf-8"),
    ("unannounced", "hostile", HostError::CheckReport, "field `result` is reported but not announced"),
    ("twice", "hostile", HostError::CheckReport, "field `state` is reported twice"),
    ("retyped", "hostile", HostError::CheckReport, "field `state` is not of the announced kind"),
    ("not-a-number", "hostile", HostError::CheckReport, "field `time_ms` is no finite number"),
    ("forged-code", "hostile", HostError::CheckReport, "error code 201 is not announced"),
    ("secret-in-a-panic", "hostile", HostError::CheckTrapped, "wasm trap: "),
    ("silence", "hostile", HostError::ReadTimeout, ": silence"),
    ("write-without-end", "hostile", HostError::ReadTimeout, ""),
];

/// Components by name, and why each is refused.
type Refused = (&'static str, Vec<u8>, HostError, &'static str);

/// Those whose instances would cost more than anybody could stop.
fn costly_instances() -> Vec<Refused> {
    vec![
        (
            "doubled",
            doubled(18),
            HostError::CheckCompile,
            "an instance of it has more than 2048 KiB of globals, elements, resources and instances",
        ),
        (
            "globals",
            instances(8, &"(global (mut i64) (i64.const 0))".repeat(20_000)),
            HostError::CheckCompile,
            "an instance of it has more than 2048 KiB of globals, elements, resources and instances",
        ),
        (
            "data",
            instances(30, &format!("(data (i32.const 0) \"{}\")", "x".repeat(2 << 20))),
            HostError::CheckCompile,
            "an instance of it copies more than 48 MiB of data",
        ),
        (
            "component-of-another",
            wat::parse_str("(component (component (import \"a\" (component))))").unwrap(),
            HostError::CheckCompile,
            "a component in it imports, or takes out of another, a module or component",
        ),
    ]
}

fn refused_checks() -> Vec<Refused> {
    let loop_ = Wat { parts: "(start $loop)", ..Wat::default() };
    let declared = |parts| wat("declared", Wat { parts, ..Wat::default() });
    let mut cases = vec![
        (
            "start-loop",
            wat("start", loop_),
            HostError::CheckDescribe,
            "the check computed for more than 200ms",
        ),
        ("table", declared("(table 4000000000 funcref)"), HostError::CheckDescribe, "table"),
        ("instances", instances(200, ""), HostError::CheckDescribe, "memory count too high"),
        (
            "core-module",
            wat::parse_str("(module)").unwrap(),
            HostError::CheckLoad,
            "a core WebAssembly module, not a component: ",
        ),
        (
            "no-exports",
            wat::parse_str("(component)").unwrap(),
            HostError::CheckLoad,
            "not a usable component: ",
        ),
        ("no-wasm", b"#!/bin/sh\nharm".to_vec(), HostError::CheckLoad, "not a usable component: "),
        (
            "other-import",
            wat::parse_str("(component (import \"wasi:http/types@0.2.0\" (instance)))").unwrap(),
            HostError::CheckImport,
            "the component imports `wasi:http/types@0.2.0`, which no check gets",
        ),
        (
            "other-wasi",
            wat::parse_str("(component (import \"wasi:clocks/monotonic-clock@0.3.0\" (instance)))").unwrap(),
            HostError::CheckImport,
            "the component imports `wasi:clocks/monotonic-clock@0.3.0`, which no check gets",
        ),
        (
            "other-version",
            wat::parse_str("(component (import \"sonde:check/network@0.9.0\" (instance)))").unwrap(),
            HostError::CheckVersion,
            "the component is built for sonde:check@0.9.0; this host speaks sonde:check@0.1.0",
        ),
    ];
    let honest = hostile("honest");
    cases.push((
        "truncated",
        honest[..honest.len() / 2].to_vec(),
        HostError::CheckLoad,
        "not a usable component: ",
    ));
    cases.push((
        "oversized",
        vec![0; (64 << 20) + 1],
        HostError::CheckLoad,
        "the component is larger than 67108864 bytes",
    ));
    for (mode, text) in [
        ("loop", "the check computed for more than 200ms"),
        ("wait", "a check that describes itself has nothing to wait for"),
        ("trap", "wasm trap: "),
        ("exit", "exit"),
        ("long", "fuel"),
        ("default-in-tags", "fuel"),
        ("nested-default", "fuel"),
        ("many-tags", "bytes, more than 65536"),
        ("many-texts", "bytes, more than 65536"),
        ("many", "more than 256 parameters"),
        ("deep", "a default of parameter `harm` is not JSON"),
        ("escape-in-a-default", "a default of parameter `harm` has hidden characters"),
        ("escape-in-a-condition", "a default of parameter `harm` depends on a parameter that does not exist"),
        ("measurement-smtp", "measurement `smtp` belongs to the built-in check"),
        ("measurement-sonde", "measurement `sonde` belongs to the host"),
        ("measurement-line", "`a b=1 smtp` is no name"),
        ("tag-of-the-host", "`server` belongs to the host"),
        ("tag-of-a-secret", "tag `shown` shows a parameter that is a secret"),
        ("field-of-the-host", "`result_code` belongs to the host"),
        ("code-of-the-host", "error code 201 is below 1000"),
        ("known-secrets", "parameter `s0` is a secret: its default can only be the empty text"),
        ("two-ports", "exactly one parameter of kind port"),
    ] {
        cases.push((mode, hostile(mode), HostError::CheckDescribe, text));
    }
    cases.extend(costly_instances());
    cases
}

/// Runs it in a round of its own, and looks at what it cost the process.
async fn alone_in_a_round(yard: &Yard, log: &mut Log, name: &str, check: &str) -> (Report, String) {
    forget_peak();
    let (before, began) = (resident_kib(), Instant::now());
    let mut came = yard.round(&[(name, check)], TIMEOUT).await;
    let (took, grown) = (began.elapsed(), peak_kib().saturating_sub(before));
    assert!(took < TIMEOUT + LATE, "{name} took {took:?}");
    assert!(grown < MEMORY_KIB, "{name} grew the process by {grown} KiB");
    let lines = log.lines();
    assert!(lines.len() <= LOG_LINES, "{name}: {lines:#?}");
    // Nor its halves.
    let shows = |line: &String| line.contains(&SECRET[..5]) || line.contains(&SECRET[5..]);
    assert!(!lines.iter().any(shows), "{name}: {lines:#?}");
    came.pop().unwrap()
}

#[tokio::test]
async fn a_check_that_harms_while_it_runs_is_contained() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    for (name, parts) in small_checks() {
        let measurement = name.replace('-', "_");
        load(&mut sandbox, name, &wat(&measurement, parts), Limits::default()).await.unwrap();
    }
    load(&mut sandbox, "texts", &hostile("texts"), Limits::default()).await.unwrap();
    let yard = Yard::new(sandbox);
    // What was said while they were compiled.
    drop(log.lines());
    assert_eq!(alone_in_a_round(&yard, &mut log, "x", "honest-wat").await.0.outcome(), Outcome::Success);

    for (harm, check, expected, text) in FAILURES.iter().copied() {
        let (report, line) = alone_in_a_round(&yard, &mut log, harm, check).await;
        let failure = report.failure.as_ref().unwrap_or_else(|| panic!("{harm} succeeded"));
        assert_eq!(failure.code, expected.code(), "{harm}: {failure:?}");
        assert_eq!(report.outcome(), expected.outcome(), "{harm}");
        assert!(failure.text.contains(text) && !failure.text.is_empty(), "{harm}: {failure:?}");
        if expected.outcome() == Outcome::CheckError && check == "hostile" {
            // What the check announced for a run that cannot report.
            assert_eq!(report.fields, [("state".to_owned(), Value::Integer(-1))], "{harm}: {line}");
        }
    }
    for harm in ["flood-output", "line-without-end"] {
        let (report, _) = alone_in_a_round(&yard, &mut log, harm, "hostile").await;
        // Whichever is used up first, its time or its calls.
        let ends = [HostError::CheckCpu, HostError::CheckLimit].map(HostError::code);
        assert!(
            report.failure.as_ref().is_some_and(|failure| ends.contains(&failure.code)),
            "{harm}: {report:?}"
        );
    }
    for (harm, expected) in [
        ("elsewhere", "3"),
        // An hour, and then a read: its time is over.
        ("wait", "ErrorKind::Timeout"),
        ("world", "[]"),
        ("connections", "992"),
        ("ten-thousand-connections", "9992"),
        ("forged-line", "\",state=9i 1 smtp,job=x state=1i\\"),
    ] {
        let (report, _) = alone_in_a_round(&yard, &mut log, harm, "hostile").await;
        assert_eq!(report.failure, None, "{harm}");
        assert_eq!(said(&report), expected, "{harm}");
    }
    for harm in ["long-report", "flood-log"] {
        let (report, line) = alone_in_a_round(&yard, &mut log, harm, "hostile").await;
        assert!(report.failure.is_none() && line.len() < 1000, "{harm}: {line}");
    }
    let (_, line) = alone_in_a_round(&yard, &mut log, "secret-everywhere", "hostile").await;
    assert!(line.contains("said=\"***\"") && line.contains("error=\"harm: ***\""), "{line}");
    // As many and as long texts as there can be, and as many and as long secrets to be looked for in them.
    let (report, line) = alone_in_a_round(&yard, &mut log, "texts", "texts").await;
    assert!(line.len() <= 64 << 10 && report.used.cpu < Limits::default().cpu_time, "{report:?}");
    assert_eq!(
        report.fields.iter().filter(|field| field.1 == Value::Text("***".into())).count(),
        90,
        "{line}"
    );
    let (_, line) = alone_in_a_round(&yard, &mut log, "secret-in-parts", "hostile").await;
    assert!(line.contains("said=\"***\""), "{line}");
}

/// The harm of a server, what its client's line then says, and the bytes of content that came before.
const SERVERS: &[(&str, Option<HostError>, usize)] = &[
    ("tls-behind-the-end", None, 3),
    ("tls-empty-records", Some(HostError::TlsFailed), 0),
    ("tls-nearly-empty-records", Some(HostError::CheckLimit), 0),
    ("tls-tickets", Some(HostError::CheckLimit), 0),
    ("tls-small-tickets", Some(HostError::CheckLimit), 0),
    // A byte in each record of 16,000.
    ("tls-padding", Some(HostError::CheckLimit), TRAFFIC / 16_000),
];
/// A run's share.
const TRAFFIC: usize = 4 << 20;
/// What the system takes from a server beyond it, on both sides.
const BUFFERED: usize = 12 << 20;

#[tokio::test]
async fn a_server_that_speaks_without_end_is_contained() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    let limits = Limits { traffic_bytes: TRAFFIC as u64, ..Limits::default() };
    load(&mut sandbox, "hostile", &hostile("honest"), limits).await.unwrap();
    let mut yard = Yard::new(sandbox);
    for (harm, expected, content) in SERVERS.iter().copied() {
        let server = Server::start(harm);
        yard.servers.insert(harm, server.port);
        let (report, line) = alone_in_a_round(&yard, &mut log, harm, "hostile").await;
        let code = report.failure.as_ref().map(|failure| failure.code);
        assert_eq!(code, expected.map(HostError::code), "{line}");
        assert!(said(&report).parse::<usize>().unwrap() <= content, "{line}");
        assert!(server.sent() < TRAFFIC + BUFFERED, "{harm}: {} bytes", server.sent());
    }
}

#[tokio::test]
async fn as_many_connections_as_can_be_allowed_can_be_open_at_once() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    // What the configuration allows at most.
    let limits = Limits { connections: 240, ..Limits::default() };
    load(&mut sandbox, "hostile", &hostile("honest"), limits).await.unwrap();
    let yard = Yard::new(sandbox);
    let (report, line) = alone_in_a_round(&yard, &mut log, "connections", "hostile").await;
    // Of a thousand.
    assert_eq!(said(&report), "760", "{line}");
}

#[tokio::test]
async fn reports_that_wait_to_be_written_are_short() {
    let _alone = ALONE.lock().await;
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let yard = Yard::new(sandbox);
    let jobs = (0..100).map(|_| std::future::ready(yard.job("long-report", "hostile", TIMEOUT)));
    let jobs: Vec<_> = jobs.collect();
    forget_peak();
    let before = resident_kib();
    let mut reports = schedule::round(&yard.sandbox, jobs, 1, RoundTime::now());
    // Nobody takes one before all have come.
    while reports.len() < 100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let grown = peak_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB");
    while let Some((_, report)) = reports.recv().await {
        assert_eq!(report.failure, None);
        assert_eq!(said(&report).len(), 256);
    }
}

#[tokio::test]
async fn whatever_a_check_does_the_process_grows_by_little_more_than_its_memory() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let yard = Yard::new(sandbox);
    for harm in ["hold-all", "bloat", "huge-report", "long-report", "line-without-end", "flood-output"] {
        forget_peak();
        let before = resident_kib();
        let job = yard.job(harm, "hostile", TIMEOUT);
        let report = schedule::round(&yard.sandbox, [std::future::ready(job)], 1, RoundTime::now())
            .recv()
            .await
            .unwrap()
            .1;
        let grown = peak_kib().saturating_sub(before);
        println!("{harm}: {grown} KiB, {:?}", report.used);
        assert!(grown < (64 + 12) << 10, "{harm} grew the process by {grown} KiB");
    }
    log.lines();
}

#[tokio::test]
async fn a_denied_connection_is_counted_and_in_the_operators_log() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let yard = Yard::new(sandbox);
    yard.round(&[("elsewhere", "hostile")], TIMEOUT).await;
    let lines = log.lines();
    let denied = |to: &str| {
        let begin = "W! job elsewhere: check hostile: denied: connect to ";
        lines.iter().any(|line| *line == format!("{begin}{to}: the job does not grant it"))
    };
    assert!(denied("127.0.0.1:22") && denied("169.254.169.254:80"), "{lines:#?}");
}

#[tokio::test]
async fn checks_that_do_not_describe_themselves_do_not_hold_up_the_round() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let sandbox = Arc::new(Checks::new().await.sandbox);
    let folder = tempfile::tempdir().unwrap();
    let compiler = Arc::new(compiler(Cache::open(Some(folder.path().join("cache")))));
    let mut sources = Vec::new();
    for (mode, count) in [("honest", 1), ("wait", 10), ("loop", 10)] {
        let path = folder.path().join(mode);
        std::fs::write(&path, hostile(mode)).unwrap();
        for number in 0..count {
            let (name, path) = (format!("{mode}-{number}"), path.clone());
            sources.push(Source { name, path, pinned: None, limits: Limits::default() });
        }
    }
    // Compiled before, as by `sonde compile`.
    for place in [0, 1, 11] {
        drop(sandbox.load(&sources[place], &compiler).await);
    }
    let began = Instant::now();
    let mut loading = JoinSet::new();
    for source in sources {
        let (sandbox, compiler) = (Arc::clone(&sandbox), Arc::clone(&compiler));
        loading.spawn(async move { Check::load(&sandbox, &source, &compiler).await.map(|check| check.name) });
    }
    let loaded = loading.join_all().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let loaded: Vec<_> = loaded.into_iter().flatten().collect();
    assert_eq!(loaded, ["honest-0"]);
    log.lines();
}

/// The component as if built for another version of the interface.
fn of_version(version: &str) -> Vec<u8> {
    let mut wasm = hostile("honest");
    let mut at = 0;
    while let Some(found) = wasm[at..].windows(12).position(|window| window == b"sonde:check/") {
        at += found + 12;
        let name = wasm[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if wasm[at + name..].starts_with(b"@0.1.0") {
            wasm[at + name + 1..at + name + 6].copy_from_slice(version.as_bytes());
        }
    }
    wasm
}

#[tokio::test]
async fn a_component_of_a_compatible_version_runs_and_of_another_is_refused() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "hostile", &of_version("0.1.9"), Limits::default()).await.unwrap();
    let refused = load(&mut sandbox, "other", &of_version("0.2.0"), Limits::default()).await.unwrap_err();
    assert_eq!(refused.host_error(), HostError::CheckVersion);
    let text = "the component is built for sonde:check@0.2.0; this host speaks sonde:check@0.1.0";
    assert_eq!(refused.to_string(), text);
    let (report, line) = Yard::new(sandbox).round(&[("none", "hostile")], TIMEOUT).await.pop().unwrap();
    assert_eq!(report.outcome(), Outcome::Success, "{line}");
    log.lines();
}

#[tokio::test]
async fn what_a_check_says_of_itself_is_a_function_of_its_bytes() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    let mut said = Vec::new();
    // Whatever its limits are, too: an operator may change them.
    for memory_bytes in [64 << 20, 2 << 20] {
        let limits = Limits { memory_bytes, ..Limits::default() };
        load(&mut sandbox, "changing", &hostile("changing"), limits).await.unwrap();
        said.push(sandbox.description("changing").clone());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].sha256(), said[1].sha256());
    assert!(said[0].doc.contains("SystemTime { tv_sec: 0, tv_nsec: 0 }"), "{}", said[0].doc);
    log.lines();
}

#[tokio::test]
async fn however_many_compute_without_end_the_others_have_their_turn() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let mut yard = Yard::new(sandbox);
    // Turn by turn with a hundred others, a session of ten waits would take ten seconds.
    yard.good_timeout = Duration::from_secs(3);
    for (report, _) in yard.round(&[("loop", "hostile"); 100], Duration::from_secs(5)).await {
        let code = report.failure.unwrap().code;
        assert!([HostError::CheckCpu.code(), HostError::CheckDeadline.code()].contains(&code), "{code:?}");
    }
    log.lines();
}

#[tokio::test]
async fn a_check_that_harms_while_it_is_loaded_is_contained() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    let mut names = Vec::new();
    for (name, wasm, expected, text) in &refused_checks() {
        let began = Instant::now();
        let refused = load(&mut sandbox, name, wasm, Limits::default()).await.err();
        let refused = refused.unwrap_or_else(|| panic!("{name} was loaded"));
        assert!(began.elapsed() < Duration::from_secs(10), "{name} took {:?}", began.elapsed());
        assert_eq!(refused.host_error(), *expected, "{name}: {refused}");
        assert!(refused.to_string().contains(text), "{name}: {refused}");
        sandbox.refuse(name, &refused);
        names.push((*name, *name));
    }
    // It is given no network while it describes itself, and what it says then goes no further than its own text.
    load(&mut sandbox, "network", &hostile("network"), Limits::default()).await.unwrap();
    assert_eq!(sandbox.description("network").doc, "ErrorKind::Denied");
    let folder = tempfile::tempdir().unwrap();
    let pinned = folder.path().join("pinned.wasm");
    std::fs::write(&pinned, hostile("honest")).unwrap();
    let digest = "0".repeat(64);
    let of = Pinned { sha256: digest.clone(), description_sha256: digest, measurement: "hostile".into() };
    let source = Source { name: "digest".into(), path: pinned, pinned: Some(of), limits: Limits::default() };
    let compiler = Arc::new(compiler(Err(CacheError::NoFolder)));
    let refused = sandbox.sandbox.load(&source, &compiler).await.unwrap_err();
    assert!(matches!(refused, LoadError::Digest(_)) && refused.host_error() == HostError::CheckDigest);
    sandbox.refuse("digest", &refused);
    names.push(("digest", "digest"));

    // All of them in one round: each job says why, the good ones do not notice.
    let yard = Yard::new(sandbox);
    log.lines();
    let came = yard.round(&names, TIMEOUT).await;
    for ((name, _), (report, line)) in names.iter().zip(came) {
        assert_eq!(report.outcome(), Outcome::CheckError, "{name}");
        assert!(line.starts_with(&format!("sonde,job={name},")), "{line}");
        assert!(report.failure.unwrap().text.starts_with(&format!("check `{name}`: ")), "{line}");
    }
}
