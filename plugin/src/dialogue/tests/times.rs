//! Times are the server's: waits, in whole microseconds, and sums of what stands on the line.

use super::server::{
    AUTH_LOGIN, EHLO, FULL, HELLO, QUIT, Server,
    Turn::{Ask, Fail},
    WAIT, answering, drive, drive_server, full, login, outcome, until,
};
use crate::{
    field::Field,
    parameters::{Auth, Parameters},
    report::Report,
    transport::ErrorKind,
};

/// A full session of ours, who think for long.
fn slow() -> Report {
    let server = Server { turns: FULL.into(), thinking: 77_000_000, ..Server::default() };
    drive_server(&full(), server).0
}

#[test]
fn our_own_computing_is_in_no_time() {
    let report = slow();
    assert_eq!(outcome(&report), (0, 0, None));
    for (time, waited) in [
        (Field::BannerTime, 1_000),
        (Field::EhloTime, 2_000),
        (Field::StarttlsTime, 1_000),
        (Field::AuthTime, 1_000),
        (Field::MailTime, 1_000),
        (Field::RcptTime, 1_000),
        (Field::DataTime, 1_000),
        (Field::MessageTime, 1_000),
        (Field::QuitTime, 1_000),
    ] {
        assert_eq!(report.time(time), waited, "{time:?}");
    }
}

#[test]
fn login_and_transfer_are_the_sums_of_their_phases() {
    let report = slow();
    let sum = |times: &[Field]| times.iter().map(|time| report.time(*time)).sum::<u64>();
    let handshake = WAIT / 1_000;
    assert_eq!(
        report.time(Field::LoginTime),
        handshake + sum(&[Field::BannerTime, Field::EhloTime, Field::StarttlsTime, Field::AuthTime])
    );
    assert_eq!(
        report.time(Field::TransferTime),
        sum(&[Field::MailTime, Field::RcptTime, Field::DataTime, Field::MessageTime])
    );
}

#[test]
fn a_login_takes_its_exchanges_and_not_what_we_do_between_them() {
    let open = Parameters { allow_plaintext_auth: true, ..login(Auth::Login) };
    let turns = [
        HELLO,
        EHLO,
        AUTH_LOGIN,
        Ask("dXNlcg==\r\n", "334 UGFzcw==\r\n"),
        Ask("c2VjcmV0\r\n", "235 ok\r\n"),
        QUIT,
    ];
    let server = Server { turns: turns.into(), thinking: 77_000_000, ..Server::default() };
    let (report, _) = drive_server(&open, server);
    assert_eq!(report.time(Field::AuthTime), 3_000);
    assert_eq!(report.time(Field::LoginTime), 5_000);
}

#[test]
fn a_phase_that_was_not_completed_has_no_time() {
    let open = Parameters { allow_plaintext_auth: true, ..login(Auth::Login) };
    let (report, _) = drive(&open, [HELLO, EHLO, AUTH_LOGIN, Ask("dXNlcg==\r\n", "")]);
    assert_eq!(report.get(Field::AuthTime), None);
    let (report, _) = until(4, [answering(4, ""), Fail(ErrorKind::ReadTimeout)]);
    assert_eq!(report.get(Field::EhloTime), None);
    let (report, _) = until(0, [answering(0, "HTTP/1.1 400\r\n")]);
    assert_eq!(report.get(Field::BannerTime), None);
}

#[test]
fn no_sum_is_told_of_what_was_not_accepted() {
    let (report, _) = until(5, [answering(5, "535 no\r\n"), QUIT]);
    assert_eq!(report.get(Field::LoginTime), None);
    let (report, _) = until(9, [answering(9, "554 no\r\n"), QUIT]);
    assert!(report.get(Field::LoginTime).is_some() && report.get(Field::TransferTime).is_none());
}
