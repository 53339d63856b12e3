use super::{columns::width, *};
use crate::{
    description::{Field, FurtherEndpoint, Part, PartTag},
    value::FieldKind,
};

fn point(server: &str, fields: &[(String, Value)], outcome: Outcome) -> Point {
    let tags = [("server", server), ("port", "25"), ("result", outcome.name())];
    Point {
        measurement: "smtp".to_owned(),
        tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        fields: fields.to_vec(),
        time_ns: 7,
    }
}

fn drawn(server: &str, fields: &[(String, Value)], outcome: Outcome, colour: bool) -> String {
    let phase = |name: &str| Field {
        unit: "ms".to_owned(),
        phase: true,
        ..Field::plain(&format!("{name}_time_ms"), FieldKind::Float)
    };
    let mut check = Description::unknown("smtp");
    check.fields = ["banner", "ehlo", "starttls", "rcpt", "quit"].map(phase).into();
    check.fields.push(Field { phase: false, ..phase("transfer") });
    for (name, kind, unit) in [
        ("banner", FieldKind::Text, ""),
        ("reply_code", FieldKind::Integer, ""),
        ("size", FieldKind::Integer, "B"),
    ] {
        check.fields.push(Field { unit: unit.to_owned(), ..Field::plain(name, kind) });
    }
    let points = Points { job: point(server, fields, outcome), parts: Vec::new() };
    render(&points, &check, None, colour)
}

fn float(name: &str, value: f64) -> (String, Value) {
    (name.to_owned(), Value::Float(value))
}

fn word(name: &str, value: &str) -> (String, Value) {
    (name.to_owned(), Value::Text(value.to_owned()))
}

fn good() -> Vec<(String, Value)> {
    vec![
        float("dns_time_ms", 2.0),
        float("connect_time_ms", 8.0),
        float("tls_time_ms", 20.0),
        float("banner_time_ms", 10.0),
        float("quit_time_ms", 0.0),
        float("total_time_ms", 50.0),
        word("banner", "mx1 ESMTP"),
        ("reply_code".to_owned(), Value::Integer(250)),
        ("size".to_owned(), Value::Integer(7)),
        word("tls_version", "TLSv1.3"),
        word("tls_cipher", "TLS13_AES_256_GCM_SHA384"),
        ("cert_days_left".to_owned(), Value::Integer(30)),
        word("cert_issuer", "CN=Authority"),
        ("error_code".to_owned(), Value::Integer(0)),
    ]
}

fn foreign(said: &str) -> Vec<(String, Value)> {
    let times = ["connect", "tls", "banner", "ehlo", "starttls", "rcpt", "total"];
    let texts = ["banner", "tls_cipher", "cert_issuer", "verify_error", "alarm", "error", "queue_id", "ip"];
    let mut fields: Vec<_> = texts.iter().map(|name| word(name, &said.repeat(300))).collect();
    for (at, value) in [f64::MAX, 0.0, 1_234_567.891, -5.0, f64::MAX, 999_999.999_9, 3.0].iter().enumerate() {
        fields.push(float(&format!("{}_time_ms", times[at]), *value));
    }
    for name in ["reply_code", "cert_days_left", "error_code"] {
        fields.push((name.to_owned(), Value::Integer(i64::MIN)));
    }
    fields
}

fn rows(picture: &str) -> Vec<&str> {
    picture.lines().skip(1).map(|line| line.get(2..10).unwrap_or_default().trim_end()).collect()
}

#[test]
fn every_line_fits_80_columns_whatever_is_in_it() {
    for said in ["mx ", "é", "邮件", "🦀", "word-without-end", "\u{1b}[31m\r\n\u{202e}"] {
        let picture = drawn(&said.repeat(99), &foreign(said), Outcome::ConnectionFailed, false);
        for line in picture.lines() {
            assert!(width(&line.replace(['█', '─', '├', '┤'], "-")) <= 80, "{line}");
        }
    }
}

#[test]
fn without_colour_there_is_no_escape_code() {
    let picture = drawn("\u{1b}[2J", &foreign("\u{1b}[31m"), Outcome::Timeout, false);
    assert!(!picture.contains(|c: char| c.is_control() && c != '\n'), "{picture:?}");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let painted = drawn("a", &good(), Outcome::Success, true);
    assert!(painted.contains("\x1b[32msuccess\x1b[0m"), "{painted}");
    let mut bare = painted;
    for code in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
        bare = bare.replace(code, "");
    }
    assert_eq!(bare, drawn("a", &good(), Outcome::Success, false));
}

#[test]
fn phases_that_were_not_measured_are_left_out() {
    let picture = drawn("a", &good(), Outcome::Success, false);
    let expected = ["dns", "connect", "tls", "banner", "quit", "total", "smtp", "tls", "cert"];
    assert_eq!(rows(&picture), expected, "{picture}");
    assert!(picture.contains("  smtp     banner mx1 ESMTP  reply_code 250  size 7 B\n"), "{picture}");
    assert_eq!(drawn("a", &[], Outcome::DnsError, false), "a:25  dns_error\n");
}

#[test]
fn an_ipv6_address_does_not_run_into_its_port() {
    assert_eq!(drawn("::1", &[], Outcome::ConnectionFailed, false), "[::1]:25  connection_failed\n");
}

#[test]
fn parts_stand_beneath_with_what_is_wrong_with_them() {
    let mut check = Description::unknown("imap");
    check.measurement = "imap".to_owned();
    check.parts = vec![Part {
        name: "mailbox".to_owned(),
        doc: String::new(),
        tags: vec![PartTag { name: "folder".to_owned(), doc: String::new() }],
        fields: vec![Field::plain("count", FieldKind::Integer)],
    }];
    let part = |folder: &str, outcome: Outcome, fields: &[(String, Value)]| {
        let mut part = point("a", fields, outcome);
        part.measurement = "imap_mailbox".to_owned();
        part.tags.insert("folder".to_owned(), folder.to_owned());
        part
    };
    let number = |name: &str, value| (name.to_owned(), Value::Integer(value));
    let full =
        [number("count", 7), number("error_code", 1000), word("error", "full"), word("alarm", "count 7 > 5")];
    let points = Points {
        job: point("a", &[number("parts_dropped", 2)], Outcome::Success),
        parts: vec![
            part("INBOX", Outcome::Success, &[number("count", 3)]),
            part(&"\u{90ae}".repeat(200), Outcome::Rejected, &full),
        ],
    };
    let picture = render(&points, &check, None, false);
    assert!(picture.contains("\n  mailbox  INBOX  count 3\n"), "{picture}");
    let behind =
        "count 7\n           rejected  1000  full\n           count 7 > 5\n  parts    2 more have no line\n";
    assert!(picture.ends_with(behind), "{picture}");
    assert!(picture.lines().all(|line| width(line) <= 80), "{picture}");
}

#[test]
fn what_is_no_phase_is_in_no_bar() {
    let mut fields = good();
    fields.push(float("transfer_time_ms", 30.0));
    let picture = drawn("a", &fields, Outcome::Success, false);
    assert!(!picture.contains("transfer"), "{picture}");
}

#[test]
fn tls_comes_behind_starttls_where_there_is_one() {
    let mut fields = good();
    fields.push(float("starttls_time_ms", 1.0));
    let picture = drawn("a", &fields, Outcome::Success, false);
    assert_eq!(rows(&picture)[..6], ["dns", "connect", "banner", "starttls", "tls", "quit"], "{picture}");
}

#[test]
fn bars_follow_each_other_on_one_axis() {
    let picture = drawn("a", &good(), Outcome::Success, false);
    let bars: Vec<(usize, usize)> = picture
        .lines()
        .filter(|line| line.contains('█'))
        .map(|line| {
            let cells: Vec<char> = line.chars().skip(LABEL + 3).collect();
            let from = cells.iter().position(|c| *c == '█').unwrap();
            (from, cells.iter().filter(|c| **c == '█').count())
        })
        .collect();
    assert_eq!(bars, [(0, 2), (2, 9), (11, 22), (33, 11), (44, 1)], "{picture}");
}

#[test]
fn a_long_error_is_broken_between_words_and_not_lost() {
    let error = "connection refused by somebody ".repeat(8);
    let fields = [("error_code".to_owned(), Value::Integer(7)), word("error", &error)];
    let picture = drawn("a", &fields, Outcome::ConnectionFailed, false);
    let words: Vec<&str> = picture.lines().skip(1).flat_map(str::split_whitespace).collect();
    assert_eq!(words.join(" "), format!("error 7 {}", error.trim()));
}

#[test]
fn a_certificate_that_ended_is_not_said_to_last() {
    let days = |days| {
        let fields = [("cert_days_left".to_owned(), Value::Integer(days))];
        certificate(&point("a", &fields, Outcome::Success), None, str::to_owned)
    };
    assert_eq!(days(1), "1 day left");
    assert_eq!(days(-3), "ended within the last 3 days");
}

#[test]
fn the_certificate_that_ends_first_is_named() {
    let fields = [("cert_days_left".to_owned(), Value::Integer(5)), word("cert_issuer", "CN=R3")];
    assert_eq!(
        certificate(
            &point("a", &fields, Outcome::Success),
            Some("ends first: the root certificate CN=CA"),
            str::to_owned
        ),
        "5 days left, ends first: the root certificate CN=CA, the server's own is issued by CN=R3"
    );
}

#[test]
fn a_further_endpoint_has_a_bar_and_a_row() {
    let mut check = Description::unknown("flow");
    let (name, doc) = ("imap".to_owned(), String::new());
    check.endpoints = vec![FurtherEndpoint { name, required: false, default: None, doc }];
    let mut fields = good();
    for (field, value) in [("imap_connect_time_ms", 6.0), ("imap_tls_time_ms", 4.0)] {
        fields.push(float(field, value));
    }
    fields.push(word("imap_ip", "192.0.2.7"));
    fields.push(("imap_cert_days_left".to_owned(), Value::Integer(1)));
    fields.push(word("imap_verify_error", "expired"));
    let mut points = Points { job: point("a", &fields, Outcome::Success), parts: Vec::new() };
    points.job.tags.insert("imap_server".to_owned(), "imap.example.org".to_owned());
    let picture = render(&points, &check, None, false);
    let expected = ["imap", "dns", "connect", "tls", "total", "tls", "cert", "imap", "verify"];
    assert_eq!(rows(&picture), expected, "{picture}");
    assert!(picture.contains("  imap     imap.example.org  192.0.2.7  1 day left\n"), "{picture}");
    assert!(picture.lines().nth(1).unwrap().ends_with("    10.000 ms"), "{picture}");
}
