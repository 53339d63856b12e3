//! Why what a component says of itself, or reports, is refused: one case and one text each.

use std::fmt;

use crate::{catalogue::FIRST_OWN_CODE, line, value::FieldKind};

/// Parameters, fields, tags and error codes of a check, and choices, defaults and items of a default of a parameter, at most
/// each: they are for people, and each is compared with all others.
pub(super) const MOST: usize = 256;
/// Further endpoints of a check: each brings its fields and one tag to every line, and more are better several checks.
pub(super) const ENDPOINTS: usize = 4;
/// The longest name.
pub(super) const NAME_BYTES: usize = 64;
/// Kinds of parts of a check: each is a measurement of its own.
pub(super) const MOST_PARTS: usize = 8;
/// A default or a choice: every job has its own copy, and so may tags. As JSON it is read only when it is no longer.
pub(super) const VALUE_BYTES: usize = 4 << 10;

/// What a component said about itself, or reported, makes no sense.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contradiction {
    /// A name is not as names of parameters, fields, tags and measurements are.
    Name(String),
    /// The name of the check, or of an error code, is not as those are.
    CheckName(String),
    /// A name stands twice.
    NameTwice(String),
    /// A name is the host's.
    NameOfHost(String),
    /// A field or tag has the name of one that agents add.
    NameOfAgents(String),
    /// A name begins as those that the host keeps for itself do.
    NameReserved(String, &'static str),
    /// More of these than a person reads.
    Many(&'static str),
    /// A default is not JSON.
    DefaultNotJson(String),
    /// A default would colour a terminal, or look like another text.
    DefaultHidden(String),
    /// A default is longer than a value has to be.
    DefaultLong(String),
    /// A choice is longer than a value has to be.
    ChoiceLong(String),
    /// Choices of what is no text and no list of texts.
    ChoiceOfNoText(String),
    /// A default is nothing that its parameter can be.
    Misfit(String),
    /// A secret has a default that is not empty: everybody knows it.
    Secret(String),
    /// A default depends on a parameter that there is not.
    ConditionOnNothing(String),
    /// A default depends on a parameter whose own default depends on another: which comes first?
    ConditionOnCondition(String),
    /// A default depends on a value that the other parameter cannot have.
    ConditionNeverMet(String),
    /// Two parameters of kind `port` for the job's own host, or for one further endpoint.
    Ports(String),
    /// More further endpoints than a job can have.
    Endpoints,
    /// A parameter is about a further endpoint that is not described.
    EndpointOfNothing(String),
    /// The default of a further endpoint is no host, whatever the job's own is.
    EndpointHost(String),
    /// A tag shows a parameter that is not described.
    TagOfNothing(String),
    /// A tag shows a secret.
    TagOfSecret(String),
    /// A phase whose time is no number of milliseconds.
    Phase(String),
    /// An error code below 1000: it is the host's.
    CodeBelow(u32),
    /// An error code stands twice.
    CodeTwice(u32),
    /// Two error codes have one name: which of them does it say?
    ErrorTwice(String),
    /// An error code that was not announced.
    CodeUnannounced(u32),
    /// A job is refused for a parameter or an endpoint that is not described.
    RefusalOfNothing(&'static str, String),
    /// A field that was not announced.
    FieldUnannounced(String),
    /// A field was reported twice.
    FieldTwice(String),
    /// A field of another kind than announced.
    FieldKind {
        /// Of the field.
        name: String,
        /// As the description has it.
        announced: FieldKind,
        /// As the report has it.
        reported: FieldKind,
    },
    /// A number that is infinite or none.
    FieldNotFinite(String),
    /// A part of a kind that was not announced.
    PartUnannounced(String),
    /// A part's tag that was not announced.
    TagUnannounced(String),
    /// A part's tag was reported twice.
    TagTwice(String),
    /// More kinds of parts than a check may have.
    ManyParts,
    /// No tags that tell parts of this kind from each other, or more than two.
    PartTags(String),
    /// A part's field is a phase, or has a value for runs that could not report.
    PartField(String),
    /// The measurement of parts of this kind is longer than a name.
    PartMeasurement(String),
    /// The measurement is the host's.
    MeasurementOfHost(String),
    /// The measurement is the built-in check's.
    MeasurementOfBuiltIn(String),
    /// The longest line would have this many bytes.
    Line(usize),
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(
                    f,
                    "`{name}` is no name (lower-case letters, digits and _, a letter first, at most 64)"
                )
            }
            Self::CheckName(name) => {
                write!(
                    f,
                    "`{name}` is no name of a check or code (lower-case letters, digits and -, at most 64)"
                )
            }
            Self::NameTwice(name) => write!(f, "`{name}` stands twice"),
            Self::NameOfHost(name) => write!(f, "`{name}` belongs to the host"),
            Self::NameOfAgents(name) => write!(f, "`{name}` is a tag that agents add to each line"),
            Self::NameReserved(name, begin) => {
                write!(
                    f,
                    "`{name}` is kept for the host, as whatever begins with `{begin}`, also behind the name of an endpoint and `_`"
                )
            }
            Self::Many(what) => write!(f, "more than {MOST} {what}"),
            Self::DefaultNotJson(name) => write!(f, "a default of parameter `{name}` is not JSON"),
            Self::DefaultHidden(name) => write!(f, "a default of parameter `{name}` has hidden characters"),
            Self::DefaultLong(name) => {
                write!(f, "a default of parameter `{name}` has more than {VALUE_BYTES} bytes")
            }
            Self::ChoiceLong(name) => {
                write!(f, "a choice of parameter `{name}` has more than {VALUE_BYTES} bytes")
            }
            Self::ChoiceOfNoText(name) => {
                write!(f, "parameter `{name}` has choices, and is no text and no list of texts")
            }
            Self::Misfit(name) => write!(f, "a default of parameter `{name}` is no value that it can have"),
            Self::Secret(name) => {
                write!(f, "parameter `{name}` is a secret: its default can only be the empty text")
            }
            Self::ConditionOnNothing(name) => {
                write!(f, "a default of parameter `{name}` depends on a parameter that does not exist")
            }
            Self::ConditionOnCondition(name) => {
                write!(
                    f,
                    "a default of parameter `{name}` depends on a parameter whose own defaults depend on others"
                )
            }
            Self::ConditionNeverMet(name) => {
                write!(f, "a default of parameter `{name}` depends on a value that the other cannot have")
            }
            Self::Ports(name) => {
                write!(f, "parameter `{name}` is a second one of kind port for its endpoint")
            }
            Self::Endpoints => write!(f, "more than {ENDPOINTS} endpoints"),
            Self::EndpointOfNothing(name) => {
                write!(f, "parameter `{name}` is about an endpoint that does not exist")
            }
            Self::EndpointHost(name) => {
                write!(f, "the default of endpoint `{name}` is no host name or address, without port")
            }
            Self::TagOfNothing(name) => write!(f, "tag `{name}` shows a parameter that does not exist"),
            Self::TagOfSecret(name) => write!(f, "tag `{name}` shows a parameter that is a secret"),
            Self::Phase(name) => write!(f, "field `{name}` is a phase, and no number of ms"),
            Self::CodeBelow(code) => write!(f, "error code {code} is below {FIRST_OWN_CODE}"),
            Self::CodeTwice(code) => write!(f, "error code {code} stands twice"),
            Self::ErrorTwice(name) => write!(f, "two error codes are called `{name}`"),
            Self::CodeUnannounced(code) => write!(f, "error code {code} is not announced"),
            Self::RefusalOfNothing(what, name) => {
                write!(f, "it refuses the job for {what} `{name}`, which does not exist")
            }
            Self::FieldUnannounced(name) => write!(f, "field `{name}` is reported but not announced"),
            Self::FieldTwice(name) => write!(f, "field `{name}` is reported twice"),
            Self::FieldKind { name, announced, reported } => {
                let [announced, reported] = [announced, reported].map(|kind| kind.name());
                write!(f, "field `{name}` is announced as {announced} and reported as {reported}")
            }
            Self::FieldNotFinite(name) => write!(f, "field `{name}` is no finite number"),
            Self::PartUnannounced(name) => write!(f, "a part `{name}` is reported but not announced"),
            Self::TagUnannounced(name) => write!(f, "tag `{name}` is reported but not announced"),
            Self::TagTwice(name) => write!(f, "tag `{name}` is reported twice"),
            Self::ManyParts => write!(f, "more than {MOST_PARTS} kinds of parts"),
            Self::PartTags(name) => write!(f, "parts `{name}` must have one or two tags"),
            Self::PartField(name) => {
                write!(f, "field `{name}` is a part's: it is no phase, and has no value when unreported")
            }
            Self::PartMeasurement(name) => {
                write!(f, "the measurement of parts `{name}` has more than {NAME_BYTES} bytes")
            }
            Self::MeasurementOfHost(name) => write!(f, "measurement `{name}` belongs to the host"),
            Self::MeasurementOfBuiltIn(name) => {
                write!(f, "measurement `{name}` belongs to the built-in check")
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

#[cfg(test)]
mod tests {
    use super::Contradiction::{
        DefaultNotJson, EndpointHost, EndpointOfNothing, Endpoints, ManyParts, PartMeasurement, PartTags,
        Ports,
    };

    #[test]
    fn what_no_component_of_the_tests_does_is_said_as_well() {
        let a = || "a".to_owned();
        for (contradiction, text) in [
            (DefaultNotJson(a()), "a default of parameter `a` is not JSON"),
            (Ports(a()), "parameter `a` is a second one of kind port for its endpoint"),
            (Endpoints, "more than 4 endpoints"),
            (EndpointOfNothing(a()), "parameter `a` is about an endpoint that does not exist"),
            (EndpointHost(a()), "the default of endpoint `a` is no host name or address, without port"),
            (ManyParts, "more than 8 kinds of parts"),
            (PartTags(a()), "parts `a` must have one or two tags"),
            (PartMeasurement(a()), "the measurement of parts `a` has more than 64 bytes"),
        ] {
            assert_eq!(contradiction.to_string(), text);
        }
    }
}
