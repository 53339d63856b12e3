//! What a check tells about itself, in the host's own terms; mirrors `description` in `wit/check.wit`.

mod kind;
mod part;

use serde_json::{Value as Json, json};

pub use self::{
    kind::{LONGEST_MS, MOST_WHOLE, ParameterKind, TABLE_LEVELS, items},
    part::{Part, PartTag, TAG_BYTES, is_within, part_measurement},
};
use crate::{
    digest,
    measured::{Contact, HostField, Measured, of_endpoint},
    value::{FieldKind, Value},
};

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
    /// Texts allowed, of a text or a list of texts: at most 256 of at most 4 KiB each; empty: any.
    pub choices: Vec<String>,
    /// CR, LF and NUL are refused, in all its texts and keys.
    pub single_line: bool,
    /// The further endpoint that it is about, by its name; none: the job's own host.
    pub endpoint: Option<String>,
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
    /// One of which nothing else is said.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn plain(name: &str, kind: ParameterKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            default: None,
            conditional_defaults: Vec::new(),
            choices: Vec::new(),
            single_line: false,
            endpoint: None,
            doc: String::new(),
        }
    }

    /// Refuses what its value can never be.
    pub fn judge(&self, value: &Json) -> Result<(), Misfit> {
        if !self.kind.has(value) {
            return Err(Misfit::Value);
        }
        let texts = kind::texts(value);
        if !self.choices.is_empty() && !texts.iter().all(|text| self.choices.iter().any(|own| own == text)) {
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

impl Field {
    /// One of which nothing else is said.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn plain(name: &str, kind: FieldKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            unit: String::new(),
            doc: String::new(),
            when_unreported: None,
            phase: false,
        }
    }

    /// All of it, for a digest.
    fn json(&self) -> Json {
        let when_unreported = self.when_unreported.as_ref().map(|value| match value {
            Value::Integer(value) => json!(value),
            Value::Float(value) => json!(value),
            Value::Boolean(value) => json!(value),
            Value::Text(value) => json!(value),
        });
        json!([self.name, self.kind.name(), self.unit, self.doc, when_unreported, self.phase])
    }
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

/// A further endpoint of the check's jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct FurtherEndpoint {
    /// By which a job names it: lower-case letters, digits and `_`, a letter first, at most 64 bytes.
    pub name: String,
    /// The job must name its host.
    pub required: bool,
    /// Its host where the job names none: one, when [`OWN_HOST`] in it is filled in.
    pub default: Option<String>,
    /// One sentence for the operator: clean, at most 256 bytes.
    pub doc: String,
}

/// What stands for the job's own host in an endpoint's default.
pub const OWN_HOST: &str = "{host}";

impl FurtherEndpoint {
    /// Its default in a job with this host.
    #[must_use]
    pub fn default_beside(&self, host: &str) -> Option<String> {
        self.default.as_ref().map(|default| default.replace(OWN_HOST, host))
    }
}

/// One of the check's own error codes.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnError {
    /// 1000 or more; stands once.
    pub code: u32,
    /// Lower-case letters, digits and `-`, at most 64 bytes; stands once.
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
    /// What its jobs may reach beside their own host, at most 4.
    pub endpoints: Vec<FurtherEndpoint>,
    /// Kinds of parts that a report may have, at most 8.
    pub parts: Vec<Part>,
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
                own.endpoint,
                own.doc
            ])
        };
        let endpoint = |own: &FurtherEndpoint| json!([own.name, own.required, own.default, own.doc]);
        let all = json!([
            self.name,
            self.version,
            self.measurement,
            self.doc,
            self.parameters.iter().map(parameter).collect::<Vec<_>>(),
            self.fields.iter().map(Field::json).collect::<Vec<_>>(),
            self.tags.iter().map(|own| json!([own.name, own.parameter, own.doc])).collect::<Vec<_>>(),
            self.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
            self.parts.iter().map(Part::json).collect::<Vec<_>>(),
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

    /// The parameter of kind `port` of a further endpoint, or of the job's own host.
    #[must_use]
    pub fn port_of(&self, endpoint: Option<&str>) -> Option<&Parameter> {
        let is_port = |known: &&Parameter| known.kind == ParameterKind::Port;
        self.parameters.iter().filter(is_port).find(|known| known.endpoint.as_deref() == endpoint)
    }

    /// The fields that the host adds to its lines for further endpoints: name, what of the host's it is, the endpoint.
    pub fn endpoint_fields(&self) -> impl Iterator<Item = (String, &'static HostField, &str)> {
        self.endpoints.iter().flat_map(|endpoint| {
            let name = &*endpoint.name;
            Contact::all_fields().map(move |field| (of_endpoint(name, field.name), field, name))
        })
    }

    /// The tags that the host adds to its lines: name, meaning.
    pub fn host_tags(&self) -> impl Iterator<Item = (String, String)> {
        let has = |name: &str| name != PORT_TAG || self.port_of(None).is_some();
        let own = HOST_TAGS.iter().filter(move |(name, _)| has(name));
        let own = own.map(|(name, doc)| ((*name).to_owned(), (*doc).to_owned()));
        let further = self.endpoints.iter().map(|endpoint| {
            let doc = format!("Host of endpoint `{}` as configured, IPv6 without brackets.", endpoint.name);
            (of_endpoint(&endpoint.name, SERVER_TAG), doc)
        });
        own.chain(further)
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
            endpoints: Vec::new(),
            parts: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// The fields that the host adds to its jobs' own lines.
    pub fn host_fields(&self) -> impl Iterator<Item = &'static HostField> + use<> {
        host_fields().chain((!self.parts.is_empty()).then_some(PARTS_DROPPED))
    }
}

/// The fields that the host adds to every check's line: of its outcome, and what was measured.
pub fn host_fields() -> impl Iterator<Item = &'static HostField> {
    OUTCOME_FIELDS.iter().chain(Contact::all_fields()).chain(Measured::FIELDS)
}

/// Also on the lines of jobs whose check has parts, and no other's name.
pub const PARTS_DROPPED: &HostField = &HostField {
    name: "parts_dropped",
    kind: FieldKind::Integer,
    unit: "",
    doc: "Parts that have no line: more than `limits.lines` allows, or with the same tags as another.",
};

/// The fields that the host adds to the lines of jobs and of parts: of the outcome.
pub const OUTCOME_FIELDS: &[HostField] = &[
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
        doc: "The limits that are broken or could not be judged, the worst first.",
    },
    HostField { name: "error", kind: FieldKind::Text, unit: "", doc: "What went wrong, for people." },
];

/// The tag that each further endpoint has as well.
pub const SERVER_TAG: &str = "server";
/// The tag that the lines of a check without a port for its host do not have.
const PORT_TAG: &str = "port";

/// The tags that the host adds to every line: name, meaning.
pub const HOST_TAGS: &[(&str, &str)] = &[
    ("job", "Name of the job."),
    (SERVER_TAG, "Host as configured, IPv6 without brackets."),
    (PORT_TAG, "TCP port."),
    ("result", "How the run ended."),
];

/// The tag that agents such as Telegraf add to every line: a tag of this name would hide theirs or be lost, and of a field of it
/// nobody could ask any more.
pub const AGENT_TAG: &str = "host";

/// What no field or tag of a check begins with, and what the host may come to call so. It can add a fact without a new version
/// of the interface then: no component that was built before uses the name. `wit/README.md` lists them.
pub const RESERVED: &[&str] = &[
    "alarm_",   // what limits say
    "cert_",    // certificates
    "connect_", // making connections
    "dane_",    // what a name's zone says of certificates
    "dns_",     // name resolution, and how it is signed
    "error_",   // what went wrong
    "ip_",      // addresses
    "own_",     // what the host itself takes
    "parts_",   // how many parts there were
    "result_",  // how the run ended
    "sonde_",   // the host, and whatever has no word of its own here
    "tls_",     // TLS
    "total_",   // the whole run
    "verify_",  // verification of certificates
];
