//! A description as a component gives it: any. It is refused, or else everything that is made of it is whole: its tables, the
//! samples, its jobs, and the lines of what the check reports then.

use std::{collections::BTreeMap, sync::Arc};

use influxdb_line_protocol::parse_lines;

use super::input::Draw;
use crate::{
    catalogue::HostError,
    check::Check,
    config::{AdHoc, sample},
    describe, line,
    report::Report,
    sandbox::{bindings::exports::sonde::check::check as wit, convert},
};

/// Names that have a meaning, and some that are none.
const NAMES: [&str; 14] = [
    "port",
    "a",
    "b",
    "c_ms",
    "password",
    "server",
    "result_code",
    "time",
    "smtp",
    "sonde",
    "redis",
    "",
    "a b",
    "A",
];
/// Defaults of each kind, and some that are none.
const DEFAULTS: [&str; 10] =
    ["\"x\"", "\"\"", "25", "-1", "0.5", "true", "[\"x\",\"y\"]", "[[[{}]]]", "nothing", "\"\\u001b\""];

fn name(draw: &mut Draw<'_>) -> String {
    match draw.below(NAMES.len() + 1) {
        0 => draw.text(),
        number => NAMES[number - 1].to_owned(),
    }
}

fn text(draw: &mut Draw<'_>) -> String {
    draw.text()
}

fn default(draw: &mut Draw<'_>) -> String {
    match draw.below(DEFAULTS.len() + 1) {
        0 => draw.text(),
        number => DEFAULTS[number - 1].to_owned(),
    }
}

fn some<T>(draw: &mut Draw<'_>, most: usize, one: impl Fn(&mut Draw<'_>) -> T) -> Vec<T> {
    (0..draw.below(most + 1)).map(|_| one(draw)).collect()
}

fn option<T>(draw: &mut Draw<'_>, one: impl Fn(&mut Draw<'_>) -> T) -> Option<T> {
    (draw.below(2) == 1).then(|| one(draw))
}

fn parameter(draw: &mut Draw<'_>) -> wit::Parameter {
    use wit::ParameterKind::{Boolean, Integer, Number, Port, Secret, Text, TextList};
    wit::Parameter {
        name: name(draw),
        kind: [Text, Integer, Number, Boolean, TextList, Secret, Port][draw.below(7)],
        required: draw.below(2) == 1,
        default: option(draw, default),
        conditional_defaults: some(draw, 3, |draw| wit::ConditionalDefault {
            parameter: name(draw),
            equals: default(draw),
            default: default(draw),
        }),
        choices: some(draw, 3, text),
        single_line: draw.below(2) == 1,
        doc: draw.text(),
    }
}

fn value(draw: &mut Draw<'_>) -> wit::Value {
    match draw.below(4) {
        0 => wit::Value::Integer(i64::from(draw.number()) - 100),
        1 => wit::Value::Float([0.5, f64::NAN, f64::INFINITY, -0.0, 1e300][draw.below(5)]),
        2 => wit::Value::Boolean(draw.below(2) == 1),
        _ => wit::Value::Text(draw.text()),
    }
}

/// Draws a description; the first parameter is mostly the port, without which there is none.
pub(super) fn drawn(draw: &mut Draw<'_>) -> wit::Description {
    use wit::FieldKind::{Boolean, Float, Integer, Text};
    let mut parameters = some(draw, 6, parameter);
    if draw.below(8) > 0 {
        let port = Draw::new(&[]);
        let port = wit::Parameter {
            name: "port".to_owned(),
            kind: wit::ParameterKind::Port,
            ..parameter(&mut { port })
        };
        parameters.push(wit::Parameter { default: Some("25".to_owned()), ..port });
    }
    wit::Description {
        name: name(draw),
        version: draw.text(),
        measurement: name(draw),
        doc: draw.text(),
        parameters,
        fields: some(draw, 6, |draw| wit::FieldDescription {
            name: name(draw),
            kind: [Integer, Float, Boolean, Text][draw.below(4)],
            unit: if draw.below(2) == 1 { "ms".to_owned() } else { draw.text() },
            doc: draw.text(),
            when_unreported: option(draw, value),
            phase: draw.below(2) == 1,
        }),
        tags: some(draw, 3, |draw| wit::TagDescription {
            name: name(draw),
            parameter: name(draw),
            doc: draw.text(),
        }),
        errors: some(draw, 3, |draw| wit::ErrorDescription {
            code: u32::from(draw.number()),
            name: name(draw),
            doc: draw.text(),
        }),
    }
}

/// Cells of a table's row, by the rules of GitHub's Markdown.
fn cells(row: &str) -> usize {
    let (mut bars, mut escaped) = (0, false);
    for c in row.chars() {
        bars += usize::from(c == '|' && !escaped);
        escaped = c == '\\' && !escaped;
    }
    bars
}

fn tables_are_whole(text: &str) {
    let mut head = 0;
    for row in text.lines() {
        assert!(!row.contains(char::is_control), "{row:?}");
        match row.strip_prefix('|') {
            None => head = 0,
            Some(_) if head == 0 => head = cells(row),
            Some(_) => assert_eq!(cells(row), head, "{row:?}"),
        }
    }
}

pub fn description(data: &[u8]) {
    let mut draw = Draw::new(data);
    let Ok(known) = convert::description(drawn(&mut draw)) else { return };
    tables_are_whole(&describe::markdown(&known));
    let path = draw.text();
    let unloaded = Check::unknown(&known.name, HostError::CheckLoad, String::new());
    let check = Check { description: Arc::new(known), ..unloaded };
    drop(describe::component_json(&check));

    let sampled = sample::sample(&check.description);
    toml::from_str::<toml::Table>(&sampled).expect(&sampled);
    let given: BTreeMap<String, String> =
        some(&mut draw, 3, |draw| (name(draw), draw.text())).into_iter().collect();
    if let Ok(pinned) = sample::pinned(&check, &path, &draw.text(), &given) {
        toml::from_str::<toml::Table>(&pinned).expect(&pinned);
    }
    job(&check, &given, &mut draw);
}

/// A job of the check, and a run of it.
fn job(check: &Check, given: &BTreeMap<String, String>, draw: &mut Draw<'_>) {
    let Ok(job) = (AdHoc { parameters: given.clone(), ..AdHoc::new("job", check, "mx1") }).job() else {
        return;
    };
    assert!(job.port.is_some_and(|port| port > 0));
    let reported = some(draw, 4, |draw| wit::Field { name: name(draw), value: value(draw) });
    let fields = convert::fields(reported, &check.description).unwrap_or_default();
    let report = Report { fields, ..Report::default() };
    let line = line::line(&job.point(&report, 7));
    let points: Vec<_> = parse_lines(&line).collect();
    assert!(matches!(&points[..], [Ok(_)]), "{line:?} is {points:?}");
}
