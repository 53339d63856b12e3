//! A refusal is never lost: at no step, and however the connection goes on.

use super::server::{
    DATA, EHLO, HELLO, MAIL, QUIT, RCPT, STEPS, Server,
    Turn::{self, Ask, Broken, Close, Cut, Fail, Mail},
    answering, assert_outcome, drive, drive_server, mailing, outcome, own, plain, until,
};
use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    parameters::Parameters,
    report::{Cause, Report, Value},
    transport::ErrorKind,
};

/// What a refusal is at each of `STEPS`.
const REFUSED: [(Kind, ErrorCode); 9] = [
    (Kind::Rejected, ErrorCode::GreetingRefused),
    (Kind::Rejected, ErrorCode::EhloRefused),
    (Kind::TlsError, ErrorCode::StarttlsRefused),
    (Kind::Rejected, ErrorCode::EhloRefused),
    (Kind::AuthFailed, ErrorCode::AuthRefused),
    (Kind::Rejected, ErrorCode::MailRefused),
    (Kind::Rejected, ErrorCode::RecipientRefused),
    (Kind::Rejected, ErrorCode::DataRefused),
    (Kind::Rejected, ErrorCode::MessageRefused),
];

fn assert_refused(report: &Report, at: usize, code: i64, what: &str) {
    let (kind, number) = REFUSED[at];
    assert_eq!(outcome(report), (STEPS[at].1, code, Some(own(kind, number))), "{what}: {report:?}");
    assert_eq!(report.get(Field::ReplyCode), Some(&Value::Integer(code)), "{what}");
}

#[test]
fn a_refusal_that_ends_the_connection_decides_at_its_step() {
    for (at, (turn, _)) in STEPS.into_iter().enumerate() {
        for answer in ["554 5.7.1 go away\r\n", "554-go away\r\n", "554 go aw", "554-5.7.1 no\r\n554-", "554"]
        {
            for after in [Close, Broken(ErrorKind::ConnectionReset), Broken(ErrorKind::ReadTimeout)] {
                let (report, server) = until(turn, [answering(turn, answer), after]);
                assert_refused(&report, at, 554, answer);
                // A server that is silent behind a whole reply is not known to be gone.
                let gone =
                    !answer.ends_with("go away\r\n") || !matches!(after, Broken(ErrorKind::ReadTimeout));
                assert!(!gone || !server.sent.contains("QUIT"), "{answer}: {}", server.sent);
            }
        }
    }
}

#[test]
fn a_refusal_has_its_time() {
    let times = [
        Field::BannerTime,
        Field::EhloTime,
        Field::StarttlsTime,
        Field::EhloTime,
        Field::AuthTime,
        Field::MailTime,
        Field::RcptTime,
        Field::DataTime,
        Field::MessageTime,
    ];
    for ((turn, _), time) in STEPS.into_iter().zip(times) {
        for answer in ["421 bye\r\n", "554-go away\r\n"] {
            let (report, _) = until(turn, [answering(turn, answer)]);
            assert!(report.time(time) > 0, "{time:?}: {report:?}");
        }
    }
}

#[test]
fn a_write_that_fails_under_a_refusal_gives_the_refusal() {
    for (at, (turn, step)) in STEPS.into_iter().enumerate().skip(1) {
        let (report, _) = until(turn, [Cut("552 too big\r\n")]);
        assert_refused(&report, at, 552, "write");
        let (report, _) = until(turn, [Cut("421 bye\r\n")]);
        assert_eq!(outcome(&report), (step, 421, Some(own(Kind::Rejected, ErrorCode::ServiceClosing))));
        // Without one, the fault is what is known; before the final dot nothing is ambiguous.
        let reset = Cause::Network(ErrorKind::ConnectionReset);
        for said in ["", "250 ok\r\n", "what?"] {
            let (report, _) = until(turn, [Cut(said)]);
            assert_eq!(outcome(&report), (step, -1, Some(reset)), "{said}");
        }
    }
}

#[test]
fn of_codes_that_differ_a_refusal_at_the_end_counts() {
    for (at, (turn, step)) in STEPS.into_iter().enumerate() {
        for answer in ["220-hello\r\n521 5.7.1 blocked\r\n", "220-hello\r\n521-5.7.1 blocked\r\n"] {
            let (report, _) = until(turn, [answering(turn, answer)]);
            assert_refused(&report, at, 521, answer);
        }
        let garbage = own(Kind::ProtocolError, ErrorCode::NotSmtp);
        for answer in ["250-a\r\n220 b\r\n", "554-a\r\n250 b\r\n", "250-a\r\n354 b\r\n"] {
            let (report, _) = until(turn, [answering(turn, answer)]);
            assert_eq!(outcome(&report), (step, -1, Some(garbage)), "{answer}");
        }
    }
}

#[test]
fn what_is_half_a_reply_and_no_refusal_is_a_loss() {
    for (turn, step) in STEPS {
        for answer in ["250-a\r\n", "250 ok", "5", "25", "554-a\r\n250-b\r\n"] {
            let (report, _) = until(turn, [answering(turn, answer)]);
            let (at, response, cause) = outcome(&report);
            assert_eq!((at, response), (step, -1), "{answer}");
            let lost = Cause::Network(ErrorKind::ConnectionClosed);
            let ambiguous = own(Kind::ReadFailed, ErrorCode::DeliveryAmbiguous);
            assert_eq!(cause, Some(if step == 8 { ambiguous } else { lost }), "{answer}");
            assert!(report.failure.unwrap().text.contains(answer.trim_end().split('\r').next().unwrap()));
        }
    }
}

#[test]
fn a_refused_ehlo_decides_where_helo_is_not_answered() {
    let refused = own(Kind::Rejected, ErrorCode::EhloRefused);
    let ehlo = Ask("EHLO", "501 5.7.1 your name does not fit\r\n");
    let helo = Ask("HELO", "");
    for last in [
        vec![ehlo],
        vec![ehlo, Broken(ErrorKind::ConnectionReset)],
        vec![ehlo, Fail(ErrorKind::ConnectionReset)],
        vec![ehlo, helo],
        vec![ehlo, helo, Fail(ErrorKind::ReadTimeout)],
        vec![ehlo, helo, Fail(ErrorKind::ConnectionReset)],
    ] {
        let turns = [HELLO].into_iter().chain(last).collect();
        let (report, server) = drive_server(&plain(), Server { turns, ..Server::default() });
        assert_eq!(outcome(&report), (3, 501, Some(refused)));
        assert_eq!(report.failure.as_ref().unwrap().text, "EHLO: 501 5.7.1 your name does not fit");
        assert_eq!(report.get(Field::EnhancedStatus), Some(&Value::Text("5.7.1".into())));
        assert_eq!(report.get(Field::EhloTime), Some(&Value::Time(1_000)));
        assert!(!server.sent.contains("QUIT"));
    }
    // Stopped by the host, we do not know.
    let stopped = ErrorKind::LimitExceeded;
    assert_outcome(&plain(), [HELLO, ehlo, helo, Fail(stopped)], (3, -1, Cause::Network(stopped)));
}

#[test]
fn a_refused_helo_that_is_cut_off_is_not_followed_by_lhlo() {
    let refused = own(Kind::Rejected, ErrorCode::EhloRefused);
    assert_outcome(
        &plain(),
        [HELLO, Ask("EHLO", "502 no\r\n"), Ask("HELO", "554-go away\r\n")],
        (3, 554, refused),
    );
}

#[test]
fn a_recipient_refused_by_half_a_reply_ends_the_session() {
    let refused = own(Kind::Rejected, ErrorCode::RecipientRefused);
    let parameters = Parameters { to: vec!["c@d".into(), "x@y".into()], ..mailing() };
    let (report, _) = drive(&parameters, [HELLO, EHLO, MAIL, RCPT, Ask("RCPT TO:<x@y>", "550-who?\r\n")]);
    assert_eq!(outcome(&report), (6, 550, Some(refused)));
}

#[test]
fn a_failure_behind_a_refused_recipient_names_that_refusal() {
    let parameters = Parameters { to: vec!["x@y".into(), "c@d".into()], ..mailing() };
    let refused = Ask("RCPT TO:<x@y>", "550 5.7.1 you are on a list\r\n");
    let closing = own(Kind::Rejected, ErrorCode::ServiceClosing);
    let garbage = own(Kind::ProtocolError, ErrorCode::NotSmtp);
    let unexpected = own(Kind::ProtocolError, ErrorCode::UnexpectedData);
    let ambiguous = own(Kind::ReadFailed, ErrorCode::DeliveryAmbiguous);
    let rejected = |code| own(Kind::Rejected, code);
    let lost = Cause::Network;
    let (gone, silent) = (ErrorKind::ConnectionClosed, ErrorKind::ReadTimeout);
    for (last, expected) in [
        (vec![Close], (6, -1, lost(gone))),
        (vec![Broken(ErrorKind::ConnectionReset)], (6, -1, lost(ErrorKind::ConnectionReset))),
        (vec![Ask("RCPT", ""), Fail(silent)], (6, -1, lost(silent))),
        (vec![Ask("RCPT", "421 too many errors\r\n")], (6, 421, closing)),
        (vec![Ask("RCPT", "550-half\r\n")], (6, 550, rejected(ErrorCode::RecipientRefused))),
        (vec![Ask("RCPT", "what?\r\n")], (6, -1, garbage)),
        (vec![RCPT, Ask("DATA", ""), Fail(silent)], (7, -1, lost(silent))),
        (vec![RCPT, Ask("DATA", "554 no\r\n"), QUIT], (7, 554, rejected(ErrorCode::DataRefused))),
        (vec![RCPT, DATA, Mail("554 no\r\n"), QUIT], (8, 554, rejected(ErrorCode::MessageRefused))),
        (vec![RCPT, DATA, Mail("")], (8, -1, ambiguous)),
        (vec![Ask("RCPT", "250 ok\r\n250 ok\r\n")], (6, -1, unexpected)),
    ] {
        let turns = [HELLO, EHLO, MAIL, refused].into_iter().chain(last).collect();
        let (report, _) = drive_server(&parameters, Server { turns, ..Server::default() });
        assert_eq!(outcome(&report), (expected.0, expected.1, Some(expected.2)));
        let text = report.failure.unwrap().text;
        assert!(text.ends_with("; RCPT TO:<x@y>: 550 5.7.1 you are on a list"), "{text}");
    }
}

#[test]
fn each_refused_recipient_is_named() {
    let to = ["a@b", "x@y", "c@d", "z@y"].map(str::to_owned).to_vec();
    let text = |second, last: &[Turn]| {
        let refuse = |begin| Ask(begin, "550 who?\r\n");
        let begin = [HELLO, EHLO, MAIL, refuse("RCPT TO:<a@b>"), refuse("RCPT TO:<x@y>"), second];
        let last = [refuse("RCPT TO:<z@y>")].into_iter().chain(last.iter().copied());
        let turns = begin.into_iter().chain(last).collect();
        let parameters = Parameters { to: to.clone(), ..mailing() };
        let (report, _) = drive_server(&parameters, Server { turns, ..Server::default() });
        let refused = own(Kind::Rejected, ErrorCode::RecipientRefused);
        assert_eq!(outcome(&report), (6, 550, Some(refused)));
        report.failure.unwrap().text
    };
    let some = "RCPT TO:<a@b>: 550 who?; also refused: <x@y>; also refused: <z@y>";
    assert_eq!(text(RCPT, &[DATA, Mail("250 ok\r\n"), QUIT]), some);
    let all = "RCPT TO:<a@b>: 550 who?; also refused: <x@y>; also refused: <c@d>; also refused: <z@y>";
    assert_eq!(text(Ask("RCPT TO:<c@d>", "450 later\r\n"), &[QUIT]), all);
}

#[test]
fn a_mail_refused_by_half_a_reply_is_not_ambiguous() {
    let refused = own(Kind::Rejected, ErrorCode::MessageRefused);
    let (report, _) = until(9, [Mail("554-5.7.1 spam\r\n"), Fail(ErrorKind::ReadTimeout)]);
    assert_eq!(outcome(&report), (8, 554, Some(refused)));
}
