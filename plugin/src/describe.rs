//! What is known of the probe before it runs, beside its fields and error codes: parameters and tags, as tables.

use ParameterKind::{Boolean, Port, Secret, Text, TextList};

/// What a parameter's value may be: see `wit/check.wit`.
pub use crate::bindings::exports::sonde::check::check::ParameterKind;

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// The key in a job's `parameters`: lower-case letters, digits and `_`, a letter first, at most 64 bytes.
    pub name: &'static str,
    /// What its value may be.
    pub kind: ParameterKind,
    /// A value that it can have, as JSON text of at most 4 KiB.
    pub default: &'static str,
    /// Defaults where another parameter has a value: its name, its value, the default then; both as JSON text.
    pub conditional_defaults: &'static [(&'static str, &'static str, &'static str)],
    /// Texts allowed, at most 4 KiB each; empty: any.
    pub choices: &'static [&'static str],
    /// CR, LF and NUL are refused.
    pub single_line: bool,
    /// One sentence for the operator, at most 256 bytes.
    pub doc: &'static str,
}

const fn row(name: &'static str, kind: ParameterKind, default: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, kind, default, conditional_defaults: &[], choices: &[], single_line: true, doc }
}

/// All parameters. Each is read into the field of its name in [`crate::parameters::Parameters`].
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        choices: &["plain", "starttls", "tls"],
        ..row("connection", Text, r#""plain""#, "Plain text, STARTTLS, or TLS from the first byte.")
    },
    Parameter {
        // The port for TLS from the first byte (RFC 8314 section 7.3).
        conditional_defaults: &[("connection", r#""tls""#, "465")],
        ..row("port", Port, "25", "TCP port.")
    },
    row("username", Text, r#""""#, "User name for AUTH; empty: no login."),
    row("password", Secret, r#""""#, "Its password."),
    row("from", Text, r#""""#, "Sender of the test mail."),
    row("to", TextList, "[]", "Recipients of the test mail; empty: no mail is sent."),
    row("subject", Text, r#""Sonde""#, "Subject of the test mail."),
    Parameter {
        single_line: false,
        ..row("body", Text, r#""<p>Sonde</p>""#, "Body of the test mail, sent as HTML.")
    },
    Parameter {
        choices: &["auto", "plain", "login", "cram-md5"],
        ..row("auth", Text, r#""auto""#, "AUTH mechanism; auto: the strongest offered.")
    },
    row(
        "allow_plaintext_auth",
        Boolean,
        "false",
        "Allows PLAIN and LOGIN, which show the password, on a connection without TLS.",
    ),
    row(
        "ehlo_name",
        Text,
        r#""sonde.localdomain""#,
        "Name given in EHLO; set it to this machine's where servers check it.",
    ),
];

/// All tags: name, parameter, meaning.
pub const TAGS: &[(&str, &str, &str)] = &[("connection", "connection", "`plain`, `starttls` or `tls`.")];

/// Name of the check and of its measurement.
pub const NAME: &str = "smtp";
/// What it is.
pub const DOC: &str = "Tests an SMTP server by opening a session or by sending a mail.";
