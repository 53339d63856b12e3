//! The parts of a run beneath its waterfall: their points in; rows of a label, a colour and a text out, one for each part and one
//! more for what is wrong with it.

use super::{
    colour::{RED, YELLOW},
    words::{joined, said},
};
use crate::{
    description::{Description, Part, part_measurement},
    outcome::Outcome,
    point::Points,
    value::Value,
};

/// All rows: the label of each, its colour, its text.
pub(super) fn rows<'a>(
    points: &Points,
    check: &'a Description,
) -> Vec<(&'a str, Option<&'static str>, String)> {
    let mut rows = Vec::new();
    for point in &points.parts {
        let is_of = |kind: &&Part| part_measurement(&check.measurement, &kind.name) == point.measurement;
        let Some(kind) = check.parts.iter().find(is_of) else { continue };
        let tags = kind.tags.iter().map(|tag| point.tag(&tag.name).to_owned());
        // Times as well: there is no picture of them.
        let words = tags.filter(|value| !value.is_empty()).chain(said(point, kind.fields.iter()));
        rows.push((&*kind.name, None, words.collect::<Vec<_>>().join("  ")));
        let result = point.tag("result");
        if result != Outcome::Success.name() {
            let why = joined(point, &["error_code", "error"]);
            rows.push(("", Some(RED), format!("{result}  {why}")));
        }
        rows.push(("", Some(YELLOW), joined(point, &["alarm"])));
    }
    if let Some(Value::Integer(dropped @ 1..)) = points.job.field("parts_dropped") {
        let verb = if *dropped == 1 { "has" } else { "have" };
        rows.push(("parts", Some(YELLOW), format!("{dropped} more {verb} no line")));
    }
    rows
}
