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
mod tests {
    use super::*;
    use crate::description::{HOST_TAGS, host_fields};

    pub(super) fn parameter(name: &str, kind: wit::ParameterKind, default: &str) -> wit::Parameter {
        wit::Parameter {
            name: name.into(),
            kind,
            required: false,
            default: Some(default.into()),
            conditional_defaults: Vec::new(),
            choices: Vec::new(),
            single_line: true,
            endpoint: None,
            doc: String::new(),
        }
    }

    pub(super) fn field(name: &str) -> wit::FieldDescription {
        wit::FieldDescription {
            name: name.into(),
            kind: wit::FieldKind::Integer,
            unit: String::new(),
            doc: String::new(),
            when_unreported: None,
            phase: false,
        }
    }

    /// That announces nothing.
    pub(super) fn bare() -> wit::Description {
        wit::Description {
            name: "a".into(),
            version: String::new(),
            measurement: "a".into(),
            doc: String::new(),
            parameters: Vec::new(),
            fields: Vec::new(),
            tags: Vec::new(),
            endpoints: Vec::new(),
            parts: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// With one parameter besides the port.
    fn described(one: wit::Parameter) -> Result<Description, Contradiction> {
        let parameters = vec![parameter("port", wit::ParameterKind::Port, "25"), one];
        description(wit::Description { parameters, ..bare() })
    }

    #[test]
    fn a_default_is_a_value_that_the_parameter_can_have() {
        use wit::ParameterKind::{Boolean, Duration, Integer, IntegerList, Number, Table, Text, TextList};
        let of = |kind, default: &str| described(parameter("a", kind, default)).map(drop);
        for (kind, default) in [
            (Text, "\"\""),
            (Integer, "-1"),
            (Number, "1.5"),
            (Boolean, "true"),
            (TextList, "[\"a\"]"),
            (TextList, "\"a\""),
            (IntegerList, "[1,-2]"),
            (Duration, "0"),
            (Duration, "86400000"),
            (Table, "{\"a\":[{\"b\":1}]}"),
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
            (IntegerList, "[\"a\"]"),
            (Duration, "86400001"),
            (Duration, "-1"),
            (Duration, "\"20s\""),
            (Table, "[]"),
            (Table, "{\"a\":null}"),
            (Table, "{\"a\\nb\":1}"),
            (Table, "{\"a\":[{\"b\":\"\\u0000\"}]}"),
            (Table, &format!("{{\"a\":{nested}}}")),
        ] {
            assert_eq!(of(kind, default), Err(Contradiction::Misfit("a".into())), "{default}");
        }
        // As deep as 4 KiB can be: nobody walks through it.
        for deep in ["[".repeat(2000) + &"]".repeat(2000), "{\"\":".repeat(800) + "1" + &"}".repeat(800)] {
            assert!(deep.len() > VALUE_BYTES - 120);
            for kind in [Table, TextList, IntegerList] {
                assert_eq!(of(kind, &deep), Err(Contradiction::DefaultNotJson("a".into())));
            }
        }
        let mut chosen = parameter("a", Text, "\"c\"");
        chosen.choices = vec!["a".into(), "b".into()];
        assert_eq!(described(chosen.clone()).map(drop), Err(Contradiction::Misfit("a".into())));
        for (kind, default) in
            [(Integer, "1"), (Table, "{}"), (Duration, "0"), (wit::ParameterKind::Secret, "\"\"")]
        {
            let mut chosen = parameter("a", kind, default);
            chosen.choices = vec!["a".into()];
            assert_eq!(described(chosen).map(drop), Err(Contradiction::ChoiceOfNoText("a".into())));
        }
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
        let mut itself = when("26".into(), text(9));
        itself.conditional_defaults[0].parameter = "a".into();
        assert_eq!(of(itself), Err(Contradiction::ConditionOnCondition("a".into())));
        let mut chosen = parameter("a", wit::ParameterKind::Text, "\"\"");
        chosen.choices = vec![text(VALUE_BYTES + 1)];
        assert_eq!(of(chosen), Err(Contradiction::ChoiceLong("a".into())));
        let many = format!("[{}\"\"]", "\"\",".repeat(MOST));
        assert_eq!(
            of(parameter("a", wit::ParameterKind::TextList, &many)),
            Err(Contradiction::Many("items in a default"))
        );
    }

    #[test]
    fn what_the_host_may_come_to_call_its_own_is_kept_for_it_in_fields_and_tags_alone() {
        let announced = |name: &str, tag: &str| {
            let tag = wit::TagDescription { name: tag.into(), parameter: "port".into(), doc: String::new() };
            let parameters = vec![
                parameter("port", wit::ParameterKind::Port, "25"),
                parameter("tls_x", wit::ParameterKind::Text, "\"\""),
            ];
            let (measurement, fields, tags) = ("tls_x".into(), vec![field(name)], vec![tag]);
            let described = wit::Description { measurement, parameters, fields, tags, ..bare() };
            description(described).map(drop)
        };
        for begin in RESERVED {
            let (name, kept) =
                (format!("{begin}x"), |name: &str| Err(Contradiction::NameReserved(name.to_owned(), begin)));
            assert_eq!(announced(&name, "a"), kept(&name));
            assert_eq!(announced("a", &name), kept(&name));
            // Only as the first word.
            assert_eq!(
                announced(&format!("x_{name}"), begin.trim_end_matches('_').repeat(2).as_str()),
                Ok(())
            );
        }
        for own in host_fields().map(|field| field.name).chain(HOST_TAGS.iter().map(|tag| tag.0)) {
            assert_eq!(announced(own, "a"), Err(Contradiction::NameOfHost(own.to_owned())));
        }
        let of_agents = Err(Contradiction::NameOfAgents("host".into()));
        assert_eq!((announced("host", "a"), announced("a", "host")), (of_agents.clone(), of_agents));
        assert_eq!(announced("hosts", "my_host"), Ok(()));
    }

    #[test]
    fn authors_are_told_every_name_that_is_kept() {
        let guide = include_str!("../../../wit/README.md");
        let (_, kept) = guide.split_once("Kept for the host").unwrap();
        let kept = kept.split("\n\n").next().unwrap();
        let listed: Vec<&str> =
            kept.split('`').skip(1).step_by(2).filter(|name| name.ends_with('_')).collect();
        assert_eq!(listed, RESERVED);
    }
}
