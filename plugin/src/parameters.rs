//! A job's parameters: the host's JSON in, typed values out. Refuses what would break out of a line on the wire.

use std::fmt;

use serde::Deserialize;

/// How the session is protected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not.
    #[default]
    Plain,
    /// After STARTTLS.
    StartTls,
    /// From the first byte.
    Tls,
}

/// Which mechanism to log in by.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum Mechanism {
    /// The strongest offered.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// RFC 4616
    #[serde(rename = "plain")]
    Plain,
    /// draft-murchison-sasl-login
    #[serde(rename = "login")]
    Login,
    /// RFC 2195
    #[serde(rename = "cram-md5")]
    CramMd5,
}

/// One text or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Shape {
    connection: Security,
    port: u16,
    username: String,
    password: String,
    from: String,
    to: Option<Texts>,
    subject: String,
    body: String,
    auth: Mechanism,
    allow_plaintext_auth: bool,
    ehlo_name: String,
}

/// What the session is to do.
#[derive(Clone, Default)]
pub struct Parameters {
    /// How it is protected.
    pub connection: Security,
    /// Empty: no login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Sender.
    pub from: String,
    /// Recipients; none: no mail is sent.
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// HTML.
    pub body: String,
    /// How to log in.
    pub auth: Mechanism,
    /// PLAIN and LOGIN also without TLS.
    pub allow_plaintext_auth: bool,
    /// What to say in EHLO.
    pub ehlo_name: String,
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// What is wrong with a parameter; never its value, which may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid(pub String);

impl Parameters {
    /// Reads the JSON object of a job.
    pub fn read(json: &str) -> Result<Self, Invalid> {
        let shape: Shape = serde_json::from_str(json)
            .map_err(|error| Invalid(format!("parameters, column {}: not as described", error.column())))?;
        let parameters = Self {
            connection: shape.connection,
            username: shape.username,
            password: shape.password,
            from: shape.from,
            to: match shape.to {
                None => Vec::new(),
                Some(Texts::One(to)) if to.is_empty() => Vec::new(),
                Some(Texts::One(to)) => vec![to],
                Some(Texts::Several(to)) => to,
            },
            subject: shape.subject,
            body: shape.body,
            auth: shape.auth,
            allow_plaintext_auth: shape.allow_plaintext_auth,
            ehlo_name: shape.ehlo_name,
        };
        parameters.check()?;
        Ok(parameters)
    }

    fn check(&self) -> Result<(), Invalid> {
        let lines = [
            ("username", &self.username),
            ("password", &self.password),
            ("from", &self.from),
            ("subject", &self.subject),
            ("ehlo_name", &self.ehlo_name),
        ];
        for (name, value) in lines.into_iter().chain(self.to.iter().map(|to| ("to", to))) {
            if value.contains(['\r', '\n', '\0']) {
                return Err(Invalid(format!("{name}: a line break or NUL")));
            }
        }
        if self.ehlo_name.is_empty() || !self.ehlo_name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid("ehlo_name: a host name or address literal, in ASCII".to_owned()));
        }
        if self.to.is_empty() {
            return Ok(());
        }
        if self.from.is_empty() {
            return Err(Invalid("from: needed to send a mail".to_owned()));
        }
        for (name, address) in
            std::iter::once(("from", &self.from)).chain(self.to.iter().map(|to| ("to", to)))
        {
            // Without SMTPUTF8 (RFC 6531) addresses are ASCII; a domain has an A-label.
            if address.is_empty()
                || !address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>'))
            {
                return Err(Invalid(format!("{name}: not a bare mail address in ASCII (user@xn--…)")));
            }
        }
        Ok(())
    }
}
