//! Parameters that are lists of whole numbers, durations and tables: from a file and from the command line, and shown again.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::describe;

/// A check that takes one of each kind, and shows all three as tags.
fn check() -> Check {
    let parameter = |name: &str, kind, default| Parameter {
        default: Some(default),
        single_line: true,
        ..Parameter::plain(name, kind)
    };
    let mut codes = parameter("codes", ParameterKind::IntegerList, json!([200, 204]));
    codes.conditional_defaults =
        vec![ConditionalDefault { parameter: "wait".into(), equals: json!(60_000), default: json!([503]) }];
    let parameters = vec![
        parameter("port", ParameterKind::Port, json!(80)),
        codes,
        parameter("wait", ParameterKind::Duration, json!(20_000)),
        parameter("headers", ParameterKind::Table, json!({ "x a": ["b\"", 1], "c": { "d": 0.5 } })),
    ];
    let tag = |name: &str| Tag { name: name.into(), parameter: name.into(), doc: String::new() };
    let tags = ["codes", "wait", "headers"].map(tag).into();
    let description = Description { parameters, tags, ..Description::unknown("smtp") };
    Check {
        description: Arc::new(description),
        ..Check::unknown("smtp", HostError::CheckLoad, String::new())
    }
}

fn in_file(parameters: &str) -> Result<Job, String> {
    let text = format!("[[job]]\nname = \"a\"\nhost = \"h\"\n[job.parameters]\n{parameters}");
    let plan = of_text(Path::new("sonde.toml"), &text).map_err(|error| error.to_string())?;
    plan.jobs[0].job(&check()).map_err(|error| error.to_string())
}

fn on_command_line(parameters: &[(&str, &str)]) -> Result<Job, String> {
    let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    AdHoc { parameters, ..AdHoc::new("a", &check(), "h") }.job().map_err(|error| error.to_string())
}

#[test]
fn a_whole_number_is_one_that_every_language_reads_alike() {
    for (number, is_one) in [
        ("9007199254740991", true),
        ("-9007199254740991", true),
        ("9007199254740992", false),
        ("-9007199254740992", false),
        ("-9223372036854775808", false),
    ] {
        for given in [format!("codes = [1, {number}]"), format!("headers = {{ a = [{number}] }}")] {
            assert_eq!(in_file(&given).is_ok(), is_one, "{given}");
        }
        assert_eq!(on_command_line(&[("codes", number)]).is_ok(), is_one, "{number}");
    }
}

#[test]
fn a_file_gives_lists_of_numbers_durations_and_tables() {
    for (key, text, expected) in [
        ("codes", "codes = [1, -2]", json!([1, -2])),
        ("codes", "codes = 7", json!([7])),
        ("codes", "codes = []", json!([])),
        ("wait", "wait = \"500ms\"", json!(500)),
        ("wait", "wait = \"0s\"", json!(0)),
        ("wait", "wait = \"1440m\"", json!(86_400_000)),
        ("headers", "headers = {}", json!({})),
        ("headers", "headers = { a = { b = [1, 'x'] } }", json!({ "a": { "b": [1, "x"] } })),
        ("headers", "[job.parameters.headers]\na = true\nb.c = 0.5", json!({ "a": true, "b": { "c": 0.5 } })),
    ] {
        assert_eq!(in_file(text).unwrap().parameters[key], expected, "{text}");
    }
}

#[test]
fn the_command_line_gives_the_same() {
    for (key, text, expected) in [
        ("codes", "1, -2,", json!([1, -2])),
        ("codes", "", json!([])),
        ("wait", "2m", json!(120_000)),
        ("headers", "{\"a\":[1,{\"b\":true}]}", json!({ "a": [1, { "b": true }] })),
    ] {
        assert_eq!(on_command_line(&[(key, text)]).unwrap().parameters[key], expected, "{text}");
    }
}

#[test]
fn another_kind_of_value_is_refused_by_what_is_expected() {
    let codes = "codes: expected a list of whole numbers";
    let wait = "wait: expected a time such as \"20s\", \"500ms\" or \"2m\", at most 1440m";
    let headers = "headers: expected a table, for `-p` a JSON object, nested at most 8 deep";
    let line = "headers: a line break or NUL is not allowed";
    let nested = |levels: usize| "{ a = ".repeat(levels - 1) + "{}" + &" }".repeat(levels - 1);
    assert!(in_file(&format!("headers = {}", nested(8))).is_ok());
    for (text, expected) in [
        ("codes = ['a']", codes),
        ("codes = [1.5]", codes),
        ("codes = [[1]]", codes),
        ("codes = '1,2'", codes),
        ("wait = 20", wait),
        ("wait = 0.5", wait),
        ("wait = '0.5ms'", wait),
        ("wait = '500us'", wait),
        ("wait = '1441m'", wait),
        ("wait = ['1s']", wait),
        ("headers = 'a'", headers),
        ("headers = [{}]", headers),
        (&format!("headers = {}", nested(9)), headers),
        ("headers = { a = \"b\\n\" }", line),
        ("headers = { a = [{ \"b\\r\" = 1 }] }", line),
        ("headers = { a = nan }", "headers: expected only finite numbers in it"),
    ] {
        assert_eq!(
            in_file(text).unwrap_err(),
            format!("sonde.toml: job `a`: parameters.{expected}"),
            "{text}"
        );
    }
    for (date, key) in [("1979-05-27", "a"), ("[07:32:00]", "a"), ("{ b = 1979-05-27T07:32:00Z }", "a.b")] {
        let said =
            format!("job.parameters.headers.{key}: no parameter takes a date: write it as a text, in quotes");
        assert_eq!(
            in_file(&format!("headers.a = {date}")).unwrap_err(),
            format!("sonde.toml: line 5: {said}")
        );
    }
    assert_eq!(
        in_file("headers.a = 9223372036854775808").unwrap_err(),
        "sonde.toml: line 5: job.parameters.headers.a: expected a value of at most 64 bits"
    );
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    for (key, text, expected) in [
        ("codes", "1,a", codes),
        ("codes", "[1]", codes),
        ("wait", "20", wait),
        ("wait", "1441m", wait),
        ("headers", "a=1", headers),
        ("headers", "{\"a\":null}", headers),
        ("headers", "{\"a\":1e999}", headers),
        ("headers", &format!("{{\"a\":{deep}}}"), headers),
        ("headers", "{\"a\\n\":1}", line),
    ] {
        let refused = on_command_line(&[(key, text)]).unwrap_err();
        assert_eq!(refused, format!("parameters.{expected}"), "{text}");
    }
}

#[test]
fn a_default_depends_on_a_duration_however_it_is_written() {
    for written in ["60s", "1m", "60000ms"] {
        assert_eq!(in_file(&format!("wait = '{written}'")).unwrap().parameters["codes"], json!([503]));
    }
}

#[test]
fn a_default_depends_on_a_number_or_a_list_however_it_is_written() {
    let mut description = (*check().description).clone();
    let condition = |parameter: &str, equals| ConditionalDefault {
        parameter: parameter.into(),
        equals,
        default: json!(9),
    };
    let port = &mut description.parameters[0];
    let ratio = Parameter::plain("ratio", ParameterKind::Number);
    let hosts = Parameter::plain("hosts", ParameterKind::TextList);
    port.conditional_defaults = vec![condition("ratio", json!(5)), condition("hosts", json!("a"))];
    description.parameters.extend([ratio, hosts]);
    let check = Check { description: Arc::new(description), ..check() };
    for (parameters, port) in [
        ("ratio = 5", 9),
        ("ratio = 5.0", 9),
        ("ratio = 5.1", 80),
        ("hosts = 'a'", 9),
        ("hosts = ['a']", 9),
        ("hosts = ['a', 'a']", 80),
    ] {
        let text = format!("[[job]]\nname = \"a\"\nhost = \"h\"\n[job.parameters]\n{parameters}");
        let plan = of_text(Path::new("sonde.toml"), &text).unwrap();
        assert_eq!(plan.jobs[0].job(&check).unwrap().port, Some(port), "{parameters}");
    }
}

#[test]
fn a_tag_shows_a_duration_as_text_and_a_list_or_table_as_json() {
    let shown = |job: Job| job.tags.into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    let job = on_command_line(&[("wait", "90000ms"), ("codes", "1,2"), ("headers", "{\"a\":[1]}")]);
    assert_eq!(shown(job.unwrap()), ["[1,2]", "90s", "{\"a\":[1]}"]);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1000));
    let job = on_command_line(&[("headers", &long)]).unwrap();
    assert_eq!(shown(job)[2], long[..256]);
}

#[test]
fn the_sample_shows_each_default_as_a_file_has_it() {
    let check = check();
    let sample = sample::sample(&check.description);
    let shown = |name: &str| {
        let line = sample.lines().find(|line| line.starts_with(&format!("# {name} = ")));
        line.unwrap().trim_start_matches("# ").to_owned()
    };
    assert_eq!(shown("wait"), "wait = \"20s\"");
    assert_eq!(shown("codes"), "codes = [200, 204]");
    for parameter in &check.description.parameters {
        let job = in_file(&shown(&parameter.name)).unwrap();
        assert_eq!(Some(&job.parameters[&parameter.name]), parameter.default.as_ref());
    }
}

#[test]
fn what_is_pinned_is_read_as_what_was_given() {
    let mut check = check();
    let given = [("codes", "5,6"), ("wait", "120s"), ("headers", "{\"a\\u007f\":[\"\\\"\"]}")];
    let texts: BTreeMap<String, String> =
        given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let pinned = sample::pinned(&check, "a.wasm", "h", &texts, &BTreeMap::new()).unwrap();
    assert!(pinned.contains("\nwait = \"2m\"\n"), "{pinned}");
    let (_, parameters) = pinned.split_once("[job.parameters]\n").unwrap();
    assert_eq!(in_file(parameters).unwrap().parameters, on_command_line(&given).unwrap().parameters);

    let mut description = (*check.description).clone();
    description.parameters.iter_mut().for_each(|parameter| parameter.required = true);
    check.description = Arc::new(description);
    let pinned = sample::pinned(&check, "a.wasm", "h", &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let (_, parameters) = pinned.split_once("[job.parameters]\n").unwrap();
    assert!(in_file(parameters).is_ok(), "{parameters}");
}

#[test]
fn tables_for_people_and_programs_show_a_duration_as_text() {
    let check = check();
    let markdown = describe::markdown(&check.description);
    for row in [
        "| `codes` | list of integers | `[200,204]`; `[503]` when wait = `\"1m\"` |  |",
        "| `wait` | duration | `\"20s\"` |  |",
        "| `headers` | table | `{\"c\":{\"d\":0.5},\"x a\":[\"b\\\"\",1]}` |  |",
    ] {
        assert!(markdown.contains(row), "{markdown}");
    }
    let described = describe::json(&check.description);
    assert_eq!(described["parameters"][2]["default"], "20s");
    assert_eq!(described["parameters"][1]["conditional_defaults"][0]["equals"], "1m");
}

#[test]
fn a_description_that_differs_in_a_kind_has_another_digest() {
    use ParameterKind::{Duration, Integer, IntegerList, Table, Text, TextList};
    let mut seen = std::collections::BTreeSet::new();
    for kind in [Text, Integer, TextList, IntegerList, Duration, Table] {
        let mut description = (*check().description).clone();
        description.parameters[1].kind = kind;
        assert!(seen.insert(description.sha256()), "{kind:?}");
    }
}
