//! The kinds of parts of a check, as text for people. Pure: a description in, text out.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::entry::{FIELDS, TAGS, field_json, field_row, tag_json, tag_row};
use crate::description::{Description, HOST_TAGS, OUTCOME_FIELDS, part_measurement};

/// As Markdown, for each kind its measurement, tags and fields; nothing where there is none.
pub(super) fn markdown(check: &Description) -> String {
    let mut text = String::new();
    for part in &check.parts {
        let measurement = part_measurement(&check.measurement, &part.name);
        let _infallible = write!(
            text,
            "\nMeasurement `{measurement}`, a line for each part `{}`: {}\n\n{TAGS}\n",
            part.name, part.doc
        );
        let mut row = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        for own in &part.tags {
            row(tag_row(&own.name, &own.doc));
        }
        row("| as above | Those of the job; `result` is the part's. |".to_owned());
        row(format!("\n{FIELDS}"));
        for own in OUTCOME_FIELDS {
            row(field_row(own.name, own.kind, own.unit, own.doc));
        }
        for own in &part.fields {
            row(field_row(&own.name, own.kind, &own.unit, &own.doc));
        }
    }
    text
}

/// The same as JSON.
pub(super) fn json(check: &Description) -> Vec<Json> {
    let of_job = HOST_TAGS.iter().map(|(name, doc)| tag_json(name, doc));
    let of_job: Vec<Json> =
        of_job.chain(check.tags.iter().map(|own| tag_json(&own.name, &own.doc))).collect();
    let of_host = OUTCOME_FIELDS.iter().map(|own| field_json(own.name, own.kind, own.unit, own.doc));
    let parts = check.parts.iter().map(|part| {
        let tags = of_job.iter().cloned().chain(part.tags.iter().map(|own| tag_json(&own.name, &own.doc)));
        let own = part.fields.iter().map(|own| field_json(&own.name, own.kind, &own.unit, &own.doc));
        let fields = of_host.clone().chain(own);
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
