//! Limits on measured values: a job's limits and a line's fields in, the state and what broke out. Each line is judged by its
//! own limits. Pure.

use std::fmt;

use crate::{
    measured::{Ending, Measured},
    report,
    text::TEXT_BYTES,
    value::Value,
};

/// How bad a broken limit is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Soon.
    Warning,
    /// Now.
    Critical,
}

/// When a limit is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
    /// `>`
    More,
    /// `>=`
    MoreOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// One limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The kind of parts on whose lines it watches; none: on the job's own.
    pub part: Option<String>,
    /// The field it watches.
    pub field: String,
    /// How bad it is.
    pub severity: Severity,
    /// Broken when the value compares so …
    pub comparison: Comparison,
    /// … with this.
    pub bound: f64,
}

/// Field `alarm_state`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// No limit is broken.
    #[default]
    Ok,
    /// A warning limit is broken.
    Warning,
    /// A critical limit is broken.
    Critical,
    /// A limited value was not measured.
    Unknown,
}

impl State {
    /// The field's value.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// Critical beats unknown beats warning beats ok.
    fn rank(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Critical => 3,
        }
    }
}

/// What the limits say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alarm {
    /// The worst.
    pub state: State,
    /// What broke or could not be judged, the worst first, and of a field's limits the worst alone; empty: nothing.
    pub text: String,
}

/// A limit that is none. Not its text, which may be a secret that stands in the wrong place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoLimit;

impl fmt::Display for NoLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no limit: expected a number or, for example, \"< 30\" (>, >=, <, <=, ==, !=)")
    }
}

impl std::error::Error for NoLimit {}

const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::MoreOrEqual),
    ("<=", Comparison::LessOrEqual),
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    (">", Comparison::More),
    ("<", Comparison::Less),
];

impl Limit {
    /// Reads `200` (more than 200), `< 30` and the like.
    pub fn parse(field: &str, severity: Severity, text: &str) -> Result<Self, NoLimit> {
        let trimmed = text.trim();
        let found = COMPARISONS
            .iter()
            .find_map(|(sign, comparison)| Some((*comparison, trimmed.strip_prefix(sign)?)));
        let (comparison, number) = found.unwrap_or((Comparison::More, trimmed));
        match number.trim().parse::<f64>() {
            Ok(bound) if bound.is_finite() => {
                Ok(Self { part: None, field: field.to_owned(), severity, comparison, bound })
            }
            _ => Err(NoLimit),
        }
    }

    #[expect(clippy::float_cmp, reason = "the operator asked for exactly that; codes are whole numbers")]
    fn broken_by(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::More => value > self.bound,
            Comparison::MoreOrEqual => value >= self.bound,
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Equal => value == self.bound,
            Comparison::NotEqual => value != self.bound,
        }
    }

    fn sign(&self) -> &'static str {
        COMPARISONS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sign(), self.bound)
    }
}

/// Judges the fields of a job's own line; a broken limit on a certificate's end says which certificate it is. A kind of which
/// no part is among `parts`, which have a line, was not measured.
#[must_use]
pub fn judge(
    limits: &[Limit],
    fields: &[(String, Value)],
    measured: &Measured,
    parts: &[report::Part],
) -> Alarm {
    let mut verdict = Verdict::default();
    for limit in limits {
        match &limit.part {
            None => verdict.look(limit, fields, measured.ending(&limit.field)),
            Some(kind) if parts.iter().any(|part| part.kind == *kind) => {}
            Some(kind) => verdict.add(State::Unknown, kind, format!("no part {kind} has a line")),
        }
    }
    verdict.alarm()
}

/// Judges the fields of a part's line.
#[must_use]
pub fn judge_part(limits: &[Limit], kind: &str, fields: &[(String, Value)]) -> Alarm {
    let mut verdict = Verdict::default();
    for limit in limits.iter().filter(|limit| limit.part.as_deref() == Some(kind)) {
        verdict.look(limit, fields, None);
    }
    verdict.alarm()
}

/// What the limits said so far.
#[derive(Default)]
struct Verdict<'a> {
    said: Vec<Said<'a>>,
}

struct Said<'a> {
    state: State,
    /// What was limited.
    of: &'a str,
    text: String,
}

impl<'a> Verdict<'a> {
    fn look(&mut self, limit: &'a Limit, fields: &[(String, Value)], ending: Option<&Ending>) {
        let Limit { field, severity, .. } = limit;
        match fields.iter().find(|(name, _)| name == field).and_then(|(_, value)| value.as_number()) {
            None => self.add(State::Unknown, field, format!("{field} not measured")),
            Some(value) if limit.broken_by(value) => {
                let state = match severity {
                    Severity::Warning => State::Warning,
                    Severity::Critical => State::Critical,
                };
                let whose = ending.map_or_else(String::new, |it| format!(" ({it})"));
                self.add(state, field, format!("{field} {value} {limit}{whose}"));
            }
            Some(_) => {}
        }
    }

    /// Of one field, or kind of parts, the worst counts.
    fn add(&mut self, state: State, of: &'a str, text: String) {
        match self.said.iter_mut().find(|said| said.of == of) {
            Some(said) if said.state.rank() >= state.rank() => {}
            Some(said) => (said.state, said.text) = (state, text),
            None => self.said.push(Said { state, of, text }),
        }
    }

    fn alarm(mut self) -> Alarm {
        // The text may be cut: what woke somebody stands first.
        self.said.sort_by_key(|said| std::cmp::Reverse(said.state.rank()));
        let state = self.said.first().map_or(State::Ok, |worst| worst.state);
        let (mut text, count) = (String::new(), self.said.len());
        for (number, said) in self.said.iter().enumerate() {
            let more = |left: usize| format!(", and {left} more");
            let last = if number + 1 == count { 0 } else { more(count).len() };
            if number > 0 && text.len() + ", ".len() + said.text.len() + last > TEXT_BYTES {
                text.push_str(&more(count - number));
                break;
            }
            text.push_str(if number > 0 { ", " } else { "" });
            text.push_str(&said.text);
        }
        Alarm { state, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::{Contact, Place, TlsFacts};

    fn limit(severity: Severity, text: &str) -> Limit {
        Limit::parse("x", severity, text).unwrap()
    }

    fn state(limits: &[Limit], value: Option<f64>) -> State {
        let fields: Vec<_> = value.map(|value| ("x".to_owned(), Value::Float(value))).into_iter().collect();
        judge(limits, &fields, &Measured::default(), &[]).state
    }

    #[test]
    fn a_bare_number_means_more_than() {
        let limits = [limit(Severity::Warning, "200"), limit(Severity::Critical, "1000")];
        assert_eq!(state(&limits, Some(200.0)), State::Ok);
        assert_eq!(state(&limits, Some(200.5)), State::Warning);
        assert_eq!(state(&limits, Some(1001.0)), State::Critical);
    }

    #[test]
    fn every_comparison_is_understood() {
        for (text, broken, kept) in [
            ("> 1", 2.0, 1.0),
            (">= 1", 1.0, 0.0),
            ("< 1", 0.0, 1.0),
            ("<= 1", 1.0, 2.0),
            ("== 1", 1.0, 2.0),
            ("!=1", 2.0, 1.0),
        ] {
            assert_eq!(state(&[limit(Severity::Critical, text)], Some(broken)), State::Critical, "{text}");
            assert_eq!(state(&[limit(Severity::Critical, text)], Some(kept)), State::Ok, "{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_unknown_and_critical_beats_it() {
        assert_eq!(state(&[limit(Severity::Warning, "1")], None), State::Unknown);
        let other = Limit { field: "y".into(), ..limit(Severity::Critical, "1") };
        let fields = [("y".to_owned(), Value::Integer(2))];
        let alarm = judge(&[limit(Severity::Warning, "1"), other], &fields, &Measured::default(), &[]);
        assert_eq!(alarm, Alarm { state: State::Critical, text: "y 2 > 1, x not measured".into() });
    }

    #[test]
    fn what_is_worst_is_said_first_once_of_a_field_and_how_much_is_left_out() {
        let on = |field: &str, severity, text| Limit::parse(field, severity, text).unwrap();
        let names: Vec<_> = (0..30).map(|number| format!("field_{number}_time_ms")).collect();
        let mut limits: Vec<_> = names.iter().map(|name| on(name, Severity::Warning, "1")).collect();
        limits.extend([on("z", Severity::Warning, "1"), on("z", Severity::Critical, "5")]);
        let mut fields: Vec<_> = names.iter().skip(1).map(|name| (name.clone(), Value::Integer(2))).collect();
        fields.push(("z".to_owned(), Value::Integer(9)));
        let Alarm { state, text } = judge(&limits, &fields, &Measured::default(), &[]);
        assert_eq!(state, State::Critical);
        assert!(text.starts_with("z 9 > 5, field_0_time_ms not measured, field_1_time_ms 2 > 1, "), "{text}");
        let (shown, more) = text.rsplit_once(", and ").unwrap();
        let shown = shown.split(", ").count();
        assert!(more == format!("{} more", 31 - shown) && text.len() <= TEXT_BYTES, "{text}");
    }

    #[test]
    fn the_certificate_that_ends_first_is_named() {
        let contact = |place, subject: &str| {
            let ending = Ending { place, subject: subject.into(), at: 0 };
            let tls_facts = TlsFacts { ends_first: Some(ending), ..TlsFacts::default() };
            Contact { tls_facts, ..Contact::default() }
        };
        let measured = Measured {
            contact: contact(Place::Intermediate, "CN=R3"),
            further: vec![("imap".to_owned(), contact(Place::Root, "CN=CA"))],
            ..Measured::default()
        };
        for (field, whose) in [
            ("cert_days_left", "the intermediate certificate CN=R3"),
            ("imap_cert_days_left", "the root certificate CN=CA"),
        ] {
            let limit = Limit::parse(field, Severity::Critical, "< 30").unwrap();
            let fields = [(field.to_owned(), Value::Integer(5))];
            let text = judge(&[limit], &fields, &measured, &[]).text;
            assert_eq!(text, format!("{field} 5 < 30 (ends first: {whose})"));
        }
    }

    #[test]
    fn a_limit_on_parts_is_judged_on_their_lines_and_unknown_where_there_is_none() {
        let on = |part: &str| Limit { part: Some(part.to_owned()), ..limit(Severity::Warning, "1") };
        let (limits, fields) = ([on("box"), on("hop")], [("x".to_owned(), Value::Integer(2))]);
        assert_eq!(
            judge_part(&limits, "box", &fields),
            Alarm { state: State::Warning, text: "x 2 > 1".into() }
        );
        assert_eq!(judge_part(&limits, "hop", &[]).text, "x not measured");
        assert_eq!(judge_part(&limits, "other", &[]), Alarm::default());
        let part =
            report::Part { kind: "box".into(), tags: Vec::new(), fields: fields.to_vec(), failure: None };
        let alarm = judge(&limits, &fields, &Measured::default(), &[part]);
        assert_eq!(alarm, Alarm { state: State::Unknown, text: "no part hop has a line".into() });
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in ["", "much", "> ", "=< 3", "NaN", "< inf"] {
            assert!(Limit::parse("x", Severity::Warning, text).is_err(), "{text}");
        }
    }
}
