//! Everything about the probe that is known before it runs, as tables: parameters, fields, tags, error codes.

/// Our own error codes: 1000 and more, never used again for something else.
pub mod code {
    #![expect(missing_docs, reason = "documented in the table ERRORS")]
    pub const NOT_SMTP: u32 = 1001;
    pub const UNEXPECTED_REPLY: u32 = 1002;
    pub const REPLY_TOO_LONG: u32 = 1003;
    pub const SPEAKS_TLS: u32 = 1004;
    pub const UNEXPECTED_DATA: u32 = 1005;
    pub const SPEAKS_LMTP: u32 = 1006;
    pub const GREETING_REFUSED: u32 = 1010;
    pub const EHLO_REFUSED: u32 = 1011;
    pub const STARTTLS_NOT_OFFERED: u32 = 1012;
    pub const STARTTLS_REFUSED: u32 = 1013;
    pub const AUTH_NOT_OFFERED: u32 = 1014;
    pub const PLAINTEXT_AUTH_NOT_ALLOWED: u32 = 1015;
    pub const AUTH_REFUSED: u32 = 1016;
    pub const CREDENTIALS_HELD_BACK: u32 = 1017;
    pub const MAIL_REFUSED: u32 = 1018;
    pub const RECIPIENT_REFUSED: u32 = 1019;
    pub const DATA_REFUSED: u32 = 1020;
    pub const MESSAGE_REFUSED: u32 = 1021;
    pub const DELIVERY_AMBIGUOUS: u32 = 1022;
    pub const SERVICE_CLOSING: u32 = 1023;
    pub const AUTH_DEFERRED: u32 = 1024;
    pub const PARAMETER_INVALID: u32 = 1030;
    pub const MESSAGE_TOO_LARGE: u32 = 1031;
}

/// Code, name, meaning.
pub const ERRORS: &[(u32, &str, &str)] = &[
    (code::NOT_SMTP, "not-smtp", "What the server sent is not an SMTP reply."),
    (
        code::UNEXPECTED_REPLY,
        "unexpected-reply",
        "A reply that neither accepts nor refuses, such as 250 to DATA.",
    ),
    (code::REPLY_TOO_LONG, "reply-too-long", "A reply of more than 8192 bytes a line or 100 lines."),
    (
        code::SPEAKS_TLS,
        "speaks-tls",
        "A TLS record where a plain reply was due: the port wants TLS from the first byte.",
    ),
    (
        code::UNEXPECTED_DATA,
        "unexpected-data",
        "Something behind a reply that nobody asked for: what follows cannot be told apart.",
    ),
    (
        code::SPEAKS_LMTP,
        "speaks-lmtp",
        "EHLO and HELO are refused and LHLO is accepted: the port speaks LMTP, not SMTP.",
    ),
    (
        code::GREETING_REFUSED,
        "greeting-refused",
        "The server greets with a refusal: it may refuse us, and be up for others.",
    ),
    (code::EHLO_REFUSED, "ehlo-refused", "EHLO and HELO are refused."),
    (code::STARTTLS_NOT_OFFERED, "starttls-not-offered", "The server does not offer STARTTLS."),
    (code::STARTTLS_REFUSED, "starttls-refused", "The server refuses STARTTLS."),
    (code::AUTH_NOT_OFFERED, "auth-not-offered", "The server offers no mechanism that can be used."),
    (
        code::PLAINTEXT_AUTH_NOT_ALLOWED,
        "plaintext-auth-not-allowed",
        "Only a readable password would do, and there is no TLS.",
    ),
    (code::AUTH_REFUSED, "auth-refused", "The server refuses the login."),
    (
        code::CREDENTIALS_HELD_BACK,
        "credentials-held-back",
        "The server's certificate failed verification: no login.",
    ),
    (code::MAIL_REFUSED, "mail-refused", "The sender is refused."),
    (code::RECIPIENT_REFUSED, "recipient-refused", "A recipient is refused, or deferred (greylisting)."),
    (code::DATA_REFUSED, "data-refused", "DATA is refused."),
    (code::MESSAGE_REFUSED, "message-refused", "The message is refused."),
    (
        code::DELIVERY_AMBIGUOUS,
        "delivery-ambiguous",
        "No answer to the end of the mail: it may have been delivered, and is not sent again.",
    ),
    (code::SERVICE_CLOSING, "service-closing", "The server closes the session with 421."),
    (
        code::AUTH_DEFERRED,
        "auth-deferred",
        "The server refuses the login for now (4xx): a rate limit, or its directory is down.",
    ),
    (code::PARAMETER_INVALID, "parameter-invalid", "A parameter cannot be used."),
    (code::MESSAGE_TOO_LARGE, "message-too-large", "The mail is larger than the server's SIZE."),
];

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

/// What a field's value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// A time in milliseconds.
    Time,
    /// A code.
    Code,
    /// A code that is −1 on the line of a run that could not report.
    CodeAlways,
    /// Words.
    Text,
}

/// All fields: name, kind, meaning.
pub const FIELDS: &[(&str, FieldKind, &str)] = &[
    ("sequence_code", FieldKind::CodeAlways, "0, or the step that failed; −1: internal error."),
    (
        "response_code",
        FieldKind::CodeAlways,
        "0, or the 4xx or 5xx that decided; −1: nobody refused, it failed otherwise.",
    ),
    (
        "login_time_ms",
        FieldKind::Time,
        "Greeting, EHLO, STARTTLS, TLS and AUTH together; only if all were accepted.",
    ),
    (
        "transfer_time_ms",
        FieldKind::Time,
        "MAIL, RCPT, DATA and message together; only if all were accepted.",
    ),
    ("banner_time_ms", FieldKind::Time, "From connected (or TLS) to the end of the greeting."),
    ("ehlo_time_ms", FieldKind::Time, "All EHLO and HELO exchanges."),
    ("starttls_time_ms", FieldKind::Time, "STARTTLS to its reply."),
    ("auth_time_ms", FieldKind::Time, "AUTH, all its exchanges."),
    ("mail_time_ms", FieldKind::Time, "MAIL to its reply."),
    ("rcpt_time_ms", FieldKind::Time, "RCPT to its reply, summed over the recipients."),
    ("data_time_ms", FieldKind::Time, "DATA to its reply."),
    ("message_time_ms", FieldKind::Time, "The message to the reply to its final dot."),
    ("quit_time_ms", FieldKind::Time, "QUIT to its reply."),
    (
        "reply_code",
        FieldKind::Code,
        "Code of the reply that decided; on success of the last one before QUIT's.",
    ),
    ("enhanced_status", FieldKind::Text, "That reply's enhanced status code, such as 5.7.1."),
    ("phase", FieldKind::Text, "Last phase attempted."),
    ("banner", FieldKind::Text, "Text of the greeting: host, and software and version where given."),
    ("auth_mechanism", FieldKind::Text, "AUTH mechanism that was chosen."),
    ("queue_id", FieldKind::Text, "What the server calls the accepted mail."),
];

/// All tags: name, parameter, meaning.
pub const TAGS: &[(&str, &str, &str)] = &[("connection", "connection", "`plain`, `starttls` or `tls`.")];

/// Name of the check and of its measurement.
pub const NAME: &str = "smtp";
/// What it is.
pub const DOC: &str = "Tests an SMTP server by opening a session or by sending a mail.";
