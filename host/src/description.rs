//! What a check tells about itself, in the host's own terms; mirrors `description` in `wit/check.wit`.

use serde_json::{Value as Json, json};

use crate::{
    digest,
    measured::{HostField, Measured, TlsFacts},
    value::{FieldKind, Value},
};

/// What a parameter's value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ParameterKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts, or one text.
    TextList,
    /// A text that appears in no output.
    Secret,
    /// The granted port.
    Port,
}

impl ParameterKind {
    /// As tables show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::TextList => "list of texts",
            Self::Secret => "secret",
            Self::Port => "port",
        }
    }
}

/// A default that applies when another parameter has a given value.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionalDefault {
    /// The other parameter's name; it is described, too.
    pub parameter: String,
    /// A value that the other can have, as JSON text of at most 4 KiB.
    pub equals: Json,
    /// What is taken then, before [`Parameter::default`]: a value that this one can have, as JSON text of at most 4 KiB.
    pub default: Json,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The key in a job's `parameters`: lower-case letters, digits and `_`, a letter first, at most 64 bytes.
    pub name: String,
    /// What its value may be.
    pub kind: ParameterKind,
    /// The job must give it.
    pub required: bool,
    /// A value that it can have, for a job that gives none; none: it is absent then.
    pub default: Option<Json>,
    /// Looked at in order before `default`; at most 256.
    pub conditional_defaults: Vec<ConditionalDefault>,
    /// Texts allowed, at most 256 of at most 4 KiB each; empty: any.
    pub choices: Vec<String>,
    /// CR, LF and NUL are refused.
    pub single_line: bool,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
}

/// Why a value is none for a parameter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Misfit {
    /// Of another kind, or not among the choices.
    Value,
    /// A line break or NUL where there must be none.
    LineBreak,
}

impl Parameter {
    /// Refuses what its value can never be.
    pub fn judge(&self, value: &Json) -> Result<(), Misfit> {
        let texts: Vec<&str> = match value {
            Json::String(text) => vec![text],
            Json::Array(list) => list.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        };
        let fits = match self.kind {
            ParameterKind::Text | ParameterKind::Secret => value.is_string(),
            ParameterKind::TextList => {
                value.is_string() || value.as_array().is_some_and(|list| list.len() == texts.len())
            }
            ParameterKind::Integer => value.is_i64(),
            ParameterKind::Number => value.is_number(),
            ParameterKind::Boolean => value.is_boolean(),
            ParameterKind::Port => value.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
        };
        let chosen = self.choices.is_empty()
            || texts.iter().all(|text| self.choices.iter().any(|choice| choice == text));
        if !fits || !chosen {
            return Err(Misfit::Value);
        }
        if self.single_line && texts.iter().any(|text| text.contains(['\r', '\n', '\0'])) {
            return Err(Misfit::LineBreak);
        }
        Ok(())
    }
}

/// One field that a report may have.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its key on the line: lower-case letters, digits and `_`, a letter first, at most 64 bytes; not the host's.
    pub name: String,
    /// Of its value, in every report that has it.
    pub kind: FieldKind,
    /// Such as `ms`: clean, at most 256 bytes; empty: none.
    pub unit: String,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
    /// Its value on the line of a run that could not report; none: it is left out.
    pub when_unreported: Option<Value>,
    /// It is how long a phase of the run took, in milliseconds; the phases follow each other as they are announced.
    pub phase: bool,
}

/// One tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// Its key on the line: lower-case letters, digits and `_`, a letter first, at most 64 bytes; not the host's, nor a
    /// field's.
    pub name: String,
    /// Name of the parameter whose value it shows, cut at 256 bytes; no secret.
    pub parameter: String,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
}

/// One of the check's own error codes.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnError {
    /// 1000 or more; stands once.
    pub code: u32,
    /// Lower-case letters, digits and `-`, at most 64 bytes.
    pub name: String,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
}

/// Everything about a check that is known before it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// What the component calls itself: lower-case letters, digits and `-`, at most 64 bytes. A configuration may call it
    /// otherwise.
    pub name: String,
    /// The component's, in whatever form: clean, at most 256 bytes.
    pub version: String,
    /// Of its lines: lower-case letters, digits and `_`, a letter first, at most 64 bytes.
    pub measurement: String,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
    /// What a job may set, at most 256.
    pub parameters: Vec<Parameter>,
    /// What a report may contain, at most 256.
    pub fields: Vec<Field>,
    /// Those of its lines beside the host's, at most 256.
    pub tags: Vec<Tag>,
    /// Its own, at most 256.
    pub errors: Vec<OwnError>,
}

/// Measurement of the lines of a check that could not be loaded; no check may take it.
pub const OWN_MEASUREMENT: &str = "sonde";

impl Description {
    /// SHA-256 of all of it: of descriptions that differ in anything it differs. Written as JSON arrays in the order of the
    /// members here, which have no order of their own.
    #[must_use]
    pub fn sha256(&self) -> String {
        let value = |value: &Value| match value {
            Value::Integer(value) => json!(value),
            Value::Float(value) => json!(value),
            Value::Boolean(value) => json!(value),
            Value::Text(value) => json!(value),
        };
        let conditional =
            |default: &ConditionalDefault| json!([default.parameter, default.equals, default.default]);
        let parameter = |own: &Parameter| {
            let conditional: Vec<_> = own.conditional_defaults.iter().map(conditional).collect();
            json!([
                own.name,
                own.kind.name(),
                own.required,
                own.default,
                conditional,
                own.choices,
                own.single_line,
                own.doc
            ])
        };
        let field = |own: &Field| {
            json!([
                own.name,
                own.kind.name(),
                own.unit,
                own.doc,
                own.when_unreported.as_ref().map(value),
                own.phase
            ])
        };
        let all = json!([
            self.name,
            self.version,
            self.measurement,
            self.doc,
            self.parameters.iter().map(parameter).collect::<Vec<_>>(),
            self.fields.iter().map(field).collect::<Vec<_>>(),
            self.tags.iter().map(|own| json!([own.name, own.parameter, own.doc])).collect::<Vec<_>>(),
            self.errors.iter().map(|own| json!([own.code, own.name, own.doc])).collect::<Vec<_>>(),
        ]);
        digest::sha256(all.to_string().as_bytes())
    }

    /// The fields that are on the line of a run that could not report.
    #[must_use]
    pub fn unreported(&self) -> Vec<(String, Value)> {
        let known = |field: &Field| Some((field.name.clone(), field.when_unreported.clone()?));
        self.fields.iter().filter_map(known).collect()
    }

    /// Of a check that could not be loaded.
    #[must_use]
    pub fn unknown(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: String::new(),
            measurement: OWN_MEASUREMENT.to_owned(),
            doc: String::new(),
            parameters: Vec::new(),
            fields: Vec::new(),
            tags: Vec::new(),
            errors: Vec::new(),
        }
    }
}

/// The fields that the host adds to every check's line: of its outcome, and what was measured.
pub fn host_fields() -> impl Iterator<Item = &'static HostField> {
    OUTCOME_FIELDS.iter().chain(Measured::FIELDS).chain(TlsFacts::FIELDS)
}

const OUTCOME_FIELDS: &[HostField] = &[
    HostField { name: "result_code", kind: FieldKind::Integer, unit: "", doc: "Number of tag `result`." },
    HostField {
        name: "error_code",
        kind: FieldKind::Integer,
        unit: "",
        doc: "0, or the number of what went wrong.",
    },
    HostField {
        name: "alarm_state",
        kind: FieldKind::Integer,
        unit: "",
        doc: "0 ok, 1 warning, 2 critical, 3 unknown: a limited value was not measured.",
    },
    HostField {
        name: "alarm",
        kind: FieldKind::Text,
        unit: "",
        doc: "The limits that are broken or could not be judged.",
    },
    HostField { name: "error", kind: FieldKind::Text, unit: "", doc: "What went wrong, for people." },
];

/// The tags that the host adds to every check's line: name, meaning.
pub const HOST_TAGS: &[(&str, &str)] = &[
    ("job", "Name of the job."),
    ("server", "Host as configured, IPv6 without brackets."),
    ("port", "TCP port."),
    ("result", "How the run ended."),
];
