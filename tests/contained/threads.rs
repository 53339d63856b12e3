//! Runs on several threads: harm on each of them, more of it than there are threads, and honest jobs beside it on all.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sonde_host::{
    catalogue::HostError,
    report::Outcome,
    sandbox::Limits,
    schedule::{Place, RoundTime, Schedule},
    workers::Workers,
};

use support::hostile;

use crate::{
    process::{ALONE, Log, descriptors, threads_for_runs},
    yard::{Checks, TIMEOUT, Yard, load},
};

const THREADS: usize = 3;
/// For what ends in the background, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

async fn yard(mut checks: Checks, limits: Limits) -> Yard {
    load(&mut checks, "hostile", &hostile("honest"), limits).await.unwrap();
    let yard = Yard::new(checks);
    // What is opened once and kept is open then.
    yard.round(&[("none", "hostile")], TIMEOUT).await;
    yard
}

/// Waits until no thread for runs is left, and no more than these open files.
fn until_gone(left: usize) {
    let began = Instant::now();
    while threads_for_runs() > 0 || descriptors() > left {
        assert!(began.elapsed() < PATIENCE, "{} threads, {} files", threads_for_runs(), descriptors());
        thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn heavy_checks_on_every_thread_hold_up_no_job_beside_them() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut yard = yard(Checks::pooled().await, Limits::default()).await;
    yard.good_timeout = Duration::from_secs(3);
    let workers = Arc::new(Workers::new(THREADS));
    let heavy = [("loop", "hostile"); 20 * THREADS];
    for (report, _) in yard.round_on(&workers, &heavy, Duration::from_secs(5)).await {
        let code = report.failure.unwrap().code;
        assert!([HostError::CheckCpu.code(), HostError::CheckDeadline.code()].contains(&code), "{code:?}");
    }
    assert_eq!(threads_for_runs(), THREADS);
    log.lines();
}

#[tokio::test]
async fn every_harm_at_once_on_several_threads_is_contained_and_leaves_nothing_behind() {
    const HARMS: &[&str] = &[
        "loop",
        "fill",
        "wait-on",
        "trap",
        "exit",
        "stack",
        "bloat",
        "random",
        "huge-report",
        "flood-calls",
        "flood-output",
        "line-without-end",
        "unannounced",
        "forged-code",
        "secret-in-a-panic",
        "silence",
        "write-without-end",
    ];
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    for checks in [Checks::new().await, Checks::pooled().await] {
        let yard = yard(checks, Limits { memory_bytes: 8 << 20, ..Limits::default() }).await;
        let mix: Vec<_> = HARMS.iter().map(|harm| (*harm, "hostile")).collect();
        let before = descriptors();
        let workers = Arc::new(Workers::new(THREADS));
        for _ in 0..5 {
            for (place, (report, line)) in yard.round_on(&workers, &mix, TIMEOUT).await.iter().enumerate() {
                assert_ne!(report.outcome(), Outcome::Success, "{}: {line}", HARMS[place]);
            }
        }
        drop(workers);
        until_gone(before);
        log.lines();
    }
}

#[test]
fn threads_that_are_busy_without_end_end_with_who_began_them() {
    let _alone = ALONE.blocking_lock();
    let mut log = Log::begin();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let made = runtime();
    let yard = made.block_on(async {
        yard(Checks::pooled().await, Limits { cpu_time: Duration::from_hours(1), ..Limits::default() }).await
    });
    let before = descriptors();
    let own = runtime();
    let kept = own.block_on(async {
        let workers = Arc::new(Workers::new(THREADS));
        let (mut schedule, ended) = Schedule::new(100, None, &workers);
        let endless = |_| yard.job("loop", "hostile", Duration::from_hours(1));
        let jobs = (0..4 * THREADS).map(endless).map(|job| (Place::default(), std::future::ready(job)));
        schedule.round(&yard.sandbox, jobs, RoundTime::now());
        while threads_for_runs() < THREADS {
            tokio::task::yield_now().await;
        }
        // They compute by then.
        tokio::time::sleep(Duration::from_millis(500)).await;
        ended
    });
    assert!(kept.is_empty());
    drop(own);
    until_gone(before);
    log.lines();
}
