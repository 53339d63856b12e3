//! The text of a file in, its shape out. Refuses with the line, the key and what is expected there – never with what stands
//! there, which may be a secret: the library's own messages show it.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, Expected, IntoDeserializer, MapAccess, Unexpected,
        Visitor,
        value::{SeqDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{elsewhere::belongs, nearest::nearest};

/// Tables and lists in each other, far more than any key needs. Bounds the stack of whoever walks through a file: its parser
/// takes 80 of them in a value, and keys of 80 words at each.
const LEVELS: usize = 32;

/// What a parameter is expected to be as far as the shape of a file goes: anything but a date, and a number of 64 bits.
const ANYTHING: &str = "a value of at most 64 bits";

/// A file that is not TOML, or not of the shape that it must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misshapen {
    /// Where it stands; none: nobody knows.
    at: Option<usize>,
    /// That place's line, from 1 on.
    line: usize,
    /// The keys that lead there.
    keys: Vec<String>,
    fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Fault {
    /// Not TOML. The parser knows what it expected, and says nothing of what it read.
    Syntax(String),
    /// A value that is none there, where that says it of another kind.
    Value { expected: String, found: Option<&'static str> },
    /// A text that is none of these.
    Choice(&'static [&'static str]),
    /// A key that its table does not have, another table that has it, and one of this that it may be meant to be.
    Unknown { key: String, belongs: Option<String>, meant: Option<&'static str>, of_job: bool },
    /// A key that must be there.
    Missing(&'static str),
    /// A date in a parameter: no kind of them has one.
    Date,
    /// Further inside than anything is.
    Deep,
    /// A key that stands twice.
    Twice(&'static str),
    /// Anything else: a type's own words may show the value.
    Other,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_some() {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.keys.is_empty() {
            write!(f, "{}: ", self.keys.join("."))?;
        }
        match &self.fault {
            Fault::Syntax(expected) => f.write_str(expected),
            Fault::Value { expected, found: Some(found @ "a table") } if expected == "a list" => {
                write!(f, "expected {expected}, not {found}")?;
                match self.keys.as_slice() {
                    [key] if key == "job" => f.write_str(
                        ": write two brackets, as in [[job]]; its tables, such as [job.parameters], stand below it",
                    ),
                    [key] if key == "check" => f.write_str(
                        ": write two brackets, as in [[check]]; its [check.limits] stand below it, in the same file",
                    ),
                    _ => Ok(()),
                }
            }
            Fault::Value { expected, found: None } => write!(f, "expected {expected}"),
            Fault::Value { expected, found: Some(found) } => write!(f, "expected {expected}, not {found}"),
            Fault::Choice(choices) => write!(f, "expected one of {}", choices.join(", ")),
            Fault::Unknown { key, belongs: Some(place), of_job, .. } => {
                write!(f, "unknown key `{key}`: it belongs {place}")?;
                if *of_job {
                    f.write_str("; what the check takes stands in [job.parameters]")
                } else {
                    Ok(())
                }
            }
            Fault::Unknown { key, meant: None, of_job: true, .. } => write!(
                f,
                "unknown key `{key}`: what the check takes stands in [job.parameters], rules of TLS in [job.tls]"
            ),
            Fault::Unknown { key, meant: None, .. }
                if key == "port" && self.keys.iter().any(|key| key == "endpoints") =>
            {
                f.write_str(
                    "unknown key `port`: the port of an endpoint is a parameter, see `sonde describe`",
                )
            }
            Fault::Unknown { key, meant: None, .. } => write!(f, "unknown key `{key}`"),
            Fault::Unknown { key, meant: Some(meant), .. } => {
                write!(f, "unknown key `{key}`; did you mean `{meant}`?")
            }
            Fault::Missing(key) => write!(f, "missing key `{key}`"),
            Fault::Twice(key) => write!(f, "key `{key}` stands twice"),
            Fault::Date => f.write_str("no parameter takes a date: write it as a text, in quotes"),
            Fault::Deep => write!(f, "more than {LEVELS} tables and lists in each other"),
            Fault::Other => f.write_str("cannot be used"),
        }
    }
}

impl std::error::Error for Misshapen {}

impl Misshapen {
    fn of(fault: Fault) -> Self {
        Self { at: None, line: 0, keys: Vec::new(), fault }
    }

    /// Unless a place further inside is known.
    fn at(mut self, place: usize) -> Self {
        self.at.get_or_insert(place);
        self
    }

    fn within(mut self, key: String) -> Self {
        // All of those keys would be too many.
        if self.fault != Fault::Deep {
            self.keys.insert(0, key);
        }
        self
    }
}

/// Reads a file's text.
pub(super) fn decode<T: DeserializeOwned>(text: &str) -> Result<T, Misshapen> {
    let read = DeTable::parse(text).map_err(|error| {
        let at = error.span().map(|span| span.start);
        let fault = match error.message() {
            // Where it goes no further in: of a key without the place.
            "recursion limit" | "cannot recurse further; max recursion depth met" => Fault::Deep,
            other => Fault::Syntax(other.replace('\n', " ")),
        };
        Misshapen { at, ..Misshapen::of(fault) }
    });
    let read = read.and_then(|table| {
        let place = table.span();
        T::deserialize(Node(Spanned::new(place, DeValue::Table(table.into_inner())), LEVELS))
    });
    read.map_err(|mut misshapen| {
        let before = misshapen.at.and_then(|at| text.get(..at)).unwrap_or_default();
        misshapen.line = before.matches('\n').count() + 1;
        misshapen
    })
}

/// What serde calls Rust's types, as people who write a configuration know it.
fn plain(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    let plain = match &*expected {
        "a sequence" => "a list",
        "a map" => "a table",
        "a string" | "string" | "path string" => "a text",
        "a boolean" => "true or false",
        "a nonzero u8" => "a whole number from 1 to 255",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "i64" => "a whole number",
        "any valid TOML value" => ANYTHING,
        other => other,
    };
    plain.to_owned()
}

impl serde::de::Error for Misshapen {
    fn custom<T: fmt::Display>(_words: T) -> Self {
        Self::of(Fault::Other)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => Some("true or false"),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => Some("a whole number"),
            Unexpected::Float(_) => Some("a number"),
            Unexpected::Str(_) => Some("a text"),
            Unexpected::Seq => Some("a list"),
            Unexpected::Map => Some("a table"),
            // Words of the one who asks: some show the value.
            _ => None,
        };
        Self::of(Fault::Value { expected: plain(expected), found })
    }

    fn invalid_value(_found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of(Fault::Value { expected: plain(expected), found: None })
    }

    fn invalid_length(_found: usize, expected: &dyn Expected) -> Self {
        Self::of(Fault::Value { expected: plain(expected), found: None })
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::of(Fault::Twice(key))
    }

    fn unknown_variant(_found: &str, expected: &'static [&'static str]) -> Self {
        Self::of(Fault::Choice(expected))
    }

    fn unknown_field(key: &str, expected: &'static [&'static str]) -> Self {
        let meant = nearest(key, expected.iter().copied());
        let (belongs, of_job) = (belongs(key), expected.contains(&"parameters"));
        Self::of(Fault::Unknown { key: key.to_owned(), belongs, meant, of_job })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::of(Fault::Missing(key))
    }
}

/// A value of the file, with its place in it, and how many levels there may be from it on.
struct Node<'de>(Spanned<DeValue<'de>>, usize);

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Misshapen;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misshapen> {
        let Self(value, levels) = self;
        let place = value.span().start;
        let levels = match value.get_ref() {
            DeValue::Array(_) | DeValue::Table(_) => {
                levels.checked_sub(1).ok_or_else(|| Misshapen::of(Fault::Deep).at(place))?
            }
            _ => levels,
        };
        let read = match value.into_inner() {
            DeValue::String(text) => visitor.visit_str(&text),
            DeValue::Boolean(value) => visitor.visit_bool(value),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => visitor.visit_i64(number),
                Err(_too_large) => Err(Misshapen::invalid_value(Unexpected::Other("number"), &visitor)),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => Err(Misshapen::invalid_value(Unexpected::Other("number"), &visitor)),
            },
            DeValue::Datetime(_) => Err(match Misshapen::invalid_type(Unexpected::Other("date"), &visitor) {
                Misshapen { fault: Fault::Value { expected, .. }, .. } if expected == ANYTHING => {
                    Misshapen::of(Fault::Date)
                }
                other => other,
            }),
            DeValue::Array(list) => {
                let list = list.into_iter().map(|inner| Node(inner, levels));
                visitor.visit_seq(SeqDeserializer::new(list))
            }
            DeValue::Table(table) => {
                visitor.visit_map(Entries { rest: table.into_iter(), value: None, levels })
            }
        };
        read.map_err(|misshapen| misshapen.at(place))
    }

    /// What is there is not absent.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misshapen> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misshapen> {
        let place = self.0.span().start;
        match self.0.into_inner() {
            DeValue::String(text) => visitor.visit_enum(StrDeserializer::new(&text)),
            value => Node(Spanned::new(place..place, value), self.1).deserialize_any(visitor),
        }
        .map_err(|misshapen: Misshapen| misshapen.at(place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Misshapen> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

type Entry<'de> = (Spanned<DeString<'de>>, Spanned<DeValue<'de>>);

/// A table's keys and values.
struct Entries<'de, I> {
    rest: I,
    value: Option<Entry<'de>>,
    /// Of each value.
    levels: usize,
}

impl<'de, I: Iterator<Item = Entry<'de>>> MapAccess<'de> for Entries<'de, I> {
    type Error = Misshapen;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misshapen> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        let known = seed.deserialize(StrDeserializer::new(key.get_ref()));
        let known = known.map_err(|misshapen: Misshapen| misshapen.at(key.span().start))?;
        self.value = Some((key, value));
        Ok(Some(known))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misshapen> {
        let Some((key, value)) = self.value.take() else { return Err(Misshapen::of(Fault::Other)) };
        let read = seed.deserialize(Node(value, self.levels));
        read.map_err(|misshapen| misshapen.within(key.into_inner().into_owned()))
    }
}

#[cfg(test)]
mod tests;
