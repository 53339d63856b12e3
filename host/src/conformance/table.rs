//! Verdicts in, a table for people out.

use std::{fmt::Write as _, time::Duration};

use super::case::Verdict;
use crate::{sandbox::Limits, text};

/// A table of the verdicts, and of what the runs used up.
#[must_use]
pub fn table(verdicts: &[Verdict], limits: &Limits) -> String {
    let width = verdicts.iter().map(|verdict| verdict.case.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:width$}  {:18}{:>10}{:>10}{:>10}\n", "case", "result", "time", "CPU", "memory");
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

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / 1_048_576.0
}
