//! Why what a component says of itself, or reports, is refused: one case and one text each.

use std::fmt;

use crate::line;

/// Parameters, fields, tags and error codes of a check, and choices, defaults and items of a default of a parameter, at most
/// each: they are for people, and each is compared with all others.
pub(super) const MOST: usize = 256;
/// A default or a choice: every job has its own copy, and so may tags. As JSON it is read only when it is no longer.
pub(super) const VALUE_BYTES: usize = 4 << 10;

/// What a component said about itself, or reported, makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contradiction {
    /// A name is not of lower-case letters, digits and `_`, or too long.
    Name(String),
    /// The check's name is not of lower-case letters, digits and `-`, or too long.
    CheckName(String),
    /// A name stands twice, or is the host's.
    Duplicate(String),
    /// More of these than a person reads.
    Many(&'static str),
    /// A default is not JSON, or would colour a terminal.
    Default(String),
    /// A default or a choice is longer than a value has to be.
    Long(String),
    /// A default is nothing that its parameter can be.
    Misfit(String),
    /// A secret has a default that is not empty: everybody knows it.
    Secret(String),
    /// A default depends on a parameter, or on a value of it, that there is not.
    Condition(String),
    /// Not exactly one parameter of kind `port`.
    Port,
    /// A tag shows a parameter that is not described.
    Tag(String),
    /// A phase whose time is no number of milliseconds.
    Phase(String),
    /// An error code below 1000, or one that stands twice.
    Code(u32),
    /// A field that was not announced.
    Unannounced(String),
    /// A field of another kind than announced, or a number that is none.
    Kind(String),
    /// The measurement belongs to another check.
    Measurement(String),
    /// The longest line would have this many bytes.
    Line(usize),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "`{name}` is no name (lower-case letters, digits and _, at most 64)")
            }
            Self::CheckName(name) => {
                write!(f, "`{name}` is no name of a check (lower-case letters, digits and -, at most 64)")
            }
            Self::Duplicate(name) => write!(f, "`{name}` stands twice or belongs to the host"),
            Self::Many(what) => write!(f, "more than {MOST} {what}"),
            Self::Default(name) => {
                write!(f, "the default of parameter `{name}` is not JSON, or has control characters")
            }
            Self::Long(name) => {
                write!(f, "a default or choice of parameter `{name}` has more than {VALUE_BYTES} bytes")
            }
            Self::Misfit(name) => write!(f, "a default of parameter `{name}` is no value that it can have"),
            Self::Secret(name) => {
                write!(f, "parameter `{name}` is a secret: its default can only be the empty text")
            }
            Self::Condition(name) => {
                write!(
                    f,
                    "a default of parameter `{name}` depends on a parameter or value that does not exist"
                )
            }
            Self::Port => f.write_str("there must be exactly one parameter of kind port"),
            Self::Tag(name) => write!(f, "tag `{name}` shows a parameter that is a secret or does not exist"),
            Self::Phase(name) => write!(f, "field `{name}` is a phase, and no number of ms"),
            Self::Code(code) => {
                write!(f, "error code {code} is not announced, stands twice or is below 1000")
            }
            Self::Unannounced(name) => {
                write!(f, "field `{name}` is reported but not announced, or reported twice")
            }
            Self::Kind(name) => write!(f, "field `{name}` is not of the announced kind"),
            Self::Measurement(name) => {
                write!(f, "measurement `{name}` belongs to another check or to the host")
            }
            Self::Line(bytes) => {
                write!(
                    f,
                    "its tags and texts make lines of up to {bytes} bytes, more than {}",
                    line::LINE_BYTES
                )
            }
        }
    }
}

impl std::error::Error for Contradiction {}
