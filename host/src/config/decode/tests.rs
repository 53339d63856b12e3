//! Whatever stands in a file, it is refused by its place, and never shown.

use proptest::prelude::*;

use super::{
    super::file::{Alarm, File},
    *,
};

/// Of every key a value that fits.
const WHOLE: &str = "
    max_concurrent = 1
    threads = 1
    cache_dir = 'a'
    include = ['a']
    [[check]]
    name = 'a'
    component = 'a'
    sha256 = 'a'
    description_sha256 = 'a'
    measurement = 'a'
    limits = { memory_mib = 1, cpu_time = 'a', wall_time = 'a', connections = 1, traffic_mib = 1, log_lines = 1, lines = 1 }
    [[job]]
    name = 'a'
    check = 'a'
    host = 'a'
    hosts = ['a']
    grants = ['a']
    timeout = 'a'
    parameters = { a = 1 }
    tls = { verify = 'full', server_name = 'a', min_version = '1.3', ca_file = 'a', crl_file = 'a', client_cert = 'a', \
           client_key = 'a' }
    alarm = { a = { warning = 1, critical = '< 1' }, b = { c = { warning = 1 } } }
";

fn refused(text: &str) -> String {
    decode::<File>(text).map(drop).unwrap_err().to_string()
}

/// Every place in a value, as the keys that lead there.
fn places(value: &toml::Value) -> Vec<Vec<String>> {
    let inside: Vec<(String, &toml::Value)> = match value {
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), value)).collect(),
        toml::Value::Array(list) => {
            list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut all = vec![Vec::new()];
    for (key, value) in inside {
        all.extend(places(value).into_iter().map(|rest| [vec![key.clone()], rest].concat()));
    }
    all
}

fn put(value: &mut toml::Value, place: &[String], other: toml::Value) {
    match (place.split_first(), value) {
        (Some((key, rest)), toml::Value::Table(table)) => put(&mut table[key], rest, other),
        (Some((key, rest)), toml::Value::Array(list)) => {
            put(&mut list[key.parse::<usize>().unwrap()], rest, other);
        }
        (_, value) => *value = other,
    }
}

#[test]
fn a_refusal_names_line_key_and_what_is_expected() {
    for (text, expected) in [
        ("[[job]]\nname = 'a'\nhosts = 'hunter2'", "line 3: job.hosts: expected a list, not a text"),
        (
            "[[job]]\nname = 'a'\ntls.verify = 'hunter2'",
            "line 3: job.tls.verify: expected one of full, report, off",
        ),
        (
            "[[job]]\nname = 'a'\ntls.verify = 5",
            "line 3: job.tls.verify: expected \"full\", \"report\" or \"off\", not a whole number",
        ),
        (
            "[[job]]\nname = 'a'\nalarm.a.warning = [7]",
            "line 3: job.alarm.a.warning: expected a number or, for example, \"< 30\", not a list",
        ),
        ("job = 'hunter2'", "line 1: job: expected a list, not a text"),
        ("job = ['hunter2']", "line 1: job: expected a table, not a text"),
        ("max_concurrent = -7", "line 1: max_concurrent: expected a whole number from 1 to 65535"),
        (
            "max_concurrent = 77777777777777777777",
            "line 1: max_concurrent: expected a whole number from 1 to 65535",
        ),
        (
            "[[job]]\nname = 'a'\ntimeout = 5",
            "line 3: job.timeout: expected a duration such as \"5s\", not a whole number",
        ),
        (
            "daemon.interval = 0.5",
            "line 1: daemon.interval: expected a duration such as \"5s\", not a number",
        ),
        ("threads = 0", "line 1: threads: expected a whole number from 1 to 255"),
        ("threads = 256", "line 1: threads: expected a whole number from 1 to 255"),
        ("max_concurrent = 1979-05-27", "line 1: max_concurrent: expected a whole number from 1 to 65535"),
        (
            "[[job]]\nname = 'a'\n[check.limits]\nlines = 7",
            "line 3: check: expected a list, not a table: write two brackets, as in [[check]]; its [check.limits] stand below \
             it, in the same file",
        ),
        ("\n[[check]]\nname = 'a'", "line 2: check: missing key `component`"),
        ("[[job]]\nname = 'a'\ntsl = 'hunter2'", "line 3: job: unknown key `tsl`; did you mean `tls`?"),
        ("state_file = 'hunter2'", "line 1: unknown key `state_file`: it belongs in [daemon]"),
        ("daemon.include = ['hunter2']", "line 1: daemon: unknown key `include`: it belongs at the top"),
        (
            "[[job]]\nname = 'a'\nca_file = 'hunter2'",
            "line 3: job: unknown key `ca_file`: it belongs in [job.tls]; what the check takes stands in [job.parameters]",
        ),
        ("[[job]]\nname = 'a'\nname = 'hunter2'", "line 3: duplicate key"),
        ("[[job]]\nname = hunter2", "line 2: string values must be quoted, expected literal string"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn a_whole_file_is_read_as_the_library_reads_it() {
    let file: File = decode(WHOLE).unwrap();
    let alarm = &file.job[0].alarm;
    let (Alarm::Field(levels), Alarm::Part(fields)) = (&alarm["a"], &alarm["b"]) else { panic!("{WHOLE}") };
    assert_eq!(levels.warning.as_ref().unwrap().0, "1");
    assert_eq!(fields["c"].warning.as_ref().unwrap().0, "1");
    let job = "[[job]]\nname = 'a'\nparameters = { a = -0x10, b = 1_0.5, c = true, d = [1, 'x'], e = { f = \"é\" }, g = inf }";
    let read: File = decode(&job.replace("-0x10", "-1_6")).unwrap();
    let wanted: toml::Table = toml::from_str(&job.replace("-0x10", "-16")).unwrap();
    assert_eq!(read.job[0].parameters, *wanted["job"][0]["parameters"].as_table().unwrap());
}

proptest! {
    #[test]
    fn no_value_of_the_file_is_shown(
        place in any::<prop::sample::Index>(), shape in 0..6, cut in any::<prop::sample::Index>(), end in 0..3
    ) {
        let mut file = toml::Value::Table(toml::from_str(WHOLE).unwrap());
        let places = places(&file);
        let secret = toml::Value::from("hunter2, expected one of `hunter2`");
        let other = match shape {
            0 => secret,
            1 => toml::Value::Array(vec![secret]),
            2 => toml::Value::Table([("a".to_owned(), secret)].into_iter().collect()),
            3 => toml::Value::from(77_777_777_777_i64),
            4 => toml::Value::from(-777_777_777.5),
            _ => toml::Value::Datetime("7777-07-07".parse().unwrap()),
        };
        put(&mut file, place.get::<Vec<String>>(&places), other);
        let mut text = toml::to_string(&file).unwrap_or_else(|_| "job = 'hunter2'".to_owned());
        // Some are no TOML either.
        match end {
            0 => text.truncate(text.floor_char_boundary(cut.index(text.len() + 1))),
            1 => text = text.replace('"', ""),
            _ => {}
        }
        if let Err(refused) = decode::<File>(&text) {
            let refused = refused.to_string();
            prop_assert!(!refused.contains("hunter") && !refused.contains("7777"), "{}", refused);
        }
    }
}

/// Values in each other, each behind so many words of a key.
fn nested(values: usize, words: usize) -> String {
    let key = ["a"].repeat(words).join(".");
    format!("{}1{}", format!("{{ {key} = ").repeat(values), " }".repeat(values))
}

#[test]
fn however_deep_a_file_is_it_is_refused_and_no_stack_runs_over() {
    let parameter = |value: &str| refused(&format!("[[job]]\nname = 'a'\nparameters.x = {value}"));
    let deep = "line 3: more than 32 tables and lists in each other";
    // The file, its jobs, this one and its parameters are four.
    assert!(decode::<File>(&format!("[[job]]\nname = 'a'\nparameters.x = {}", nested(28, 1))).is_ok());
    for value in
        [nested(29, 1), nested(80, 1), nested(1, 79), nested(10, 79), "[".repeat(50) + &"]".repeat(50)]
    {
        assert_eq!(parameter(&value), deep, "{value}");
    }
    // Here the parser itself goes no further.
    for value in [nested(10_000, 1), "[".repeat(10_000), "[".repeat(10_000) + &"]".repeat(10_000)] {
        assert_eq!(parameter(&value), deep);
    }
    let key = vec!["a"; 10_000].join(".");
    for text in [format!("[{key}]"), format!("{key} = 1"), format!("x = {{ {key} = 1 }}")] {
        assert_eq!(refused(&text), deep.trim_start_matches("line 3: "));
    }
    // All that it reads, and the most of what it reads until it finds a fault.
    assert_eq!(parameter(&nested(80, 79)), deep);
    assert!(parameter(&format!("{}\n?", nested(80, 79))).starts_with("line 4: "));
}
