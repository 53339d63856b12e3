//! Runs every file of `tests/scenarios`: a scripted server, a job, the line that it must come to.
//!
//! `server` is a script, a step a line: `S text` sends a line, `s text` without its end, `C begin` reads a line that
//! must begin so, `M` reads a mail to its dot, `R bytes` reads so many, `TLS` does a handshake, `WAIT ms` pauses, `SILENCE`
//! waits for the client to give up, `RESET` resets, `FLOOD` sends without end. At its end the server closes. `certificate` is
//! `good` (the default), `expired`, `elsewhere` or `unknown`; `wants_client_certificate` refuses whoever has none. `{b:N}` in
//! a text stands for N letters b.

mod at_each_step;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde::Deserialize;

use crate::support::{self, Certificates};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    server: String,
    #[serde(default)]
    certificate: Certificate,
    #[serde(default)]
    wants_client_certificate: bool,
    #[serde(default)]
    parameters: toml::Table,
    #[serde(default)]
    tls: toml::Table,
    #[serde(default = "host")]
    host: String,
    #[serde(default = "timeout")]
    timeout: String,
    result: String,
    sequence_code: i64,
    response_code: i64,
    error_code: i64,
    /// Fields that must be there.
    #[serde(default)]
    has: Vec<String>,
    /// Fields that must not.
    #[serde(default)]
    lacks: Vec<String>,
    /// What text fields must contain.
    #[serde(default)]
    text: BTreeMap<String, String>,
    /// What integer fields must be.
    #[serde(default)]
    codes: BTreeMap<String, i64>,
    /// What times must at least be.
    #[serde(default)]
    least: BTreeMap<String, f64>,
}

/// Times that are sums of others.
const SUMS: [(&str, &[&str]); 2] = [
    ("login_time_ms", &["banner_time_ms", "ehlo_time_ms", "starttls_time_ms", "tls_time_ms", "auth_time_ms"]),
    ("transfer_time_ms", &["mail_time_ms", "rcpt_time_ms", "data_time_ms", "message_time_ms"]),
];

fn host() -> String {
    "127.0.0.1".to_owned()
}

fn timeout() -> String {
    "5s".to_owned()
}

#[derive(Clone, Copy, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Certificate {
    #[default]
    Good,
    Expired,
    Elsewhere,
    Unknown,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.read_exact(bytes),
            Self::Tls(stream) => stream.read_exact(bytes),
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            self.read_exact(&mut byte)?;
            line.extend_from_slice(&byte);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// Plays the script once; an error says at which step it broke.
fn play(listener: &TcpListener, script: &str, config: &Arc<ServerConfig>) -> Result<(), String> {
    let mut stream = Stream::Plain(listener.accept().map_err(|error| error.to_string())?.0);
    for step in script.lines().filter(|line| !line.is_empty()) {
        let (verb, text) = step.split_once(' ').unwrap_or((step, ""));
        let text = expand(text);
        let done = match verb {
            "S" => stream.send(format!("{text}\r\n").as_bytes()),
            "s" => stream.send(text.replace("\\n", "\n").replace("\\r", "\r").as_bytes()),
            "C" => match stream.read_line() {
                Ok(line) if line.starts_with(&text) => Ok(()),
                Ok(line) => return Err(format!("the client said `{line}` instead of `{text}`")),
                Err(error) => Err(error),
            },
            "M" => loop {
                match stream.read_line() {
                    Ok(line) if line == "." => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            },
            "R" => stream.read_exact(&mut vec![0; text.parse().unwrap()]),
            "WAIT" => {
                thread::sleep(Duration::from_millis(text.parse().unwrap()));
                Ok(())
            }
            "TLS" => {
                let Stream::Plain(plain) = stream else { return Err("TLS twice".to_owned()) };
                let connection =
                    ServerConnection::new(Arc::clone(config)).map_err(|error| error.to_string())?;
                let mut tls = StreamOwned::new(connection, plain);
                // Whoever refuses the other's certificate ends the script, and that is as it should be.
                if tls.flush().is_err() {
                    return Ok(());
                }
                stream = Stream::Tls(Box::new(tls));
                Ok(())
            }
            "SILENCE" => {
                while stream.read_line().is_ok() {}
                return Ok(());
            }
            "FLOOD" => {
                while stream.send(&[b'x'; 4096]).is_ok() {}
                return Ok(());
            }
            "RESET" => {
                if let Stream::Plain(plain) = &stream {
                    socket2::SockRef::from(plain)
                        .set_linger(Some(Duration::ZERO))
                        .map_err(|error| error.to_string())?;
                }
                return Ok(());
            }
            other => return Err(format!("no such step: {other}")),
        };
        done.map_err(|error| format!("{step}: {error}"))?;
    }
    // A polite end: what the client still says is read, so that closing does not reset.
    match &mut stream {
        Stream::Plain(plain) => drop(plain.shutdown(std::net::Shutdown::Write)),
        Stream::Tls(tls) => {
            tls.conn.send_close_notify();
            drop(tls.flush());
            drop(tls.sock.shutdown(std::net::Shutdown::Write));
        }
    }
    while stream.read_line().is_ok() {}
    Ok(())
}

/// `{b:3}` becomes `bbb`.
fn expand(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').unwrap();
    let (letter, count) = inside.split_once(':').unwrap();
    format!("{before}{}{}", letter.repeat(count.parse().unwrap()), expand(after))
}

fn server_config(certificates: &Certificates, wants_client_certificate: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = if wants_client_certificate {
        let mut roots = rustls::RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(certificates.authority.as_bytes()).unwrap();
        roots.add(authority).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap()
    } else {
        WebPkiClientVerifier::no_client_auth()
    };
    let chain = CertificateDer::pem_slice_iter(certificates.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

/// Says what is wrong; empty: nothing.
fn check(title: &str, scenario: &Scenario) -> String {
    let (name, year) = match scenario.certificate {
        Certificate::Expired => ("127.0.0.1", 2001),
        Certificate::Elsewhere => ("elsewhere.example", 2100),
        Certificate::Good | Certificate::Unknown => ("127.0.0.1", 2100),
    };
    let certificates = support::certificates(name, year);
    let config = server_config(&certificates, scenario.wants_client_certificate);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = scenario.server.clone();
    let serves = !script.is_empty();
    let serving = thread::spawn(move || if serves { play(&listener, &script, &config) } else { Ok(()) });

    let folder = tempfile::tempdir().unwrap();
    let mut parameters = scenario.parameters.clone();
    if let Some(toml::Value::String(body)) = parameters.get_mut("body") {
        *body = expand(body);
    }
    parameters.insert("port".into(), i64::from(port).into());
    let mut tls = scenario.tls.clone();
    if scenario.certificate != Certificate::Unknown {
        fs::write(folder.path().join("ca.pem"), &certificates.authority).unwrap();
        tls.insert("ca_file".into(), "ca.pem".into());
    }
    let mut job = toml::Table::new();
    job.insert("name".into(), "scenario".into());
    job.insert("host".into(), scenario.host.clone().into());
    job.insert("timeout".into(), scenario.timeout.clone().into());
    job.insert("parameters".into(), parameters.into());
    job.insert("tls".into(), tls.into());
    let mut config = toml::Table::new();
    config.insert("job".into(), toml::Value::Array(vec![job.into()]));
    let began = Instant::now();
    let points = support::run(&config.to_string(), folder.path());
    let took = began.elapsed();
    let played = if scenario.host == "127.0.0.1" && serves { serving.join().unwrap() } else { Ok(()) };

    let mut wrong = Vec::new();
    let [point] = &points[..] else { return format!("{} lines instead of one", points.len()) };
    let expected = (&*scenario.result, scenario.sequence_code, scenario.response_code, scenario.error_code);
    if point.outcome() != expected {
        wrong.push(format!("{:?} instead of {expected:?}", point.outcome()));
    }
    wrong.extend(played.err().map(|error| format!("server: {error}")));
    wrong.extend(
        scenario
            .has
            .iter()
            .filter(|field| !point.fields.contains_key(*field))
            .map(|field| format!("no {field}")),
    );
    wrong.extend(scenario.lacks.iter().filter(|field| point.fields.contains_key(*field)).cloned());
    wrong.extend(
        scenario
            .text
            .iter()
            .filter(|(field, text)| !point.text(field).contains(text.as_str()))
            .map(|(field, _)| field.clone()),
    );
    wrong.extend(
        scenario
            .codes
            .iter()
            .filter(|(field, code)| point.code(field) != **code)
            .map(|(field, _)| field.clone()),
    );
    wrong.extend(
        scenario
            .least
            .iter()
            .filter(|(field, least)| point.time(field).is_none_or(|time| time < **least))
            .map(|(field, _)| field.clone()),
    );
    for (sum, parts) in SUMS {
        let parts: f64 = parts.iter().filter_map(|part| point.time(part)).sum();
        if point.time(sum).is_some_and(|sum| (sum - parts).abs() > 1e-6) {
            wrong.push(format!("{sum} is not the sum of its phases, {parts}"));
        }
    }
    // The hard deadline is half a second behind the soft one; the rest is a busy machine's.
    if took > Duration::from_secs(15) {
        wrong.push(format!("took {took:?}"));
    }
    if wrong.is_empty() { String::new() } else { format!("{title}: {wrong:?}\n{point:#?}\n") }
}

#[test]
fn every_scenario_comes_to_its_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "the scenarios are not where they should be");
    let read = |path: &PathBuf| toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let wrong: String = files.iter().map(|path| check(&path.display().to_string(), &read(path))).collect();
    assert!(wrong.is_empty(), "{wrong}");
}

/// Addresses that swallow what is sent to them: a full queue of connections, which the kernel answers by silence.
#[test]
fn a_black_holed_address_times_out_while_connecting() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        held.push(stream);
        assert!(held.len() < 100, "the queue never fills");
    }
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[[job]]\nname = \"a\"\nhost = \"127.0.0.1\"\ntimeout = \"700ms\"\nparameters.port = {}\n",
        address.port()
    );
    let points = support::run(&config, folder.path());
    assert_eq!(points[0].outcome(), ("timeout", 11, -1, 402));
    assert!(!points[0].fields.contains_key("connect_time_ms"));
    assert!(points[0].text("error").contains("no answer"), "{:?}", points[0]);
}
