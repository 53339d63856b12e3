//! What a check takes and reports, as text for people and as the README's tables. Pure: a description in, text out.

use std::fmt::Write as _;

use crate::{
    catalogue::HostError,
    description::{Description, FieldKind, HOST_FIELDS, HOST_TAGS, Parameter, ParameterKind},
    report::Outcome,
    text,
};

fn parameter_kind(kind: ParameterKind) -> &'static str {
    match kind {
        ParameterKind::Text => "text",
        ParameterKind::Integer => "integer",
        ParameterKind::Number => "number",
        ParameterKind::Boolean => "boolean",
        ParameterKind::TextList => "list of texts",
        ParameterKind::Secret => "secret",
        ParameterKind::Port => "port",
    }
}

fn field_kind(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Integer => "integer",
        FieldKind::Float => "float",
        FieldKind::Boolean => "boolean",
        FieldKind::Text => "text",
    }
}

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

/// Interfaces by the beginning of their names, in plain words.
const IMPORTS: &[(&str, &str)] = &[
    ("sonde:check/network", "network, through the host, to what its job grants"),
    ("sonde:check/log", "messages in the log"),
    ("wasi:", "nothing: a call ends the run"),
];

/// What a component's file is and what it imports, as Markdown.
#[must_use]
pub fn component(path: &str, sha256: &str, imports: &[String]) -> String {
    let mut text = format!("Component `{}`, sha256 `{sha256}`.\n\n", text::clean(path));
    text.push_str("| import | what it gets |\n|---|---|\n");
    for import in imports {
        let gets = IMPORTS.iter().find(|(begin, _)| import.starts_with(begin)).map_or("", |(_, gets)| gets);
        let _infallible = writeln!(text, "| `{}` | {gets} |", text::clean(import));
    }
    text.push_str("| nothing else | |\n");
    text
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
            parameter_kind(parameter.kind).to_owned()
        } else {
            parameter.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
        };
        row(format!("| `{}` | {choices} | {} | {} |", parameter.name, default(parameter), parameter.doc));
    }
    row(format!("\nMeasurement `{}`.\n\n| tag | meaning |\n|---|---|", check.measurement));
    for (name, doc) in HOST_TAGS {
        row(format!("| `{name}` | {doc} |"));
    }
    for tag in &check.tags {
        row(format!("| `{}` | {} |", tag.name, tag.doc));
    }
    row("\n| field | kind | unit | meaning |\n|---|---|---|---|".to_owned());
    for (name, kind, unit, doc) in HOST_FIELDS {
        row(format!("| `{name}` | {} | {unit} | {doc} |", field_kind(*kind)));
    }
    for field in &check.fields {
        row(format!("| `{}` | {} | {} | {} |", field.name, field_kind(field.kind), field.unit, field.doc));
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
        row(format!("| {} | {} | {} |", error.code, error.name, error.doc));
    }
    text
}
