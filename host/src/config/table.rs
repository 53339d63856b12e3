//! A TOML table in, the object that a check gets of it out. Refuses what JSON does not have: infinite numbers, and what
//! is none. How deep it may go is its parameter's to judge; a file is never deeper, and has no date, by `decode`.

use serde_json::{Map, Value as Json};

/// What a table is not to have in it, in place of what is expected.
pub(super) fn json(table: toml::Table) -> Result<Json, &'static str> {
    let entries = table.into_iter().map(|(key, value)| Ok((key, inner(value)?)));
    entries.collect::<Result<Map<_, _>, _>>().map(Json::Object)
}

fn inner(value: toml::Value) -> Result<Json, &'static str> {
    Ok(match value {
        toml::Value::String(text) => Json::String(text),
        toml::Value::Integer(number) => Json::from(number),
        toml::Value::Float(number) if number.is_finite() => Json::from(number),
        toml::Value::Float(_) => return Err("only finite numbers in it"),
        toml::Value::Boolean(value) => Json::from(value),
        toml::Value::Datetime(_) => return Err("no dates in it"),
        toml::Value::Array(list) => Json::Array(list.into_iter().map(inner).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => json(table)?,
    })
}

/// A value of a parameter as TOML, on one line.
pub(super) fn written(value: &Json) -> String {
    // JSON's escapes are TOML's, which wants one more.
    let text = |text: &str| Json::from(text).to_string().replace('\u{7f}', "\\u007f");
    match value {
        Json::String(inner) => text(inner),
        Json::Array(list) => format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(", ")),
        Json::Object(table) if table.is_empty() => "{}".to_owned(),
        Json::Object(table) => {
            let entry = |(key, inner): (&String, &Json)| format!("{} = {}", text(key), written(inner));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Json, &'static str> {
        json(toml::from_str(text).unwrap())
    }

    #[test]
    fn a_table_is_an_object_of_the_same_shape() {
        let text = "a = 'b'\nc.d = [1, 0.5, true, { e = [] }]\n[f]\n'' = -0.0";
        let expected = json!({ "a": "b", "c": { "d": [1, 0.5, true, { "e": [] }] }, "f": { "": -0.0 } });
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn what_json_does_not_have_is_refused_wherever_it_stands() {
        assert_eq!(read("a = [{ b = 1979-05-27 }]"), Err("no dates in it"));
        for number in ["inf", "-inf", "nan"] {
            assert_eq!(read(&format!("a = [{{ b = {number} }}]")), Err("only finite numbers in it"));
        }
    }

    #[test]
    fn anything_is_written_on_one_line_and_read_as_the_same() {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Json::from),
            any::<String>().prop_map(Json::from),
        ];
        let value = leaf.prop_recursive(5, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|table| Json::Object(table.into_iter().collect())),
            ]
        });
        proptest!(|(value in value)| {
            let line = format!("a = {}", written(&value));
            prop_assert!(!line.contains('\n'));
            let read = read(&line);
            prop_assert_eq!(read.as_ref().map(|read| read["a"].to_string()), Ok(value.to_string()), "{}", line);
        });
    }
}
