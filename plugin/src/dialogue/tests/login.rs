//! AUTH: what is chosen, said and held back.

use super::server::{
    EHLO, HELLO, QUIT, Server,
    Turn::{Ask, Close, Tls},
    assert_outcome, drive, drive_server, login, outcome, own,
};
use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    parameters::{Auth, Parameters, Security},
    report::Value,
};

#[test]
fn a_challenge_that_is_not_base64_breaks_the_protocol() {
    let wrong = own(Kind::ProtocolError, ErrorCode::UnexpectedReply);
    assert_outcome(&login(Auth::CramMd5), [HELLO, EHLO, Ask("AUTH CRAM-MD5", "334 ***\r\n")], (2, -1, wrong));
}

#[test]
fn each_mechanism_speaks_its_own_words() {
    let open = |auth| Parameters { allow_plaintext_auth: true, ..login(auth) };
    let good = "235 2.7.0 ok\r\n";
    let (report, _) = drive(
        &open(Auth::Plain),
        [HELLO, EHLO, Ask("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", "235 2.7.0 ok\r\n"), QUIT],
    );
    assert_eq!(outcome(&report), (0, 0, None));
    let (report, _) = drive(
        &open(Auth::Login),
        [
            HELLO,
            EHLO,
            Ask("AUTH LOGIN\r\n", "334 d2hvPw==\r\n"),
            Ask("dXNlcg==\r\n", "334 cGFzcz8=\r\n"),
            Ask("c2VjcmV0\r\n", good),
            QUIT,
        ],
    );
    assert_eq!(outcome(&report), (0, 0, None));
    // "user " in base64: the digest follows, and the password is not in it.
    let (report, server) = drive(
        &login(Auth::Auto),
        [HELLO, EHLO, Ask("AUTH CRAM-MD5\r\n", "334 PDEyMz4=\r\n"), Ask("dXNlci", good), QUIT],
    );
    assert_eq!(outcome(&report), (0, 0, None));
    assert!(!server.sent.contains("c2VjcmV0"));
    assert_eq!(report.get(Field::AuthTime), Some(&Value::Time(2_000)));
}

#[test]
fn a_password_is_hashed_for_cram_md5_where_it_is_longer_than_a_block_of_64_bytes() {
    // What another implementation says to the challenge <123>.
    let digests = [
        (63, "dXNlciA4ZjAyZmEwMTNjNzJkMGRjNTc2NDgwNzAxNzdjYzE4Mg==\r\n"),
        (64, "dXNlciBhM2I5OGQ3MDczZWUxZTQ1YThhMmQ3MjY3Mjc1ZjgwYw==\r\n"),
        (65, "dXNlciAyMDI5NDllMTA3NWFkM2I5ZGI2NzkxMTFkZGMwNGFmOQ==\r\n"),
    ];
    for (length, digest) in digests {
        let parameters = Parameters { password: "k".repeat(length), ..login(Auth::CramMd5) };
        let ask = Ask("AUTH CRAM-MD5\r\n", "334 PDEyMz4=\r\n");
        let (report, _) = drive(&parameters, [HELLO, EHLO, ask, Ask(digest, "235 2.7.0 ok\r\n"), QUIT]);
        assert_eq!(outcome(&report), (0, 0, None), "{length}");
    }
}

#[test]
fn a_long_password_is_sent_behind_its_own_challenge() {
    let word = |length: usize| format!("AHVzZXIA{}", "enp6".repeat(length / 3));
    let open = |length: usize| {
        let password = "z".repeat(length);
        Parameters { password, allow_plaintext_auth: true, ..login(Auth::Plain) }
    };
    // In 512 bytes it goes with the command, its line end included.
    let line = format!("AUTH PLAIN {}\r\n", word(366));
    assert!((509..=512).contains(&line.len()));
    let (report, _) = drive(&open(366), [HELLO, EHLO, Ask(line.leak(), "235 2.7.0 ok\r\n"), QUIT]);
    assert_eq!(outcome(&report), (0, 0, None));
    for length in [369, 3000] {
        let word = format!("{}\r\n", word(length)).leak();
        let asked = Ask("AUTH PLAIN\r\n", "334 \r\n");
        let (report, _) = drive(&open(length), [HELLO, EHLO, asked, Ask(word, "235 2.7.0 ok\r\n"), QUIT]);
        assert_eq!(outcome(&report), (0, 0, None));
        assert_eq!(report.get(Field::AuthTime), Some(&Value::Time(2_000)), "both exchanges");
    }
    let refused = own(Kind::AuthFailed, ErrorCode::AuthRefused);
    let turns = [HELLO, EHLO, Ask("AUTH PLAIN\r\n", "535 5.7.8 no\r\n"), QUIT];
    assert_outcome(&open(369), turns, (2, 535, refused));
}

#[test]
fn nothing_of_the_secret_is_sent_in_clear_or_to_an_unverified_server() {
    let (report, server) = drive(&login(Auth::Plain), [HELLO, EHLO, QUIT]);
    assert_eq!(outcome(&report), (2, -1, Some(own(Kind::AuthFailed, ErrorCode::PlaintextAuthNotAllowed))));
    assert!(!server.sent.contains("AUTH"));
    let parameters = Parameters { connection: Security::Tls, ..login(Auth::Auto) };
    let verify_error = Some("it expired".to_owned());
    let server = Server { turns: [Tls, HELLO, EHLO, QUIT].into(), verify_error, ..Server::default() };
    let (report, server) = drive_server(&parameters, server);
    assert_eq!(outcome(&report), (2, -1, Some(own(Kind::AuthFailed, ErrorCode::CredentialsHeldBack))));
    assert!(!server.sent.contains("AUTH") && report.failure.unwrap().text.contains("it expired"));
}

#[test]
fn a_refused_login_has_the_mailers_code() {
    let parameters = Parameters { connection: Security::Tls, ..login(Auth::Plain) };
    let refuse = |answer| [Tls, HELLO, EHLO, Ask("AUTH PLAIN", answer), QUIT];
    let refused = own(Kind::AuthFailed, ErrorCode::AuthRefused);
    let report = assert_outcome(&parameters, refuse("535 5.7.8 wrong\r\n"), (2, 535, refused));
    assert_eq!(report.get(Field::EnhancedStatus), Some(&Value::Text("5.7.8".into())));
    assert_eq!(report.get(Field::LoginTime), None);
    assert!(report.get(Field::AuthTime).is_some());
    let wrong = own(Kind::ProtocolError, ErrorCode::UnexpectedReply);
    assert_outcome(&parameters, [Tls, HELLO, EHLO, Ask("AUTH PLAIN", "250 ok\r\n")], (2, -1, wrong));
}

#[test]
fn who_offers_cram_md5_and_refuses_it_may_know_the_password_by_another_mechanism() {
    let text = |parameters: Parameters, offer| {
        let ask = Ask("AUTH CRAM-MD5", "535 5.7.8 no\r\n");
        let (report, _) = drive(&parameters, [HELLO, Ask("EHLO", offer), ask, QUIT]);
        report.failure.unwrap().text
    };
    let (all, alone) = ("250-mx1\r\n250 AUTH LOGIN PLAIN CRAM-MD5\r\n", "250-mx1\r\n250 AUTH CRAM-MD5\r\n");
    let open = |auth| Parameters { allow_plaintext_auth: true, ..login(auth) };
    let plain = "AUTH CRAM-MD5: 535 5.7.8 no";
    assert_eq!(text(open(Auth::Auto), all), format!("{plain}; it offers PLAIN as well (auth = \"plain\")"));
    for (parameters, offer) in
        [(open(Auth::CramMd5), all), (open(Auth::Auto), alone), (login(Auth::Auto), all)]
    {
        assert_eq!(text(parameters, offer), plain);
    }
}

#[test]
fn a_refusal_for_now_is_not_a_refused_password() {
    let parameters = Parameters { connection: Security::Tls, ..login(Auth::Plain) };
    let deferred = own(Kind::AuthFailed, ErrorCode::AuthDeferred);
    for answer in ["454 4.7.0 later\r\n", "450 4.7.1 too many\r\n"] {
        let turns = [Tls, HELLO, EHLO, Ask("AUTH PLAIN", answer), QUIT];
        let report = assert_outcome(&parameters, turns, (2, answer[..3].parse().unwrap(), deferred));
        assert!(report.failure.unwrap().text.starts_with("AUTH PLAIN: 45"));
    }
    let closing = own(Kind::Rejected, ErrorCode::ServiceClosing);
    assert_outcome(&parameters, [Tls, HELLO, EHLO, Ask("AUTH PLAIN", "421 bye\r\n")], (2, 421, closing));
    // Also in the middle.
    let cram = login(Auth::CramMd5);
    let later = Ask("dXNlci", "454 4.7.0 later\r\n");
    assert_outcome(
        &cram,
        [HELLO, EHLO, Ask("AUTH CRAM-MD5", "334 PDEyMz4=\r\n"), later, QUIT],
        (2, 454, deferred),
    );
}

#[test]
fn every_text_names_the_mechanism() {
    let open = |auth| Parameters { allow_plaintext_auth: true, ..login(auth) };
    for (auth, name) in [(Auth::Plain, "PLAIN"), (Auth::Login, "LOGIN"), (Auth::CramMd5, "CRAM-MD5")] {
        for answer in
            ["535 no\r\n", "454 later\r\n", "250 ok\r\n", "421 bye\r\n", "HTTP\r\n", "", "535-no\r\n"]
        {
            let turns = [HELLO, EHLO, Ask("AUTH", answer), Close].into();
            let (report, _) = drive_server(&open(auth), Server { turns, ..Server::default() });
            assert_eq!(report.get(Field::AuthMechanism), Some(&Value::Text(name.into())));
            let text = report.failure.unwrap().text;
            assert!(text.starts_with(&format!("AUTH {name}: ")), "{text}");
        }
    }
    let (report, _) = drive(&login(Auth::Login), [HELLO, EHLO, QUIT]);
    assert!(report.get(Field::AuthMechanism).is_none(), "none was chosen");
    assert!(report.failure.unwrap().text.starts_with("AUTH LOGIN: without TLS"));
}

#[test]
fn where_nothing_usable_is_offered_the_text_says_what_was_wanted_and_what_is() {
    let offering = |auth, offer: &'static str| {
        let (report, _) = drive(&login(auth), [HELLO, Ask("EHLO", offer), QUIT]);
        assert_eq!(outcome(&report), (2, -1, Some(own(Kind::AuthFailed, ErrorCode::AuthNotOffered))));
        report.failure.unwrap().text
    };
    assert_eq!(
        offering(Auth::CramMd5, "250-mx1\r\n250 AUTH PLAIN LOGIN\r\n"),
        "AUTH: wanted is CRAM-MD5, the server offers PLAIN LOGIN"
    );
    // As the server said it: a secret in it is then found.
    assert_eq!(
        offering(Auth::CramMd5, "250-mx1\r\n250 auth plain hunter2-Secret\r\n"),
        "AUTH: wanted is CRAM-MD5, the server offers plain hunter2-Secret"
    );
    assert_eq!(
        offering(Auth::Auto, "250 mx1\r\n"),
        "AUTH: wanted is CRAM-MD5 or PLAIN or LOGIN, the server offers nothing"
    );
    // As a server that wants TLS first.
    assert_eq!(
        offering(Auth::Auto, "250-mx1\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
        "AUTH: wanted is CRAM-MD5 or PLAIN or LOGIN, the server offers SIZE 1000 STARTTLS"
    );
}
