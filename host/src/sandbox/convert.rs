//! From the interface's types to the host's own, refusing what contradicts itself or the description.

use std::fmt;

use serde_json::Value as Json;

use super::bindings::exports::sonde::check::check as wit;
use crate::{
    catalogue::{ErrorCode, FIRST_OWN_CODE},
    description::{
        ConditionalDefault, Description, Field, FieldKind, HOST_FIELDS, HOST_TAGS, OWN_MEASUREMENT, OwnError,
        Parameter, ParameterKind, Tag,
    },
    report::{Outcome, Value},
    text,
};

/// What a component said about itself, or reported, makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contradiction {
    /// A name is not of lower-case letters, digits and `_`, or too long.
    Name(String),
    /// The check's name is not of lower-case letters, digits and `-`, or too long.
    CheckName(String),
    /// A name stands twice, or is the host's.
    Duplicate(String),
    /// More of these than a person reads.
    Many(&'static str),
    /// A default is not JSON, or would colour a terminal.
    Default(String),
    /// A secret has a default that is not empty: everybody knows it.
    Secret(String),
    /// A default depends on a parameter that is not described.
    Condition(String),
    /// Not exactly one parameter of kind `port`.
    Port,
    /// A tag shows a parameter that is not described.
    Tag(String),
    /// An error code below 1000, or one that stands twice.
    Code(u32),
    /// A field that was not announced.
    Unannounced(String),
    /// A field of another kind than announced, or a number that is none.
    Kind(String),
    /// The measurement belongs to another check.
    Measurement(String),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "`{name}` is no name (lower-case letters, digits and _, at most 64)")
            }
            Self::CheckName(name) => {
                write!(f, "`{name}` is no name of a check (lower-case letters, digits and -, at most 64)")
            }
            Self::Duplicate(name) => write!(f, "`{name}` stands twice or belongs to the host"),
            Self::Many(what) => write!(f, "more than {MOST} {what}"),
            Self::Default(name) => {
                write!(f, "the default of parameter `{name}` is not JSON, or has control characters")
            }
            Self::Secret(name) => {
                write!(f, "parameter `{name}` is a secret: its default can only be the empty text")
            }
            Self::Condition(name) => {
                write!(f, "a default of parameter `{name}` depends on one that does not exist")
            }
            Self::Port => f.write_str("there must be exactly one parameter of kind port"),
            Self::Tag(name) => write!(f, "tag `{name}` shows a parameter that is a secret or does not exist"),
            Self::Code(code) => {
                write!(f, "error code {code} is not announced, stands twice or is below 1000")
            }
            Self::Unannounced(name) => {
                write!(f, "field `{name}` is reported but not announced, or reported twice")
            }
            Self::Kind(name) => write!(f, "field `{name}` is not of the announced kind"),
            Self::Measurement(name) => {
                write!(f, "measurement `{name}` belongs to another check or to the host")
            }
        }
    }
}

impl std::error::Error for Contradiction {}

/// The longest name.
const NAME_BYTES: usize = 64;
/// Parameters, fields, tags and error codes of a check, and choices of a parameter, at most each: they are for people, and each
/// is compared with all others.
const MOST: usize = 256;

fn name(text: &str, taken: &mut Vec<String>) -> Result<String, Contradiction> {
    let legal = text.len() <= NAME_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !legal {
        return Err(Contradiction::Name(text::clean(text)));
    }
    if taken.iter().any(|known| known == text) || text == "time" {
        return Err(Contradiction::Duplicate(text.to_owned()));
    }
    taken.push(text.to_owned());
    Ok(text.to_owned())
}

fn check_name(text: &str) -> Result<String, Contradiction> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > NAME_BYTES || !text.bytes().all(good) {
        return Err(Contradiction::CheckName(text::clean(text)));
    }
    Ok(text.to_owned())
}

/// Converts and checks a description.
pub(crate) fn description(from: wit::Description) -> Result<Description, Contradiction> {
    for (count, what) in [
        (from.parameters.len(), "parameters"),
        (from.fields.len(), "fields"),
        (from.tags.len(), "tags"),
        (from.errors.len(), "error codes"),
    ] {
        if count > MOST {
            return Err(Contradiction::Many(what));
        }
    }
    let mut names = Vec::new();
    let mut parameters = Vec::new();
    for parameter in from.parameters {
        parameters.push(self::parameter(&parameter, &mut names)?);
    }
    let depends = |parameter: &&Parameter| {
        let exists = |name: &str| names.iter().any(|known| known == name);
        parameter.conditional_defaults.iter().any(|default| !exists(&default.parameter))
    };
    if let Some(parameter) = parameters.iter().find(depends) {
        return Err(Contradiction::Condition(parameter.name.clone()));
    }
    if parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Port).count() != 1 {
        return Err(Contradiction::Port);
    }
    // A tag and a field must not share a name.
    let mut names: Vec<String> = HOST_FIELDS.iter().map(|field| field.0.to_owned()).collect();
    names.extend(HOST_TAGS.iter().map(|tag| tag.0.to_owned()));
    let mut fields = Vec::new();
    for field in from.fields {
        let kind = match field.kind {
            wit::FieldKind::Integer => FieldKind::Integer,
            wit::FieldKind::Float => FieldKind::Float,
            wit::FieldKind::Boolean => FieldKind::Boolean,
            wit::FieldKind::Text => FieldKind::Text,
        };
        let name = name(&field.name, &mut names)?;
        let when_unreported =
            field.when_unreported.map(|value| self::value(&name, kind, value)).transpose()?;
        fields.push(Field {
            name,
            kind,
            unit: text::clean(&field.unit),
            doc: text::clean(&field.doc),
            when_unreported,
        });
    }
    let mut tags = Vec::new();
    for tag in from.tags {
        let name = name(&tag.name, &mut names)?;
        let shown = parameters.iter().find(|parameter| parameter.name == tag.parameter);
        if shown.is_none_or(|parameter| parameter.kind == ParameterKind::Secret) {
            return Err(Contradiction::Tag(name));
        }
        tags.push(Tag { name, parameter: tag.parameter, doc: text::clean(&tag.doc) });
    }
    let mut errors: Vec<OwnError> = Vec::new();
    for error in from.errors {
        if error.code < FIRST_OWN_CODE || errors.iter().any(|known| known.code == error.code) {
            return Err(Contradiction::Code(error.code));
        }
        errors.push(OwnError {
            code: error.code,
            name: check_name(&error.name)?,
            doc: text::clean(&error.doc),
        });
    }
    let measurement = name(&from.measurement, &mut Vec::new())?;
    if measurement == OWN_MEASUREMENT {
        return Err(Contradiction::Measurement(measurement));
    }
    Ok(Description {
        name: check_name(&from.name)?,
        version: text::clean(&from.version),
        measurement,
        doc: text::clean(&from.doc),
        parameters,
        fields,
        tags,
        errors,
    })
}

fn parameter(from: &wit::Parameter, names: &mut Vec<String>) -> Result<Parameter, Contradiction> {
    let name = name(&from.name, names)?;
    if from.choices.len() > MOST || from.conditional_defaults.len() > MOST {
        return Err(Contradiction::Many("choices or defaults of one parameter"));
    }
    let json = |text: &str| {
        let value = serde_json::from_str::<Json>(text).ok();
        // As it is shown: JSON escapes some of them and not others.
        let value = value.filter(|value| !text::has_hidden(&value.to_string()));
        value.ok_or_else(|| Contradiction::Default(name.clone()))
    };
    let conditional_defaults = from
        .conditional_defaults
        .iter()
        .map(|default| {
            Ok(ConditionalDefault {
                parameter: default.parameter.clone(),
                equals: json(&default.equals)?,
                default: json(&default.default)?,
            })
        })
        .collect::<Result<Vec<_>, Contradiction>>()?;
    let default = from.default.as_deref().map(json).transpose()?;
    let known = |default: &Json| *default != Json::String(String::new());
    let conditional = |default: &ConditionalDefault| known(&default.default);
    if from.kind == wit::ParameterKind::Secret
        && (default.as_ref().is_some_and(known) || conditional_defaults.iter().any(conditional))
    {
        return Err(Contradiction::Secret(name));
    }
    Ok(Parameter {
        kind: match from.kind {
            wit::ParameterKind::Text => ParameterKind::Text,
            wit::ParameterKind::Integer => ParameterKind::Integer,
            wit::ParameterKind::Number => ParameterKind::Number,
            wit::ParameterKind::Boolean => ParameterKind::Boolean,
            wit::ParameterKind::TextList => ParameterKind::TextList,
            wit::ParameterKind::Secret => ParameterKind::Secret,
            wit::ParameterKind::Port => ParameterKind::Port,
        },
        name,
        required: from.required,
        default,
        conditional_defaults,
        choices: from.choices.iter().map(|choice| text::clean(choice)).collect(),
        single_line: from.single_line,
        doc: text::clean(&from.doc),
    })
}

fn value(name: &str, kind: FieldKind, from: wit::Value) -> Result<Value, Contradiction> {
    match (kind, from) {
        (FieldKind::Integer, wit::Value::Integer(value)) => Ok(Value::Integer(value)),
        (FieldKind::Float, wit::Value::Float(value)) if value.is_finite() => Ok(Value::Float(value)),
        (FieldKind::Boolean, wit::Value::Boolean(value)) => Ok(Value::Boolean(value)),
        (FieldKind::Text, wit::Value::Text(value)) => Ok(Value::Text(value)),
        _ => Err(Contradiction::Kind(name.to_owned())),
    }
}

/// Converts a report's fields, all of them announced and of the announced kind.
pub(crate) fn fields(from: Vec<wit::Field>, to: &Description) -> Result<Vec<(String, Value)>, Contradiction> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for field in from {
        let announced = to.fields.iter().find(|known| known.name == field.name);
        let known = announced.filter(|_| !fields.iter().any(|(name, _)| *name == field.name));
        let Some(known) = known else { return Err(Contradiction::Unannounced(field.name)) };
        fields.push((known.name.clone(), value(&known.name, known.kind, field.value)?));
    }
    Ok(fields)
}

/// Converts a failure that the check found itself.
pub(crate) fn own_failure(
    from: wit::OwnFailure,
    by: &Description,
) -> Result<(Outcome, ErrorCode), Contradiction> {
    if !by.errors.iter().any(|error| error.code == from.code) {
        return Err(Contradiction::Code(from.code));
    }
    let outcome = match from.kind {
        wit::FailureKind::Timeout => Outcome::Timeout,
        wit::FailureKind::ConnectionFailed => Outcome::ConnectionFailed,
        wit::FailureKind::ReadFailed => Outcome::ReadFailed,
        wit::FailureKind::StringMismatch => Outcome::StringMismatch,
        wit::FailureKind::TlsError => Outcome::TlsError,
        wit::FailureKind::Rejected => Outcome::Rejected,
        wit::FailureKind::AuthFailed => Outcome::AuthFailed,
        wit::FailureKind::ProtocolError => Outcome::ProtocolError,
    };
    Ok((outcome, ErrorCode(from.code)))
}
