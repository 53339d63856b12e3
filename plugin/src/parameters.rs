//! A job's parameters: the host's JSON in, typed values out. Refuses what would break out of a line on the wire.

use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::{
    address::{is_address, is_domain},
    describe::PARAMETERS,
};

/// What is shown of an address that is none.
const SHOWN_CHARACTERS: usize = 64;

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
pub enum Auth {
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

/// What the session is to do: each parameter under the name that its description gives it.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parameters {
    /// How it is protected.
    pub connection: Security,
    /// Only read: what is connected to is the job's endpoint, which the host granted.
    pub port: u16,
    /// Empty: no login.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Sender.
    pub from: String,
    /// Recipients; none: no mail is sent.
    #[serde(deserialize_with = "one_or_several")]
    pub to: Vec<String>,
    /// Subject.
    pub subject: String,
    /// HTML.
    pub body: String,
    /// How to log in.
    pub auth: Auth,
    /// PLAIN and LOGIN also without TLS.
    pub allow_plaintext_auth: bool,
    /// What to say in EHLO.
    pub ehlo_name: String,
}

/// A single text counts as a list of one, an empty one as none.
fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Option::deserialize(from)? {
        None => Vec::new(),
        Some(Texts::One(text)) if text.is_empty() => Vec::new(),
        Some(Texts::One(text)) => vec![text],
        Some(Texts::Several(texts)) => texts,
    })
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters").field("connection", &self.connection).finish_non_exhaustive()
    }
}

/// What is wrong with a parameter; its value only of what is to be a mail address.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "documented by what it displays")]
pub enum Invalid {
    NotAsDescribed,
    LineBreak(&'static str),
    Nul(&'static str),
    EhloName,
    NoUsername,
    NoPassword,
    NoSender,
    Address(&'static str, String),
    ReadableAuth,
}

impl Invalid {
    /// The parameter that is wrong, by its name.
    #[must_use]
    pub fn parameter(&self) -> &'static str {
        match self {
            // Which one, JSON does not say; the host gives none such.
            Self::NotAsDescribed => "connection",
            Self::LineBreak(name) | Self::Nul(name) | Self::Address(name, _) => name,
            Self::EhloName => "ehlo_name",
            Self::NoUsername => "username",
            Self::NoPassword => "password",
            Self::NoSender => "from",
            Self::ReadableAuth => "auth",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsDescribed => f.write_str("not as described"),
            Self::LineBreak(_) => f.write_str("a line break or NUL is not allowed"),
            Self::Nul(_) => f.write_str("a NUL is not allowed: no mail may hold one"),
            Self::EhloName => {
                f.write_str("expected a host name, or an address as in [192.0.2.1] or [IPv6:2001:db8::1], in ASCII")
            }
            Self::NoUsername => f.write_str("needed to log in (`password` is not empty)"),
            Self::NoPassword => f.write_str("needed to log in (`username` is not empty)"),
            Self::NoSender => f.write_str("needed to send a mail (`to` is not empty)"),
            Self::Address(_, entry) => {
                let cut: String = entry.chars().take(SHOWN_CHARACTERS).collect();
                let more = if cut.len() < entry.len() { "…" } else { "" };
                write!(f, "`{cut}{more}` is no mail address such as a@example.org, in ASCII")
            }
            Self::ReadableAuth => f.write_str(
                "without TLS the password would be readable: `connection` must be starttls or tls, or `allow_plaintext_auth` true",
            ),
        }
    }
}

impl Parameters {
    /// Reads the JSON object of a job; or all that is wrong with it.
    pub fn read(json: &str) -> Result<Self, Vec<Invalid>> {
        let parameters = Self::parse(json).map_err(|invalid| vec![invalid])?;
        let invalid = parameters.judge();
        if invalid.is_empty() { Ok(parameters) } else { Err(invalid) }
    }

    fn parse(json: &str) -> Result<Self, Invalid> {
        let given: Map<String, Value> = serde_json::from_str(json).map_err(|_| Invalid::NotAsDescribed)?;
        refuse_line_breaks(&given)?;
        Self::deserialize(Value::Object(given)).map_err(|_| Invalid::NotAsDescribed)
    }

    fn judge(&self) -> Vec<Invalid> {
        let mut invalid = Vec::new();
        if !is_domain(&self.ehlo_name) {
            invalid.push(Invalid::EhloName);
        }
        match (self.username.is_empty(), self.password.is_empty()) {
            (true, false) => invalid.push(Invalid::NoUsername),
            (false, true) => invalid.push(Invalid::NoPassword),
            (false, false) if self.shows_password() && !self.allow_plaintext_auth => {
                invalid.push(Invalid::ReadableAuth);
            }
            _ => {}
        }
        if self.to.is_empty() {
            return invalid;
        }
        if self.from.is_empty() {
            invalid.push(Invalid::NoSender);
        } else if !is_address(&self.from) {
            invalid.push(Invalid::Address("from", self.from.clone()));
        }
        // The only mailbox without a domain (RFC 5321 section 4.5.1).
        let is_recipient = |to: &&String| is_address(to) || to.eq_ignore_ascii_case("postmaster");
        if let Some(other) = self.to.iter().find(|to| !is_recipient(to)) {
            invalid.push(Invalid::Address("to", other.clone()));
        }
        invalid
    }

    /// Whatever the server offers, only mechanisms are wanted by which the password is readable on this connection; by
    /// itself the strongest is taken, which may hide it.
    fn shows_password(&self) -> bool {
        self.connection == Security::Plain && matches!(self.auth, Auth::Plain | Auth::Login)
    }
}

/// The host refuses them, too; here a line of the wire is at stake.
fn refuse_line_breaks(given: &Map<String, Value>) -> Result<(), Invalid> {
    let breaks = |text: &Value| text.as_str().is_some_and(|text| text.contains(['\r', '\n', '\0']));
    // RFC 5322 section 3.5.
    if given.get("body").and_then(Value::as_str).is_some_and(|body| body.contains('\0')) {
        return Err(Invalid::Nul("body"));
    }
    for parameter in PARAMETERS.iter().filter(|parameter| parameter.single_line) {
        let found = match given.get(parameter.name) {
            Some(Value::Array(texts)) => texts.iter().any(breaks),
            Some(value) => breaks(value),
            None => false,
        };
        if found {
            return Err(Invalid::LineBreak(parameter.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::{Parameter, ParameterKind};

    fn read(given: &Map<String, Value>) -> Result<Parameters, Vec<Invalid>> {
        Parameters::read(&Value::from(given.clone()).to_string())
    }

    fn defaults() -> Map<String, Value> {
        let default = |of: &Parameter| (of.name.to_owned(), serde_json::from_str(of.default).unwrap());
        PARAMETERS.iter().map(default).collect()
    }

    #[test]
    fn every_parameter_is_read_as_it_is_described() {
        assert_eq!(read(&defaults()).map(drop), Ok(()));
        for parameter in PARAMETERS {
            for choice in parameter.choices {
                let mut given = defaults();
                given.insert(parameter.name.to_owned(), (*choice).into());
                assert_eq!(read(&given).map(drop), Ok(()), "{} = {choice}", parameter.name);
            }
        }
    }

    #[test]
    fn no_parameter_is_read_that_is_not_described() {
        let error = serde_json::from_str::<Parameters>("{\"?\":0}").unwrap_err().to_string();
        // It names all that would have done.
        let read: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
        let described: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
        assert_eq!(read, described, "{error}");
    }

    #[test]
    fn what_makes_a_session_or_a_mail_impossible_is_refused_by_its_parameter() {
        let mail = [("from", "a@b.example"), ("to", "c@d.example")];
        for (given, expected) in [
            (&[("ehlo_name", "a b")][..], Err("ehlo_name")),
            (&[("ehlo_name", "")], Err("ehlo_name")),
            (&[("ehlo_name", "a.")], Err("ehlo_name")),
            (&[("ehlo_name", "müller.example")], Err("ehlo_name")),
            (&[("ehlo_name", "[IPv6:2001:db8::1]")], Ok(())),
            (&[("ehlo_name", "MX_1.example.org")], Ok(())),
            (&[("username", "u")], Err("password")),
            (&[("password", "p")], Err("username")),
            (&[("username", "u"), ("password", "p")], Ok(())),
            (&[("username", "u"), ("password", "p"), ("auth", "plain")], Err("auth")),
            (&[("username", "u"), ("password", "p"), ("auth", "login")], Err("auth")),
            (&[("username", "u"), ("password", "p"), ("auth", "cram-md5")], Ok(())),
            (&[("username", "u"), ("password", "p"), ("auth", "plain"), ("connection", "starttls")], Ok(())),
            (&[("username", "u"), ("password", "p"), ("auth", "login"), ("connection", "tls")], Ok(())),
            // Nobody logs in.
            (&[("auth", "plain")], Ok(())),
            (&[mail[1]], Err("from")),
            (&[mail[0]], Ok(())),
            (&[("body", "a\0b")], Err("body")),
            (&mail, Ok(())),
            (&[("from", "<>"), mail[1]], Err("from")),
            (&[("from", "x"), mail[1]], Err("from")),
            (&[("from", "@b.example"), mail[1]], Err("from")),
            (&[("from", "a@b..example"), mail[1]], Err("from")),
            (&[("from", "a@[192.0.2.1]"), mail[1]], Ok(())),
            (&[mail[0], ("to", "x")], Err("to")),
            (&[mail[0], ("to", "a@b.example c@d.example")], Err("to")),
            (&[mail[0], ("to", "<c@d.example>")], Err("to")),
            (&[mail[0], ("to", "a@b.example,c@d.example")], Err("to")),
            (&[mail[0], ("to", "a@b.example;c@d.example")], Err("to")),
            (&[mail[0], ("to", "mailto:c@d.example")], Err("to")),
            (&[mail[0], ("to", "c@d@e.example")], Err("to")),
            (&[mail[0], ("to", "\"c@d\"@e.example")], Ok(())),
            (&[mail[0], ("to", "c..d+e=f@d.example")], Ok(())),
            (&[mail[0], ("to", "ü@d.example")], Err("to")),
            (&[mail[0], ("to", "c@dü.example")], Err("to")),
            (&[mail[0], ("to", "Postmaster")], Ok(())),
        ] {
            let mut parameters = defaults();
            parameters.extend(given.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
            let names =
                |invalid: Vec<Invalid>| -> Vec<&str> { invalid.iter().map(Invalid::parameter).collect() };
            let judged = read(&parameters).map(drop).map_err(names);
            assert_eq!(judged, expected.map_err(|name: &str| vec![name]), "{given:?}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut given = defaults();
        for (name, value) in [("ehlo_name", ""), ("password", "p"), ("from", "x"), ("to", "y")] {
            given.insert(name.to_owned(), value.into());
        }
        let address = |name, text: &str| Invalid::Address(name, text.to_owned());
        let expected = vec![Invalid::EhloName, Invalid::NoUsername, address("from", "x"), address("to", "y")];
        assert_eq!(read(&given).map(drop), Err(expected));
    }

    #[test]
    fn a_readable_password_is_no_refusal_where_the_operator_allows_it() {
        let mut given = defaults();
        given.extend(
            [("username", "u"), ("password", "p"), ("auth", "plain")]
                .map(|(name, value)| (name.to_owned(), Value::from(value))),
        );
        given.insert("allow_plaintext_auth".to_owned(), true.into());
        assert_eq!(read(&given).map(drop), Ok(()));
    }

    #[test]
    fn the_recipient_that_is_none_is_named_and_cut() {
        let refused = |to: Value| {
            let mut given = defaults();
            given.insert("from".to_owned(), "a@b.example".into());
            given.insert("to".to_owned(), to);
            let [refused] = &read(&given).map(drop).unwrap_err()[..] else { panic!() };
            refused.to_string()
        };
        let said = "is no mail address such as a@example.org, in ASCII";
        let several = Value::from(vec!["c@d.example", "Eve <e@d.example>", "x"]);
        assert_eq!(refused(several), format!("`Eve <e@d.example>` {said}"));
        assert_eq!(refused("ü".repeat(65).into()), format!("`{}…` {said}", "ü".repeat(64)));
        assert_eq!(refused("ü".repeat(64).into()), format!("`{}` {said}", "ü".repeat(64)));
    }

    #[test]
    fn a_default_is_a_value_that_the_parameter_can_have() {
        for parameter in PARAMETERS {
            let default: Value = serde_json::from_str(parameter.default).unwrap();
            let fits = match parameter.kind {
                ParameterKind::Text => default.is_string(),
                ParameterKind::Boolean => default.is_boolean(),
                ParameterKind::TextList | ParameterKind::IntegerList => default.is_array(),
                ParameterKind::Secret => default == "",
                ParameterKind::Integer => default.is_i64(),
                ParameterKind::Number => default.is_number(),
                ParameterKind::Duration | ParameterKind::Port => default.is_u64(),
                ParameterKind::Table => default.is_object(),
            };
            assert!(fits, "{} = {default}", parameter.name);
        }
    }
}
