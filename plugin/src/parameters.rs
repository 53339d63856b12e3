//! A job's parameters: the host's JSON in, typed values out. Refuses what would break out of a line on the wire.

use std::fmt;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::describe::PARAMETERS;

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

/// What is wrong with a parameter; never its value, which may be a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "documented by what it displays")]
pub enum Invalid {
    NotAsDescribed { column: usize },
    LineBreak(&'static str),
    EhloName,
    NoSender,
    Address(&'static str),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsDescribed { column } => write!(f, "parameters, column {column}: not as described"),
            Self::LineBreak(name) => write!(f, "{name}: a line break or NUL"),
            Self::EhloName => write!(f, "ehlo_name: a host name or address literal, in ASCII"),
            Self::NoSender => write!(f, "from: needed to send a mail"),
            Self::Address(name) => write!(f, "{name}: not a bare mail address in ASCII (user@xn--…)"),
        }
    }
}

impl Parameters {
    /// Reads the JSON object of a job.
    pub fn read(json: &str) -> Result<Self, Invalid> {
        let parameters: Self = object(json)?;
        refuse_line_breaks(&object(json)?)?;
        parameters.judge()?;
        Ok(parameters)
    }

    fn judge(&self) -> Result<(), Invalid> {
        if self.ehlo_name.is_empty() || !is_graphic(&self.ehlo_name) {
            return Err(Invalid::EhloName);
        }
        if self.to.is_empty() {
            return Ok(());
        }
        if self.from.is_empty() {
            return Err(Invalid::NoSender);
        }
        if !is_address(&self.from) {
            return Err(Invalid::Address("from"));
        }
        if !self.to.iter().all(|to| is_address(to)) {
            return Err(Invalid::Address("to"));
        }
        Ok(())
    }
}

fn object<T: DeserializeOwned>(json: &str) -> Result<T, Invalid> {
    serde_json::from_str(json).map_err(|error| Invalid::NotAsDescribed { column: error.column() })
}

/// The host refuses them, too; here a line of the wire is at stake.
fn refuse_line_breaks(given: &Map<String, Value>) -> Result<(), Invalid> {
    let breaks = |text: &Value| text.as_str().is_some_and(|text| text.contains(['\r', '\n', '\0']));
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

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Without SMTPUTF8 (RFC 6531) addresses are ASCII; a domain has an A-label.
fn is_address(text: &str) -> bool {
    !text.is_empty() && is_graphic(text) && !text.contains(['<', '>'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::{Parameter, ParameterKind};

    fn read(given: &Map<String, Value>) -> Result<Parameters, Invalid> {
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
    fn a_default_is_a_value_that_the_parameter_can_have() {
        for parameter in PARAMETERS {
            let default: Value = serde_json::from_str(parameter.default).unwrap();
            let fits = match parameter.kind {
                ParameterKind::Text => default.is_string(),
                ParameterKind::Boolean => default.is_boolean(),
                ParameterKind::TextList => default.is_array(),
                ParameterKind::Secret => default == "",
                ParameterKind::Port => default.is_u64(),
            };
            assert!(fits, "{} = {default}", parameter.name);
        }
    }
}
