//! The dialogue over a scripted server.

mod in_step;
mod login;
mod refusals;
mod server;
mod table;
mod times;

use self::server::{
    DATA, EHLO, HELLO, MAIL, QUIT, RCPT, Server,
    Turn::{self, Ask, Broken, Close, Fail, Mail, Say, Tls},
    assert_outcome, drive, drive_server, login, mailing, outcome, own, plain,
};
use super::*;
use crate::{error::Kind, parameters::Auth, transport::ErrorKind};

#[test]
fn a_plain_session_succeeds_with_its_times() {
    let (report, _) = drive(&plain(), [HELLO, EHLO, QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    assert_eq!(report.get(Field::Banner), Some(&Value::Text("mx1 ESMTP Postfix".into())));
    for time in [Field::BannerTime, Field::EhloTime, Field::QuitTime] {
        assert_eq!(report.get(time), Some(&Value::Time(1_000)), "{time:?}");
    }
    assert_eq!(report.get(Field::LoginTime), Some(&Value::Time(2_000)));
    assert_eq!(report.get(Field::ReplyCode), Some(&Value::Integer(250)));
    assert_eq!(report.get(Field::TransferTime), None);
}

#[test]
fn a_reply_in_single_bytes_and_several_lines_is_one_reply() {
    let turns = [Say("220-mx1 wait\r\n220 mx1 ready\n"), EHLO, QUIT].into();
    let (report, _) = drive_server(&plain(), Server { turns, byte_by_byte: true, ..Server::default() });
    assert_eq!(report.get(Field::Banner), Some(&Value::Text("mx1 wait mx1 ready".into())));
    assert_eq!(outcome(&report), (0, 0, None));
}

#[test]
fn starttls_forgets_what_was_said_before_it() {
    let parameters = Parameters { connection: Security::StartTls, ..login(Auth::Auto) };
    let (report, _) = drive(
        &parameters,
        [HELLO, EHLO, Ask("STARTTLS\r\n", "220 go\r\n"), Tls, Ask("EHLO", "250 mx1\r\n"), QUIT],
    );
    assert_eq!(outcome(&report), (2, -1, Some(own(Kind::AuthFailed, ErrorCode::AuthNotOffered))));
    assert_eq!(report.get(Field::EhloTime), Some(&Value::Time(2_000)));
}

#[test]
fn tls_comes_before_the_greeting_where_it_is_wanted_from_the_first_byte() {
    let (report, _) = drive(&Parameters { connection: Security::Tls, ..plain() }, [Tls, HELLO, EHLO, QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    assert_eq!(report.get(Field::BannerTime), Some(&Value::Time(1_000)));
}

#[test]
fn helo_is_tried_after_a_5xx_to_ehlo_only() {
    let (report, _) =
        drive(&plain(), [HELLO, Ask("EHLO", "502 no\r\n"), Ask("HELO probe", "250 mx1\r\n"), QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    let refused = own(Kind::Rejected, ErrorCode::EhloRefused);
    assert_outcome(&plain(), [HELLO, Ask("EHLO", "450 no\r\n"), QUIT], (3, 450, refused));
    assert_outcome(
        &plain(),
        [
            HELLO,
            Ask("EHLO", "502 no\r\n"),
            Ask("HELO", "550 no\r\n"),
            Ask("LHLO probe\r\n", "502 no\r\n"),
            QUIT,
        ],
        (3, 550, refused),
    );
}

#[test]
fn a_bad_greeting_is_told_apart_by_what_it_is() {
    let protocol = |code| own(Kind::ProtocolError, code);
    assert_outcome(
        &plain(),
        [Say("554 no\r\n"), QUIT],
        (1, 554, own(Kind::Rejected, ErrorCode::GreetingRefused)),
    );
    assert_outcome(&plain(), [Say("421 busy\r\n")], (1, 421, own(Kind::Rejected, ErrorCode::ServiceClosing)));
    assert_outcome(&plain(), [Say("250 hi\r\n")], (1, -1, protocol(ErrorCode::UnexpectedReply)));
    assert_outcome(&plain(), [Say("HTTP/1.1 400\r\n")], (1, -1, protocol(ErrorCode::NotSmtp)));
    assert_outcome(&plain(), [Say("\x15\x03\x01")], (1, -1, protocol(ErrorCode::SpeaksTls)));
    assert_outcome(&plain(), [], (1, -1, Cause::Network(ErrorKind::ConnectionClosed)));
    let report = assert_outcome(
        &plain(),
        [Fail(ErrorKind::ReadTimeout)],
        (11, -1, Cause::Network(ErrorKind::ReadTimeout)),
    );
    assert_eq!(report.get(Field::BannerTime), None);
}

#[test]
fn silence_before_the_greeting_names_what_may_be_behind_it() {
    let text = |parameters: &Parameters, turns: &[Turn]| {
        let turns = turns.iter().copied().collect();
        let (report, _) = drive_server(parameters, Server { turns, ..Server::default() });
        assert_eq!(outcome(&report), (1, -1, Some(Cause::Network(ErrorKind::ReadTimeout))));
        report.failure.unwrap().text
    };
    let silence = Broken(ErrorKind::ReadTimeout);
    let starttls = Parameters { connection: Security::StartTls, ..plain() };
    for parameters in [plain(), starttls] {
        let text = text(&parameters, &[silence]);
        for cause in ["scripted", "speaks TLS?", "connection = \"tls\"", "backlog", "pauses", "PROXY header"]
        {
            assert!(text.contains(cause), "{cause}: {text}");
        }
        let longest = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535: silence for 600.0 s";
        assert!(text.len() - "scripted".len() + longest.len() <= 256, "{text}");
    }
    let tls = Parameters { connection: Security::Tls, ..plain() };
    assert!(!text(&tls, &[Tls, silence]).contains("speaks TLS?"));
}

#[test]
fn a_connection_that_ends_before_a_word_names_what_may_be_behind_it() {
    let text = |parameters: &Parameters, turns: &[Turn]| {
        let turns = turns.iter().copied().collect();
        let (report, _) = drive_server(parameters, Server { turns, ..Server::default() });
        report.failure.unwrap().text
    };
    let hint = "; does it refuse this machine, or wait for a PROXY header?";
    for gone in [Close, Broken(ErrorKind::ConnectionReset)] {
        assert!(text(&plain(), &[gone]).ends_with(hint));
        assert!(!text(&plain(), &[Say("220-wait\r\n"), gone]).contains("PROXY"));
        let tls = Parameters { connection: Security::Tls, ..plain() };
        assert!(!text(&tls, &[Tls, gone]).contains("PROXY"));
    }
    assert!(!text(&plain(), &[Broken(ErrorKind::Unreachable)]).contains("PROXY"));
}

#[test]
fn a_refusal_behind_the_greeting_may_be_of_a_proxys_header() {
    let text = |behind: &str| {
        let greeting = Say(format!("220 mx1\r\n{behind}\r\n").leak());
        drive(&plain(), [greeting]).0.failure.unwrap().text
    };
    let asked = "greeting: behind the reply, not asked for";
    assert_eq!(text("500 5.5.2 what?"), format!("{asked} (of a proxy's PROXY header?): 500 5.5.2 what?"));
    assert_eq!(text("220 mx2"), format!("{asked}: 220 mx2"));
}

#[test]
fn silence_within_the_greeting_does_not_hint_at_tls() {
    let (report, _) = drive(&plain(), [Say("220-wait\r\n"), Fail(ErrorKind::ReadTimeout)]);
    assert_eq!(outcome(&report), (1, -1, Some(Cause::Network(ErrorKind::ReadTimeout))));
    assert!(!report.failure.unwrap().text.contains("speaks TLS?"));
}

#[test]
fn a_server_that_only_knows_lhlo_is_called_lmtp() {
    let refuse = |verb| Ask(verb, "500 5.5.1 what?\r\n");
    let lhlo = |answer| Ask("LHLO probe\r\n", answer);
    let lmtp = own(Kind::Rejected, ErrorCode::SpeaksLmtp);
    let report = assert_outcome(
        &plain(),
        [HELLO, refuse("EHLO"), refuse("HELO"), lhlo("250-mx1\r\n250 PIPELINING\r\n"), QUIT],
        (3, 500, lmtp),
    );
    assert!(report.failure.as_ref().unwrap().text.starts_with("this is LMTP, not SMTP"));
    assert_eq!(report.get(Field::EhloTime), Some(&Value::Time(2_000)), "LHLO is in no time");
    assert_eq!(report.get(Field::EnhancedStatus), Some(&Value::Text("5.5.1".into())));
    // Whatever else comes of it, HELO was refused.
    let refused = own(Kind::Rejected, ErrorCode::EhloRefused);
    for answer in ["421 bye\r\n", "HTTP\r\n", "5", ""] {
        assert_outcome(&plain(), [HELLO, refuse("EHLO"), refuse("HELO"), lhlo(answer)], (3, 500, refused));
    }
    assert_outcome(&plain(), [HELLO, refuse("EHLO"), Ask("HELO", "450 no\r\n"), QUIT], (3, 450, refused));
}

#[test]
fn an_unknown_code_counts_by_its_first_digit() {
    let (report, _) = drive(&plain(), [HELLO, Ask("EHLO", "299 mx1\r\n"), QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    let refused = own(Kind::Rejected, ErrorCode::EhloRefused);
    assert_outcome(&plain(), [HELLO, Ask("EHLO", "499 no\r\n"), QUIT], (3, 499, refused));
}

#[test]
fn a_server_that_only_knows_helo_offers_neither_tls_nor_a_login() {
    let helo = || [HELLO, Ask("EHLO", "502 no\r\n"), Ask("HELO", "250 mx1\r\n"), QUIT];
    let starttls = Parameters { connection: Security::StartTls, ..plain() };
    assert_outcome(&starttls, helo(), (4, -1, own(Kind::TlsError, ErrorCode::StarttlsNotOffered)));
    assert_outcome(&login(Auth::Auto), helo(), (2, -1, own(Kind::AuthFailed, ErrorCode::AuthNotOffered)));
}

#[test]
fn a_server_that_closes_the_session_with_421_gets_no_quit() {
    let closing = own(Kind::Rejected, ErrorCode::ServiceClosing);
    assert_outcome(&mailing(), [HELLO, EHLO, MAIL, Ask("RCPT", "421 4.3.2 bye\r\n")], (6, 421, closing));
}

#[test]
fn names_and_connections_fail_at_steps_of_their_own() {
    for (kind, step) in [
        (ErrorKind::NameNotFound, 10),
        (ErrorKind::ResolverTimeout, 10),
        (ErrorKind::ConnectionRefused, 11),
        (ErrorKind::Denied, 11),
    ] {
        assert_outcome(&plain(), [Fail(kind)], (step, -1, Cause::Network(kind)));
    }
}

#[test]
fn starttls_that_is_not_to_be_had_ends_the_session_before_anything_is_said_in_clear() {
    let parameters = Parameters { connection: Security::StartTls, ..login(Auth::Auto) };
    let tls = |code| own(Kind::TlsError, code);
    let bare = Ask("EHLO", "250 STARTTLS\r\n");
    assert_outcome(&parameters, [HELLO, bare, QUIT], (4, -1, tls(ErrorCode::StarttlsNotOffered)));
    let refuse = |answer| Ask("STARTTLS", answer);
    assert_outcome(
        &parameters,
        [HELLO, EHLO, refuse("454 later\r\n"), QUIT],
        (4, 454, tls(ErrorCode::StarttlsRefused)),
    );
    let closing = own(Kind::Rejected, ErrorCode::ServiceClosing);
    assert_outcome(&parameters, [HELLO, EHLO, refuse("421 bye\r\n")], (4, 421, closing));
    let wrong = own(Kind::ProtocolError, ErrorCode::UnexpectedReply);
    assert_outcome(&parameters, [HELLO, EHLO, refuse("250 ok\r\n")], (4, -1, wrong));
    let go = || refuse("220 go\r\n");
    let injected = ErrorKind::PlaintextBeforeTls;
    assert_outcome(&parameters, [HELLO, EHLO, go(), Fail(injected)], (4, -1, Cause::Network(injected)));
}

#[test]
fn a_mail_is_sent_and_its_queue_id_kept() {
    let (report, server) =
        drive(&mailing(), [HELLO, EHLO, MAIL, RCPT, DATA, Mail("250 2.0.0 Ok: queued as 4Xyz\r\n"), QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    assert_eq!(report.get(Field::QueueId), Some(&Value::Text("4Xyz".into())));
    assert_eq!(report.get(Field::TransferTime), Some(&Value::Time(4_000)));
    assert!(server.sent.contains("Message-ID: <id1@b>"));
}

#[test]
fn one_refused_recipient_of_two_fails_though_the_mail_goes_to_the_other() {
    let parameters = Parameters { to: vec!["x@y".into(), "c@d".into()], ..mailing() };
    let refuse = || Ask("RCPT TO:<x@y>", "550 5.1.1 who?\r\n");
    let refused = own(Kind::Rejected, ErrorCode::RecipientRefused);
    let report = assert_outcome(
        &parameters,
        [HELLO, EHLO, MAIL, refuse(), RCPT, DATA, Mail("250 ok\r\n"), QUIT],
        (6, 550, refused),
    );
    assert_eq!(report.get(Field::ReplyCode), Some(&Value::Integer(550)));
    assert_eq!(report.get(Field::TransferTime), None);
    assert_eq!(report.get(Field::RcptTime), Some(&Value::Time(2_000)));
    let later = own(Kind::Rejected, ErrorCode::MessageRefused);
    assert_outcome(
        &parameters,
        [HELLO, EHLO, MAIL, refuse(), RCPT, DATA, Mail("554 spam\r\n"), QUIT],
        (8, 554, later),
    );
}

#[test]
fn refusals_of_the_transaction_stand_at_their_steps() {
    let rejected = |code| own(Kind::Rejected, code);
    let mail = mailing();
    assert_outcome(
        &mail,
        [HELLO, EHLO, Ask("MAIL", "530 no\r\n"), QUIT],
        (5, 530, rejected(ErrorCode::MailRefused)),
    );
    let grey = Ask("RCPT", "450 4.7.1 greylisted\r\n");
    assert_outcome(&mail, [HELLO, EHLO, MAIL, grey, QUIT], (6, 450, rejected(ErrorCode::RecipientRefused)));
    assert_outcome(
        &mail,
        [HELLO, EHLO, MAIL, RCPT, Ask("DATA", "451 no\r\n"), QUIT],
        (7, 451, rejected(ErrorCode::DataRefused)),
    );
    let wrong = own(Kind::ProtocolError, ErrorCode::UnexpectedReply);
    assert_outcome(&mail, [HELLO, EHLO, MAIL, RCPT, Ask("DATA", "250 ok\r\n")], (7, -1, wrong));
    assert_outcome(&mail, [HELLO, EHLO, Ask("MAIL", "354 go\r\n")], (5, -1, wrong));
    let small = || Ask("EHLO", "250-mx1\r\n250 SIZE 10\r\n");
    assert_outcome(&mail, [HELLO, small(), QUIT], (5, -1, rejected(ErrorCode::MessageTooLarge)));
}

#[test]
fn loss_after_the_final_dot_is_ambiguous_and_before_it_is_not() {
    let begin = || [HELLO, EHLO, MAIL, RCPT, DATA];
    let with = |last: [Turn; 2]| {
        let turns = begin().into_iter().chain(last).collect();
        outcome(&drive_server(&mailing(), Server { turns, ..Server::default() }).0)
    };
    let lost = own(Kind::ReadFailed, ErrorCode::DeliveryAmbiguous);
    // Also where the network goes away under the connection, or the encrypted stream breaks.
    for kind in [
        ErrorKind::ConnectionReset,
        ErrorKind::ConnectionClosed,
        ErrorKind::Unreachable,
        ErrorKind::Other,
        ErrorKind::TlsFailed,
    ] {
        assert_eq!(with([Mail(""), Fail(kind)]), (8, -1, Some(lost)), "{kind:?}");
    }
    let cut = Cause::Network(ErrorKind::LimitExceeded);
    assert_eq!(with([Mail(""), Fail(ErrorKind::LimitExceeded)]), (8, -1, Some(cut)));
    let silent = own(Kind::Timeout, ErrorCode::DeliveryAmbiguous);
    assert_eq!(with([Mail(""), Fail(ErrorKind::ReadTimeout)]), (8, -1, Some(silent)));
    let before = Cause::Network(ErrorKind::ConnectionReset);
    assert_eq!(with([Fail(ErrorKind::ConnectionReset), Fail(ErrorKind::Other)]), (8, -1, Some(before)));
}

#[test]
fn however_quit_goes_the_outcome_stands() {
    let (report, _) = drive(&plain(), [HELLO, EHLO, Ask("QUIT", ""), Fail(ErrorKind::ReadTimeout)]);
    assert_eq!(outcome(&report), (0, 0, None));
    assert_eq!(report.get(Field::QuitTime), None);
}

#[test]
fn a_reply_may_be_long_but_not_endless() {
    let line = |length: usize| format!("220 {}\r\n", "x".repeat(length - 4)).leak() as &'static str;
    let (report, _) = drive(&plain(), [Say(line(8192)), EHLO, QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    let long = own(Kind::ProtocolError, ErrorCode::ReplyTooLong);
    assert_outcome(&plain(), [Say(line(8193))], (1, -1, long));
    let many = |count: usize| format!("{}220 end\r\n", "220-x\r\n".repeat(count - 1)).leak() as &'static str;
    let (report, _) = drive(&plain(), [Say(many(100)), EHLO, QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    assert_outcome(&plain(), [Say(many(101))], (1, -1, long));
}

#[test]
fn line_breaks_in_what_goes_on_the_wire_are_refused() {
    let read = |key: &str| {
        Parameters::read(&format!("{{\"ehlo_name\":\"probe\",\"{key}\":\"a\\r\\nRCPT TO:<x>\"}}"))
    };
    for key in ["username", "password", "from", "to", "subject", "ehlo_name"] {
        assert!(read(key).is_err(), "{key}");
    }
    assert!(read("body").is_ok());
    assert_eq!(outcome(&invalid("x".into())).0, -1);
}
