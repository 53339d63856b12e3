//! What can go wrong at every reply of a session does so at every one, in each way to be protected: a refusal that ends the
//! connection, half a reply, something behind a reply, a 421 behind it.

use crate::scenario::{Scenario, host, timeout};

/// A turn of the server's: what it waits for, its good answer, and the step.
type Turn = (&'static str, &'static str, i64);

const HELLO: Turn = ("", "220 mx1 ESMTP Test", 1);
const EHLO: Turn = ("C EHLO", "250-mx1\\r\\n250-STARTTLS\\r\\n250 AUTH PLAIN", 3);
const STARTTLS: Turn = ("C STARTTLS", "220 go", 4);
const TLS: Turn = ("TLS", "", 0);
const MAIL: [Turn; 5] = [
    ("C AUTH PLAIN", "235 2.7.0 ok", 2),
    ("C MAIL", "250 2.1.0 ok", 5),
    ("C RCPT", "250 2.1.5 ok", 6),
    ("C DATA", "354 go", 7),
    ("M", "250 2.0.0 ok", 8),
];

/// What a refusal at a step is.
fn refusal(step: i64) -> (&'static str, i64) {
    match step {
        1 => ("rejected", 1010),
        2 => ("auth_failed", 1016),
        3 => ("rejected", 1011),
        4 => ("tls_error", 1013),
        step => ("rejected", 1013 + step),
    }
}

fn turns(connection: &str) -> Vec<Turn> {
    let begin: &[Turn] = match connection {
        "plain" => &[HELLO, EHLO],
        "starttls" => &[HELLO, EHLO, STARTTLS, TLS, EHLO],
        _ => &[TLS, HELLO, EHLO],
    };
    [begin, &MAIL].concat()
}

/// The session up to a turn, at which the server answers something else and ends.
fn until(turns: &[Turn], at: usize, answer: &str) -> String {
    let good = |(wait, answer, _): &Turn| {
        let says = if answer.is_empty() { String::new() } else { format!("s {answer}\\r\\n\n") };
        format!("{wait}\n{says}")
    };
    let before: String = turns[..at].iter().map(good).collect();
    format!("{before}{}\ns {answer}\n", turns[at].0)
}

/// What comes of an answer at a turn: result, step, response and error code; none: it is passed over.
type Expected = Option<(&'static str, i64, i64, i64)>;

/// What a server may do at every step: by its name, its answer made of the good one, and what comes of it.
struct Mishap {
    name: &'static str,
    answer: fn(&str) -> String,
    expected: fn(&[Turn], usize) -> Expected,
}

#[expect(clippy::unnecessary_wraps, reason = "one of several that a mishap expects")]
fn refused(turns: &[Turn], at: usize) -> Expected {
    let (result, error_code) = refusal(turns[at].2);
    Some((result, turns[at].2, 554, error_code))
}

const MISHAPS: [Mishap; 7] = [
    Mishap {
        name: "refused-and-closed",
        answer: |_| "554 5.7.1 go away\\r\\n".to_owned(),
        expected: refused,
    },
    Mishap { name: "half-refused", answer: |_| "554-5.7.1 go away\\r\\n".to_owned(), expected: refused },
    Mishap {
        name: "refused-without-a-line-end",
        answer: |_| "554 5.7.1 go aw".to_owned(),
        expected: refused,
    },
    Mishap {
        name: "refused-behind-another-code",
        answer: |_| "220-hello\\r\\n554 5.7.1 blocked\\r\\n".to_owned(),
        expected: refused,
    },
    Mishap {
        name: "half-a-reply",
        answer: |good| good.replacen(' ', "-", 1) + "\\r\\n",
        expected: |turns, at| {
            let lost = if turns[at].2 == 8 { 1022 } else { 406 };
            Some(("read_failed", turns[at].2, -1, lost))
        },
    },
    Mishap {
        name: "something-behind-a-reply",
        answer: |good| format!("{good}\\r\\n250 hello again\\r\\n"),
        expected: |turns, at| {
            Some(match turns[at].2 {
                // The host sees to what is behind STARTTLS.
                4 => ("protocol_error", 4, -1, 517),
                step => ("protocol_error", step, -1, 1005),
            })
        },
    },
    Mishap {
        name: "a-421-behind-a-reply",
        answer: |good| format!("{good}\\r\\n421 4.3.2 relay is down\\r\\n"),
        expected: |turns, at| {
            // Before QUIT, which has no step, it is the mail's.
            let due = turns.get(at + 1).map_or(8, |turn| turn.2);
            (turns[at].2 != 4).then_some(("rejected", due, 421, 1023))
        },
    },
];

/// Each mishap at each step of each kind of connection, by its name.
pub(crate) fn all() -> Vec<(String, Scenario)> {
    let mut all = Vec::new();
    for Mishap { name, answer, expected } in MISHAPS {
        for connection in ["plain", "starttls", "tls"] {
            let turns = turns(connection);
            for (at, turn) in turns.iter().enumerate().filter(|(_, turn)| !turn.1.is_empty()) {
                let Some((result, sequence_code, response_code, error_code)) = expected(&turns, at) else {
                    continue;
                };
                let mut parameters = toml::Table::new();
                for (name, value) in [
                    ("connection", connection),
                    ("username", "u"),
                    ("password", "open-sesame"),
                    ("from", "a@b.example"),
                    ("to", "c@d.example"),
                ] {
                    parameters.insert(name.into(), value.into());
                }
                parameters.insert("allow_plaintext_auth".into(), true.into());
                let verb = turn.0.rsplit(' ').next().unwrap().to_lowercase();
                let verb = if verb.is_empty() { "greeting".to_owned() } else { verb };
                let scenario = Scenario {
                    server: until(&turns, at, &answer(turn.1)),
                    host: host(),
                    timeout: timeout(),
                    parameters,
                    result: result.into(),
                    sequence_code,
                    response_code,
                    error_code,
                    ..Scenario::default()
                };
                all.push((format!("{name}/{connection}/{at}-{verb}"), scenario));
            }
        }
    }
    all
}
