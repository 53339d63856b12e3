//! What a check takes and reports, as text for people and as the reference's tables. Pure: a description in, text out.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::{
    catalogue::HostError,
    check::Check,
    description::{ConditionalDefault, Description, HOST_TAGS, Parameter, host_fields},
    measured::HostField,
    report::Outcome,
    sandbox::IMPORTS,
    text,
    value::FieldKind,
};

fn default(parameter: &Parameter) -> String {
    if parameter.required {
        return "required".to_owned();
    }
    let mut text = parameter.default.as_ref().map_or_else(String::new, |value| format!("`{value}`"));
    for conditional in &parameter.conditional_defaults {
        let separator = if text.is_empty() { "" } else { "; " };
        let _infallible = write!(
            text,
            "{separator}`{}` when {} = `{}`",
            conditional.default, conditional.parameter, conditional.equals
        );
    }
    text
}

/// What an import gets, in plain words.
fn gets(import: &str) -> &'static str {
    IMPORTS.iter().find(|(begin, _)| import.starts_with(begin)).map_or("", |(_, gets)| gets)
}

/// What a component is and what it imports, as Markdown.
#[must_use]
pub fn component(check: &Check) -> String {
    let (sha256, imports) = component_facts(check);
    let mut text = format!(
        "Component `{}`, sha256 `{sha256}`, of its description `{}`.\n\n",
        text::clean(&check.name),
        check.description.sha256()
    );
    text.push_str("| import | what it gets |\n|---|---|\n");
    for import in imports {
        let _infallible = writeln!(text, "| `{import}` | {} |", gets(import));
    }
    text.push_str("| nothing else | |\n");
    text
}

fn component_facts(check: &Check) -> (&str, &[String]) {
    let program = check.program.as_ref().ok();
    let sha256 = program.and_then(|program| program.sha256()).unwrap_or_default();
    (sha256, program.map(|program| program.imports()).unwrap_or_default())
}

/// As [`json`], with what the component is and imports.
#[must_use]
pub fn component_json(check: &Check) -> Json {
    let (sha256, imports) = component_facts(check);
    let import = |name: &String| json!({ "name": name, "gets": gets(name) });
    let mut all = json(&check.description);
    if let Some(all) = all.as_object_mut() {
        let component = json!({
            "path": check.name,
            "sha256": sha256,
            "description_sha256": check.description.sha256(),
            "imports": imports.iter().map(import).collect::<Vec<_>>(),
        });
        all.insert("component".to_owned(), component);
    }
    all
}

/// Everything about a check, as JSON.
#[must_use]
pub fn json(check: &Description) -> Json {
    let parameter = |parameter: &Parameter| {
        let conditional = |default: &ConditionalDefault| json!({ "parameter": default.parameter, "equals": default.equals, "default": default.default });
        json!({
            "name": parameter.name,
            "kind": parameter.kind.name(),
            "required": parameter.required,
            "default": parameter.default,
            "conditional_defaults": parameter.conditional_defaults.iter().map(conditional).collect::<Vec<_>>(),
            "choices": parameter.choices,
            "doc": parameter.doc,
        })
    };
    let field = |name: &str, kind: FieldKind, unit: &str, doc: &str| json!({ "name": name, "kind": kind.name(), "unit": unit, "doc": doc });
    let tag = |name: &str, doc: &str| json!({ "name": name, "doc": doc });
    let error = |code: u32, name: &str, doc: &str| json!({ "code": code, "name": name, "doc": doc });
    let host_fields = host_fields().map(|own| field(own.name, own.kind, own.unit, own.doc));
    let own_fields = check.fields.iter().map(|own| field(&own.name, own.kind, &own.unit, &own.doc));
    let tags = HOST_TAGS.iter().map(|(name, doc)| tag(name, doc));
    let errors = HostError::ALL.iter().map(|host| error(host.code().0, host.name(), host.doc()));
    json!({
        "name": check.name,
        "version": check.version,
        "doc": check.doc,
        "measurement": check.measurement,
        "parameters": check.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "tags": tags.chain(check.tags.iter().map(|own| tag(&own.name, &own.doc))).collect::<Vec<_>>(),
        "fields": host_fields.chain(own_fields).collect::<Vec<_>>(),
        "errors": errors.chain(check.errors.iter().map(|own| error(own.code, &own.name, &own.doc))).collect::<Vec<_>>(),
    })
}

/// An author's words, which must not end a table's cell; a bar that they escape themselves is escaped.
fn cell(text: &str) -> String {
    let (mut cell, mut escaped) = (String::new(), false);
    for c in text.chars() {
        if c == '|' && !escaped {
            cell.push('\\');
        }
        escaped = c == '\\' && !escaped;
        cell.push(c);
    }
    cell
}

/// Everything about a check, as Markdown: parameters, tags, fields, error codes and results.
#[must_use]
pub fn markdown(check: &Description) -> String {
    let mut text = format!("Check `{}` {}: {}\n", check.name, check.version, check.doc);
    let mut row = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    row("\n| parameter | kind | default | meaning |\n|---|---|---|---|".to_owned());
    for parameter in &check.parameters {
        let choices = if parameter.choices.is_empty() {
            parameter.kind.name().to_owned()
        } else {
            cell(&parameter.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", "))
        };
        row(format!(
            "| `{}` | {choices} | {} | {} |",
            parameter.name,
            cell(&default(parameter)),
            cell(&parameter.doc)
        ));
    }
    row(format!("\nMeasurement `{}`.\n\n| tag | meaning |\n|---|---|", check.measurement));
    for (name, doc) in HOST_TAGS {
        row(format!("| `{name}` | {doc} |"));
    }
    for tag in &check.tags {
        row(format!("| `{}` | {} |", tag.name, cell(&tag.doc)));
    }
    row("\n| field | kind | unit | meaning |\n|---|---|---|---|".to_owned());
    for HostField { name, kind, unit, doc } in host_fields() {
        row(format!("| `{name}` | {} | {unit} | {doc} |", kind.name()));
    }
    for field in &check.fields {
        row(format!(
            "| `{}` | {} | {} | {} |",
            field.name,
            field.kind.name(),
            cell(&field.unit),
            cell(&field.doc)
        ));
    }
    row("\n| `result` | `result_code` |\n|---|---|".to_owned());
    for outcome in Outcome::ALL {
        row(format!("| `{}` | {} |", outcome.name(), outcome.code()));
    }
    row("\n| `error_code` | name | meaning |\n|---|---|---|\n| 0 | none | Nothing went wrong. |".to_owned());
    for error in HostError::ALL {
        row(format!("| {} | {} | {} |", error.code().0, error.name(), error.doc()));
    }
    for error in &check.errors {
        row(format!("| {} | {} | {} |", error.code, error.name, cell(&error.doc)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authors_words_do_not_end_a_cell() {
        for (words, expected) in
            [("a | b", r"a \| b"), (r"a \| b", r"a \| b"), (r"a \\| b", r"a \\\| b"), (r"\", r"\")]
        {
            assert_eq!(cell(words), expected);
        }
    }
}
