//! Lines and log lines in, as they come; whether each job has its line of each round, and exactly one, or a reason why not, out.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    panic::catch_unwind,
};

use support::points;

/// What is not told of the rounds at the end: whatever runs then is cut off, as the log says in one number.
const LAST_NS: i64 = 15_000_000_000;

/// The lines that came.
#[derive(Default)]
pub(crate) struct Account {
    /// Of each job, by name and host: the time of each round, and when its line came.
    came: HashMap<String, BTreeMap<i64, i64>>,
    pub(crate) results: BTreeMap<String, usize>,
    pub(crate) torn: usize,
    doubled: usize,
    lines: usize,
}

/// The log, as far as it says what is missing.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) lines: usize,
    pub(crate) read_again: usize,
    /// Lines that it says are missing in it.
    pub(crate) missing: usize,
    /// Jobs that are skipped in a round, where none was in the one before.
    skipped: Vec<usize>,
    /// Jobs without a line at the end.
    cut_off: usize,
    faults: Vec<String>,
}

impl Log {
    pub(crate) fn with(mut self, line: String) -> Self {
        let first = |behind: &str| {
            let digits = line.split_once(behind).map_or("", |(_, text)| text).trim_start();
            digits.split(' ').next().and_then(|number| number.parse().ok())
        };
        self.lines += 1;
        self.read_again += usize::from(line.contains(": read again: "));
        if line.contains(" are skipped in this round") {
            self.skipped.extend(first("W! "));
        } else if line.contains(" missing: nobody read them") {
            self.missing += first("W! ").unwrap_or(0);
        } else if line.contains("stopped by ") {
            self.cut_off = first(": ").unwrap_or_default();
        } else if line.starts_with("E! ") && !line.contains("job ") {
            self.faults.push(line);
        }
        self
    }
}

/// What it comes to.
pub(crate) struct Sums {
    rounds: usize,
    lines: usize,
    skipped: usize,
    cut_off: usize,
    pub(crate) wrong: Vec<String>,
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, lines, skipped, cut_off, .. } = self;
        write!(f, "{rounds} rounds, {lines} lines, {skipped} skipped, {cut_off} cut off at the end")
    }
}

impl Account {
    /// The next line, and when it came.
    pub(crate) fn take(&mut self, line: &[u8], at: i64) {
        self.lines += 1;
        let text = String::from_utf8_lossy(line).into_owned();
        let time = text.trim_end().rsplit(' ').next().and_then(|time| time.parse().ok());
        let point = catch_unwind(|| points(&text)).ok().and_then(|mut points| points.pop());
        let (Some(time), Some(point)) = (time, point) else {
            self.torn += 1;
            return;
        };
        let tag = |name: &str| point.tags.get(name).cloned().unwrap_or_default();
        // Of what is no server's fault the number says more.
        let result = match tag("result") {
            own if own == "check_error" => format!("{own} {}", point.code("error_code")),
            other => other,
        };
        *self.results.entry(result).or_default() += 1;
        let job = self.came.entry(format!("{} {}", tag("job"), tag("server"))).or_default();
        self.doubled += usize::from(job.insert(time, at).is_some());
    }

    /// Of so many jobs until then, beside what the log said.
    pub(crate) fn sums(&self, jobs: usize, end: i64, log: &Log) -> Sums {
        let mut rounds: Vec<i64> = self.came.values().flat_map(BTreeMap::keys).copied().collect();
        rounds.sort_unstable();
        rounds.dedup();
        let (mut missing, mut unexplained, mut last) = (Vec::new(), 0, HashSet::new());
        for round in &rounds {
            let without = self.came.iter().filter(|(_, lines)| !lines.contains_key(round));
            let mut count = 0;
            for (job, lines) in without {
                count += 1;
                // Who is skipped runs still: its line comes later.
                let before = lines.range(..round).next_back();
                unexplained += usize::from(before.is_none_or(|(_, came)| came < round));
                if lines.range(round..).next().is_none() {
                    last.insert(job);
                }
            }
            missing.push(count);
        }
        let none = jobs.saturating_sub(self.came.len());
        let all: usize = missing.iter().sum();
        let mut wrong = Vec::new();
        let mut must = |is_so: bool, text: String| {
            if !is_so {
                wrong.push(text);
            }
        };
        must(none == 0, format!("{none} jobs have no line at all"));
        must(self.came.len() <= jobs, format!("{} jobs, and not {jobs}", self.came.len()));
        must(self.torn == 0, format!("{} lines are torn", self.torn));
        must(self.doubled == 0, format!("{} lines came twice", self.doubled));
        let is_explained = unexplained <= log.cut_off && log.cut_off <= last.len();
        must(
            is_explained,
            format!("{unexplained} lines are missing without a reason, {} cut off by the log", log.cut_off),
        );
        let expected = (jobs * rounds.len()).checked_sub(all);
        must(expected == Some(self.lines), format!("{} lines, and not {expected:?}", self.lines));
        // The log has the first of several rounds in a row that skip some.
        let before = [0].into_iter().chain(missing.iter().copied());
        let told = rounds.iter().zip(&missing).zip(before);
        let told = told
            .filter(|((round, missing), before)| **missing > 0 && *before == 0 && **round < end - LAST_NS);
        let told: Vec<usize> = told.map(|((_, missing), _)| *missing).collect();
        // A round that skips all has no line, and stands in the log alone; behind it nothing need be said of the next.
        let mut said = log.skipped.iter().filter(|skipped| **skipped != jobs).peekable();
        let untold = told.iter().filter(|told| said.next_if_eq(told).is_none()).count();
        let empty = log.skipped.iter().filter(|skipped| **skipped == jobs).count();
        must(
            log.missing > 0 || untold <= empty,
            format!("skipped by the log {:?}, and by what is missing {told:?}", log.skipped),
        );
        must(log.faults.is_empty(), format!("{:?}", log.faults));
        let skipped = all.saturating_sub(log.cut_off);
        Sums { rounds: rounds.len(), lines: self.lines, skipped, cut_off: log.cut_off, wrong }
    }
}
