//! From the interface's types to the host's own, refusing what contradicts itself or the description.

use serde_json::Value as Json;

use super::{
    bindings::exports::sonde::check::check as wit,
    contradiction::{Contradiction, MOST, VALUE_BYTES},
};
use crate::{
    catalogue::{ErrorCode, FIRST_OWN_CODE},
    description::{
        ConditionalDefault, Description, Field, HOST_TAGS, OWN_MEASUREMENT, OwnError, Parameter,
        ParameterKind, Tag, host_fields,
    },
    line,
    report::Outcome,
    text,
    value::{FieldKind, Value},
};

/// The longest name.
const NAME_BYTES: usize = 64;

fn name(text: &str, of_host: &[&str], taken: &mut Vec<String>) -> Result<String, Contradiction> {
    let legal = text.len() <= NAME_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !legal {
        return Err(Contradiction::Name(text::clean(text)));
    }
    if of_host.contains(&text) || text == "time" {
        return Err(Contradiction::NameOfHost(text.to_owned()));
    }
    if taken.iter().any(|known| known == text) {
        return Err(Contradiction::NameTwice(text.to_owned()));
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
    for parameter in &parameters {
        for default in &parameter.conditional_defaults {
            let name = || parameter.name.clone();
            let other = parameters.iter().find(|other| other.name == default.parameter);
            let other = other.ok_or_else(|| Contradiction::ConditionOnNothing(name()))?;
            other.judge(&default.equals).map_err(|_| Contradiction::ConditionNeverMet(name()))?;
        }
    }
    if parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Port).count() != 1 {
        return Err(Contradiction::Port);
    }
    let of_host: Vec<&str> =
        host_fields().map(|field| field.name).chain(HOST_TAGS.iter().map(|tag| tag.0)).collect();
    // A tag and a field must not share a name.
    let mut names = Vec::new();
    let mut fields = Vec::new();
    for field in from.fields {
        let kind = match field.kind {
            wit::FieldKind::Integer => FieldKind::Integer,
            wit::FieldKind::Float => FieldKind::Float,
            wit::FieldKind::Boolean => FieldKind::Boolean,
            wit::FieldKind::Text => FieldKind::Text,
        };
        let name = name(&field.name, &of_host, &mut names)?;
        let is_number = matches!(kind, FieldKind::Integer | FieldKind::Float);
        if field.phase && !(is_number && field.unit == "ms") {
            return Err(Contradiction::Phase(name));
        }
        let mut when_unreported =
            field.when_unreported.map(|value| self::value(&name, kind, value)).transpose()?;
        if let Some(text) = when_unreported.as_mut().and_then(Value::as_text_mut) {
            *text = text::clean(text);
        }
        fields.push(Field {
            name,
            kind,
            unit: text::clean(&field.unit),
            doc: text::clean(&field.doc),
            when_unreported,
            phase: field.phase,
        });
    }
    let mut tags = Vec::new();
    for tag in from.tags {
        let name = name(&tag.name, &of_host, &mut names)?;
        let shown = parameters.iter().find(|parameter| parameter.name == tag.parameter);
        match shown.map(|parameter| parameter.kind) {
            None => return Err(Contradiction::TagOfNothing(name)),
            Some(ParameterKind::Secret) => return Err(Contradiction::TagOfSecret(name)),
            Some(_) => {}
        }
        tags.push(Tag { name, parameter: tag.parameter, doc: text::clean(&tag.doc) });
    }
    let mut errors: Vec<OwnError> = Vec::new();
    for error in from.errors {
        if error.code < FIRST_OWN_CODE {
            return Err(Contradiction::CodeBelow(error.code));
        }
        if errors.iter().any(|known| known.code == error.code) {
            return Err(Contradiction::CodeTwice(error.code));
        }
        errors.push(OwnError {
            code: error.code,
            name: check_name(&error.name)?,
            doc: text::clean(&error.doc),
        });
    }
    let measurement = name(&from.measurement, &[], &mut Vec::new())?;
    if measurement == OWN_MEASUREMENT {
        return Err(Contradiction::MeasurementOfHost(measurement));
    }
    let description = Description {
        name: check_name(&from.name)?,
        version: text::clean(&from.version),
        measurement,
        doc: text::clean(&from.doc),
        parameters,
        fields,
        tags,
        errors,
    };
    let longest = line::longest(&description);
    if longest > line::LINE_BYTES { Err(Contradiction::Line(longest)) } else { Ok(description) }
}

fn parameter(from: &wit::Parameter, names: &mut Vec<String>) -> Result<Parameter, Contradiction> {
    let name = name(&from.name, &[], names)?;
    if from.choices.len() > MOST {
        return Err(Contradiction::Many("choices of one parameter"));
    }
    if from.conditional_defaults.len() > MOST {
        return Err(Contradiction::Many("defaults of one parameter"));
    }
    let long = |text: &str| text.len() > VALUE_BYTES;
    if from.choices.iter().any(|choice| long(choice)) {
        return Err(Contradiction::ChoiceLong(name));
    }
    let json = |text: &str| {
        if long(text) {
            return Err(Contradiction::DefaultLong(name.clone()));
        }
        let value: Json =
            serde_json::from_str(text).map_err(|_| Contradiction::DefaultNotJson(name.clone()))?;
        if value.as_array().is_some_and(|list| list.len() > MOST) {
            return Err(Contradiction::Many("items in a default"));
        }
        // As it is shown: JSON escapes some of them and not others.
        if text::has_hidden(&value.to_string()) {
            return Err(Contradiction::DefaultHidden(name.clone()));
        }
        Ok(value)
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
    let parameter = Parameter {
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
        choices: from.choices.iter().map(|choice| text::clean_to(choice, VALUE_BYTES)).collect(),
        single_line: from.single_line,
        doc: text::clean(&from.doc),
    };
    let conditional = parameter.conditional_defaults.iter().map(|default| &default.default);
    if parameter.default.iter().chain(conditional).any(|default| parameter.judge(default).is_err()) {
        return Err(Contradiction::Misfit(parameter.name));
    }
    Ok(parameter)
}

fn value(name: &str, kind: FieldKind, from: wit::Value) -> Result<Value, Contradiction> {
    match (kind, from) {
        (FieldKind::Integer, wit::Value::Integer(value)) => Ok(Value::Integer(value)),
        (FieldKind::Float, wit::Value::Float(value)) if value.is_finite() => Ok(Value::Float(value)),
        (FieldKind::Float, wit::Value::Float(_)) => Err(Contradiction::FieldNotFinite(name.to_owned())),
        (FieldKind::Boolean, wit::Value::Boolean(value)) => Ok(Value::Boolean(value)),
        (FieldKind::Text, wit::Value::Text(value)) => Ok(Value::Text(value)),
        _ => Err(Contradiction::FieldKind(name.to_owned())),
    }
}

/// Converts a report's fields, all of them announced and of the announced kind.
pub(crate) fn fields(from: Vec<wit::Field>, to: &Description) -> Result<Vec<(String, Value)>, Contradiction> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for field in from {
        let announced = to.fields.iter().find(|known| known.name == field.name);
        let Some(known) = announced else { return Err(Contradiction::FieldUnannounced(field.name)) };
        if fields.iter().any(|(name, _)| *name == field.name) {
            return Err(Contradiction::FieldTwice(field.name));
        }
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
        return Err(Contradiction::CodeUnannounced(from.code));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, kind: wit::ParameterKind, default: &str) -> wit::Parameter {
        wit::Parameter {
            name: name.into(),
            kind,
            required: false,
            default: Some(default.into()),
            conditional_defaults: Vec::new(),
            choices: Vec::new(),
            single_line: true,
            doc: String::new(),
        }
    }

    /// With one parameter besides the port.
    fn described(one: wit::Parameter) -> Result<Description, Contradiction> {
        description(wit::Description {
            name: "a".into(),
            version: String::new(),
            measurement: "a".into(),
            doc: String::new(),
            parameters: vec![parameter("port", wit::ParameterKind::Port, "25"), one],
            fields: Vec::new(),
            tags: Vec::new(),
            errors: Vec::new(),
        })
    }

    #[test]
    fn a_default_is_a_value_that_the_parameter_can_have() {
        use wit::ParameterKind::{Boolean, Integer, Number, Text, TextList};
        let of = |kind, default: &str| described(parameter("a", kind, default)).map(drop);
        for (kind, default) in [
            (Text, "\"\""),
            (Integer, "-1"),
            (Number, "1.5"),
            (Boolean, "true"),
            (TextList, "[\"a\"]"),
            (TextList, "\"a\""),
        ] {
            assert_eq!(of(kind, default), Ok(()), "{default}");
        }
        let nested = "[".repeat(100) + &"]".repeat(100);
        for (kind, default) in [
            (Text, "1"),
            (Text, "\"a\\nb\""),
            (Integer, "1.5"),
            (Number, "null"),
            (Boolean, "{}"),
            (TextList, "[1]"),
            (TextList, &nested),
        ] {
            assert_eq!(of(kind, default), Err(Contradiction::Misfit("a".into())), "{default}");
        }
        let mut chosen = parameter("a", Text, "\"c\"");
        chosen.choices = vec!["a".into(), "b".into()];
        assert_eq!(described(chosen).map(drop), Err(Contradiction::Misfit("a".into())));
    }

    #[test]
    fn a_default_is_short_also_one_that_depends() {
        let text = |bytes| format!("\"{}\"", "x".repeat(bytes - 2));
        let long = Err(Contradiction::DefaultLong("a".into()));
        let of = |one| described(one).map(drop);
        assert_eq!(of(parameter("a", wit::ParameterKind::Text, &text(VALUE_BYTES))), Ok(()));
        assert_eq!(of(parameter("a", wit::ParameterKind::Text, &text(VALUE_BYTES + 1))), long);
        let when = |equals: String, default: String| {
            let mut one = parameter("a", wit::ParameterKind::Text, "\"\"");
            one.conditional_defaults =
                vec![wit::ConditionalDefault { parameter: "port".into(), equals, default }];
            one
        };
        assert_eq!(of(when("26".into(), text(9))), Ok(()));
        assert_eq!(of(when("26".into(), text(VALUE_BYTES + 1))), long);
        assert_eq!(of(when(text(VALUE_BYTES + 1), text(9))), long);
        assert_eq!(of(when(text(9), text(9))), Err(Contradiction::ConditionNeverMet("a".into())));
        let mut chosen = parameter("a", wit::ParameterKind::Text, "\"\"");
        chosen.choices = vec![text(VALUE_BYTES + 1)];
        assert_eq!(of(chosen), Err(Contradiction::ChoiceLong("a".into())));
        let many = format!("[{}\"\"]", "\"\",".repeat(MOST));
        assert_eq!(
            of(parameter("a", wit::ParameterKind::TextList, &many)),
            Err(Contradiction::Many("items in a default"))
        );
    }
}
