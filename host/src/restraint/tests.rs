//! Jobs with and without secrets, round after round.

use std::{ops::Range, time::Duration};

use serde_json::{Map, json};

use super::*;
use crate::{
    catalogue::HostError,
    check::Check,
    description::{Description, Parameter},
    grant::Deny,
    net::Tls,
    report::Failure,
    secret::{Secrets, apart::Apart},
};

fn job(name: &str, host: &str, parameters: Json) -> Job {
    let parameter = |name: &str, kind| Parameter {
        name: name.into(),
        kind,
        required: false,
        default: None,
        conditional_defaults: Vec::new(),
        choices: Vec::new(),
        single_line: true,
        endpoint: None,
        doc: String::new(),
    };
    let check = Check::unknown("x", HostError::CheckLoad, String::new());
    let description = Description {
        parameters: vec![
            parameter("username", ParameterKind::Text),
            parameter("password", ParameterKind::Secret),
            parameter("auth", ParameterKind::Text),
        ],
        ..Description::unknown("x")
    };
    let parameters: Map<String, Json> = serde_json::from_value(parameters).unwrap();
    Job {
        name: name.to_owned(),
        check: Check { description: Arc::new(description), ..check },
        host: host.parse().unwrap(),
        port: Some(25),
        endpoints: Arc::default(),
        timeout: Duration::from_secs(1),
        parameters: Arc::new(parameters),
        tags: Vec::new(),
        grants: Vec::new(),
        deny: Deny::default(),
        secrets: Secrets::default(),
        apart: Apart::default(),
        tls: Arc::new(Tls::default()),
        alarm_limits: Vec::new(),
    }
}

fn with(name: &str, password: &str) -> Job {
    job(name, "mx1", json!({ "username": "probe", "password": password }))
}

fn candidate(job: &Job) -> Candidate {
    let key = (job.name.clone(), job.host.written().to_owned());
    Candidate { key, job: Readiness::Fit(Arc::new(job.clone())), max_per_hour: None, has_time: false }
}

/// Its check is there, and cannot run it.
fn unfit(of: &Job) -> Candidate {
    Candidate { job: Readiness::Unfit, ..candidate(of) }
}

/// Its check is not there yet.
fn awaited(job: &Job) -> Candidate {
    Candidate { job: Readiness::Awaited, ..candidate(job) }
}

fn minute(minute: i64) -> RoundTime {
    RoundTime { unix_ns: minute * 60_000_000_000 }
}

fn came_to(outcome: Outcome) -> Report {
    let code = HostError::CheckTrapped.code();
    let failure = (outcome != Outcome::Success).then(|| Failure { outcome, code, text: String::new() });
    Report { failure, ..Report::default() }
}

/// Runs those that may begin; who that is.
fn round(known: &mut Restraint, jobs: &[&Job], at: i64, outcome: Outcome) -> Vec<String> {
    let begun: Vec<_> = jobs.iter().filter(|job| known.admits(&candidate(job), minute(at))).collect();
    for job in &begun {
        known.learn(job, &came_to(outcome), minute(at), |_| None);
    }
    begun.iter().map(|job| job.name.clone()).collect()
}

#[test]
fn a_refused_log_in_is_tried_again_later_and_a_success_ends_that() {
    let (a, mut known) = (with("a", "hunter2"), Restraint::default());
    let mut tried: Vec<_> =
        (0..30).filter(|at| !round(&mut known, &[&a], *at, Outcome::AuthFailed).is_empty()).collect();
    assert_eq!(tried, [0, 5, 15]);
    tried = (30..50).filter(|at| !round(&mut known, &[&a], *at, Outcome::Success).is_empty()).collect();
    assert_eq!(tried, (35..50).collect::<Vec<_>>());
    assert!(known.accounts.is_empty());
    // From the beginning.
    round(&mut known, &[&a], 50, Outcome::AuthFailed);
    assert_eq!(round(&mut known, &[&a], 55, Outcome::Success), ["a"]);
}

#[test]
fn a_log_in_that_another_configuration_was_refused_says_nothing_of_the_one_that_is_there_now() {
    let (before, mut known) = (with("a", "hunter2"), Restraint::default());
    let parameters = json!({ "username": "probe", "password": "hunter2", "ehlo_name": "mx9" });
    let now = job("a", "mx1", parameters);
    assert!(known.admits(&candidate(&before), minute(0)));
    known.change(&[candidate(&now)], minute(1));
    known.learn(&before, &came_to(Outcome::AuthFailed), minute(0), |_| {
        Some(Readiness::Fit(Arc::new(now.clone())))
    });
    assert!(known.admits(&candidate(&now), minute(1)));
    // Its check is not there yet.
    known.learn(&before, &came_to(Outcome::AuthFailed), minute(0), |_| Some(Readiness::Awaited));
    assert!(known.admits(&candidate(&now), minute(1)));
    // Read again and the same.
    known.learn(&now, &came_to(Outcome::AuthFailed), minute(1), |_| {
        Some(Readiness::Fit(Arc::new(now.clone())))
    });
    assert!(!known.admits(&candidate(&now), minute(2)));
}

#[test]
fn where_nobody_refused_the_log_in_it_is_tried_in_the_next_round_and_refusals_before_that_count_on() {
    let (a, mut known) = (with("a", "hunter2"), Restraint::default());
    let answered = |code| Report {
        fields: vec![("response_code".to_owned(), Value::Integer(code))],
        ..came_to(Outcome::AuthFailed)
    };
    let mut tried = |rounds: Range<i64>, code| {
        let round = |at: &i64| {
            let begins = known.admits(&candidate(&a), minute(*at));
            if begins {
                known.learn(&a, &answered(code), minute(*at), |_| None);
            }
            begins
        };
        rounds.filter(round).collect::<Vec<_>>()
    };
    assert_eq!(tried(0..3, -1), [0, 1, 2]);
    assert_eq!(tried(3..9, 535), [3, 8]);
    assert_eq!(tried(9..20, -1), [18, 19]);
    assert_eq!(tried(20..50, 454), [20, 40]);
}

#[test]
fn what_is_counted_is_said_of_the_account() {
    let end = "left out for 5m, so that nobody locks its account";
    assert_eq!(pause_text(1, 300_000), format!("auth_failed: {end}"));
    let account = "its account (host, user name and secrets) was refused 2 times in a row";
    assert_eq!(pause_text(2, 240_001), format!("auth_failed: {account}: {end}"));
}

#[test]
fn other_failures_and_jobs_without_a_secret_are_not_held_back() {
    let mut known = Restraint::default();
    for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::AuthFailed) {
        for at in 0..3 {
            assert_eq!(round(&mut known, &[&with("a", "hunter2")], at, outcome), ["a"], "{outcome:?}");
        }
    }
    for parameters in [json!({}), json!({ "username": "probe", "password": "" }), json!({ "auth": "plain" })]
    {
        for at in 0..3 {
            assert_eq!(
                round(&mut known, &[&job("a", "mx1", parameters.clone())], at, Outcome::AuthFailed),
                ["a"]
            );
        }
    }
    assert!(known.accounts.is_empty());
}

#[test]
fn jobs_of_one_account_are_held_back_together_and_others_are_not() {
    let (a, b) = (with("a", "hunter2"), with("b", "hunter2"));
    let others = [
        with("c", "another"),
        job("d", "mx1", json!({ "username": "other", "password": "hunter2" })),
        job("a", "mx2", json!({ "username": "probe", "password": "hunter2" })),
    ];
    let mut known = Restraint::default();
    assert_eq!(round(&mut known, &[&a, &b], 0, Outcome::AuthFailed), ["a", "b"]);
    for other in &others {
        assert_eq!(round(&mut known, &[other], 0, Outcome::AuthFailed), [&*other.name]);
    }
    assert!(round(&mut known, &[&a, &b], 9, Outcome::AuthFailed).is_empty());
    for other in &others {
        assert_eq!(round(&mut known, &[other], 9, Outcome::Success), [&*other.name]);
    }
    // One tries for both.
    assert_eq!(round(&mut known, &[&a, &b], 10, Outcome::Success), ["a"]);
    assert_eq!(round(&mut known, &[&a, &b], 11, Outcome::Success), ["a", "b"]);
}

#[test]
fn a_job_whose_log_in_goes_well_is_not_held_back_by_another_of_its_account() {
    let (good, bad, mut known) = (with("good", "hunter2"), with("bad", "hunter2"), Restraint::default());
    let mut tried = Vec::new();
    for at in 0..40 {
        assert_eq!(round(&mut known, &[&good], at, Outcome::Success), ["good"]);
        tried.extend(round(&mut known, &[&bad], at, Outcome::AuthFailed).first().map(|_| at));
    }
    assert_eq!(tried, [0, 5, 15, 35]);
}

#[test]
fn a_changed_configuration_is_tried_at_once_and_the_same_is_not() {
    let tries = |changed: Option<&Job>| {
        let (a, mut known) = (with("a", "hunter2"), Restraint::default());
        round(&mut known, &[&a], 0, Outcome::AuthFailed);
        let jobs: Vec<_> = changed.iter().map(|job| candidate(job)).collect();
        known.change(&jobs, minute(0));
        let tries = changed.is_some_and(|job| known.admits(&candidate(job), minute(1)));
        (tries, known.accounts.len())
    };
    assert_eq!(tries(Some(&with("a", "hunter2"))), (false, 1));
    assert_eq!(tries(Some(&with("a", "another"))), (true, 0));
    let other = json!({ "username": "probe", "password": "hunter2", "auth": "login" });
    assert_eq!(tries(Some(&job("a", "mx1", other))), (true, 0));
    assert_eq!(tries(None), (false, 0));
}

#[test]
fn a_job_begins_no_more_often_in_an_hour_than_it_may() {
    let (a, mut known) = (with("a", "hunter2"), Restraint::default());
    let counted = Candidate { max_per_hour: Some(2), ..candidate(&a) };
    let begun: Vec<_> = (0..100).filter(|at| known.admits(&counted, minute(*at))).collect();
    assert_eq!(begun, [0, 1, 60, 61]);
    known.change(&[candidate(&a)], minute(0));
    assert!(known.hours.is_empty());
    // What is left out for its log-in is not counted.
    known.learn(&a, &came_to(Outcome::AuthFailed), minute(100), |_| None);
    let begun: Vec<_> = (101..120).filter(|at| known.admits(&counted, minute(*at))).collect();
    assert_eq!(begun, [105]);
    known.learn(&a, &came_to(Outcome::Success), minute(105), |_| None);
    let begun: Vec<_> = (120..170).filter(|at| known.admits(&counted, minute(*at))).collect();
    assert_eq!(begun, [120, 165]);
}

#[test]
fn that_a_job_has_run_as_often_as_it_may_is_said_once_of_each() {
    let jobs: Vec<_> = ('a'..='h').map(|name| job(&name.to_string(), "mx1", json!({}))).collect();
    let mut known = Restraint::default();
    let mut round = |jobs: &[Job], at| {
        let counted = jobs.iter().map(|job| Candidate { max_per_hour: Some(1), ..candidate(job) });
        (counted.filter(|job| known.admits(job, minute(at))).count(), known.begun())
    };
    let said = |names: &str| Some(format!("left out of this round by `max_per_hour`: {names}"));
    assert_eq!(round(&jobs, 0), (8, None));
    assert_eq!(round(&jobs[..2], 1), (0, said("a (mx1), b (mx1)")));
    assert_eq!(round(&jobs, 2), (0, said("c (mx1), d (mx1), e (mx1), f (mx1), g (mx1) and 1 more")));
    assert_eq!(round(&jobs, 3), (0, None));
    assert_eq!(round(&jobs, 60), (8, None));
    assert_eq!(round(&jobs, 61), (0, None));
}

/// As a program that begins when the last has ended, whose thread may have the file a moment longer.
async fn started(file: &std::path::Path) -> Restraint {
    for _ in 0..1000 {
        let known = Restraint::remembering(file.to_owned(), std::future::ready(())).await;
        if known.memory.is_some() {
            return known;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} stays locked", file.display());
}

#[test]
fn what_is_remembered_of_a_clock_that_was_ahead_holds_nobody_back_for_more_than_an_hour() {
    let (mut known, job) = (Restraint::default(), with("a", "hunter2"));
    let (key, mark, now) = (candidate(&job).key, mark(&known.fingerprint(&job)), minute(0).unix_ms());
    known.restore(&key, &job, &Refusal { times: 1, until_ms: i64::MAX, mark }, now);
    // That is what the log says.
    assert!(known.accounts.values().all(|back_off| back_off.until_ms == now + LONGEST_MS));
    assert_eq!(known.accounts.len(), 1);
}

#[tokio::test]
async fn the_next_start_knows_who_is_held_back_and_tries_what_was_changed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let (a, b) = (with("a", "hunter2"), with("b", "hunter2"));
    let counted = Candidate { max_per_hour: Some(1), ..candidate(&job("c", "mx1", json!({}))) };
    let mut known = started(&file).await;
    known.change(&[&a, &b].map(candidate), minute(0));
    round(&mut known, &[&a, &b], 0, Outcome::AuthFailed);
    assert!(known.admits(&counted, minute(0)));
    known.kept().await;
    drop(known);

    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("probe"), "{text}");

    // The check of one is not there yet.
    let mut known = started(&file).await;
    let absent = awaited(&a);
    assert!(!known.admits(&absent, minute(9)) && known.admits(&absent, minute(10)));
    assert!(!known.admits(&counted, minute(59)) && known.admits(&counted, minute(60)));
    assert!(round(&mut known, &[&a, &b], 9, Outcome::AuthFailed).is_empty());
    assert_eq!(round(&mut known, &[&a, &b], 10, Outcome::AuthFailed), ["a"]);
    known.kept().await;
    drop(known);

    // Three refusals by now; the password of one is another, though none of 256 is.
    let mut known = started(&file).await;
    known.change(&[&a, &b].map(candidate), minute(0));
    let changed = (0..).map(|number| with("a", &format!("password-{number}")));
    let mut changed = changed.filter(|job| mark(&known.fingerprint(job)) != mark(&known.fingerprint(&a)));
    let changed = changed.next().unwrap();
    assert_eq!(round(&mut known, &[&changed, &b], 29, Outcome::Success), ["a"]);
    assert_eq!(round(&mut known, &[&changed, &b], 30, Outcome::Success), ["a", "b"]);
    known.kept().await;
    let left: Json = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(left["refused"], json!([]));
}

#[tokio::test]
async fn a_clock_that_was_ahead_holds_nobody_back_for_longer_than_usual_however_often_the_program_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let (a, ahead) = (with("a", "hunter2"), minute(100_000_000));
    let counted = Candidate { max_per_hour: Some(1), ..candidate(&job("c", "mx1", json!({}))) };
    let mut known = started(&file).await;
    known.change(&[&a].map(candidate), ahead);
    assert!(known.admits(&counted, ahead));
    known.learn(&a, &came_to(Outcome::AuthFailed), ahead, |_| None);
    known.kept().await;
    drop(known);
    let begun = RoundTime::now();
    let later = |minutes: i64| RoundTime { unix_ns: begun.unix_ns + minutes * 60_000_000_000 };
    let jobs =
        || [candidate(&a), Candidate { max_per_hour: Some(1), ..candidate(&job("c", "mx1", json!({}))) }];
    for _ in 0..2 {
        // As by `sonde run`: each start reads it, and most begin nothing.
        let mut known = started(&file).await;
        known.change(&jobs(), begun);
        assert!(!known.admits(&counted, later(1)) && !known.admits(&candidate(&a), later(1)));
        known.kept().await;
    }
    let mut known = started(&file).await;
    known.change(&jobs(), begun);
    assert!(known.admits(&counted, later(61)) && known.admits(&candidate(&a), later(61)));
}

/// Two jobs of an account that were refused at 0, and are held back until 10, at the next start or later.
async fn refused(file: &std::path::Path, restarts: bool) -> ([Job; 2], Restraint) {
    let jobs = [with("a", "hunter2"), with("b", "hunter2")];
    let mut known = started(file).await;
    known.change(&jobs.each_ref().map(candidate), minute(0));
    assert_eq!(round(&mut known, &jobs.each_ref(), 0, Outcome::AuthFailed), ["a", "b"]);
    if restarts {
        known.kept().await;
        drop(known);
        known = started(file).await;
    }
    (jobs, known)
}

#[tokio::test]
async fn a_check_that_cannot_be_loaded_makes_nobody_forget_who_was_refused() {
    for restarts in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (jobs, mut known) = refused(&folder.path().join("state"), restarts).await;
        let (jobs, unfit) = (jobs.each_ref(), jobs.each_ref().map(unfit));
        known.change(&unfit, minute(0));
        // Their lines say what is wrong.
        for at in 1..4 {
            for candidate in &unfit {
                assert!(known.admits(candidate, minute(at)));
                let of = job(&candidate.key.0, &candidate.key.1, json!({}));
                known.learn(&of, &came_to(Outcome::CheckError), minute(at), |_| None);
            }
        }
        known.change(&jobs.map(candidate), minute(0));
        assert!(round(&mut known, &jobs, 9, Outcome::AuthFailed).is_empty());
        assert_eq!(round(&mut known, &jobs, 10, Outcome::AuthFailed), ["a"]);
        assert!(round(&mut known, &jobs, 29, Outcome::AuthFailed).is_empty());
        assert_eq!(round(&mut known, &jobs, 30, Outcome::Success), ["a"]);
        assert_eq!(round(&mut known, &jobs, 31, Outcome::Success), ["a", "b"]);
        // One that no configuration has any more is nobody's.
        round(&mut known, &jobs, 40, Outcome::AuthFailed);
        known.change(&unfit, minute(0));
        known.change(&[], minute(0));
        known.change(&jobs.map(candidate), minute(0));
        assert_eq!(round(&mut known, &jobs, 41, Outcome::Success), ["a", "b"]);
    }
}

#[tokio::test]
async fn of_a_hosts_jobs_whose_check_is_not_there_yet_one_tries_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let ([a, b], mut known) = refused(&folder.path().join("state"), true).await;
    known.change(&[&a, &b].map(awaited), minute(0));
    let asked = |known: &mut Restraint, at| [&a, &b].map(|job| known.admits(&awaited(job), minute(at)));
    assert_eq!(asked(&mut known, 9), [false, false]);
    assert_eq!(asked(&mut known, 10), [true, false]);
    // It waits for its check still, and so does one that is there by now.
    assert!(!known.admits(&awaited(&b), minute(11)) && !known.admits(&candidate(&b), minute(11)));
    known.learn(&job("a", "mx1", json!({})), &came_to(Outcome::CheckError), minute(10), |_| None);
    // Whoever is there comes first.
    assert_eq!(asked(&mut known, 12), [false, false]);
    assert!(known.admits(&candidate(&b), minute(12)));
    known.learn(&b, &came_to(Outcome::AuthFailed), minute(12), |_| None);
    assert!(round(&mut known, &[&a, &b], 31, Outcome::AuthFailed).is_empty());
    assert_eq!(round(&mut known, &[&a, &b], 32, Outcome::Success), ["a"]);

    let ([a, b], mut known) = refused(&folder.path().join("another"), true).await;
    known.change(&[&a, &b].map(awaited), minute(0));
    let held = awaited(&a);
    assert!(known.admits(&held, minute(10)) && known.counts(&held));
    known.take_back(&held.key, minute(10));
    assert!(known.admits(&awaited(&b), minute(11)) && !known.admits(&held, minute(11)));
    // Its check came in time.
    known.learn(&b, &came_to(Outcome::AuthFailed), minute(11), |_| None);
    assert_eq!([11, 12, 30].map(|at| known.admits(&held, minute(at))), [false; 3]);
    assert!(round(&mut known, &[&a, &b], 30, Outcome::AuthFailed).is_empty());
    assert_eq!(round(&mut known, &[&a, &b], 31, Outcome::AuthFailed), ["a"]);
}

#[tokio::test]
async fn the_next_start_knows_when_a_job_with_a_time_of_its_own_ran_last() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let [rare, new, usual] = ["rare", "new", "usual"].map(|name| job(name, "mx1", json!({})));
    let timed = |job: &Job| Candidate { has_time: true, ..candidate(job) };
    let last = |known: &Restraint, job: &Job| known.last_round(&candidate(job).key);
    let mut known = started(&file).await;
    known.change(&[timed(&rare), candidate(&usual)], minute(1));
    assert_eq!(last(&known, &rare), Some(minute(1)));
    round(&mut known, &[&rare, &usual], 2, Outcome::Timeout);
    known.kept().await;
    drop(known);

    let mut known = started(&file).await;
    known.change(&[timed(&rare), timed(&new), candidate(&usual)], minute(9));
    assert_eq!([&rare, &new, &usual].map(|job| last(&known, job)), [Some(minute(2)), Some(minute(9)), None]);
    // It runs still when it has no time of its own any more.
    known.change(&[candidate(&rare), timed(&new)], minute(10));
    round(&mut known, &[&rare], 10, Outcome::Success);
    known.kept().await;
    drop(known);

    let known = started(&file).await;
    assert_eq!([&rare, &new].map(|job| last(&known, job)), [None, Some(minute(9))]);
}
