//! A key that its table does not have in; the tables that have it out. Which keys a table has is asked of its shape, so that there
//! is no list of them to keep.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Visitor, forward_to_deserialize_any};

use super::file::{Check, Daemon, File, Job, Limits, Resolver, Tls};

/// Where such a key belongs, as it is said to people; none: nobody has it.
pub(super) fn belongs(key: &str) -> Option<String> {
    let tables = [
        ("at the top", keys::<File>()),
        ("in [daemon]", keys::<Daemon>()),
        ("in [resolver]", keys::<Resolver>()),
        ("in [[check]]", keys::<Check>()),
        ("in [check.limits]", keys::<Limits>()),
        ("in [[job]]", keys::<Job>()),
        ("in [job.tls]", keys::<Tls>()),
    ];
    let has = |(place, keys): &(&'static str, &[&str])| keys.contains(&key).then_some(*place);
    let places: Vec<_> = tables.iter().filter_map(has).collect();
    (!places.is_empty()).then(|| places.join(" or "))
}

fn keys<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    T::deserialize(Asked).err().map_or(&[], |Keys(keys)| keys)
}

/// What a shape is read from, and which keeps nothing but what it asks for.
struct Asked;

/// That.
#[derive(Debug)]
struct Keys(&'static [&'static str]);

impl<'de> Deserializer<'de> for Asked {
    type Error = Keys;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        keys: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Keys> {
        Err(Keys(keys))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Keys> {
        Err(Keys(&[]))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is read")
    }
}

impl std::error::Error for Keys {}

impl serde::de::Error for Keys {
    fn custom<T: fmt::Display>(_words: T) -> Self {
        Self(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_each_table_that_has_it() {
        for (key, place) in [
            ("include", Some("at the top")),
            ("state_file", Some("in [daemon]")),
            ("servers", Some("in [resolver]")),
            ("sha256", Some("in [[check]]")),
            ("memory_mib", Some("in [check.limits]")),
            ("max_per_hour", Some("in [[job]]")),
            ("ca_file", Some("in [job.tls]")),
            ("name", Some("in [[check]] or in [[job]]")),
            ("username", None),
        ] {
            assert_eq!(belongs(key).as_deref(), place, "{key}");
        }
    }
}
