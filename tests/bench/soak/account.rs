//! Lines and log lines in, as they come; whether there are as many as the program says it ran jobs, and jobs times rounds are those
//! it ran, those it skipped, and those that were cut off at the end, out.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    panic::catch_unwind,
};

use support::points;

/// The lines that came.
#[derive(Default)]
pub(crate) struct Account {
    /// Job, host and round of each.
    came: HashSet<(String, i64)>,
    pub(crate) results: BTreeMap<String, usize>,
    pub(crate) torn: usize,
    doubled: usize,
    lines: usize,
    /// What it said of itself last.
    own: Own,
}

/// The counts of the measurement `sonde`.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    rounds: usize,
    run: usize,
    skipped: usize,
    queued: usize,
}

/// The log, as far as it says what is missing.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) lines: usize,
    pub(crate) read_again: usize,
    /// Lines that it says are missing in it.
    pub(crate) missing: usize,
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
        if line.contains(" missing: nobody read them") {
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
    lines: usize,
    cut_off: usize,
    own: Own,
    pub(crate) wrong: Vec<String>,
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, cut_off, own, .. } = self;
        write!(
            f,
            "{} rounds, {lines} lines, {} skipped, {cut_off} cut off at the end",
            own.rounds, own.skipped
        )
    }
}

impl Account {
    /// The next line.
    pub(crate) fn take(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        let time = text.trim_end().rsplit(' ').next().and_then(|time| time.parse().ok());
        let point = catch_unwind(|| points(&text)).ok().and_then(|mut points| points.pop());
        let (Some(time), Some(point)) = (time, point) else {
            self.torn += 1;
            return;
        };
        if point.measurement == "sonde" && point.tags.contains_key("config") {
            let count = |name: &str| usize::try_from(point.code(name)).unwrap();
            let [rounds, run, skipped, queued] = ["rounds", "run", "skipped", "queued"].map(count);
            self.own = Own { rounds, run, skipped, queued };
            return;
        }
        self.lines += 1;
        let tag = |name: &str| point.tags.get(name).cloned().unwrap_or_default();
        // Of what is no server's fault the number says more.
        let result = match tag("result") {
            own if own == "check_error" => format!("{own} {}", point.code("error_code")),
            other => other,
        };
        *self.results.entry(result).or_default() += 1;
        let is_new = self.came.insert((format!("{} {}", tag("job"), tag("server")), time));
        self.doubled += usize::from(!is_new);
    }

    /// Of so many jobs, beside what the log said.
    pub(crate) fn sums(&self, jobs: usize, log: &Log) -> Sums {
        let Self { own, lines, .. } = *self;
        let mut wrong = Vec::new();
        let mut must = |is_so: bool, text: String| {
            if !is_so {
                wrong.push(text);
            }
        };
        let known: HashSet<&String> = self.came.iter().map(|(job, _)| job).collect();
        must(known.len() == jobs, format!("{} jobs have lines, and not {jobs}", known.len()));
        must(self.torn == 0, format!("{} lines are torn", self.torn));
        must(self.doubled == 0, format!("{} lines came twice", self.doubled));
        must(lines == own.run, format!("{lines} lines, and {} jobs that ran", own.run));
        let all = own.run + own.skipped + own.queued;
        must(jobs * own.rounds == all, format!("{jobs} jobs in {} rounds, and {own:?}", own.rounds));
        must(own.queued == log.cut_off, format!("{} cut off by the log, and {}", log.cut_off, own.queued));
        must(log.faults.is_empty(), format!("{:?}", log.faults));
        Sums { lines, cut_off: log.cut_off, own, wrong }
    }
}
