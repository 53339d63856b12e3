//! What a line says beside what is true.

use std::collections::{BTreeMap, HashMap};

use support::Point;

use crate::{
    clock::between,
    packets::{Opening, Openings},
    server::Session,
};

/// The fields of a line, in the order of a session, without `_time_ms`.
pub(crate) const PHASES: [&str; 10] =
    ["connect", "banner", "ehlo", "starttls", "tls", "mail", "rcpt", "data", "message", "quit"];
/// Fields that are sums, and of which of the others.
pub(crate) const SUMS: [(&str, &[&str]); 2] =
    [("login", &["banner", "ehlo", "starttls", "tls"]), ("transfer", &["mail", "rcpt", "data", "message"])];
/// What the rounding of a time to microseconds makes of a sum, at most, in milliseconds.
const ROUNDING: f64 = 0.005;

/// What network and server took, in milliseconds; missing where the session did not come so far, or nobody saw it.
pub(crate) struct Truth {
    phases: BTreeMap<String, f64>,
    /// From the first SYN to the last reply.
    pub(crate) whole: Option<f64>,
}

impl Truth {
    pub(crate) fn new(session: &Session, openings: &Openings) -> Self {
        let opening = session.ends.and_then(|ends| openings.of(ends, session.greeted));
        let mut phases = BTreeMap::new();
        if let Some(&Opening { asked, answered: Some(answered) }) = opening {
            phases.insert("connect".to_owned(), between(asked, answered));
            phases.insert("banner".to_owned(), between(answered, session.greeted));
        }
        for wait in &session.waits {
            *phases.entry(wait.phase.clone()).or_default() += between(wait.reached, wait.left);
        }
        for (sum, parts) in SUMS {
            let first = parts.first().and_then(|first| phases.get(*first));
            if first.is_some() {
                phases.insert(sum.to_owned(), parts.iter().filter_map(|part| phases.get(*part)).sum());
            }
        }
        let last = session.waits.last().filter(|wait| wait.phase == "quit");
        let whole = opening.zip(last).map(|(opening, last)| between(opening.asked, last.left));
        Self { phases, whole }
    }

    pub(crate) fn phase(&self, name: &str) -> Option<f64> {
        self.phases.get(name).copied()
    }

    /// The sum of all waits of the client, its own doings in between left out.
    pub(crate) fn waits(&self) -> Option<f64> {
        // Without the packets the first of them are not known.
        self.phase("connect")?;
        Some(PHASES.iter().filter_map(|phase| self.phase(phase)).sum())
    }
}

/// What is said of each job, by its number, and what is true of it.
pub(crate) struct Round<T> {
    pub(crate) said: Vec<(usize, T)>,
    pub(crate) truths: HashMap<usize, Truth>,
}

impl<T> Round<T> {
    /// Pairs of a value and what is true, where both are known.
    pub(crate) fn pairs(
        &self,
        value: impl Fn(&T) -> Option<f64>,
        truth: impl Fn(&Truth) -> Option<f64>,
    ) -> Vec<(f64, f64)> {
        let pair = |(job, said): &(usize, T)| value(said).zip(self.truths.get(job).and_then(&truth));
        self.said.iter().filter_map(pair).collect()
    }
}

/// A field with a time.
pub(crate) fn time(line: &Point, name: &str) -> Option<f64> {
    line.fields.get(&format!("{name}_time_ms")).map(|(_, value)| value.parse().unwrap())
}

/// The sum of all phases of a line.
pub(crate) fn phases(line: &Point) -> f64 {
    PHASES.iter().filter_map(|phase| time(line, phase)).sum()
}

/// Whether a sum on the line is that of its phases; none: it is not there.
pub(crate) fn adds_up(line: &Point, sum: &str, parts: &[&str]) -> Option<bool> {
    let parts: f64 = parts.iter().filter_map(|part| time(line, part)).sum();
    time(line, sum).map(|sum| (sum - parts).abs() <= ROUNDING)
}
