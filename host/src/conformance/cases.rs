//! The cases: a subject in; jobs, each for a peer of its own, and what they must come to out.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::{
    case::{Came, Case, ConformanceError, Must, READY, Subject, Verdict, job},
    peer::{self, Manner, Peer, Peers},
};
use crate::{
    description::{LONGEST_MS, MOST_WHOLE, Parameter, ParameterKind, TABLE_LEVELS},
    job::Job,
    report::Outcome,
    span,
};

/// Places in a conversation at which it is broken off.
const PLACES: usize = 12;
/// What is in no text that anybody means.
const SPECIAL: &str = "é\u{202e}\t'\"\\%s{}$(x)<&>;|\u{10ffff}";
/// A text that is longer than anybody means.
const LONG_TEXT_BYTES: usize = 16 << 10;

/// What a server of the check's own kind says, as far as there is one.
pub(super) struct Conversation {
    server: (String, u16),
    /// By whom, for people.
    said: &'static str,
}

impl Conversation {
    pub(super) fn new(server: (String, u16), said: &'static str) -> Self {
        Self { server, said }
    }

    /// A port at which it is held as it is.
    pub(super) fn start(&self, peers: &mut Peers) -> Result<u16, ConformanceError> {
        Ok(peers.start(Peer::Relay(self.server.clone(), Manner::Plainly))?)
    }

    fn relayed(
        &self,
        subject: &Subject<'_>,
        peers: &mut Peers,
        how: &str,
        manner: Manner,
    ) -> Result<Job, ConformanceError> {
        let port = peers.start(Peer::Relay(self.server.clone(), manner))?;
        Ok(job(subject, &format!("{}, {how}", self.said), port, &[])?)
    }

    pub(super) fn undisturbed(
        &self,
        subject: &Subject<'_>,
        peers: &mut Peers,
    ) -> Result<Case, ConformanceError> {
        Ok((self.relayed(subject, peers, "as it is", Manner::AsItIs)?, Must::Report))
    }

    /// After the undisturbed one, which counts the replies.
    pub(super) fn disturbed(
        &self,
        subject: &Subject<'_>,
        peers: &mut Peers,
        undisturbed: Outcome,
    ) -> Result<Vec<Case>, ConformanceError> {
        let whole = self.relayed(subject, peers, "a byte at a time", Manner::ByteByByte)?;
        let mut cases = vec![(whole, Must::End(undisturbed))];
        for place in 0..peers.replies().min(PLACES) {
            for (what, manner) in [
                ("stalls", Manner::Stalls(place)),
                ("closes", Manner::Closes(place)),
                ("resets", Manner::Resets(place)),
            ] {
                let how = format!("{what} at read {}", place + 1);
                cases.push((self.relayed(subject, peers, &how, manner)?, Must::Report));
            }
        }
        Ok(cases)
    }
}

/// Servers of no kind at all.
pub(super) fn misbehaving(subject: &Subject<'_>, peers: &mut Peers) -> Result<Vec<Case>, ConformanceError> {
    let mut cases = Vec::new();
    for (name, peer) in [
        ("nobody listens", Peer::Absent),
        ("silent", Peer::Silent),
        ("closes at once", Peer::Closing),
        ("resets at once", Peer::Resetting),
        ("garbage", Peer::Talker(peer::garbage())),
        ("not UTF-8", Peer::Talker(b"\xff\xfe\xc3(\xed\xa0\x80\r\n".to_vec())),
        ("lines of 64 KiB", Peer::Talker([&vec![b'x'; 64 << 10][..], b"\r\n"].concat())),
        ("lines without end", Peer::Endless(b"250-and so on\r\n")),
        ("a line without end", Peer::Endless(b"0123456789abcdef")),
    ] {
        // Nobody is connected to there who has no port for it.
        let is_needed = subject.check.description.port_of(None).is_some();
        let must = if is_needed && matches!(peer, Peer::Absent) { Must::Fail } else { Must::Report };
        let port = peers.start(peer)?;
        cases.push((job(subject, name, port, &[])?, must));
    }
    Ok(cases)
}

fn own_parameters<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = &'a Parameter> {
    subject.check.description.parameters.iter().filter(|own| own.kind != ParameterKind::Port)
}

/// What the description allows: every choice, and what nobody means. What it rules out, or the host does, never reaches the check;
/// and so it is with what the check itself refuses.
pub(super) fn odd_values(subject: &Subject<'_>, peers: &mut Peers) -> Result<Vec<Case>, ConformanceError> {
    let port = peers.start(Peer::Talker(READY.to_vec()))?;
    let mut cases = Vec::new();
    for parameter in own_parameters(subject) {
        let odd = odd(parameter.kind).into_iter().map(|(what, value)| (what.to_owned(), value));
        let choices: BTreeSet<&String> = parameter.choices.iter().collect();
        let choices = choices.into_iter().map(|choice| (format!("is {choice}"), choice.clone()));
        for (what, value) in odd.chain(choices) {
            let name = format!("`{}` {what}", parameter.name);
            if let Ok(job) = job(subject, &name, port, &[(&parameter.name, &value)]) {
                cases.push((job, Must::Report));
            }
        }
    }
    Ok(cases)
}

/// What the description does not allow, as far as text can say it: refused before it runs.
pub(super) fn wrong_values(subject: &Subject<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for parameter in own_parameters(subject) {
        let value = match parameter.kind {
            ParameterKind::Integer
            | ParameterKind::Number
            | ParameterKind::Boolean
            | ParameterKind::IntegerList
            | ParameterKind::Table => "\"text\"",
            ParameterKind::Duration => "20",
            ParameterKind::Text if !parameter.choices.is_empty() => "no such choice",
            _ => continue,
        };
        let (came, miss) = match job(subject, "", 1, &[(&parameter.name, value)]) {
            Ok(_) => (Came::Nothing, Some(format!("{value} was accepted"))),
            Err(_) => (Came::Refused, None),
        };
        verdicts.push(Verdict {
            case: format!("`{}` of another kind is refused", parameter.name),
            came,
            miss,
        });
    }
    verdicts
}

/// Values of a kind that nobody means.
fn odd(kind: ParameterKind) -> Vec<(&'static str, String)> {
    match kind {
        ParameterKind::Text | ParameterKind::Secret | ParameterKind::TextList => vec![
            ("empty", String::new()),
            ("with special characters", SPECIAL.to_owned()),
            ("with line breaks", "a\r\n.\r\nb\0c".to_owned()),
            ("very long", "x".repeat(LONG_TEXT_BYTES)),
            ("very many", "x,".repeat(LONG_TEXT_BYTES / 2)),
        ],
        ParameterKind::Integer => {
            vec![
                ("least", (-MOST_WHOLE).to_string()),
                ("zero", "0".to_owned()),
                ("greatest", MOST_WHOLE.to_string()),
            ]
        }
        ParameterKind::IntegerList => vec![
            ("empty", String::new()),
            ("least and greatest", format!("{},{}", -MOST_WHOLE, MOST_WHOLE)),
            ("very many", "1,".repeat(LONG_TEXT_BYTES / 2)),
        ],
        ParameterKind::Duration => {
            vec![("none", span::text(0)), ("least", span::text(1)), ("greatest", span::text(LONGEST_MS))]
        }
        ParameterKind::Table => odd_tables().map(|(what, table)| (what, table.to_string())).into(),
        ParameterKind::Number => {
            vec![
                ("least", "-1e308".to_owned()),
                ("tiny", "5e-324".to_owned()),
                ("greatest", "1e308".to_owned()),
            ]
        }
        ParameterKind::Boolean => vec![("false", "false".to_owned()), ("true", "true".to_owned())],
        ParameterKind::Port => Vec::new(),
    }
}

/// Whatever shape the check expects, it is another one.
fn odd_tables() -> [(&'static str, Json); 6] {
    let deep = (1..TABLE_LEVELS).fold(json!({}), |inner, _| json!({ "a": inner }));
    let many: Map<_, _> = (0..LONG_TEXT_BYTES / 8).map(|at| (at.to_string(), Json::from(at))).collect();
    [
        ("empty", json!({})),
        ("of every kind", json!({ "": -1, "a": 0.5, "b": true, "c": "text", "d": [1, "text", []], "e": {} })),
        ("deep", deep),
        ("with special characters", json!({ SPECIAL: SPECIAL })),
        ("with line breaks", json!({ "a\r\n.\r\nb\0c": "a\r\n.\r\nb\0c" })),
        ("very many", many.into()),
    ]
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::{
        catalogue::HostError,
        check::Check,
        config::AdHoc,
        description::{Description, Parameter},
    };

    #[test]
    fn what_is_odd_is_still_a_value_of_its_kind() {
        use ParameterKind::{Boolean, Duration, Integer, IntegerList, Number, Port, Table, Text, TextList};
        for kind in [Text, Integer, Number, Boolean, TextList, IntegerList, Duration, Table] {
            let port = Parameter { default: Some(1.into()), ..Parameter::plain("port", Port) };
            let parameters = vec![Parameter::plain("a", kind), port];
            let unloaded = Check::unknown("a", HostError::CheckLoad, String::new());
            let check = Check {
                description: Arc::new(Description { parameters, ..Description::unknown("a") }),
                ..unloaded
            };
            let mut seen = BTreeSet::new();
            for (what, value) in odd(kind) {
                let parameters = [("a".to_owned(), value)].into();
                let job = AdHoc { parameters, ..AdHoc::new("a", &check, "h") }.job();
                let job = job.unwrap_or_else(|error| panic!("{kind:?} {what}: {error}"));
                assert!(seen.insert(job.parameters["a"].to_string()), "{kind:?} {what}");
            }
            assert!(!seen.is_empty(), "{kind:?}");
        }
    }
}
