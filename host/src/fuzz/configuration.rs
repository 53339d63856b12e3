//! A configuration: TOML, and a description of the check `drawn`. It is refused in one sentence, which shows nothing of a
//! parameter's value, or its jobs can be told apart and each has a line.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use influxdb_line_protocol::parse_lines;

use super::{description::drawn, input::Draw};
use crate::{
    catalogue::HostError,
    check::Check,
    config,
    description::{Description, Parameter, ParameterKind},
    line,
    report::Report,
    sandbox::convert,
};

const SECRET: &str = "open-sesame";
/// How a secret may be given by mistake.
const MISTAKES: [&str; 12] = [
    "open-sesame",
    "\"open-sesame",
    "'open-sesame' x",
    "[\"open-sesame\", 1]",
    "[[\"open-sesame\"]]",
    "{ open-sesame = 1 }",
    "{ file = [\"open-sesame\"] }",
    "{ value = \"open-sesame\" }",
    "\"open-sesame\\q\"",
    "\"\"\"open-sesame\n\"\"",
    "\"open-sesame\\nx\"",
    "1open-sesame",
];

/// A check with a parameter of each kind, under the kind's name.
fn every_kind() -> Description {
    use ParameterKind::{
        Boolean, Duration, Integer, IntegerList, Number, Port, Secret, Table, Text, TextList,
    };
    let kinds = [
        ("text", Text),
        ("integer", Integer),
        ("number", Number),
        ("boolean", Boolean),
        ("texts", TextList),
        ("codes", IntegerList),
        ("wait", Duration),
        ("table", Table),
        ("password", Secret),
        ("port", Port),
    ];
    let parameter = |(name, kind): (&str, ParameterKind)| Parameter {
        default: (kind == Port).then(|| 25.into()),
        single_line: kind == Secret,
        ..Parameter::plain(name, kind)
    };
    Description { parameters: kinds.map(parameter).into(), ..Description::unknown("smtp") }
}

pub fn configuration(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mistake = MISTAKES.get(draw.below(2 * MISTAKES.len()));
    let names = ["password", "text", "integer", "texts", "port", "unknown", "codes", "wait", "table"];
    let parameter = names[draw.below(names.len())];
    let mut parts = draw.rest().splitn(2, |byte| *byte == 0);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let described = convert::description(drawn(&mut Draw::new(parts.next().unwrap_or_default())));
    let described = described.ok().map(Arc::new);
    let every_kind = Arc::new(every_kind());
    let check = |name: &str| {
        let unloaded = Check::unknown(name, HostError::CheckLoad, String::new());
        match name {
            "smtp" => Check { description: Arc::clone(&every_kind), ..unloaded },
            _ => described.clone().map_or(unloaded.clone(), |description| Check { description, ..unloaded }),
        }
    };
    let path = Path::new("/nowhere/sonde.toml");
    let configuration = |text: &str| {
        let plan = config::of_text(path, text)?;
        plan.jobs.iter().map(|planned| planned.job(&check(planned.check()))).collect::<Result<Vec<_>, _>>()
    };
    if let Some(mistake) = mistake.filter(|_| !text.contains(SECRET)) {
        let head =
            format!("[[job]]\nname = \"a\"\nhost = \"mx1\"\n[job.parameters]\n{parameter} = {mistake}\n");
        if let Err(error) = configuration(&format!("{head}{text}")) {
            assert!(!error.to_string().contains(SECRET), "{error}");
        }
    }
    let Ok(jobs) = configuration(&text) else { return };
    assert!(!jobs.is_empty());
    let mut series = BTreeSet::new();
    for job in &jobs {
        let has_port = job.check.description.port_of(None).is_some();
        assert!(job.port.map_or(!has_port, |port| port > 0), "{job:?}");
        assert!(!job.timeout.is_zero() && job.timeout <= Duration::from_mins(10), "{job:?}");
        assert!(series.insert(line::series(&job.name, job.host.written())), "{job:?}");
        let line = line::line(&job.points(&Report::default(), 7).job);
        let points: Vec<_> = parse_lines(&line).collect();
        assert!(matches!(&points[..], [Ok(_)]), "{line:?} is {points:?}");
    }
}
