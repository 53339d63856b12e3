//! Alarm limits as a job's table or the command line has them in; limits out. Refuses, by key, what is no limit, and one on what
//! is no number of the check's lines.

use std::collections::BTreeMap;

use super::{
    error::{At, Problem},
    file::{Alarm, Levels},
    nearest::nearest,
};
use crate::{
    alarm::{Limit, Severity},
    description::{Description, Field, OUTCOME_FIELDS},
    value::FieldKind,
};

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

fn limit(part: Option<&str>, field: &str, severity: Severity, text: &str, key: &str) -> Result<Limit, At> {
    let limit = Limit::parse(field, severity, text);
    let limit = limit.map_err(|error| At::key(key, Problem::Limit(error.to_string())))?;
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
                let problem = Problem::Part(meant.map(ToOwned::to_owned));
                return Err(At::key(format!("alarm.{kind}"), problem));
            };
            numbers(OUTCOME_FIELDS.iter().map(|field| (field.name, field.kind)), &part.fields)
        }
    };
    if numbers.contains(&&*limit.field) {
        return Ok(());
    }
    let meant = nearest(&limit.field, numbers.into_iter()).map(ToOwned::to_owned);
    Err(At::key(format!("alarm.{}", shown(limit.part.as_deref(), &limit.field)), Problem::Field(meant)))
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
