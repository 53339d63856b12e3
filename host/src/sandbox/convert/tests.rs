//! What a description may say, and what it is refused for.

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

pub(in crate::sandbox) fn field(name: &str) -> wit::FieldDescription {
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
        assert_eq!(announced(&format!("x_{name}"), begin.trim_end_matches('_').repeat(2).as_str()), Ok(()));
    }
    for own in host_fields().map(|field| field.name).chain(HOST_TAGS.iter().map(|tag| tag.0)) {
        let of_host = Err(Contradiction::NameOfHost(own.to_owned()));
        assert_eq!((announced(own, "a"), announced("a", own)), (of_host.clone(), of_host));
    }
    let of_agents = Err(Contradiction::NameOfAgents("host".into()));
    assert_eq!((announced("host", "a"), announced("a", "host")), (of_agents.clone(), of_agents));
    assert_eq!(announced("hosts", "my_host"), Ok(()));
}

#[test]
fn neither_the_number_nor_the_name_of_an_error_stands_twice() {
    let announced = |errors: &[(u32, &str)]| {
        let error = |(code, name): &(u32, &str)| wit::ErrorDescription {
            code: *code,
            name: (*name).into(),
            doc: String::new(),
        };
        let errors = errors.iter().map(error).collect();
        description(wit::Description { errors, ..bare() }).map(|description| description.errors.len())
    };
    assert_eq!(announced(&[(1000, "late"), (1001, "later")]), Ok(2));
    assert_eq!(announced(&[(1000, "late"), (1000, "later")]), Err(Contradiction::CodeTwice(1000)));
    let twice = announced(&[(1000, "late"), (1001, "late")]).unwrap_err();
    assert_eq!(twice.to_string(), "two error codes are called `late`");
}

#[test]
fn authors_are_told_every_name_that_is_kept() {
    let guide = include_str!("../../../../wit/README.md");
    let (_, kept) = guide.split_once("Kept for the host").unwrap();
    let kept = kept.split("\n\n").next().unwrap();
    let listed: Vec<&str> = kept.split('`').skip(1).step_by(2).filter(|name| name.ends_with('_')).collect();
    assert_eq!(listed, RESERVED);
}
