//! One harm at a time while a component is loaded: its bytes in; why it is refused out, in time, and again on the lines of its
//! check's jobs, or a check that runs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sonde_host::{
    catalogue::HostError,
    check::Check,
    report::Outcome,
    sandbox::{
        Limits, LoadError, Pinned, Source,
        cache::{Cache, CacheError},
    },
};
use tokio::task::JoinSet;

use support::hostile;

use crate::{
    components::{Wat, doubled, instances, wat},
    process::{ALONE, Log},
    yard::{Checks, TIMEOUT, Yard, compiler, load},
};

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
        (
            "texts",
            hands_texts("utf16", ""),
            HostError::CheckCompile,
            "components in it hand texts to one another that are not in UTF-8",
        ),
        (
            "texts-of-two-kinds",
            hands_texts("utf8", &takes_texts("utf16")),
            HostError::CheckCompile,
            "components in it hand texts to one another that are not in UTF-8",
        ),
        ("plain-texts", hands_texts("utf8", ""), HostError::CheckLoad, NO_CHECK),
        // As a toolchain makes it, whose inner component takes nothing.
        (
            "texts-of-the-host",
            wat::parse_str(format!("(component (component) {})", takes_texts("utf16"))).unwrap(),
            HostError::CheckLoad,
            NO_CHECK,
        ),
    ]
}

/// It is compiled, and is none.
const NO_CHECK: &str = "not a usable component: no exported instance";

/// A component in which another one takes a text, and what else it has.
fn hands_texts(encoding: &str, more: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (component {}) {more})", takes_texts(encoding))).unwrap()
}

fn takes_texts(encoding: &str) -> String {
    format!(
        "(core module $module (memory (export \"memory\") 1) (func (export \"take\") (param i32 i32))
           (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
         (core instance $taker (instantiate $module))
         (func (export \"take\") (param \"text\" string)
           (canon lift (core func $taker \"take\") (memory (core memory $taker \"memory\"))
             (realloc (core func $taker \"realloc\")) string-encoding={encoding}))"
    )
}

/// What the hostile check says of itself by its word, and why that is refused: of what is refused by its text alone, samples.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("loop", "the check computed for more than 200ms"),
    ("wait", "before a run there is nothing to wait for"),
    ("trap", "wasm trap: "),
    ("exit", "exit"),
    ("long", "more than 256 KiB handed over in one call"),
    ("default-in-tags", "more than 256 KiB handed over in one call"),
    ("nested-default", "more than 256 KiB handed over in one call"),
    ("many-tags", "bytes, more than 65536"),
    ("many-texts", "bytes, more than 65536"),
    ("many", "more than 256 parameters"),
    ("escape-in-a-default", "a default of parameter `harm` has hidden characters"),
    ("escape-in-a-condition", "a default of parameter `harm` depends on a parameter that does not exist"),
    ("measurement-smtp", "measurement `smtp` belongs to the built-in check"),
    ("measurement-sonde", "measurement `sonde` belongs to the host"),
    ("measurement-line", "`a b=1 smtp` is no name"),
    ("tag-of-a-secret", "tag `shown` shows a parameter that is a secret"),
    ("field-of-the-host", "`result_code` belongs to the host"),
    ("code-of-the-host", "error code 201 is below 1000"),
    ("known-secrets", "parameter `s0` is a secret: its default can only be the empty text"),
    ("endpoint-twice", "`imap` stands twice"),
    ("field-kept-for-an-endpoint", "`imap_tls_state` is kept for the host"),
    ("endpoint-kept-for-the-host", "`dns` is kept for the host"),
    ("measurement-of-a-part", "measurement `smtp_hop` belongs to the built-in check"),
    ("measurement-of-the-hosts-parts", "measurement `sonde_hop` belongs to the host"),
    ("part-tag-result", "`result` belongs to the host"),
    ("part-long-line", "bytes, more than 65536"),
    ("many-part-fields", "more than 256 fields of a part"),
];

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
        (
            "later-interface",
            wat::parse_str("(component (import \"sonde:check/later@0.1.7\" (instance)))").unwrap(),
            HostError::CheckVersion,
            "the component is built for sonde:check@0.1.7, and needs of it what this host, which speaks sonde:check@0.1.0, \
             does not have: sonde:check/later@0.1.7",
        ),
        (
            "later-function",
            wat::parse_str(
                "(component (import \"sonde:check/network@0.1.7\" (instance (export \"later\" (func)))))",
            )
            .unwrap(),
            HostError::CheckVersion,
            "the component is built for sonde:check@0.1.7, and needs of it what this host, which speaks sonde:check@0.1.0, \
             does not have: component imports instance `sonde:check/network@0.1.7`",
        ),
        (
            "unknown-interface",
            wat::parse_str("(component (import \"sonde:check/later@0.1.0\" (instance)))").unwrap(),
            HostError::CheckImport,
            "the component imports `sonde:check/later@0.1.0`, which no check gets",
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
    for (mode, text) in DESCRIPTIONS.iter().copied() {
        cases.push((mode, hostile(mode), HostError::CheckDescribe, text));
    }
    cases.extend(costly_instances());
    cases
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
