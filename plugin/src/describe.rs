//! What is known of the probe before it runs, beside its fields and error codes: parameters and tags, as tables.

/// What a parameter's value may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "documented case by case in wit/check.wit")]
pub enum ParameterKind {
    Text,
    Boolean,
    TextList,
    Secret,
    Port,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: ParameterKind,
    /// JSON text.
    pub default: Option<&'static str>,
    /// Values allowed; empty: any.
    pub choices: &'static [&'static str],
    /// No line breaks.
    pub single_line: bool,
    /// For the operator.
    pub doc: &'static str,
}

const fn parameter(
    name: &'static str,
    kind: ParameterKind,
    default: Option<&'static str>,
    doc: &'static str,
) -> Parameter {
    Parameter { name, kind, default, choices: &[], single_line: true, doc }
}

/// All parameters.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        choices: &["plain", "starttls", "tls"],
        ..parameter(
            "connection",
            ParameterKind::Text,
            Some("\"plain\""),
            "Plain text, STARTTLS, or TLS from the first byte.",
        )
    },
    parameter("port", ParameterKind::Port, Some("25"), "TCP port."),
    parameter("username", ParameterKind::Text, Some("\"\""), "User name for AUTH; empty: no login."),
    parameter("password", ParameterKind::Secret, Some("\"\""), "Its password."),
    parameter("from", ParameterKind::Text, Some("\"\""), "Sender of the test mail."),
    parameter(
        "to",
        ParameterKind::TextList,
        Some("[]"),
        "Recipients of the test mail; empty: no mail is sent.",
    ),
    parameter("subject", ParameterKind::Text, Some("\"Sonde\""), "Subject of the test mail."),
    Parameter {
        single_line: false,
        ..parameter(
            "body",
            ParameterKind::Text,
            Some("\"<p>Sonde</p>\""),
            "Body of the test mail, sent as HTML.",
        )
    },
    Parameter {
        choices: &["auto", "plain", "login", "cram-md5"],
        ..parameter(
            "auth",
            ParameterKind::Text,
            Some("\"auto\""),
            "AUTH mechanism; auto: the strongest offered.",
        )
    },
    parameter(
        "allow_plaintext_auth",
        ParameterKind::Boolean,
        Some("false"),
        "Allows PLAIN and LOGIN, which show the password, on a connection without TLS.",
    ),
    parameter(
        "ehlo_name",
        ParameterKind::Text,
        Some("\"sonde.localdomain\""),
        "Name given in EHLO; set it to this machine's where servers check it.",
    ),
];

/// All tags: name, parameter, meaning.
pub const TAGS: &[(&str, &str, &str)] = &[("connection", "connection", "`plain`, `starttls` or `tls`.")];

/// Name of the check and of its measurement.
pub const NAME: &str = "smtp";
/// What it is.
pub const DOC: &str = "Tests an SMTP server by opening a session or by sending a mail.";
