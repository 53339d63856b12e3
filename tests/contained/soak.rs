//! A thousand rounds of the whole mix in one process: nothing is left behind.

use std::{sync::Arc, time::Duration};

use sonde_host::{report::Outcome, sandbox::Limits};
use tokio::{runtime::Handle, task::JoinSet, time::sleep};

use support::hostile;

use crate::{
    components::{Wat, wat},
    process::{ALONE, Log, descriptors, resident_kib, threads},
    yard::{Checks, Yard, load},
};

/// Rounds before the first look: what is made once and kept is made then.
const FIRST_ROUNDS: usize = 200;
const ROUNDS: usize = 1000;
/// Rounds at once: a round mostly waits.
const AT_ONCE: usize = 10;
/// Until the silent server has closed, and the system with it.
const QUIET: Duration = Duration::from_secs(4);
/// What the allocator may hold back between two looks; a leak of one kilobyte a run of a half of them would be more.
const SLACK_KIB: u64 = 24 << 10;

/// Harms and their checks.
type Mix = Vec<(&'static str, &'static str)>;

const HARMS: &[&str] = &[
    "none",
    "loop",
    "wait",
    "wait-on",
    "trap",
    "exit",
    "stack",
    "bloat",
    "fill",
    "random",
    "random-at-once",
    "huge-report",
    "long-report",
    "flood-log",
    "flood-output",
    "line-without-end",
    "unannounced",
    "twice",
    "retyped",
    "not-a-number",
    "forged-code",
    "forged-line",
    "secret-everywhere",
    "secret-in-a-panic",
    "elsewhere",
    "connections",
    "silence",
    "write-without-end",
    "world",
    "many-parts",
    "part-unannounced",
];

#[tokio::test]
async fn a_thousand_rounds_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let yards = [yard(Checks::new().await).await, yard(Checks::pooled().await).await];
    let mut looks = Vec::new();
    for rounds in [FIRST_ROUNDS, ROUNDS - FIRST_ROUNDS] {
        for _ in 0..rounds / AT_ONCE {
            let mut batch = JoinSet::new();
            for (yard, mix) in yards.iter().cycle().take(AT_ONCE) {
                let (yard, mix) = (Arc::clone(yard), mix.clone());
                batch.spawn(async move { yard.round(&mix, Duration::from_millis(300)).await });
            }
            for came in batch.join_all().await {
                let failed = came.iter().filter(|(report, _)| report.outcome() != Outcome::Success).count();
                assert!(failed >= came.len() - 9, "{came:?}");
            }
        }
        sleep(QUIET).await;
        looks.push((resident_kib(), descriptors(), Handle::current().metrics().num_alive_tasks(), threads()));
    }
    let (first, last) = (looks[0], looks[1]);
    println!(
        "after {FIRST_ROUNDS} rounds and after {ROUNDS}: memory {} and {} KiB, descriptors {} and {}, tasks {} and {}, \
         threads {} and {}",
        first.0, last.0, first.1, last.1, first.2, last.2, first.3, last.3
    );
    assert!(last.0 <= first.0 + SLACK_KIB, "memory");
    assert!(last.1 <= first.1, "descriptors");
    assert!(last.2 <= first.2, "tasks");
    assert!(last.3 <= first.3, "threads");
    log.lines();
}

async fn yard(mut sandbox: Checks) -> (Arc<Yard>, Mix) {
    // Little, so that many rounds fit: the limits are the same in kind.
    let limits = Limits {
        cpu_time: Duration::from_millis(20),
        memory_bytes: 8 << 20,
        traffic_bytes: 1 << 20,
        log_lines: 1,
        ..Limits::default()
    };
    load(&mut sandbox, "hostile", &hostile("honest"), limits.clone()).await.unwrap();
    let small = [
        ("realloc-loop", Wat { realloc: "(call $loop)", ..Wat::default() }),
        ("post-return-loop", Wat { post_return: "(call $loop)", ..Wat::default() }),
        ("recursion", Wat { run: "(drop (call $recurse (i32.const 0)))", ..Wat::default() }),
    ];
    let mut mix: Mix = HARMS.iter().map(|harm| (*harm, "hostile")).collect();
    for (name, parts) in small {
        load(&mut sandbox, name, &wat(&name.replace('-', "_"), parts), limits.clone()).await.unwrap();
        mix.push((name, name));
    }
    (Arc::new(Yard::new(sandbox)), mix)
}
