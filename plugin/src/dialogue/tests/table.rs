//! The table of steps, their order, and what is described agree.

use super::super::{LOGIN, TRANSFER};
use crate::{
    error::ErrorCode,
    field::{Field, FieldKind},
    step::{NAME, QUIT, Step},
};

/// All steps, in the order in which they are taken; those that are taken twice, twice.
fn steps() -> impl Iterator<Item = Step> {
    LOGIN.iter().chain(TRANSFER).map(|planned| planned.step).chain([QUIT])
}

#[test]
fn codes_and_phases_are_those_that_are_published() {
    let taken: Vec<_> = [NAME].into_iter().chain(steps()).map(|step| (step.code, step.phase)).collect();
    let published = [
        (10, "connect"),
        (11, "connect"),
        (4, "tls"),
        (1, "banner"),
        (3, "ehlo"),
        (4, "starttls"),
        (4, "tls"),
        (3, "ehlo"),
        (2, "auth"),
        (5, "mail"),
        (6, "rcpt"),
        (7, "data"),
        (8, "message"),
        (9, "quit"),
    ];
    assert_eq!(taken, published);
}

#[test]
fn every_time_is_described_and_is_that_of_one_step_or_a_sum() {
    let sums = [Field::LoginTime, Field::TransferTime];
    let is_time = |field: &&Field| matches!(field.row().kind, FieldKind::Time | FieldKind::Phase);
    for time in Field::ALL.iter().filter(is_time) {
        let mut phases: Vec<&str> =
            steps().filter(|step| step.time == Some(*time)).map(|step| step.phase).collect();
        phases.dedup();
        match phases[..] {
            [] => {
                assert!(sums.contains(time), "no step takes {time:?}");
                assert_eq!(time.row().kind, FieldKind::Time, "{time:?}");
            }
            [phase] | [phase, ..] if phases.iter().all(|other| *other == phase) => {
                assert_eq!(time.row().name, format!("{phase}_time_ms"), "one thing has one name");
            }
            _ => panic!("{time:?} is that of {phases:?}"),
        }
    }
    for time in steps().filter_map(|step| step.time) {
        assert_eq!(time.row().kind, FieldKind::Phase, "{time:?}");
    }
}

#[test]
fn a_refusal_is_called_differently_at_every_step_and_is_good_at_none() {
    let mut called: Vec<(i64, ErrorCode)> = Vec::new();
    for step in steps().filter(|step| step.time.is_some() && step.code != QUIT.code) {
        assert!(!(400..600).any(step.good) && (200..400).any(step.good), "{}", step.phase);
        assert!(step.refused.row().name.ends_with("-refused"), "{:?}", step.refused);
        let other = called.iter().any(|(code, refused)| (*code == step.code) != (*refused == step.refused));
        assert!(!other, "{:?} is that of another step, too", step.refused);
        called.push((step.code, step.refused));
    }
}
