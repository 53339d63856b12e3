//! The shapes of the file; nobody else sees them. Unknown keys are refused.

use std::{collections::BTreeMap, fmt, num::NonZero, path::PathBuf};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

use crate::tls_rules::{TlsVersion, Verify};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct File {
    pub(super) max_concurrent: Option<NonZero<u16>>,
    pub(super) max_per_host: Option<NonZero<u16>>,
    pub(super) threads: Option<NonZero<u8>>,
    pub(super) cache_dir: Option<PathBuf>,
    #[serde(default)]
    pub(super) deny: Vec<String>,
    #[serde(default)]
    pub(super) include: Vec<String>,
    pub(super) resolver: Option<Resolver>,
    pub(super) daemon: Option<Daemon>,
    #[serde(default)]
    pub(super) check: Vec<Check>,
    #[serde(default)]
    pub(super) job: Vec<Job>,
}

/// Who is asked for addresses.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { servers = [\"192.0.2.53\"] }")]
pub(super) struct Resolver {
    pub(super) servers: Option<Vec<String>>,
    #[serde(default)]
    pub(super) system: bool,
}

/// What `sonde execd` does by itself.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Daemon {
    #[serde(default, deserialize_with = "time")]
    pub(super) interval: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) jitter: Option<String>,
    #[serde(default)]
    pub(super) self_metrics: bool,
    pub(super) state_file: Option<PathBuf>,
}

/// A text that is to be a time: a number without a unit is most likely meant to be one.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Time;

    impl Visitor<'_> for Time {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration such as \"5s\"")
        }

        fn visit_str<E>(self, text: &str) -> Result<Option<String>, E> {
            Ok(Some(text.to_owned()))
        }
    }

    deserializer.deserialize_any(Time)
}

/// A check that is not built in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) component: PathBuf,
    pub(super) sha256: String,
    pub(super) description_sha256: String,
    pub(super) measurement: String,
    #[serde(default)]
    pub(super) limits: Limits,
}

/// What a run of the check may use up; what is not given is as for the built-in one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Limits {
    pub(super) memory_mib: Option<NonZero<u16>>,
    #[serde(deserialize_with = "time")]
    pub(super) cpu_time: Option<String>,
    #[serde(deserialize_with = "time")]
    pub(super) wall_time: Option<String>,
    pub(super) connections: Option<i64>,
    pub(super) traffic_mib: Option<NonZero<u16>>,
    pub(super) log_lines: Option<i64>,
    pub(super) lines: Option<i64>,
}

fn smtp() -> String {
    crate::sandbox::SMTP.to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Job {
    pub(super) name: String,
    #[serde(default = "smtp")]
    pub(super) check: String,
    pub(super) host: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    #[serde(default)]
    pub(super) grants: Vec<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) timeout: Option<String>,
    #[serde(default, deserialize_with = "time")]
    pub(super) every: Option<String>,
    pub(super) max_per_hour: Option<i64>,
    #[serde(default)]
    pub(super) parameters: toml::Table,
    #[serde(default)]
    pub(super) tls: Tls,
    #[serde(default)]
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    #[serde(default)]
    pub(super) alarm: BTreeMap<String, Alarm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { host = \"imap.example.org\" }")]
pub(super) struct Endpoint {
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) tls: Tls,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Tls {
    pub(super) verify: Verify,
    pub(super) server_name: Option<String>,
    pub(super) min_version: TlsVersion,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) crl_file: Option<PathBuf>,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
}

/// What stands in `[job.alarm]` below a name.
pub(super) enum Alarm {
    /// Limits on that field.
    Field(Levels),
    /// Tables of limits: on fields of that kind of parts.
    Part(BTreeMap<String, Levels>),
}

impl<'de> Deserialize<'de> for Alarm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;

        impl<'de> Visitor<'de> for Table {
            type Value = Alarm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table such as { warning = 200, critical = 1000 }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Alarm, A::Error> {
                let (mut levels, mut fields) = (Levels { warning: None, critical: None }, BTreeMap::new());
                while let Some(key) = map.next_key::<String>()? {
                    let bound = match map.next_value()? {
                        Entry::Levels(levels) => {
                            fields.insert(key, levels);
                            continue;
                        }
                        Entry::Bound(bound) => Some(bound),
                    };
                    match &*key {
                        "warning" => levels.warning = bound,
                        "critical" => levels.critical = bound,
                        other => return Err(A::Error::unknown_field(other, &["warning", "critical"])),
                    }
                }
                match (fields.is_empty(), &levels) {
                    (true, _) => Ok(Alarm::Field(levels)),
                    (false, Levels { warning: None, critical: None }) => Ok(Alarm::Part(fields)),
                    (false, _) => Err(A::Error::invalid_value(
                        Unexpected::Map,
                        &"limits on a field, or tables of limits on fields of a part",
                    )),
                }
            }
        }

        deserializer.deserialize_map(Table)
    }
}

/// What stands below that.
enum Entry {
    Bound(Bound),
    Levels(Levels),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Number.expecting(f)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Entry, E> {
                Number.visit_i64(number).map(Entry::Bound)
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Entry, E> {
                Number.visit_f64(number).map(Entry::Bound)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
                Number.visit_str(text).map(Entry::Bound)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Levels::deserialize(MapAccessDeserializer::new(map)).map(Entry::Levels)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { warning = 200, critical = 1000 }")]
pub(super) struct Levels {
    pub(super) warning: Option<Bound>,
    pub(super) critical: Option<Bound>,
}

/// A limit as text, also one that is written as a number.
pub(super) struct Bound(pub(super) String);

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Number)
    }
}

/// Takes one.
struct Number;

impl Visitor<'_> for Number {
    type Value = Bound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or, for example, \"< 30\"")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Bound, E> {
        Ok(Bound(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Bound, E> {
        Ok(Bound(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Bound, E> {
        Ok(Bound(text.to_owned()))
    }
}

/// Where a secret stands: a table of one key.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    File(PathBuf),
    Env(String),
    Credential(String),
}
