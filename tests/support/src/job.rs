//! A configuration of one job, and the line that it comes to.

use std::path::Path;

use toml::{Table, Value};

use crate::{Point, run};

/// One job, as TOML has it.
#[derive(Clone)]
#[must_use]
pub struct Job(Table);

impl Job {
    /// A job by the name `a`, with this host and port and five seconds.
    pub fn new(host: &str, port: u16) -> Self {
        Self(Table::new())
            .set("name", "a")
            .set("host", host)
            .set("timeout", "5s")
            .parameter("port", i64::from(port))
    }

    /// A key of the job itself.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    fn within(mut self, table: &str, key: &str, value: Value) -> Self {
        let entry = self.0.entry(table.to_owned()).or_insert_with(|| Table::new().into());
        entry.as_table_mut().unwrap().insert(key.to_owned(), value);
        self
    }

    /// A parameter.
    pub fn parameter(self, name: &str, value: impl Into<Value>) -> Self {
        self.within("parameters", name, value.into())
    }

    /// Further parameters.
    pub fn parameters(self, all: Table) -> Self {
        all.into_iter().fold(self, |job, (name, value)| job.parameter(&name, value))
    }

    /// A key of `[job.tls]`.
    pub fn tls(self, key: &str, value: impl Into<Value>) -> Self {
        self.within("tls", key, value.into())
    }

    /// Keys of a table of the job's, written as in its file.
    pub fn written(self, table: &str, keys: &str) -> Self {
        let keys: Table = toml::from_str(keys).unwrap();
        keys.into_iter().fold(self, |job, (key, value)| job.within(table, &key, value))
    }

    /// Runs it with files of a folder; its line.
    pub fn run(self, folder: &Path) -> Point {
        let config = Table::from_iter([("job".to_owned(), Value::Array(vec![self.0.into()]))]);
        let points = run(&config.to_string(), folder);
        let [point] =
            <[Point; 1]>::try_from(points).unwrap_or_else(|points| panic!("{} lines", points.len()));
        point
    }
}
