//! Small components that are dear to compile, each beside fifty good jobs: it costs this process nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use sonde_host::{
    catalogue::HostError,
    sandbox::{Compiler, Limits, Source, cache::CacheError},
};

use crate::{
    components::{Wat, wat},
    process::{ALONE, Log, forget_peak, peak_kib, resident_kib},
    yard::{Checks, TIMEOUT, Yard, load},
};

/// What loading one beside a round may add to this process: the good jobs, and the component itself.
const MEMORY_KIB: u64 = 200 << 10;

fn dear() -> Vec<(&'static str, String, Option<&'static str>)> {
    let blocks = |open: &str, count: usize| format!("{}{}", open.repeat(count), "end ".repeat(count));
    let locals = |count: usize| format!("(local {})", "i64 ".repeat(count));
    vec![
        (
            "nesting",
            format!("(func {})", blocks("block ", 50_000)),
            Some("a function is nested deeper than 5000"),
        ),
        (
            "locals",
            format!("(func {} {})", locals(50_000), blocks("loop ", 1_000)),
            Some("a function has more than 5000 variables"),
        ),
        (
            "loops",
            format!("(func {} {})", locals(4_000), blocks("loop ", 1_000)),
            Some("a function has more than 2000000 variables times branch targets"),
        ),
        (
            "br-table",
            format!(
                "(func (param i32) {} block local.get 0 br_table {} end)",
                locals(10),
                "0 ".repeat(1_000_000)
            ),
            Some("a function has more than 2000000 variables times branch targets"),
        ),
        (
            "large",
            format!("(func {})", "i64.const 0 drop ".repeat(2_000_000)),
            Some("a function is larger than 4096 KiB"),
        ),
        (
            "parameters",
            format!("(func (param {}) {})", "i64 ".repeat(1_000), blocks("loop ", 2_500)),
            Some("a function has more than 2000000 variables times branch targets"),
        ),
        (
            "values",
            format!(
                "(type $many (func (result {0}))) (func (local i64) {1})",
                "i64 ".repeat(1_000),
                format!("block (type $many) unreachable end {}", "drop ".repeat(1_000)).repeat(2_500)
            ),
            Some("a function has more than 2000000 variables times branch targets"),
        ),
        (
            "all",
            format!("(func {} {})", locals(1_900), blocks("loop ", 1_000)).repeat(25),
            Some("its functions have more than 40000000 variables times branch targets together"),
        ),
        ("functions", "(func)".repeat(110_000), Some("it has more than 100000 functions")),
        ("types", "(type (func (param i32)))".repeat(21_000), Some("it has more than 20000 types")),
        // A few bytes that become megabytes, each.
        (
            "images",
            (0..15).map(memory).collect(),
            Some("the component's code has more than 16 MiB, what one of its size may have"),
        ),
        // Within all of these.
        ("table", format!("(func (param i32) block local.get 0 br_table {} end)", "0 ".repeat(65_000)), None),
        ("deep", format!("(func {})", blocks("block ", 4_900)), None),
    ]
}

/// A memory of which two bytes are given, one at its end.
fn memory(number: usize) -> String {
    let byte = |at| format!("(data (memory $m{number}) (i32.const {at}) \"x\")");
    format!("(memory $m{number} 256) {} {}", byte(0), byte((16 << 20) - 2))
}

#[tokio::test]
async fn what_is_dear_to_compile_harms_nobody() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut checks = Checks::new().await;
    load(&mut checks, "honest", &wat("honest", Wat::default()), Limits::default()).await.unwrap();
    let yard = Yard::new(checks);
    let mut others = Checks::new().await;
    for (name, parts, refused) in dear() {
        let wasm = wat("dear", Wat { parts: &parts, ..Wat::default() });
        drop(parts);
        forget_peak();
        let (before, began) = (resident_kib(), Instant::now());
        let (loaded, came) = tokio::join!(
            load(&mut others, name, &wasm, Limits::default()),
            yard.round(&[("x", "honest")], TIMEOUT)
        );
        let (took, grown) = (began.elapsed(), peak_kib().saturating_sub(before));
        assert_eq!(came[0].0.failure, None, "{name}");
        assert!(took < Duration::from_secs(20), "{name} took {took:?}");
        assert!(grown < MEMORY_KIB, "{name} grew the process by {grown} KiB");
        match (loaded, refused) {
            (Ok(()), None) => {}
            (Err(error), Some(text)) => {
                assert_eq!(error.host_error(), HostError::CheckCompile, "{name}: {error}");
                // The code's size is known only when it was compiled.
                let before = if name == "images" { "" } else { "the component is not compiled: " };
                assert_eq!(error.to_string(), format!("{before}{text}"));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    log.lines();
}

/// The compiler is stood in for: what it is stopped by takes minutes.
#[tokio::test]
async fn a_compiler_that_is_stopped_or_fails_is_told_from_a_component_that_is_none() {
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("check.wasm");
    fs::write(&component, wat("honest", Wat::default())).unwrap();
    let sandbox = Checks::new().await.sandbox;
    let cores = std::thread::available_parallelism().unwrap().get();
    let few = format!("not a usable component: {} threads", cores.min(4));
    for (script, said) in [
        (
            "kill -XCPU $$",
            "compiling the component takes more than 120s of computing or 2048 MiB of memory: the compiler \
                           was ended by signal 24",
        ),
        (
            "echo no memory >&2; exit 101",
            "the compiler, this program itself, does not run: exit status: 101: no memory",
        ),
        ("echo bad >&2; exit 3", "not a usable component: bad"),
        ("echo elf", "not a usable component: "),
        // Each thread of its own takes a part of its address space.
        ("echo $RAYON_NUM_THREADS threads >&2; exit 3", few.as_str()),
    ] {
        let program = folder.path().join("compiler");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let compiler = Arc::new(Compiler::of(Err(CacheError::NoFolder), program));
        let source =
            Source { name: "x".into(), path: component.clone(), pinned: None, limits: Limits::default() };
        let refused = sandbox.load(&source, &compiler).await.unwrap_err().to_string();
        assert!(refused.starts_with(said), "{script}: {refused}");
    }
    let compiler = Arc::new(Compiler::of(Err(CacheError::NoFolder), folder.path().join("none")));
    let source = Source { name: "x".into(), path: component, pinned: None, limits: Limits::default() };
    let refused = sandbox.load(&source, &compiler).await.unwrap_err();
    assert_eq!(refused.host_error(), HostError::CheckCompile, "{refused}");
}

/// Processes that this one started, by what the kernel says.
fn children(of: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| status(*number).is_some_and(|(parent, _)| parent == of)).collect()
}

/// A process's parent and state; none: there is no such process.
fn status(number: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.to_owned();
    Some((fields.next()?.parse().ok()?, state))
}

fn until(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !what() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    what()
}

#[test]
fn no_compiler_outlives_who_started_it() {
    let _alone = ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("slow.wasm");
    let function =
        format!("(func (local {}) {}{})", "i64 ".repeat(1_900), "loop ".repeat(1_000), "end ".repeat(1_000));
    // Takes ten seconds of a core, and more would be refused.
    fs::write(&component, wat("slow", Wat { parts: &function.repeat(20), ..Wat::default() })).unwrap();
    let mut sonde = Command::new(env!("CARGO_BIN_EXE_sonde"));
    sonde.arg("describe").arg(&component).env("XDG_CACHE_HOME", folder.path()).stderr(Stdio::null());
    let mut parent = sonde.spawn().unwrap();
    assert!(until(|| !children(parent.id()).is_empty()), "it starts no compiler");
    let compiler = children(parent.id())[0];
    // It has all of its input, and computes.
    let computes = || {
        fs::read_to_string(format!("/proc/{compiler}/stat")).is_ok_and(|stat| {
            let ticks: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(11).unwrap().parse().unwrap();
            ticks > 50
        })
    };
    assert!(until(computes), "it does not compile");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // Where nobody collects orphans, a dead one stays as a zombie.
    let gone = || status(compiler).is_none_or(|(_, state)| state == "Z");
    assert!(until(gone), "the compiler goes on");
}
