//! In step with the server, always: nothing unread waits when a command goes out.

use super::server::{
    AUTH_LOGIN, EHLO, FULL, HELLO, MAIL, STEPS, Server,
    Turn::{self, Ask, Broken, Close, Cut, Fail, Mail, Say, Tls},
    answering, assert_outcome, drive, drive_server, full, login, mailing, outcome, own, plain, until,
};
use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    parameters::{Auth, Parameters, Security},
    report::{Cause, Report, Value},
    transport::ErrorKind,
};

/// A good answer, and something behind it.
fn more(turn: usize, behind: &str) -> Turn {
    let (Say(good) | Ask(_, good) | Mail(good)) = FULL[turn] else { panic!("turn {turn} says nothing") };
    answering(turn, format!("{good}{behind}").leak())
}

/// Before TLS the host hands out a line at a time, and what is behind STARTTLS is its to see.
fn steps() -> impl Iterator<Item = (usize, i64)> {
    STEPS.into_iter().filter(|(turn, _)| *turn != 2)
}

fn each_way(turn: usize, behind: &str) -> [(Report, Server); 2] {
    [false, true].map(|line_by_line| {
        let turns =
            FULL[..turn].iter().copied().chain([more(turn, behind), Fail(ErrorKind::Other)]).collect();
        drive_server(&full(), Server { turns, line_by_line, ..Server::default() })
    })
}

#[test]
fn something_behind_a_reply_stops_the_session_at_that_reply() {
    let unexpected = own(Kind::ProtocolError, ErrorCode::UnexpectedData);
    for (turn, step) in steps() {
        for behind in [
            "250 hello again\r\n",
            "250-hello again\r\n",
            "hello again",
            "554 hello again\r\n",
            "\r\n",
            "421-half\r\n",
            "421",
        ] {
            for (report, server) in each_way(turn, behind) {
                assert_eq!(outcome(&report), (step, -1, Some(unexpected)), "{turn} {behind}");
                assert_eq!(report.get(Field::ReplyCode), None);
                let text = report.failure.unwrap().text;
                assert!(
                    ["hello again", "(an empty line)", "421"].iter().any(|said| text.contains(said)),
                    "{text}"
                );
                assert!(!server.sent.contains("QUIT"));
            }
        }
    }
}

#[test]
fn a_421_behind_a_reply_closes_the_session_at_the_step_that_was_due() {
    let closing = own(Kind::Rejected, ErrorCode::ServiceClosing);
    let due = [3, 4, 0, 2, 5, 6, 7, 8, 8];
    for (turn, _) in steps() {
        let at = STEPS.iter().position(|(known, _)| *known == turn).unwrap();
        for behind in ["421 4.3.2 relay is down\r\n", "421-4.3.2 relay is\r\n421 4.3.2 down\r\n"] {
            for (report, server) in each_way(turn, behind) {
                assert_eq!(outcome(&report), (due[at], 421, Some(closing)), "{turn} {behind}");
                assert!(!server.sent.contains("QUIT"));
            }
        }
    }
}

#[test]
fn a_server_that_left_behind_a_reply_fails_the_step_that_was_due() {
    let due = [3, 4, 0, 2, 5, 6, 7, 8, 0];
    for (at, (turn, _)) in STEPS.into_iter().enumerate() {
        for (gone, kind) in [
            (Close, ErrorKind::ConnectionClosed),
            (Broken(ErrorKind::ConnectionReset), ErrorKind::ConnectionReset),
        ] {
            let (report, _) = match turn {
                2 => continue,
                _ => until(turn, [FULL[turn], gone]),
            };
            let expected = match due[at] {
                // Before QUIT it changes nothing.
                0 => (0, 0, None),
                step => (step, -1, Some(Cause::Network(kind))),
            };
            assert_eq!(outcome(&report), expected, "{turn}");
        }
    }
}

#[test]
fn what_comes_behind_quit_changes_nothing() {
    let (report, _) = drive(&plain(), [HELLO, EHLO, Ask("QUIT", "221 bye\r\n250 what?\r\n421 bye\r\n")]);
    assert_eq!(outcome(&report), (0, 0, None));
    assert!(report.get(Field::QuitTime).is_some());
}

#[test]
fn a_second_recipient_is_not_asked_for_out_of_step() {
    let parameters = Parameters { to: vec!["x@y".into(), "c@d".into()], ..mailing() };
    let unexpected = own(Kind::ProtocolError, ErrorCode::UnexpectedData);
    let report = assert_outcome(
        &parameters,
        [HELLO, EHLO, MAIL, Ask("RCPT TO:<x@y>", "550 who?\r\n250 ok\r\n")],
        (6, -1, unexpected),
    );
    assert_eq!(report.get(Field::RcptTime), None, "not all recipients were asked for");
}

#[test]
fn every_line_of_a_login_is_looked_before() {
    let open = Parameters { allow_plaintext_auth: true, ..login(Auth::Login) };
    let unexpected = own(Kind::ProtocolError, ErrorCode::UnexpectedData);
    let closing = own(Kind::Rejected, ErrorCode::ServiceClosing);
    for (behind, expected) in [("334 more\r\n", (2, -1, unexpected)), ("421 bye\r\n", (2, 421, closing))] {
        let challenge = |begin| Ask(begin, format!("334 VXNlcg==\r\n{behind}").leak());
        assert_outcome(&open, [HELLO, EHLO, challenge("AUTH LOGIN\r\n")], expected);
        assert_outcome(&open, [HELLO, EHLO, AUTH_LOGIN, challenge("dXNlcg==\r\n")], expected);
        let cram = login(Auth::CramMd5);
        assert_outcome(&cram, [HELLO, EHLO, challenge("AUTH CRAM-MD5\r\n")], expected);
    }
}

#[test]
fn an_ehlo_that_is_answered_in_two_replies_is_not_blamed_on_what_it_does_not_offer() {
    let starttls = Parameters { connection: Security::StartTls, ..plain() };
    let unexpected = own(Kind::ProtocolError, ErrorCode::UnexpectedData);
    assert_outcome(&starttls, [HELLO, Ask("EHLO", "250 mx1\r\n250 STARTTLS\r\n")], (3, -1, unexpected));
}

#[test]
fn a_refusal_stands_whatever_is_behind_it() {
    let refused = own(Kind::Rejected, ErrorCode::MailRefused);
    for behind in ["250 what?\r\n", "421 bye\r\n"] {
        let answer = format!("550 no\r\n{behind}").leak();
        let report = assert_outcome(&mailing(), [HELLO, EHLO, Ask("MAIL", answer)], (5, 550, refused));
        assert_eq!(report.get(Field::QuitTime), None);
    }
}

#[test]
fn a_fault_of_tls_before_the_first_reply_behind_a_handshake_is_the_handshakes() {
    for kind in [ErrorKind::TlsAlert, ErrorKind::TlsFailed, ErrorKind::TlsUnsupported] {
        let fault = Some(Cause::Network(kind));
        let tls = Parameters { connection: Security::Tls, ..plain() };
        for first in [Broken(kind), Fail(kind)] {
            let turns = [Tls, first].into();
            let (report, _) = drive_server(&tls, Server { turns, ..Server::default() });
            assert_eq!(outcome(&report), (4, -1, fault));
            assert_eq!(report.get(Field::Phase), Some(&Value::Text("tls".into())));
            assert_eq!(report.failure.unwrap().text, "scripted");
        }
        // Behind STARTTLS: found by the look, by the write, where the reply is due, and behind a write that failed.
        for last in [
            vec![Broken(kind)],
            vec![Fail(kind)],
            vec![Ask("EHLO", ""), Fail(kind)],
            vec![Cut(""), Broken(kind)],
        ] {
            let (report, _) = until(4, last);
            assert_eq!(outcome(&report), (4, -1, fault));
            assert_eq!(report.get(Field::EhloTime), None);
        }
        // Later, it is the step's that it happened in.
        let (report, _) = until(5, [Ask("AUTH", ""), Fail(kind)]);
        assert_eq!(outcome(&report), (2, -1, fault));
    }
    let closed = Some(Cause::Network(ErrorKind::ConnectionClosed));
    assert_eq!(outcome(&until(4, [Ask("EHLO", "")]).0), (3, -1, closed));
}
