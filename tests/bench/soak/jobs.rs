//! The soak's configuration: two thousand jobs of every kind of connection, with and without a mail, and of two other languages.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{authors, succeed};

use crate::{
    authored::build,
    mail::{MailServer, NAME},
};

/// Between two rounds.
pub(crate) const SECONDS: u64 = 10;
/// Hosts of each table.
const HOSTS: usize = 10;
/// Tables of mail, and for each other language.
const TABLES: usize = 196;
const OTHERS: usize = 2;

/// The configuration.
pub(crate) struct Jobs {
    pub(crate) file: PathBuf,
    pub(crate) count: usize,
    server: MailServer,
    /// What pins each of the other checks, and its name.
    checks: Vec<(String, String)>,
    cache: PathBuf,
}

impl Jobs {
    pub(crate) fn new(folder: &Path, server: MailServer) -> Self {
        let cache = folder.join("cache");
        let languages =
            authors().map(|tools| ["python", "javascript"].map(|language| (language, tools.clone())));
        let checks: Vec<_> = languages
            .into_iter()
            .flatten()
            .map(|(language, tools)| {
                let component = build(language, &tools, folder);
                let mut pin = Command::new(env!("CARGO_BIN_EXE_sonde"));
                pin.arg("pin").arg(&component).args(["--host", "127.0.0.1", "-p", "port=25"]);
                let pinned = succeed(pin.env("XDG_CACHE_HOME", &cache));
                (format!("hello-{language}"), pinned.split_once("\n[[job]]\n").unwrap().0.to_owned())
            })
            .collect();
        let count = (TABLES + OTHERS * checks.len()) * HOSTS;
        let jobs = Self { file: folder.join("sonde.toml"), count, server, checks, cache };
        jobs.write(0);
        succeed(Command::new(env!("CARGO_BIN_EXE_sonde")).args(["compile", "-c"]).arg(&jobs.file));
        jobs
    }

    /// As somebody has changed it so many times: its jobs are the same, in another order, and some take another time.
    pub(crate) fn write(&self, times: usize) {
        let mut text = format!(
            "max_concurrent = 300\ncache_dir = '{}'\n[daemon]\nself_metrics = true\n",
            self.cache.display()
        );
        for (_, check) in &self.checks {
            write!(text, "{check}\n\n").unwrap();
        }
        let mut tables: Vec<String> = (0..TABLES).map(|number| self.mail(number, times)).collect();
        for (at, (name, _)) in self.checks.iter().enumerate() {
            for other in 0..OTHERS {
                let number = TABLES + at * OTHERS + other;
                let begin = begin(number, times);
                tables.push(format!("{begin}check = \"{name}\"\nparameters.port = {}\n", self.server.plain));
            }
        }
        let most = tables.len();
        tables.rotate_left(times * 7 % most);
        text.push_str(&tables.concat());
        // Whoever reads it finds the one or the other, whole.
        let new = self.file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn mail(&self, number: usize, times: usize) -> String {
        let (connection, port) = match number % 3 {
            0 => ("plain", self.server.plain),
            1 => ("starttls", self.server.starttls),
            _ => ("tls", self.server.tls),
        };
        let mut text = begin(number, times);
        write!(text, "tls = {{ ca_file = \"ca.pem\", server_name = \"{NAME}\" }}\n[job.parameters]\n")
            .unwrap();
        write!(text, "connection = \"{connection}\"\nport = {port}\n").unwrap();
        if number / 3 % 2 == 1 {
            text.push_str("from = \"a@bench.invalid\"\nto = [\"b@bench.invalid\"]\n");
        }
        if connection != "plain" && number / 6 % 2 == 1 {
            write!(text, "username = \"u{number}\"\npassword = \"open-sesame-{number}\"\n").unwrap();
        }
        text
    }
}

/// What each table begins with.
fn begin(number: usize, times: usize) -> String {
    let hosts: Vec<_> = (1..=HOSTS).map(|host| format!("127.0.{number}.{host}")).collect();
    let seconds = 2 + (number + times) % 3;
    format!("[[job]]\nname = \"job{number}\"\nhosts = {hosts:?}\ntimeout = \"{seconds}s\"\n")
}
