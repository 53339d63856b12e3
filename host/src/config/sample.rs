//! A sample configuration, from what the checks tell about themselves: descriptions in, TOML out that loads as it is.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{error::ConfigError, parameters, secret, table};
use crate::{
    check::Check,
    description::{Description, FurtherEndpoint, Parameter, ParameterKind},
    sandbox::limits::LINES,
};

const HEAD: &str = r#"# Jobs that run at once.
# max_concurrent = 64
# The same of jobs with one host; any, unless it is given.
# max_per_host = 8
# Threads that they run on; by itself as many as there are cores.
# threads = 2
# Where compiled checks are kept; this user's own folder.
# cache_dir = "/var/cache/sonde"
# What no job reaches, whatever it grants: private networks, say, which names may lead to otherwise.
# deny = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
# Files with further checks and jobs.
# include = ["conf.d/*.toml"]

# Who is asked for the addresses of names, beside /etc/hosts: these, or the system's own library.
# [resolver]
# servers = ["192.0.2.53", "[2001:db8::53]:5353"]
# system = true

# For `sonde execd` alone: a round at each multiple of this time on the clock, whether an agent asks for it or not.
# [daemon]
# interval = "60s"
# By how much these are late at most, each by the same time.
# jitter = "20s"
# A line about the program itself for each round, measurement `sonde`.
# self_metrics = true
# Where it is kept who is held back, see `max_per_hour`, and when jobs with `every` ran, from one start to the next; for `sonde run`
# as well. Its folder must be there: `StateDirectory=sonde` of the agent's unit makes this one.
# state_file = "/var/lib/sonde/state"

# A check that is not built in: `sonde pin FILE` prints this block, for a file such as conf.d/redis.toml.
# [[check]]
# name = "redis"
# component = "checks/redis.wasm"
# sha256 = "…"
# description_sha256 = "…"
# measurement = "redis"
# What each of its runs may use up.
# [check.limits]
# memory_mib = 64
# cpu_time = "500ms"
# wall_time = "10m"
# connections = 8
# traffic_mib = 16
# log_lines = 20
# lines = 1
"#;

const JOB: &str = r#"
[[job]]
# Tag `job`; unique in all files.
name = "mx1"
# Which check; see `sonde describe`.
# check = "smtp"
# One host, or hosts = ["…", "…"]: one job for each.
host = "mx1.example.org"
# What its check may reach besides this host at its port.
# grants = ["tcp://cache-2.example.org:6379", "tcp://10.1.0.0/16:6379-6389"]
# For the whole run of the job.
# timeout = "10s"
# How far apart its runs are, where it is not to be in each round.
# every = "5m"
# So many runs an hour, whoever asks: where each sends a mail.
# max_per_hour = 4
"#;

const TAIL: &str = r#"
[job.tls]
# full: a bad certificate ends the session; report: go on, say so, send no credentials, show no client_cert; off.
# verify = "full"
# server_name = "mail.example.org"
# min_version = "1.2"
# Further trusted roots, or the server's own certificate; lists of revoked certificates.
# ca_file = "private-ca.pem"
# crl_file = "revoked.pem"
# client_cert = "client.pem"
# client_key = "client.key"

[job.alarm]
# A number means "more than"; or "> x", ">= x", "< x", "<= x", "== x", "!= x".
connect_time_ms = { warning = 200, critical = 1000 }
# Where `connection` is starttls or tls: what is not measured makes the alarm unknown.
# cert_days_left = { warning = "< 30", critical = "< 7" }
# Of a certificate that lasts only days.
# cert_life_left_percent = { warning = "< 33", critical = "< 15" }
"#;

/// Writes it: one job with every parameter of the check.
#[must_use]
pub fn sample(check: &Description) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(JOB);
    text.push_str("\n[job.parameters]\n");
    for parameter in &check.parameters {
        let value = match (&parameter.default, parameter.kind) {
            (_, ParameterKind::Secret) => {
                "{ file = \"/run/secrets/smtp\" } # or { env = \"…\" }, { credential = \"…\" }".to_owned()
            }
            (Some(default), kind) => table::written(&kind.written(default)),
            (None, _) => "…".to_owned(),
        };
        let _infallible = writeln!(text, "# {}\n# {} = {value}", parameter.doc, parameter.name);
    }
    text.push_str(TAIL);
    text
}

/// The hosts of a job's further endpoints that are to stand in its file: those that are named, and the check's defaults beside
/// this host.
#[must_use]
pub fn endpoints(
    check: &Description,
    host: &str,
    named: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut hosts = named.clone();
    for endpoint in &check.endpoints {
        if let Some(default) = endpoint.default_beside(host) {
            hosts.entry(endpoint.name.clone()).or_insert(default);
        }
    }
    hosts
}

/// Writes the block that pins a component to what was looked at, and a job with its ports, these endpoints and every parameter
/// that was given or must be.
pub fn pinned(
    check: &Check,
    path: &str,
    host: &str,
    given: &BTreeMap<String, String>,
    endpoints: &BTreeMap<String, String>,
) -> Result<String, ConfigError> {
    let sha256 = check.program.as_ref().ok().and_then(|program| program.sha256()).unwrap_or_default();
    let check = &check.description;
    let texts = given;
    let given = parameters::from_texts(texts, check).map_err(|at| at.within(None, None))?;
    let (name, measurement, description) = (&check.name, &check.measurement, check.sha256());
    let limits = if check.parts.is_empty() {
        String::new()
    } else {
        format!("\n[check.limits]\n# Of a run: its job's own and those of its parts.\nlines = {LINES}\n")
    };
    let (component, host) = (toml::Value::from(path), toml::Value::from(host));
    let mut text = format!(
        "[[check]]\nname = \"{name}\"\ncomponent = {component}\nsha256 = \"{sha256}\"\n\
         description_sha256 = \"{description}\"\nmeasurement = \"{measurement}\"\n{limits}\n\
         [[job]]\nname = \"{name}\"\ncheck = \"{name}\"\nhost = {host}\n"
    );
    let mut others = given.clone();
    for parameter in check.parameters.iter().filter(|parameter| parameter.conditional_defaults.is_empty()) {
        if let Some(default) = &parameter.default {
            others.entry(&parameter.name).or_insert_with(|| default.clone());
        }
    }
    let has = |endpoint: &FurtherEndpoint| endpoint.required || endpoints.contains_key(&endpoint.name);
    let is_absent = |parameter: &Parameter| {
        let about = parameter.endpoint.as_ref();
        about.is_some_and(|name| !check.endpoints.iter().any(|known| known.name == *name && has(known)))
    };
    // The port always: it is what the job grants.
    let needed = |parameter: &&Parameter| {
        (parameter.required || parameter.kind == ParameterKind::Port) && !is_absent(parameter)
            || given.contains_key(&parameter.name)
    };
    for (index, parameter) in check.parameters.iter().filter(needed).enumerate() {
        if index == 0 {
            text.push_str("\n[job.parameters]\n");
        }
        let known = given.get(&parameter.name);
        let port = parameters::default_beside(&others, parameter, check);
        let port = port.filter(|_| parameter.kind == ParameterKind::Port);
        // Where a secret stands, not the secret.
        let source = texts.get(&parameter.name).filter(|_| parameter.kind == ParameterKind::Secret);
        let source = source.and_then(|text| secret::in_any_file(secret::source(text)?));
        let value =
            source.unwrap_or_else(|| match (known.or(port), parameter.choices.first(), parameter.kind) {
                (Some(value), _, kind) => table::written(&kind.written(value)),
                (None, Some(choice), _) => table::written(&choice.as_str().into()),
                (None, None, ParameterKind::Text) => "\"…\"".to_owned(),
                (None, None, ParameterKind::TextList) => "[\"…\"]".to_owned(),
                (None, None, ParameterKind::IntegerList) => "[0]".to_owned(),
                (None, None, ParameterKind::Duration) => "\"1s\"".to_owned(),
                (None, None, ParameterKind::Table) => "{}".to_owned(),
                (None, None, ParameterKind::Secret) => format!("{{ file = \"/run/secrets/{name}\" }}"),
                (None, None, ParameterKind::Boolean) => "false".to_owned(),
                (None, None, ParameterKind::Integer | ParameterKind::Number | ParameterKind::Port) => {
                    "0".to_owned()
                }
            });
        if !parameter.doc.is_empty() {
            let _infallible = writeln!(text, "# {}", parameter.doc);
        }
        let _infallible = writeln!(text, "{} = {value}", parameter.name);
    }
    for endpoint in check.endpoints.iter().filter(|endpoint| has(endpoint)) {
        let host = toml::Value::from(endpoints.get(&endpoint.name).map_or("…", String::as_str));
        let _infallible = write!(text, "\n[job.endpoints.{}]\n", endpoint.name);
        if !endpoint.doc.is_empty() {
            let _infallible = writeln!(text, "# {}", endpoint.doc);
        }
        let _infallible = writeln!(text, "host = {host}");
    }
    Ok(text)
}
