//! The kinds of parts of a check, as text for people. Pure: a description in, text out.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::cell::cell;
use crate::description::{Description, HOST_TAGS, OUTCOME_FIELDS, part_measurement};

/// As Markdown, for each kind its measurement, tags and fields; nothing where there is none.
pub(super) fn markdown(check: &Description) -> String {
    let mut text = String::new();
    for part in &check.parts {
        let measurement = part_measurement(&check.measurement, &part.name);
        let _infallible = write!(
            text,
            "\nMeasurement `{measurement}`, a line for each part `{}`: {}\n\n| tag | meaning |\n|---|---|\n",
            part.name, part.doc
        );
        for tag in &part.tags {
            let _infallible = writeln!(text, "| `{}` | {} |", tag.name, cell(&tag.doc));
        }
        text.push_str("| as above | Those of the job; `result` is the part's. |\n");
        text.push_str("\n| field | kind | unit | meaning |\n|---|---|---|---|\n");
        for own in OUTCOME_FIELDS {
            let _infallible =
                writeln!(text, "| `{}` | {} | {} | {} |", own.name, own.kind.name(), own.unit, own.doc);
        }
        for own in &part.fields {
            let (unit, doc) = (cell(&own.unit), cell(&own.doc));
            let _infallible = writeln!(text, "| `{}` | {} | {unit} | {doc} |", own.name, own.kind.name());
        }
    }
    text
}

/// The same as JSON.
pub(super) fn json(check: &Description) -> Vec<Json> {
    let tag = |name: &str, doc: &str| json!({ "name": name, "doc": doc });
    let of_job = HOST_TAGS.iter().map(|(name, doc)| tag(name, doc));
    let of_job: Vec<Json> = of_job.chain(check.tags.iter().map(|own| tag(&own.name, &own.doc))).collect();
    let of_host = OUTCOME_FIELDS.iter().map(|own| (own.name, own.kind, own.unit, own.doc));
    let parts = check.parts.iter().map(|part| {
        let tags = of_job.iter().cloned().chain(part.tags.iter().map(|own| tag(&own.name, &own.doc)));
        let own = part.fields.iter().map(|own| (&*own.name, own.kind, &*own.unit, &*own.doc));
        let fields = of_host.clone().chain(own).map(
            |(name, kind, unit, doc)| json!({ "name": name, "kind": kind.name(), "unit": unit, "doc": doc }),
        );
        json!({
            "name": part.name,
            "doc": part.doc,
            "measurement": part_measurement(&check.measurement, &part.name),
            "tags": tags.collect::<Vec<_>>(),
            "fields": fields.collect::<Vec<_>>(),
        })
    });
    parts.collect()
}
