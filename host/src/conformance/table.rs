//! Verdicts in, a table for people out.

use std::{fmt::Write as _, time::Duration};

use super::case::Verdict;
use crate::{description::Description, report::Report, sandbox::Limits, text};

/// A table of the verdicts, of what the runs used up, and of a check with parts how many came.
#[must_use]
pub fn table(verdicts: &[Verdict], check: &Description, limits: &Limits) -> String {
    let has_parts = !check.parts.is_empty();
    let width = verdicts.iter().map(|verdict| verdict.case.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:width$}  {:18}{:>10}{:>10}{:>10}", "case", "result", "time", "CPU", "memory");
    text.push_str(if has_parts { "     parts\n" } else { "\n" });
    let (mut cpu, mut memory) = (Duration::ZERO, 0);
    for verdict in verdicts {
        let _infallible = match &verdict.report {
            Some(report) => {
                cpu = cpu.max(report.used.cpu);
                memory = memory.max(report.used.memory_bytes);
                write!(
                    text,
                    "{:width$}  {:18}{:>7} ms{:>7.1} ms{:>6.1} MiB",
                    verdict.case,
                    report.outcome().name(),
                    report.measured.total.unwrap_or_default().as_millis(),
                    milliseconds(report.used.cpu),
                    mebibytes(report.used.memory_bytes),
                )
            }
            None => write!(text, "{:width$}  {:18}", verdict.case, "refused"),
        };
        if let Some(report) = verdict.report.as_ref().filter(|_| has_parts) {
            let _infallible = write!(text, "{:>10}", parts(report));
        }
        if let Some(miss) = &verdict.miss {
            let _infallible = write!(text, "  MISS {}", text::clean(miss));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let misses = verdicts.iter().filter(|verdict| verdict.miss.is_some()).count();
    let _infallible = writeln!(
        text,
        "{} cases, {misses} missed; at most {:.1} ms of CPU (of {}) and {:.1} MiB (of {:.0})",
        verdicts.len(),
        milliseconds(cpu),
        limits.cpu_time.as_millis(),
        mebibytes(memory),
        mebibytes(limits.memory_bytes),
    );
    text
}

/// Those that have a line, and those that have none.
fn parts(report: &Report) -> String {
    let dropped =
        if report.parts_dropped == 0 { String::new() } else { format!("+{}", report.parts_dropped) };
    format!("{}{dropped}", report.parts.len())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}
