//! What `sonde execd` says of itself, where the configuration wants it: rounds as they begin and runs as they end in; out, a point
//! for each round, when its runs are over, or the next round or the end of the program comes before that. Counts are since the start of the program.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    time::{ClockId, clock_gettime},
    unistd::{SysconfVar, sysconf},
};

use super::tally::Tally;
use crate::{
    description::OWN_MEASUREMENT,
    point::Point,
    report::Report,
    schedule::RoundTime,
    value::{FieldKind, Value},
};

/// Its fields: name, kind, unit, meaning, as `REFERENCE.md` has them.
const FIELDS: [(&str, FieldKind, &str, &str); 13] = [
    ("jobs", FieldKind::Integer, "", "Jobs of the configuration, this program's share of them."),
    ("rounds", FieldKind::Integer, "", "Rounds that were begun."),
    ("run", FieldKind::Integer, "", "Jobs that have run."),
    ("skipped", FieldKind::Integer, "", "Jobs that were left out of a round, or did not come to run in it."),
    ("failed", FieldKind::Integer, "", "Of those that have run: with another result than success."),
    ("traps", FieldKind::Integer, "", "Of those: whose check crashed, or was stopped for what it used up."),
    ("queued", FieldKind::Integer, "", "Jobs that wait now for their turn, or run."),
    ("memory_bytes", FieldKind::Integer, "", "Memory of the program now, as the kernel counts it (RSS)."),
    ("cpu_time_ms", FieldKind::Float, "ms", "CPU time of the program, on all cores together."),
    (
        "round_late_ms",
        FieldKind::Float,
        "ms",
        "From when the round was due, its jitter counted in, or asked for, until it began.",
    ),
    (
        "round_time_ms",
        FieldKind::Float,
        "ms",
        "From when it began until its last run ended; absent where one runs still.",
    ),
    (
        "turn_late_ms",
        FieldKind::Float,
        "ms",
        "The longest that a job waited for its turn, since the last point.",
    ),
    (
        "line_late_ms",
        FieldKind::Float,
        "ms",
        "The longest from the end of a run until its line was written, since the last point.",
    ),
];

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct SelfMetrics {
    rounds: usize,
    skipped: usize,
    /// Since the start.
    pub(super) runs: Tally,
    /// The last round, while its point is not there yet.
    open: Option<Open>,
    turn_late: Duration,
    line_late: Arc<Longest>,
}

#[derive(Debug)]
struct Open {
    time: RoundTime,
    late: Duration,
    began: Instant,
}

/// A longest time, in microseconds.
#[derive(Debug, Default)]
struct Longest(AtomicU64);

/// A line that is not written yet: when this is dropped, it is.
#[derive(Debug)]
pub(super) struct LineLate {
    ended: Instant,
    longest: Arc<Longest>,
}

impl Drop for LineLate {
    fn drop(&mut self) {
        let late = u64::try_from(self.ended.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.longest.0.fetch_max(late, Ordering::Relaxed);
    }
}

/// What the rest of the program knows of now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Of the configuration.
    pub(super) jobs: usize,
    /// Wait for their turn, or run.
    pub(super) queued: usize,
}

impl SelfMetrics {
    /// A round begins, so late. Gives the point of the one before, where it has none yet.
    pub(super) fn begin(&mut self, time: RoundTime, late: Duration, now: Now) -> Option<Point> {
        let before = self.close(now, false);
        self.rounds += 1;
        self.open = Some(Open { time, late, began: Instant::now() });
        before
    }

    /// A run is over, which had its turn so late; gives what is to be kept until its lines are written.
    pub(super) fn end(&mut self, report: &Report, turn_late: Duration, ended: Instant) -> LineLate {
        self.runs.add(report);
        self.turn_late = self.turn_late.max(turn_late);
        LineLate { ended, longest: Arc::clone(&self.line_late) }
    }

    /// Nothing runs any more: gives the point of the last round, where it has none yet.
    pub(super) fn idle(&mut self, now: Now) -> Option<Point> {
        self.close(now, true)
    }

    /// The program ends: gives the point of the last round, where it has none yet.
    pub(super) fn break_off(&mut self, now: Now) -> Option<Point> {
        self.close(now, false)
    }

    /// So many do not run in a round.
    pub(super) fn skip(&mut self, jobs: usize) {
        self.skipped += jobs;
    }

    fn close(&mut self, now: Now, is_over: bool) -> Option<Point> {
        let Open { time, late, began } = self.open.take()?;
        let count = |count: usize| Some(Value::Integer(i64::try_from(count).unwrap_or(i64::MAX)));
        let line_late = Duration::from_micros(self.line_late.0.swap(0, Ordering::Relaxed));
        let values = [
            count(now.jobs),
            count(self.rounds),
            count(self.runs.runs()),
            count(self.skipped),
            count(self.runs.failed()),
            count(self.runs.traps),
            count(now.queued),
            resident_bytes().and_then(count),
            cpu_time().map(Value::milliseconds),
            Some(Value::milliseconds(late)),
            is_over.then(|| Value::milliseconds(began.elapsed())),
            Some(Value::milliseconds(std::mem::take(&mut self.turn_late))),
            Some(Value::milliseconds(line_late)),
        ];
        let fields = FIELDS.iter().zip(values);
        let fields = fields.filter_map(|((name, ..), value)| Some(((*name).to_owned(), value?))).collect();
        let measurement = OWN_MEASUREMENT.to_owned();
        Some(Point { measurement, tags: BTreeMap::new(), fields, time_ns: time.unix_ns })
    }
}

/// None: the kernel does not say.
fn cpu_time() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).ok().map(Duration::from)
}

/// None: the kernel does not say.
fn resident_bytes() -> Option<usize> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = pages.split(' ').nth(1)?.parse().ok()?;
    let bytes = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(usize::try_from(bytes).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalogue::HostError, report::Failure};

    const REFERENCE: &str = include_str!("../../REFERENCE.md");
    const NOW: Now = Now { jobs: 9, queued: 2 };

    fn text(point: &Point) -> String {
        let value = |name: &str| point.field(name).map(|value| format!(" {name} {value:?}"));
        let counts = ["rounds", "run", "skipped", "failed", "traps", "round_late_ms", "turn_late_ms"];
        format!("{}{}", point.time_ns, counts.iter().filter_map(|name| value(name)).collect::<String>())
    }

    #[test]
    fn the_reference_has_its_fields_and_each_is_there_when_a_round_is_over() {
        let mut of = SelfMetrics::default();
        assert!(of.begin(RoundTime { unix_ns: 7 }, Duration::ZERO, NOW).is_none());
        let point = of.idle(NOW).unwrap();
        let names: Vec<_> = point.fields.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, FIELDS.map(|(name, ..)| name));
        assert_eq!(point.measurement, "sonde");
        assert!(matches!(point.field("memory_bytes"), Some(Value::Integer(bytes)) if *bytes > 1 << 20));
        for ((name, kind, unit, doc), (_, value)) in FIELDS.iter().zip(&point.fields) {
            assert_eq!(matches!(value, Value::Float(_)), *kind == FieldKind::Float, "{name}");
            let row = format!("| `{name}` | {} | {unit} | {doc} |", kind.name());
            assert!(REFERENCE.contains(&row), "{row}");
        }
        assert!(of.idle(NOW).is_none());
    }

    #[test]
    fn each_round_has_one_point_with_its_time_and_counts_go_on() {
        let mut of = SelfMetrics::default();
        let late = Duration::from_millis;
        let begin = |of: &mut SelfMetrics, unix_ns| of.begin(RoundTime { unix_ns }, late(3), NOW);
        assert!(begin(&mut of, 1).is_none());
        drop(of.end(&Report::default(), late(5), Instant::now()));
        let trap = Failure::of_host(HostError::CheckTrapped, String::new());
        let trap = Report { failure: Some(trap), ..Report::default() };
        drop(of.end(&trap, late(4), Instant::now()));
        // The next begins before this one was over.
        let of_first = begin(&mut of, 2).unwrap();
        let lateness = "round_late_ms Float(3.0) turn_late_ms Float(5.0)";
        let counts = "rounds Integer(1) run Integer(2) skipped Integer(0) failed Integer(1) traps Integer(1)";
        assert_eq!(text(&of_first), format!("1 {counts} {lateness}"));
        assert!(of_first.field("round_time_ms").is_none());
        let line = of.end(&Report::default(), Duration::ZERO, Instant::now().checked_sub(late(70)).unwrap());
        of.skip(2);
        drop(line);
        let of_second = of.idle(NOW).unwrap();
        let counts = "rounds Integer(2) run Integer(3) skipped Integer(2) failed Integer(1) traps Integer(1)";
        assert_eq!(text(&of_second), format!("2 {counts} round_late_ms Float(3.0) turn_late_ms Float(0.0)"));
        assert!(matches!(of_second.field("line_late_ms"), Some(Value::Float(ms)) if *ms >= 70.0));
    }
}
