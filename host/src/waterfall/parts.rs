//! The parts of a run beneath its waterfall: their points in; rows of a label and a text out, one for each part and one more for
//! what is wrong with it.

use super::words::{joined, said};
use crate::{
    description::{Description, Part, part_measurement},
    outcome::Outcome,
    point::Points,
    value::Value,
};

/// What a row speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum About {
    Part,
    Failure,
    Alarm,
}

/// All rows: what each speaks of, its label, its text.
pub(super) fn rows<'a>(points: &Points, check: &'a Description) -> Vec<(About, &'a str, String)> {
    let mut rows = Vec::new();
    for point in &points.parts {
        let is_of = |kind: &&Part| part_measurement(&check.measurement, &kind.name) == point.measurement;
        let Some(kind) = check.parts.iter().find(is_of) else { continue };
        let tags = kind.tags.iter().map(|tag| point.tag(&tag.name).to_owned());
        // Times as well: there is no picture of them.
        let words = tags.filter(|value| !value.is_empty()).chain(said(point, kind.fields.iter()));
        rows.push((About::Part, &*kind.name, words.collect::<Vec<_>>().join("  ")));
        let result = point.tag("result");
        if result != Outcome::Success.name() {
            let why = joined(point, &["error_code", "error"]);
            rows.push((About::Failure, "", format!("{result}  {why}")));
        }
        rows.push((About::Alarm, "", joined(point, &["alarm"])));
    }
    if let Some(Value::Integer(dropped @ 1..)) = points.job.field("parts_dropped") {
        let verb = if *dropped == 1 { "has" } else { "have" };
        rows.push((About::Alarm, "parts", format!("{dropped} more {verb} no line")));
    }
    rows
}
