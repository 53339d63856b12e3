//! From the interface's types to the host's own, refusing what contradicts itself or the description.

mod endpoints;

use serde_json::Value as Json;

use super::{
    bindings::exports::sonde::check::check as wit,
    contradiction::{Contradiction, ENDPOINTS, MOST, VALUE_BYTES},
    fields,
    kinds::{self, Beside},
    names::{check_name, is_no_agents, name, name_on_line},
};
use crate::{
    catalogue::FIRST_OWN_CODE,
    description::{
        ConditionalDefault, Description, FurtherEndpoint, OWN_MEASUREMENT, OwnError, Parameter,
        ParameterKind, RESERVED, Tag, is_within,
    },
    line, text,
};

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
    let endpoints = endpoints(from.endpoints)?;
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
            if !other.conditional_defaults.is_empty() {
                return Err(Contradiction::ConditionOnCondition(name()));
            }
            other.judge(&default.equals).map_err(|_| Contradiction::ConditionNeverMet(name()))?;
        }
    }
    endpoints::are_about(&parameters, &endpoints)?;
    let of_host = endpoints::names_of_host(&endpoints);
    let of_host: Vec<&str> = of_host.iter().map(String::as_str).collect();
    // A tag and a field must not share a name.
    let mut names = Vec::new();
    let mut fields = Vec::new();
    for field in from.fields {
        fields.push(fields::announced(field, &of_host, &mut names)?);
    }
    let mut tags = Vec::new();
    for tag in from.tags {
        let name = name_on_line(&tag.name, &of_host, &mut names)?;
        let shown = parameters.iter().find(|parameter| parameter.name == tag.parameter);
        match shown.map(|parameter| parameter.kind) {
            None => return Err(Contradiction::TagOfNothing(name)),
            Some(ParameterKind::Secret) => return Err(Contradiction::TagOfSecret(name)),
            Some(_) => {}
        }
        tags.push(Tag { name, parameter: tag.parameter, doc: text::clean(&tag.doc) });
    }
    for name in &names {
        is_no_agents(name)?;
        endpoints::is_free(name, &endpoints)?;
    }
    let mut errors: Vec<OwnError> = Vec::new();
    for error in from.errors {
        if error.code < FIRST_OWN_CODE {
            return Err(Contradiction::CodeBelow(error.code));
        }
        if errors.iter().any(|known| known.code == error.code) {
            return Err(Contradiction::CodeTwice(error.code));
        }
        let name = check_name(&error.name)?;
        if errors.iter().any(|known| known.name == name) {
            return Err(Contradiction::ErrorTwice(name));
        }
        errors.push(OwnError { code: error.code, name, doc: text::clean(&error.doc) });
    }
    let measurement = name(&from.measurement, &mut Vec::new())?;
    if is_within(&measurement, OWN_MEASUREMENT) {
        return Err(Contradiction::MeasurementOfHost(measurement));
    }
    let beside = Beside {
        measurement: &measurement,
        fields: &fields,
        tags: &tags,
        endpoints: &endpoints,
        of_host: &of_host,
    };
    let parts = kinds::announced(from.parts, &beside)?;
    let description = Description {
        name: check_name(&from.name)?,
        version: text::clean(&from.version),
        measurement,
        doc: text::clean(&from.doc),
        parameters,
        fields,
        tags,
        endpoints,
        parts,
        errors,
    };
    let longest = line::longest(&description);
    if longest > line::LINE_BYTES { Err(Contradiction::Line(longest)) } else { Ok(description) }
}

fn endpoints(from: Vec<wit::EndpointDescription>) -> Result<Vec<FurtherEndpoint>, Contradiction> {
    if from.len() > ENDPOINTS {
        return Err(Contradiction::Endpoints);
    }
    let mut names = Vec::new();
    let endpoint = |from: wit::EndpointDescription| {
        let name = name(&from.name, &mut names)?;
        // The host's fields of it would be among those that are kept for others.
        match RESERVED.iter().find(|begin| begin.strip_suffix('_') == Some(&name)) {
            Some(begin) => Err(Contradiction::NameReserved(name, begin)),
            None => endpoints::endpoint(name, from),
        }
    };
    from.into_iter().map(endpoint).collect()
}

fn parameter(from: &wit::Parameter, names: &mut Vec<String>) -> Result<Parameter, Contradiction> {
    let name = name(&from.name, names)?;
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
            wit::ParameterKind::IntegerList => ParameterKind::IntegerList,
            wit::ParameterKind::Duration => ParameterKind::Duration,
            wit::ParameterKind::Table => ParameterKind::Table,
            wit::ParameterKind::Secret => ParameterKind::Secret,
            wit::ParameterKind::Port => ParameterKind::Port,
        },
        name,
        required: from.required,
        default,
        conditional_defaults,
        choices: from.choices.iter().map(|choice| text::clean_to(choice, VALUE_BYTES)).collect(),
        single_line: from.single_line,
        endpoint: from.endpoint.clone(),
        doc: text::clean(&from.doc),
    };
    if !parameter.choices.is_empty() && !parameter.kind.has_choices() {
        return Err(Contradiction::ChoiceOfNoText(parameter.name));
    }
    let conditional = parameter.conditional_defaults.iter().map(|default| &default.default);
    if parameter.default.iter().chain(conditional).any(|default| parameter.judge(default).is_err()) {
        return Err(Contradiction::Misfit(parameter.name));
    }
    Ok(parameter)
}

#[cfg(test)]
pub(super) mod tests;
