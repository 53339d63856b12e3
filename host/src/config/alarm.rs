//! Alarm limits as a job's table or the command line has them in; limits out. Refuses, by key, what is no limit, and one on what
//! is no number of the check's lines. Doubts a pair that is most likely a lower bound whose `<` was forgotten.

use std::collections::BTreeMap;

use super::{
    error::{At, NoSuch, Problem},
    file::{Alarm, Levels},
    nearest::nearest,
};
use crate::{
    alarm::{Comparison, Limit, Severity},
    description::{Description, Field, OUTCOME_FIELDS},
    value::FieldKind,
};

/// Of a pair whose critical limit is the weaker one.
const NO_WARNING: &str = "whatever breaks the first breaks the second, and it never comes to a warning";
/// Of one whose limits leave nothing between them.
const ALWAYS: &str = "every value breaks one of them";

/// Those of a job's table, as far as they can be judged without its check.
pub(super) fn of_table(alarm: BTreeMap<String, Alarm>) -> Result<Vec<Limit>, At> {
    let mut limits = Vec::new();
    for (name, alarm) in alarm {
        match alarm {
            Alarm::Field(levels) => on_field(&mut limits, None, &name, &levels)?,
            Alarm::Part(fields) => {
                for (field, levels) in fields {
                    on_field(&mut limits, Some(&name), &field, &levels)?;
                }
            }
        }
    }
    Ok(limits)
}

fn on_field(limits: &mut Vec<Limit>, part: Option<&str>, field: &str, levels: &Levels) -> Result<(), At> {
    let key = format!("alarm.{}", shown(part, field));
    if levels.warning.is_none() && levels.critical.is_none() {
        return Err(At::key(key, Problem::Expected("`warning`, `critical` or both".into())));
    }
    for (severity, name, bound) in
        [(Severity::Warning, "warning", &levels.warning), (Severity::Critical, "critical", &levels.critical)]
    {
        if let Some(bound) = bound {
            limits.push(limit(part, field, severity, &bound.0, &format!("{key}.{name}"))?);
        }
    }
    Ok(())
}

/// One of the command line, `[PART.]FIELD=WARNING[,CRITICAL]`.
pub(super) fn of_text(text: &str, description: &Description) -> Result<Vec<Limit>, At> {
    let (name, levels) = text
        .split_once('=')
        .filter(|(_, levels)| levels.contains(|c: char| c != ',' && !c.is_whitespace()))
        .ok_or_else(|| At::key("limit", Problem::Expected("[PART.]FIELD=WARNING[,CRITICAL]".into())))?;
    let (part, field) = name.split_once('.').map_or((None, name), |(part, field)| (Some(part), field));
    let (warning, critical) = levels.split_once(',').unwrap_or((levels, ""));
    let mut limits = Vec::new();
    for (severity, level) in [(Severity::Warning, warning), (Severity::Critical, critical)] {
        if !level.trim().is_empty() {
            let limit = limit(part, field, severity, level, &format!("limit {name}"))?;
            known_number(description, &limit)?;
            limits.push(limit);
        }
    }
    Ok(limits)
}

/// What in limits may be a mistake: a warning that is never seen alone, and a pair of which one is always broken.
pub(super) fn doubts(limits: &[Limit]) -> impl Iterator<Item = At> {
    let of = |severity| limits.iter().filter(move |limit| limit.severity == severity);
    of(Severity::Warning).flat_map(move |warning| {
        let same = |critical: &&Limit| (&critical.part, &critical.field) == (&warning.part, &warning.field);
        let doubts = of(Severity::Critical).filter(same).filter_map(|critical| {
            let key = format!("alarm.{}", shown(warning.part.as_deref(), &warning.field));
            Some(At::key(key, Problem::Said(doubt(warning, critical)?)))
        });
        doubts.collect::<Vec<_>>()
    })
}

fn doubt(warning: &Limit, critical: &Limit) -> Option<String> {
    let (is_doubtful, wrong, instead, bound) = match (is_upper(warning)?, is_upper(critical)?) {
        (true, true) => (critical.bound < warning.bound, NO_WARNING, "a lower bound is \"<", warning.bound),
        (false, false) => {
            (critical.bound > warning.bound, NO_WARNING, "an upper bound is \">", warning.bound)
        }
        (true, false) => (warning.bound < critical.bound, ALWAYS, "a lower bound is \"<", warning.bound),
        (false, true) => (critical.bound < warning.bound, ALWAYS, "a lower bound is \"<", critical.bound),
    };
    is_doubtful.then(|| format!("warning {warning}, critical {critical}: {wrong}; {instead} {bound}\""))
}

/// Whether it bounds from above; none: neither that nor from below.
fn is_upper(limit: &Limit) -> Option<bool> {
    match limit.comparison {
        Comparison::More | Comparison::MoreOrEqual => Some(true),
        Comparison::Less | Comparison::LessOrEqual => Some(false),
        Comparison::Equal | Comparison::NotEqual => None,
    }
}

fn limit(part: Option<&str>, field: &str, severity: Severity, text: &str, key: &str) -> Result<Limit, At> {
    let limit = Limit::parse(field, severity, text);
    let limit = limit.map_err(|error| At::key(key, Problem::Said(error.to_string())))?;
    Ok(Limit { part: part.map(ToOwned::to_owned), ..limit })
}

/// Refuses a limit on what is no number of the check's lines.
pub(super) fn known_number(description: &Description, limit: &Limit) -> Result<(), At> {
    let of_endpoints: Vec<_> = description.endpoint_fields().collect();
    let numbers = match &limit.part {
        None => {
            let of_endpoints = of_endpoints.iter().map(|(name, field, _)| (&**name, field.kind));
            let of_host = description.host_fields().map(|field| (field.name, field.kind));
            numbers(of_host.chain(of_endpoints), &description.fields)
        }
        Some(kind) => {
            let Some(part) = description.parts.iter().find(|part| part.name == *kind) else {
                let meant = nearest(kind, description.parts.iter().map(|part| &*part.name));
                let problem = Problem::Unknown(NoSuch::Parts, meant.map(ToOwned::to_owned));
                return Err(At::key(format!("alarm.{kind}"), problem));
            };
            numbers(OUTCOME_FIELDS.iter().map(|field| (field.name, field.kind)), &part.fields)
        }
    };
    if numbers.contains(&&*limit.field) {
        return Ok(());
    }
    let meant = nearest(&limit.field, numbers.into_iter()).map(ToOwned::to_owned);
    Err(At::key(
        format!("alarm.{}", shown(limit.part.as_deref(), &limit.field)),
        Problem::Unknown(NoSuch::Number, meant),
    ))
}

/// By name, those of a line's fields that a limit may be on.
fn numbers<'a>(of_host: impl Iterator<Item = (&'a str, FieldKind)>, own: &'a [Field]) -> Vec<&'a str> {
    let all = of_host.chain(own.iter().map(|field| (&*field.name, field.kind)));
    let is_number = |(name, kind): &(&str, FieldKind)| {
        matches!(kind, FieldKind::Integer | FieldKind::Float) && *name != "alarm_state"
    };
    all.filter(is_number).map(|(name, _)| name).collect()
}

fn shown(part: Option<&str>, field: &str) -> String {
    part.map_or_else(|| field.to_owned(), |part| format!("{part}.{field}"))
}
