//! Failed checks on their way to the log: the point of each run in, what of it is new out. A failed check is logged once, our
//! own faults as errors. Folded is what fails again, round after round, with the same result and error code, whatever the text: a
//! line an hour says how often, and what was said last, and one where something else fails. A success has a line where a failure
//! ends.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::{
    host::with_port,
    output::{self, Level},
    point::Point,
    report::Outcome,
    restraint::JobKey,
    text::counted,
    value::Value,
};

/// How often what goes on is said again.
pub(super) const AGAIN: Duration = Duration::from_hours(1);

/// What each job, by its name and its host as the configuration has them, that failed in its last run said.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<JobKey, Said>);

#[derive(Debug)]
struct Said {
    level: Level,
    /// Tag `result` and field `error_code`.
    what: (String, Option<Value>),
    text: String,
    /// Times since it was logged.
    more: usize,
    at: Instant,
    /// Rounds since its last success, whatever failed.
    rounds: usize,
}

impl Said {
    fn again(&self) -> (Level, String) {
        (self.level, format!("{} … and {}", self.text, counted(self.more, "more time")))
    }

    fn over(&self, name: &str) -> (Level, String) {
        let rounds = match self.rounds {
            1 => "a failed round".to_owned(),
            rounds => format!("{rounds} failed rounds"),
        };
        (Level::Information, format!("{name}: success again, after {rounds}"))
    }
}

impl Failures {
    /// Logs what is new of a run of this job.
    pub(super) fn log(&mut self, job: JobKey, point: &Point) {
        for (level, text) in self.fold(job, point, Instant::now()) {
            output::log(level, &text);
        }
    }

    /// Forgets those of other jobs.
    pub(super) fn keep(&mut self, jobs: &HashSet<JobKey>) {
        self.0.retain(|job, _| jobs.contains(job));
    }

    fn fold(&mut self, key: JobKey, point: &Point, now: Instant) -> Vec<(Level, String)> {
        let failed = failed(point);
        let code = point.fields.iter().find(|(name, _)| name == "error_code").map(|(_, code)| code.clone());
        let what = (point.tag("result").to_owned(), code);
        if let (Some((_, text)), Some(said)) = (&failed, self.0.get_mut(&key))
            && what == said.what
        {
            said.text.clone_from(text);
            said.more = said.more.saturating_add(1);
            said.rounds = said.rounds.saturating_add(1);
            if now.duration_since(said.at) < AGAIN {
                return Vec::new();
            }
            let again = said.again();
            (said.more, said.at) = (0, now);
            return vec![again];
        }
        let before = self.0.remove(&key);
        let Some((level, text)) = failed else {
            return before.map(|said| said.over(&name(point))).into_iter().collect();
        };
        let rounds = before.as_ref().map_or(0, |said| said.rounds).saturating_add(1);
        let ended = before.filter(|said| said.more > 0).map(|said| said.again());
        self.0.insert(key, Said { level, what, text: text.clone(), more: 0, at: now, rounds });
        ended.into_iter().chain([(level, text)]).collect()
    }
}

/// Logs the failure of a run that stands alone.
pub(super) fn log_first(point: &Point) {
    Failures::default().log(Default::default(), point);
}

fn failed(point: &Point) -> Option<(Level, String)> {
    let result = point.tag("result");
    let level = match result {
        _ if result == Outcome::Success.name() => return None,
        _ if result == Outcome::CheckError.name() => Level::Error,
        _ => Level::Warning,
    };
    Some((level, format!("{}: {result}: {}", name(point), point.text("error"))))
}

/// Whose point it is.
fn name(point: &Point) -> String {
    let (job, server, port) = (point.tag("job"), point.tag("server"), point.tag("port"));
    let of = if port.is_empty() { server.to_owned() } else { with_port(server, port) };
    format!("job {job}: {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(job: &str, result: &str, error: &str) -> Point {
        let tags = [("job", job), ("server", "h"), ("port", "25"), ("result", result)];
        Point {
            measurement: "smtp".to_owned(),
            tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            fields: vec![("error".to_owned(), Value::Text(error.to_owned()))],
            time_ns: 0,
        }
    }

    #[test]
    fn what_a_job_says_again_is_folded_and_counted() {
        let (mut failures, began) = (Failures::default(), Instant::now());
        let mut round = |minute: u64, job: &str, result: &str, error: &str| {
            let key = (job.to_owned(), "h".to_owned());
            let folded = failures.fold(key, &point(job, result, error), began + Duration::from_mins(minute));
            folded.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(round(0, "a", "timeout", "x"), ["job a: h:25: timeout: x"]);
        // Another job's is its own.
        assert_eq!(round(0, "b", "timeout", "x"), ["job b: h:25: timeout: x"]);
        for minute in 1..60 {
            assert!(round(minute, "a", "timeout", &format!("silence for 1.{minute} s")).is_empty());
        }
        assert_eq!(round(60, "a", "timeout", "y"), ["job a: h:25: timeout: y … and 60 more times"]);
        assert!(round(61, "a", "timeout", "x").is_empty());
        let changed = ["job a: h:25: timeout: x … and 1 more time", "job a: h:25: rejected: y"];
        assert_eq!(round(62, "a", "rejected", "y"), changed);
        assert_eq!(round(63, "a", "success", ""), ["job a: h:25: success again, after 63 failed rounds"]);
        assert!(round(64, "a", "success", "").is_empty());
        assert_eq!(round(65, "a", "rejected", "y"), ["job a: h:25: rejected: y"]);
        assert_eq!(round(66, "a", "success", ""), ["job a: h:25: success again, after a failed round"]);
    }

    #[test]
    fn an_address_is_told_from_its_port() {
        let of = |server: &str, port: &str| {
            let tags = [("job", "a"), ("server", server), ("port", port)];
            let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            name(&Point { tags, ..point("a", "timeout", "x") })
        };
        assert_eq!(of("::1", "25"), "job a: [::1]:25");
        assert_eq!(
            (of("127.0.0.1", "25"), of("::1", "")),
            ("job a: 127.0.0.1:25".into(), "job a: ::1".into())
        );
    }

    #[test]
    fn our_own_faults_are_errors() {
        let level = |result| failed(&point("a", result, "")).map(|(level, _)| level);
        assert_eq!(level("success"), None);
        assert_eq!(level("check_error"), Some(Level::Error));
        assert_eq!(level("rejected"), Some(Level::Warning));
    }
}
