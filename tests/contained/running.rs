//! One harm at a time while a check runs: a hostile check's job among good ones in; its own error code and text out, in time,
//! with the process's memory within its bound.

use std::time::{Duration, Instant};

use sonde_host::{
    catalogue::HostError,
    report::{Outcome, Report},
    sandbox::{Limits, SMTP},
    schedule::{self, Ended, RoundTime},
    value::Value,
};

use support::hostile;

use crate::{
    components::{OWN_IMPORTS, Wat, wat},
    process::{ALONE, Log, forget_peak, peak_kib, resident_kib},
    servers::Server,
    yard::{Checks, GOOD_JOBS, SECRET, TIMEOUT, Yard, load},
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
        (
            "case",
            Wat {
                run: "",
                report: &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 77],
                ..loop_
            },
        ),
        (
            "text",
            Wat {
                parts: "(data (i32.const 1500) \"\\ff\\fe\")",
                run: "",
                report: &[
                    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0,
                    0, 0, 0xdc, 5, 0, 0, 2, 0, 0, 0,
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
    ("write-letters", "hostile", HostError::CheckLimit, "more than 100000 calls into the host"),
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
    ("huge-report", "hostile", HostError::CheckLimit, "more than 4096 KiB handed over in one call"),
    ("random-at-once", "hostile", HostError::CheckTrapped, "exceeds limit 4096"),
    ("pointer", "pointer", HostError::CheckTrapped, "out of bounds"),
    ("length", "length", HostError::CheckTrapped, ""),
    ("case", "case", HostError::CheckTrapped, "discriminant"),
    ("text", "text", HostError::CheckTrapped, "the check hands over a text that is not UTF-8: "),
    ("unannounced", "hostile", HostError::CheckReport, "field `result` is reported but not announced"),
    ("twice", "hostile", HostError::CheckReport, "field `state` is reported twice"),
    ("retyped", "hostile", HostError::CheckReport, "field `state` is announced as integer and reported as "),
    ("not-a-number", "hostile", HostError::CheckReport, "field `time_ms` is no finite number"),
    ("forged-code", "hostile", HostError::CheckReport, "error code 201 is not announced"),
    ("secret-in-a-panic", "hostile", HostError::CheckTrapped, "wasm trap: "),
    ("silence", "hostile", HostError::ReadTimeout, ": silence"),
    ("write-without-end", "hostile", HostError::WriteTimeout, "it does not read what is sent"),
];

/// Runs it in a round of its own, and looks at what it cost the process.
pub(crate) async fn alone_in_a_round(
    yard: &Yard,
    log: &mut Log,
    name: &str,
    check: &str,
) -> (Report, String) {
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
    for checks in [Checks::new().await, Checks::pooled().await] {
        is_contained(checks).await;
    }
}

async fn is_contained(mut sandbox: Checks) {
    let mut log = Log::begin();
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
        ("wait", "ErrorKind::ConnectTimeout"),
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

/// Finds nothing that another run left behind, and leaves all that it can: in its memory, in what the component had there
/// already, in a table and a variable.
const LEAVES: Wat<'static> = Wat {
    imports: "",
    parts: "(table $left 2 funcref) (elem declare func $loop) (global $mark (mut i32) (i32.const 0))
        (func $none (param i32) (if (local.get 0) (then unreachable)))
        (func $found_nothing (local $at i32)
            (call $none (i32.eq (memory.grow (i32.const 8)) (i32.const -1)))
            (call $none (global.get $mark))
            (call $none (i32.eqz (ref.is_null (table.get $left (i32.const 1)))))
            ;; The `p` of `port`.
            (call $none (i32.ne (i32.load8_u (i32.const 1300)) (i32.const 112)))
            (local.set $at (i32.const 32768))
            (loop $next
                (call $none (i64.ne (i64.load (local.get $at)) (i64.const 0)))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br_if $next (i32.lt_u (local.get $at) (i32.const 589824)))))",
    realloc: "",
    run: "(call $found_nothing)
        (global.set $mark (i32.const 1))
        (table.set $left (i32.const 1) (ref.func $loop))
        (memory.fill (i32.const 1300) (i32.const 170) (i32.const 8))
        (memory.fill (i32.const 32768) (i32.const 170) (i32.const 557056))",
    post_return: "",
    report: &[],
};

#[tokio::test]
async fn no_run_finds_what_another_left_in_the_place_that_it_has() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut checks = Checks::pooled().await;
    for name in ["leaves", "leaves-too"] {
        load(&mut checks, name, &wat(&name.replace('-', "_"), LEAVES), Limits::default()).await.unwrap();
        assert!(checks.pools(name));
    }
    load(&mut checks, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let yard = Yard::new(checks);
    // All places are taken, so that the others have those of this one.
    yard.round(&vec![("silence", "hostile"); 300], TIMEOUT).await;
    let jobs: Vec<_> = (0..100).map(|number| ("x", ["leaves", "leaves-too"][number % 2])).collect();
    for _ in 0..10 {
        for (report, line) in yard.round(&jobs, TIMEOUT).await {
            assert_eq!(report.outcome(), Outcome::Success, "{line}");
        }
    }
    log.lines();
}

#[tokio::test]
async fn more_runs_than_there_are_places_run_all_the_same() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut checks = Checks::pooled().await;
    load(&mut checks, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    assert!(checks.pools("hostile") && checks.pools(SMTP));
    let mut yard = Yard::new(checks);
    yard.good_timeout = Duration::from_secs(30);
    for (report, line) in yard.round(&vec![("silence", "hostile"); 600], 2 * TIMEOUT).await {
        assert_eq!(report.failure.unwrap().code, HostError::ReadTimeout.code(), "{line}");
    }
    log.lines();
}

/// What places keep, as the README says, and what else a process has more of behind a round.
const KEPT_KIB: u64 = (17 + 16) << 10;

#[tokio::test]
async fn what_is_kept_of_the_memories_of_ended_runs_is_bounded() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut checks = Checks::pooled().await;
    load(&mut checks, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let mut yard = Yard::new(checks);
    yard.good_timeout = Duration::from_secs(30);
    yard.round(&[("none", "hostile")], TIMEOUT).await;
    forget_peak();
    let before = resident_kib();
    for _ in 0..2 {
        // All places at once, each with a megabyte.
        for (report, line) in yard.round(&vec![("full-in-silence", "hostile"); 256], 2 * TIMEOUT).await {
            assert_eq!(report.failure.unwrap().code, HostError::ReadTimeout.code(), "{line}");
        }
    }
    let (most, kept) = (peak_kib() - before, resident_kib() - before);
    assert!(most > 200 << 10, "{most} KiB");
    assert!(kept < KEPT_KIB, "{kept} KiB");
    log.lines();
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
    while let Some(Ended { report, .. }) = reports.recv().await {
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
            .report;
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
