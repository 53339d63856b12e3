//! What a check takes and reports, as text for people and as the reference's tables. Pure: a description in, text out.

mod cell;
mod entry;
mod parts;

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use self::{
    cell::cell,
    entry::{FIELDS, TAGS, field_json, field_row, tag_json, tag_row},
};
use crate::{
    catalogue::HostError,
    check::Check,
    description::{ConditionalDefault, Description, FurtherEndpoint, Parameter},
    measured::HostField,
    report::Outcome,
    sandbox::IMPORTS,
    text,
};

/// A value of the parameter of this name, as a configuration has it.
fn written(check: &Description, name: &str, value: &Json) -> Json {
    let parameter = check.parameters.iter().find(|parameter| parameter.name == name);
    parameter.map_or_else(|| value.clone(), |parameter| parameter.kind.written(value))
}

fn default(check: &Description, parameter: &Parameter) -> String {
    if parameter.required {
        return "required".to_owned();
    }
    let own = |value: &Json| parameter.kind.written(value);
    let mut text = parameter.default.as_ref().map_or_else(String::new, |value| format!("`{}`", own(value)));
    for conditional in &parameter.conditional_defaults {
        let separator = if text.is_empty() { "" } else { "; " };
        let _infallible = write!(
            text,
            "{separator}`{}` when {} = `{}`",
            own(&conditional.default),
            conditional.parameter,
            written(check, &conditional.parameter, &conditional.equals)
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
        let own = |value: &Json| parameter.kind.written(value);
        let conditional = |default: &ConditionalDefault| json!({ "parameter": default.parameter, "equals": written(check, &default.parameter, &default.equals), "default": own(&default.default) });
        json!({
            "name": parameter.name,
            "kind": parameter.kind.name(),
            "required": parameter.required,
            "default": parameter.default.as_ref().map(own),
            "conditional_defaults": parameter.conditional_defaults.iter().map(conditional).collect::<Vec<_>>(),
            "choices": parameter.choices,
            "endpoint": parameter.endpoint,
            "doc": parameter.doc,
        })
    };
    let error = |code: u32, name: &str, doc: &str| json!({ "code": code, "name": name, "doc": doc });
    let host_fields = check.host_fields().map(|own| field_json(own.name, own.kind, own.unit, own.doc));
    let of_endpoints = check.endpoint_fields();
    let of_endpoints =
        of_endpoints.map(|(name, own, of)| field_json(&name, own.kind, own.unit, &beside(own, of)));
    let endpoint = |own: &FurtherEndpoint| json!({ "name": own.name, "required": own.required, "default": own.default, "doc": own.doc });
    let own_fields = check.fields.iter().map(|own| field_json(&own.name, own.kind, &own.unit, &own.doc));
    let tags = check.host_tags().map(|(name, doc)| tag_json(&name, &doc));
    let tags = tags.chain(check.tags.iter().map(|own| tag_json(&own.name, &own.doc)));
    let errors = HostError::ALL.iter().map(|host| error(host.code().0, host.name(), host.doc()));
    json!({
        "name": check.name,
        "version": check.version,
        "doc": check.doc,
        "measurement": check.measurement,
        "parameters": check.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "endpoints": check.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "tags": tags.collect::<Vec<_>>(),
        "fields": host_fields.chain(of_endpoints).chain(own_fields).collect::<Vec<_>>(),
        "parts": parts::json(check),
        "errors": errors.chain(check.errors.iter().map(|own| error(own.code, &own.name, &own.doc))).collect::<Vec<_>>(),
    })
}

/// What a field of the host's is that is about a further endpoint.
fn beside(own: &HostField, endpoint: &str) -> String {
    format!("As `{}`, of endpoint `{endpoint}`.", own.name)
}

/// Everything about a check, as Markdown: parameters, tags, fields, parts, error codes and results.
#[must_use]
pub fn markdown(check: &Description) -> String {
    let mut text = format!("Check `{}` {}: {}\n", check.name, check.version, check.doc);
    let mut row = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    row("\n| parameter | kind | default | meaning |\n|---|---|---|---|".to_owned());
    for parameter in &check.parameters {
        let mut kind = if parameter.choices.is_empty() {
            parameter.kind.name().to_owned()
        } else {
            cell(&parameter.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", "))
        };
        if let Some(endpoint) = &parameter.endpoint {
            let _infallible = write!(kind, ", of endpoint `{endpoint}`");
        }
        row(format!(
            "| `{}` | {kind} | {} | {} |",
            parameter.name,
            cell(&default(check, parameter)),
            cell(&parameter.doc)
        ));
    }
    if !check.endpoints.is_empty() {
        row("\n| endpoint | host | meaning |\n|---|---|---|".to_owned());
    }
    for endpoint in &check.endpoints {
        let host = match &endpoint.default {
            _ if endpoint.required => "required".to_owned(),
            Some(default) => format!("`{default}`"),
            None => String::new(),
        };
        row(format!("| `{}` | {host} | {} |", endpoint.name, cell(&endpoint.doc)));
    }
    row(format!("\nMeasurement `{}`.\n\n{TAGS}", check.measurement));
    for (name, doc) in check.host_tags() {
        row(tag_row(&name, &doc));
    }
    for own in &check.tags {
        row(tag_row(&own.name, &own.doc));
    }
    row(format!("\n{FIELDS}"));
    for own in check.host_fields() {
        row(field_row(own.name, own.kind, own.unit, own.doc));
    }
    for (name, own, endpoint) in check.endpoint_fields() {
        row(field_row(&name, own.kind, own.unit, &beside(own, endpoint)));
    }
    for own in &check.fields {
        row(field_row(&own.name, own.kind, &own.unit, &own.doc));
    }
    for line in parts::markdown(check).lines() {
        row(line.to_owned());
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
