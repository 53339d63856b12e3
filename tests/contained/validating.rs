//! One harm at a time while a check judges a job: the job in; why it is not run out, in time, with fifty good jobs beside it.

use std::time::{Duration, Instant};

use sonde_host::sandbox::{Blamed, Limits, Refusal, Unfit};
use support::hostile;

use crate::{
    process::{ALONE, Log, forget_peak, peak_kib, resident_kib},
    yard::{Checks, SECRET, TIMEOUT, Yard, load},
};

/// What the process may grow by: an instance's memory, and the good jobs'.
const MEMORY_KIB: u64 = 128 << 10;

/// Harms, and what the operator is told.
const HARMS: &[(&str, &str)] = &[
    ("validate-refuses", "harm: expected [31m \"good\" E! forged"),
    ("validate-loop", "the check computed for more than 200ms"),
    ("validate-wait", "before a run there is nothing to wait for"),
    ("validate-trap", "wasm trap: "),
    ("validate-exit", "exit"),
    ("validate-bloat", "wasm trap: "),
    ("validate-long", "more than 256 KiB handed over in one call"),
    // Whichever is used up first, its time or its calls.
    ("validate-flood-log", "more than "),
    ("validate-nothing", "it refuses the job for parameter `no such`, which does not exist"),
    ("validate-no-endpoint", "it refuses the job for endpoint `no such`, which does not exist"),
    ("validate-host", "Host: expected a server; 0 more"),
    ("validate-timeout", "Timeout: expected a longer one; 0 more"),
    ("validate-job", "Job: expected another; 0 more"),
    ("validate-no-text", "Job: the check does not say why; 0 more"),
    ("validate-secret-in-two", "harm: ***, Host: ***"),
    ("validate-many", "Timeout: no; 15 more"),
    ("validate-endless", "more than 256 KiB handed over in one call"),
    ("validate-secret", "harm: it is ***"),
    ("validate-secret-as-parameter", "it refuses the job for parameter `***`, which does not exist"),
    ("validate-secret-as-endpoint", "it refuses the job for endpoint `***`, which does not exist"),
    ("validate-network", "harm: ErrorKind::Denied"),
];

fn told(unfit: &Unfit) -> String {
    match unfit {
        Unfit::Refused(Refusal { blamed: Blamed::Parameter(name), text }, others) => {
            let others = others.iter().map(|Refusal { blamed, text }| format!(", {blamed:?}: {text}"));
            format!("{name}: {text}{}", others.collect::<String>())
        }
        Unfit::Refused(Refusal { blamed, text }, others) => {
            format!("{blamed:?}: {text}; {} more", others.len())
        }
        Unfit::Unjudged(failure) => failure.text.clone(),
    }
}

#[tokio::test]
async fn a_check_that_harms_while_it_judges_a_job_is_contained() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut checks = Checks::new().await;
    load(&mut checks, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let yard = Yard::new(checks);
    drop(log.lines());
    assert_eq!(yard.job("none", "hostile", TIMEOUT).validate().await, Ok(()));
    for (harm, expected) in HARMS {
        forget_peak();
        let (before, began) = (resident_kib(), Instant::now());
        let job = yard.job(harm, "hostile", TIMEOUT);
        // The good jobs run meanwhile, and each succeeds.
        let good = [("none", "hostile")];
        let (judged, _) = tokio::join!(job.validate(), yard.round(&good, TIMEOUT));
        let (took, grown) = (began.elapsed(), peak_kib().saturating_sub(before));
        assert!(took < Duration::from_secs(10), "{harm} took {took:?}");
        assert!(grown < MEMORY_KIB, "{harm} grew the process by {grown} KiB");
        let told = told(&judged.unwrap_err());
        assert!(told.contains(expected) && told.len() <= 300, "{harm}: {told}");
        assert!(!told.contains(char::is_control) && !told.contains(SECRET), "{harm}: {told:?}");
        let lines = log.lines();
        assert!(!lines.iter().any(|line| line.contains(SECRET)) && lines.len() <= 30, "{harm}: {lines:#?}");
    }
}

/// Clocks and sockets are looked at between its turns, though nobody else wants one.
#[tokio::test]
async fn a_check_that_computes_alone_keeps_nobody_from_waking_up() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut checks = Checks::new().await;
    load(&mut checks, "hostile", &hostile("honest"), Limits::default()).await.unwrap();
    let yard = Yard::new(checks);
    let job = yard.job("validate-loop", "hostile", TIMEOUT);
    let judging = tokio::spawn(async move { job.validate().await });
    let sleeps = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = sleeps => {}
        judged = judging => panic!("it ends first: {judged:?}"),
    }
    log.lines();
}

#[tokio::test]
async fn what_a_check_says_of_a_job_is_a_function_of_its_bytes_and_the_job() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut said = Vec::new();
    for memory_bytes in [64 << 20, 2 << 20] {
        let mut checks = Checks::new().await;
        let limits = Limits { memory_bytes, ..Limits::default() };
        load(&mut checks, "hostile", &hostile("honest"), limits).await.unwrap();
        let yard = Yard::new(checks);
        let job = yard.job("validate-changing", "hostile", TIMEOUT);
        said.push(told(&job.validate().await.unwrap_err()));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(said[0], said[1]);
    assert!(said[0].starts_with("harm: (0, 0, \"\")"), "{}", said[0]);
    log.lines();
}
