//! A check's parameters: what a file or the command line gives in, JSON of the described kinds out.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value as Json};

use super::{
    error::{At, NoSuch, Problem, entry},
    nearest::nearest,
    secret, table,
};
use crate::{
    description::{
        ConditionalDefault, Description, LONGEST_MS, MOST_WHOLE, Misfit, Parameter, ParameterKind,
        TABLE_LEVELS, items,
    },
    span,
};

/// Bytes of all parameters of a job, as its check gets them: in one call; what is made of them, such as a
/// mail in base64, it hands back in one.
const TOGETHER_BYTES: usize = 2560 << 10;

/// The parameter of this name.
pub(super) fn known<'a>(name: &str, description: &'a Description) -> Result<&'a Parameter, At> {
    description.parameters.iter().find(|parameter| parameter.name == name).ok_or_else(|| {
        let meant = nearest(name, description.parameters.iter().map(|parameter| parameter.name.as_str()));
        At::key(format!("parameters.{name}"), Problem::Unknown(NoSuch::Key, meant.map(ToOwned::to_owned)))
    })
}

/// From a file's table; secrets are read.
pub(super) fn from_toml(
    table: &toml::Table,
    description: &Description,
    folder: &Path,
    secrets: &secret::Files,
) -> Result<Map<String, Json>, At> {
    let mut given = Map::new();
    for (name, value) in table {
        let parameter = known(name, description)?;
        let refuse = |expected| At::key(format!("parameters.{name}"), Problem::Expected(expected));
        let expected = || refuse(expectation(parameter));
        let value = match (parameter.kind, value) {
            (ParameterKind::Secret, value @ toml::Value::Table(_)) => {
                Json::String(secret::read(name, value.clone(), folder, secrets)?)
            }
            (ParameterKind::Duration, toml::Value::String(text)) => {
                Json::from(span::milliseconds(text).ok_or_else(expected)?)
            }
            // A bare number has no unit.
            (ParameterKind::Duration, _) => return Err(expected()),
            (ParameterKind::Table, toml::Value::Table(table)) => {
                table::json(table.clone()).map_err(|expected| refuse(expected.to_owned()))?
            }
            (_, toml::Value::String(text)) => Json::from(text.as_str()),
            (_, toml::Value::Integer(number)) => Json::from(*number),
            (_, toml::Value::Float(number)) => Json::from(*number),
            (_, toml::Value::Boolean(value)) => Json::from(*value),
            (_, toml::Value::Array(list)) => {
                let item = |item: &toml::Value| match item {
                    toml::Value::String(text) => Ok(Json::from(text.as_str())),
                    toml::Value::Integer(number) => Ok(Json::from(*number)),
                    _ => Err(expected()),
                };
                Json::Array(list.iter().map(item).collect::<Result<_, _>>()?)
            }
            _ => return Err(expected()),
        };
        given.insert(name.clone(), value);
    }
    Ok(given)
}

/// From texts, each as described: a list is parted by commas, a table is a JSON object, and the rest as in a file; also a secret
/// that stands elsewhere, which is read.
pub(super) fn from_texts(
    texts: &BTreeMap<String, String>,
    description: &Description,
) -> Result<Map<String, Json>, At> {
    let mut given = Map::new();
    for (name, text) in texts {
        let parameter = known(name, description)?;
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let value = match parameter.kind {
            ParameterKind::Text => Some(Json::String(text.clone())),
            ParameterKind::Secret => Some(Json::String(match secret::source(text) {
                Some(source) => secret::read(name, source, Path::new(""), &secret::Files::default())?,
                None => text.clone(),
            })),
            ParameterKind::TextList => Some(items().map(Json::from).collect()),
            ParameterKind::IntegerList => {
                items().map(|item| item.parse::<i64>().ok().map(Json::from)).collect::<Option<_>>()
            }
            ParameterKind::Duration => span::milliseconds(text).map(Json::from),
            // JSON's reader goes 128 levels deep and no further.
            ParameterKind::Integer
            | ParameterKind::Number
            | ParameterKind::Boolean
            | ParameterKind::Table
            | ParameterKind::Port => serde_json::from_str(text).ok(),
        };
        // No parameter can be that, so that anything else is refused.
        let value = value.unwrap_or(Json::Null);
        judge(parameter, &value)?;
        given.insert(name.clone(), value);
    }
    Ok(given)
}

/// A parameter's default, where the others of its check have these values.
pub(super) fn default_beside<'a>(
    others: &Map<String, Json>,
    parameter: &'a Parameter,
    check: &Description,
) -> Option<&'a Json> {
    let met = |default: &&ConditionalDefault| {
        let other = check.parameters.iter().find(|other| other.name == default.parameter);
        let value = others.get(&default.parameter);
        other.zip(value).is_some_and(|(other, value)| other.kind.is_same(value, &default.equals))
    };
    let conditional = parameter.conditional_defaults.iter().find(met);
    conditional.map(|conditional| &conditional.default).or(parameter.default.as_ref())
}

/// Fills in defaults and checks every value. Those that are about nothing which the job has need not be given.
pub(super) fn complete(
    mut given: Map<String, Json>,
    description: &Description,
    is_absent: impl Fn(&Parameter) -> bool,
) -> Result<Map<String, Json>, At> {
    let default = |given: &mut Map<String, Json>, parameter: &Parameter, value: Option<&Json>| {
        if parameter.required && !is_absent(parameter) {
            return Err(At::key(format!("parameters.{}", parameter.name), Problem::Missing));
        }
        if let Some(value) = value {
            given.insert(parameter.name.clone(), value.clone());
        }
        Ok(())
    };
    for parameter in &description.parameters {
        if !given.contains_key(&parameter.name) && parameter.conditional_defaults.is_empty() {
            default(&mut given, parameter, parameter.default.as_ref())?;
        }
    }
    // After the others: these depend on them.
    for parameter in &description.parameters {
        if !given.contains_key(&parameter.name) {
            let value = default_beside(&given, parameter, description).cloned();
            default(&mut given, parameter, value.as_ref())?;
        }
    }
    for parameter in &description.parameters {
        if let Some(value) = given.get_mut(&parameter.name) {
            judge(parameter, value)?;
            // However it was written, a check gets a list.
            if parameter.kind.is_list() && !value.is_array() {
                *value = items(value).into_iter().cloned().collect();
            }
        }
    }
    if serde_json::to_string(&given).is_ok_and(|text| text.len() > TOGETHER_BYTES) {
        let expected = format!("at most {} KiB, all together", TOGETHER_BYTES >> 10);
        return Err(At::key("parameters", Problem::Expected(expected)));
    }
    Ok(given)
}

fn judge(parameter: &Parameter, value: &Json) -> Result<(), At> {
    parameter.judge(value).map_err(|misfit| {
        let problem = match misfit {
            Misfit::Value => Problem::Expected(expectation(parameter)),
            Misfit::LineBreak => Problem::LineBreak,
        };
        let key = format!("parameters.{}", parameter.name);
        // Of a list of texts one of them is wrong.
        let texts = value.as_array().filter(|list| list.iter().all(Json::is_string));
        let wrong = texts.and_then(|texts| texts.iter().position(|text| parameter.judge(text).is_err()));
        At::key(
            wrong
                .filter(|_| parameter.kind == ParameterKind::TextList)
                .map_or(key.clone(), |at| entry(&key, at)),
            problem,
        )
    })
}

fn expectation(parameter: &Parameter) -> String {
    if !parameter.choices.is_empty() {
        return format!("one of {}", parameter.choices.join(", "));
    }
    let text = match parameter.kind {
        ParameterKind::Text => "a text",
        ParameterKind::Integer => "a whole number, at most ",
        ParameterKind::Number => "a number",
        ParameterKind::Boolean => "true or false",
        ParameterKind::TextList => "a list of texts",
        ParameterKind::IntegerList => "a list of whole numbers",
        ParameterKind::Duration => "a time such as \"20s\", \"500ms\" or \"2m\", at most ",
        ParameterKind::Table => "a table, for `-p` a JSON object, nested at most ",
        ParameterKind::Secret => secret::EXPECTED,
        ParameterKind::Port => "a port, 1 to 65535",
    };
    match parameter.kind {
        ParameterKind::Integer => format!("{text}{MOST_WHOLE}"),
        ParameterKind::Duration => format!("{text}{}", span::text(LONGEST_MS)),
        ParameterKind::Table => format!("{text}{TABLE_LEVELS} deep"),
        _ => text.to_owned(),
    }
}
