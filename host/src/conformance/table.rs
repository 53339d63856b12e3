//! Verdicts in, a table for people out; beneath it what no case touched.

use std::{fmt::Write as _, time::Duration};

use super::case::{Came, Verdict};
use crate::{description::Description, measured::Contact, report::Report, sandbox::Limits, text};

/// A table of the verdicts, of what the runs used up, and of a check with parts how many came.
#[must_use]
pub fn table(verdicts: &[Verdict], check: &Description, limits: &Limits) -> String {
    let has_parts = !check.parts.is_empty();
    let width = verdicts.iter().map(|verdict| verdict.case.chars().count()).max().unwrap_or_default();
    let mut text = format!("{:width$}  {:18}{:>10}{:>10}{:>10}", "case", "result", "time", "CPU", "memory");
    text.push_str(if has_parts { "     parts\n" } else { "\n" });
    let (mut cpu, mut memory) = (Duration::ZERO, 0);
    for verdict in verdicts {
        let result = match &verdict.came {
            Came::Report(report) => report.outcome().name(),
            Came::NotRun(_) => "not run",
            Came::Refused => "refused",
            // What is missing says what it came to instead.
            Came::Nothing => "",
        };
        let _infallible = write!(text, "{:width$}  {result:18}", verdict.case);
        if let Came::Report(report) = &verdict.came {
            cpu = cpu.max(report.used.cpu);
            memory = memory.max(report.used.memory_bytes);
            let _infallible = write!(
                text,
                "{:>7} ms{:>7.1} ms{:>6.1} MiB",
                report.measured.total.unwrap_or_default().as_millis(),
                milliseconds(report.used.cpu),
                mebibytes(report.used.memory_bytes),
            );
            if has_parts {
                let _infallible = write!(text, "{:>10}", parts(report));
            }
        }
        if let Came::NotRun(refused) = &verdict.came {
            let _infallible = write!(text, "  the check refuses it: {}", text::clean(refused));
        }
        if let Some(miss) = &verdict.miss {
            let _infallible = write!(text, "  MISS {}", text::clean(miss));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let misses = verdicts.iter().filter(|verdict| verdict.miss.is_some()).count();
    let not_run = verdicts.iter().filter(|verdict| matches!(verdict.came, Came::NotRun(_))).count();
    let not_run_text = if not_run == 0 { String::new() } else { format!("{not_run} not run; ") };
    let _infallible = writeln!(
        text,
        "{}, {misses} missed; {not_run_text}at most {:.1} ms of CPU (of {}) and {:.1} MiB (of {:.0})",
        text::counted(verdicts.len() - not_run, "case"),
        milliseconds(cpu),
        limits.cpu_time.as_millis(),
        mebibytes(memory),
        mebibytes(limits.memory_bytes),
    );
    for whose in unreached(verdicts, check) {
        let _infallible = writeln!(
            text,
            "{whose} was never connected to: nothing is known of what its server can do to the check; what leads there is given \
             with -p KEY=VALUE"
        );
    }
    text
}

/// Endpoints to which no case led.
fn unreached(verdicts: &[Verdict], check: &Description) -> Vec<String> {
    let reports = || verdicts.iter().filter_map(Verdict::report);
    let is_reached = |contact: &Contact| contact.connect.is_some();
    let own = check.port_of(None).filter(|_| !reports().any(|report| is_reached(&report.measured.contact)));
    let is_named = |name: &str, report: &Report| {
        report.measured.further.iter().any(|(own, contact)| own == name && is_reached(contact))
    };
    let further = check.endpoints.iter().map(|endpoint| &endpoint.name);
    let further = further.filter(|name| !reports().any(|report| is_named(name, report)));
    let own = own.map(|_| "the job's own host".to_owned());
    own.into_iter().chain(further.map(|name| format!("endpoint `{name}`"))).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        description::{FurtherEndpoint, Parameter, ParameterKind},
        measured::Measured,
    };

    fn check() -> Description {
        let port = Parameter::plain("port", ParameterKind::Port);
        let imap =
            FurtherEndpoint { name: "imap".into(), required: false, default: None, doc: String::new() };
        Description { parameters: vec![port], endpoints: vec![imap], ..Description::unknown("a") }
    }

    fn verdict(of: &str, came: Came) -> Verdict {
        Verdict { case: of.to_owned(), came, miss: None }
    }

    /// What a table says beside a case.
    fn row(table: &str, case: &str) -> String {
        let row = table.lines().find_map(|row| row.strip_prefix(case)).unwrap();
        row.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_case_that_the_check_refuses_is_not_run_and_does_not_count() {
        let verdicts = [
            verdict("silent", Came::Report(Box::default())),
            verdict("`a` empty", Came::NotRun("parameters.a: is empty".to_owned())),
            verdict("`a` of another kind is refused", Came::Refused),
        ];
        let table = table(&verdicts, &check(), &Limits::default());
        assert_eq!(row(&table, "`a` empty"), "not run the check refuses it: parameters.a: is empty");
        assert_eq!(row(&table, "`a` of another kind is refused"), "refused");
        assert!(table.contains("\n2 cases, 0 missed; 1 not run; at most "), "{table}");
        assert!(
            self::table(&verdicts[..1], &check(), &Limits::default())
                .contains("\n1 case, 0 missed; at most ")
        );
    }

    #[test]
    fn what_was_to_be_refused_and_was_not_is_not_called_refused() {
        let missed =
            |case: &str, miss: &str| Verdict { miss: Some(miss.to_owned()), ..verdict(case, Came::Nothing) };
        let verdicts = [
            missed("`a` of another kind is refused", "\"text\" was accepted"),
            missed("`a` empty", "validate: it trapped"),
        ];
        let table = table(&verdicts, &check(), &Limits::default());
        assert_eq!(row(&table, "`a` of another kind is refused"), "MISS \"text\" was accepted");
        assert_eq!(row(&table, "`a` empty"), "MISS validate: it trapped");
    }

    #[test]
    fn an_endpoint_that_no_case_led_to_is_told() {
        let reached = || Contact { connect: Some(Duration::ZERO), ..Contact::default() };
        let told = |contact, further| {
            let measured = Measured { contact, further, ..Measured::default() };
            let report = Report { measured, ..Report::default() };
            let verdicts = [verdict("silent", Came::Report(report.into()))];
            let table = table(&verdicts, &check(), &Limits::default());
            let whose =
                |line: &str| line.split_once(" was never connected to").map(|(whose, _)| whose.to_owned());
            table.lines().filter_map(whose).collect::<Vec<_>>()
        };
        let imap = |contact| vec![("imap".to_owned(), contact)];
        assert_eq!(told(Contact::default(), Vec::new()), ["the job's own host", "endpoint `imap`"]);
        assert_eq!(told(reached(), imap(Contact::default())), ["endpoint `imap`"]);
        assert_eq!(told(Contact::default(), imap(reached())), ["the job's own host"]);
        assert!(told(reached(), imap(reached())).is_empty());
    }
}
