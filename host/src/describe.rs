//! What a check takes and reports, as text for people and as the README's tables. Pure: a description in, text out.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::{
    catalogue::HostError,
    description::{
        ConditionalDefault, Description, FieldKind, HOST_FIELDS, HOST_TAGS, Parameter, ParameterKind,
    },
    report::Outcome,
    sandbox::IMPORTS,
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

/// What an import gets, in plain words.
fn gets(import: &str) -> &'static str {
    IMPORTS.iter().find(|(begin, _)| import.starts_with(begin)).map_or("", |(_, gets)| gets)
}

/// What a component's file is and what it imports, as Markdown.
#[must_use]
pub fn component(path: &str, sha256: &str, imports: &[String]) -> String {
    let mut text = format!("Component `{}`, sha256 `{sha256}`.\n\n", text::clean(path));
    text.push_str("| import | what it gets |\n|---|---|\n");
    for import in imports {
        let _infallible = writeln!(text, "| `{import}` | {} |", gets(import));
    }
    text.push_str("| nothing else | |\n");
    text
}

/// Everything about a check, and of a file what it is and imports, as JSON.
#[must_use]
pub fn json(check: &Description, file: Option<(&str, &str, &[String])>) -> Json {
    let parameter = |parameter: &Parameter| {
        let conditional = |default: &ConditionalDefault| json!({ "parameter": default.parameter, "equals": default.equals, "default": default.default });
        json!({
            "name": parameter.name,
            "kind": parameter_kind(parameter.kind),
            "required": parameter.required,
            "default": parameter.default,
            "conditional_defaults": parameter.conditional_defaults.iter().map(conditional).collect::<Vec<_>>(),
            "choices": parameter.choices,
            "doc": parameter.doc,
        })
    };
    let field = |name: &str, kind, unit: &str, doc: &str| json!({ "name": name, "kind": field_kind(kind), "unit": unit, "doc": doc });
    let tag = |name: &str, doc: &str| json!({ "name": name, "doc": doc });
    let error = |code: u32, name: &str, doc: &str| json!({ "code": code, "name": name, "doc": doc });
    let host_fields = HOST_FIELDS.iter().map(|(name, kind, unit, doc)| field(name, *kind, unit, doc));
    let own_fields = check.fields.iter().map(|own| field(&own.name, own.kind, &own.unit, &own.doc));
    let tags = HOST_TAGS.iter().map(|(name, doc)| tag(name, doc));
    let errors = HostError::ALL.iter().map(|host| error(host.code().0, host.name(), host.doc()));
    let mut all = json!({
        "name": check.name,
        "version": check.version,
        "doc": check.doc,
        "measurement": check.measurement,
        "parameters": check.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "tags": tags.chain(check.tags.iter().map(|own| tag(&own.name, &own.doc))).collect::<Vec<_>>(),
        "fields": host_fields.chain(own_fields).collect::<Vec<_>>(),
        "errors": errors.chain(check.errors.iter().map(|own| error(own.code, &own.name, &own.doc))).collect::<Vec<_>>(),
    });
    if let (Some((path, sha256, imports)), Some(all)) = (file, all.as_object_mut()) {
        let import = |name: &String| json!({ "name": name, "gets": gets(name) });
        let imports: Vec<_> = imports.iter().map(import).collect();
        all.insert("component".to_owned(), json!({ "path": path, "sha256": sha256, "imports": imports }));
    }
    all
}

/// Everything about a check, as Markdown: parameters, tags, fields, error codes and results.
#[must_use]
pub fn markdown(check: &Description) -> String {
    let mut text = format!("Check `{}` {}: {}\n", check.name, check.version, check.doc);
    let mut row = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    // An author's words must not end a cell.
    let cell = |text: &str| text.replace('|', "\\|");
    row("\n| parameter | kind | default | meaning |\n|---|---|---|---|".to_owned());
    for parameter in &check.parameters {
        let choices = if parameter.choices.is_empty() {
            parameter_kind(parameter.kind).to_owned()
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
    for (name, kind, unit, doc) in HOST_FIELDS {
        row(format!("| `{name}` | {} | {unit} | {doc} |", field_kind(*kind)));
    }
    for field in &check.fields {
        row(format!(
            "| `{}` | {} | {} | {} |",
            field.name,
            field_kind(field.kind),
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
