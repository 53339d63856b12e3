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
    sandbox::{
        bindings::exports::sonde::check::check as wit, convert, fields, limits::LINES, parts::Reported,
    },
};

/// Names that have a meaning, and some that are none.
const NAMES: [&str; 17] = [
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
    "imap",
    "imap_server",
    "",
    "a b",
    "A",
    "tls_x",
];
/// Defaults of each kind, and some that are none.
const DEFAULTS: [&str; 14] = [
    "\"x\"",
    "\"\"",
    "25",
    "-1",
    "0.5",
    "true",
    "[\"x\",\"y\"]",
    "[[[{}]]]",
    "nothing",
    "\"\\u001b\"",
    "[1,-2]",
    "86400000",
    "{\"a\":{\"b c\":[1.5,{\"\":true}]},\"x\":\"y\\n\"}",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}",
];

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
    use wit::ParameterKind::{
        Boolean, Duration, Integer, IntegerList, Number, Port, Secret, Table, Text, TextList,
    };
    let kinds = [Text, Integer, Number, Boolean, TextList, Secret, Port, IntegerList, Duration, Table];
    wit::Parameter {
        name: name(draw),
        kind: kinds[draw.below(kinds.len())],
        required: draw.below(2) == 1,
        default: option(draw, default),
        conditional_defaults: some(draw, 3, |draw| wit::ConditionalDefault {
            parameter: name(draw),
            equals: default(draw),
            default: default(draw),
        }),
        choices: some(draw, 3, text),
        single_line: draw.below(2) == 1,
        endpoint: if draw.below(4) == 0 { Some(name(draw)) } else { None },
        doc: draw.text(),
    }
}

fn endpoint(draw: &mut Draw<'_>) -> wit::EndpointDescription {
    let hosts = ["{host}", "imap.{host}", "::1", "{host}:25", "a b"];
    wit::EndpointDescription {
        name: name(draw),
        required: draw.below(2) == 1,
        default: option(draw, |draw| match draw.below(hosts.len() + 1) {
            0 => draw.text(),
            number => hosts[number - 1].to_owned(),
        }),
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

fn field(draw: &mut Draw<'_>) -> wit::FieldDescription {
    use wit::FieldKind::{Boolean, Float, Integer, Text};
    wit::FieldDescription {
        name: name(draw),
        kind: [Integer, Float, Boolean, Text][draw.below(4)],
        unit: if draw.below(2) == 1 { "ms".to_owned() } else { draw.text() },
        doc: draw.text(),
        when_unreported: option(draw, value),
        phase: draw.below(2) == 1,
    }
}

fn part(draw: &mut Draw<'_>) -> wit::PartDescription {
    wit::PartDescription {
        name: name(draw),
        doc: draw.text(),
        tags: some(draw, 2, |draw| wit::PartTag { name: name(draw), doc: draw.text() }),
        fields: some(draw, 3, |draw| wit::FieldDescription {
            phase: draw.below(8) == 1,
            when_unreported: None,
            ..field(draw)
        }),
    }
}

/// Draws a description; the first parameter is mostly the port, without which there is none.
pub(super) fn drawn(draw: &mut Draw<'_>) -> wit::Description {
    let parts = some(draw, 2, part);
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
        fields: some(draw, 6, field),
        tags: some(draw, 3, |draw| wit::TagDescription {
            name: name(draw),
            parameter: name(draw),
            doc: draw.text(),
        }),
        endpoints: some(draw, 3, endpoint),
        parts,
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
    let hosts: BTreeMap<String, String> =
        some(&mut draw, 2, |draw| (name(draw), draw.text())).into_iter().collect();
    let endpoints = sample::endpoints(&check.description, "mx1", &hosts);
    if let Ok(pinned) = sample::pinned(&check, &path, &draw.text(), &given, &endpoints) {
        toml::from_str::<toml::Table>(&pinned).expect(&pinned);
    }
    job(&check, &given, endpoints, &mut draw);
}

/// A job of the check, and a run of it.
fn job(
    check: &Check,
    given: &BTreeMap<String, String>,
    endpoints: BTreeMap<String, String>,
    draw: &mut Draw<'_>,
) {
    let bare = AdHoc::new("job", check, "mx1");
    let Ok(job) = (AdHoc { parameters: given.clone(), endpoints, ..bare }).job() else {
        return;
    };
    // Where the check has a port, the job does.
    let is_port = |name: Option<&str>, port: Option<u16>| {
        port.map_or(check.description.port_of(name).is_none(), |port| port > 0)
    };
    assert!(is_port(None, job.port));
    assert!(job.endpoints.iter().all(|endpoint| is_port(Some(&endpoint.name), endpoint.port)));
    let fields =
        |draw: &mut Draw<'_>| some(draw, 4, |draw| wit::Field { name: name(draw), value: value(draw) });
    let part = |draw: &mut Draw<'_>| wit::Part {
        name: name(draw),
        tags: some(draw, 2, |draw| wit::TagValue { name: name(draw), value: draw.text() }),
        fields: fields(draw),
        failure: None,
    };
    let own = fields::reported(fields(draw), &check.description.fields).unwrap_or_default();
    let mut reported = Reported::new(&check.description, LINES, &job.secrets);
    // One that is refused ends the run; what came before it is as it is kept.
    let _refused = some(draw, 4, part).into_iter().try_for_each(|part| reported.add(part));
    let Reported { parts, dropped: parts_dropped, .. } = reported;
    let report = Report { fields: own, parts, parts_dropped, ..Report::default() };
    let points = job.points(&report, 7);
    for (place, point) in points.all().enumerate() {
        let line = line::line(point);
        assert!(line.len() <= line::longest(&check.description), "{line:?}");
        let read: Vec<_> = parse_lines(&line).collect();
        let [Ok(read)] = &read[..] else { panic!("{line:?} is {read:?}") };
        // None of a part is its job's, another check's or the host's.
        let measurement = read.series.measurement.as_str();
        let of_part = measurement
            .strip_prefix(&check.description.measurement)
            .is_some_and(|rest| rest.starts_with('_'));
        assert_eq!(of_part, place > 0, "{line:?}");
        let tag = |name: &str| read.series.tag_set.iter().flatten().find(|(key, _)| key.as_str() == name);
        assert_eq!(tag("job").map(|(_, value)| value.as_str()), Some("job"), "{line:?}");
    }
    let of = |point| line::line(point).split_once(" result_code=").map(|(series, _)| series.to_owned());
    let mut series: Vec<Option<String>> = points.all().map(of).collect();
    series.sort();
    series.dedup();
    assert_eq!(series.len(), points.all().count(), "{points:?}");
}
