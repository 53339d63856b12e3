//! What several tests need: the binary, certificates, a line's parts, servers from Debian's packages.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use influxdb_line_protocol::{FieldValue, parse_lines};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// A line of output, taken apart by a parser that is not ours.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) measurement: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) fields: BTreeMap<String, FieldText>,
}

/// A field as text, with its type.
pub(crate) type FieldText = (char, String);

/// Each line of `text` as a point; there must be no other line.
pub(crate) fn points(text: &str) -> Vec<Point> {
    text.lines()
        .map(|line| {
            let parsed: Vec<_> = parse_lines(line).collect();
            assert_eq!(parsed.len(), 1, "{line}");
            let point = parsed.into_iter().next().unwrap().unwrap_or_else(|error| panic!("{error}: {line}"));
            let tags = point.series.tag_set.iter().flatten();
            Point {
                measurement: point.series.measurement.to_string(),
                tags: tags.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
                fields: point
                    .field_set
                    .iter()
                    .map(|(key, value)| {
                        let value = match value {
                            FieldValue::I64(value) => ('i', value.to_string()),
                            FieldValue::F64(value) => ('f', value.to_string()),
                            FieldValue::String(value) => ('s', value.to_string()),
                            other => panic!("{key}: {other:?}"),
                        };
                        (key.to_string(), value)
                    })
                    .collect(),
            }
        })
        .collect()
}

impl Point {
    /// An integer field.
    pub(crate) fn code(&self, name: &str) -> i64 {
        let (kind, value) = self.fields.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert_eq!(*kind, 'i', "{name}");
        value.parse().unwrap()
    }

    /// A time; none: it was not measured.
    pub(crate) fn time(&self, name: &str) -> Option<f64> {
        self.fields.get(name).map(|(_, value)| value.parse().unwrap())
    }

    /// A text field; empty: there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |(_, value)| value)
    }

    /// Result, sequence, response and error code.
    pub(crate) fn outcome(&self) -> (&str, i64, i64, i64) {
        (
            &self.tags["result"],
            self.code("sequence_code"),
            self.code("response_code"),
            self.code("error_code"),
        )
    }
}

/// The binary.
pub(crate) fn sonde(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sonde")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs a configuration; the lines it prints.
pub(crate) fn run(config: &str, folder: &Path) -> Vec<Point> {
    points(&run_text(config, folder))
}

/// Runs a configuration; what it prints.
pub(crate) fn run_text(config: &str, folder: &Path) -> String {
    let path = folder.join("sonde.toml");
    fs::write(&path, config).unwrap();
    let output = sonde(&["run", "--config", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// A port that nobody listens on, for a server that is about to.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// An authority and a certificate of its own, all PEM.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// For `name`, until the first of January of `end_year`.
pub(crate) fn certificates(name: &str, end_year: i32) -> Certificates {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Test authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(end_year, 1, 1);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    Certificates { authority: issuer.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

/// A program, or none: then the test is skipped, which under `CI` it must not be.
pub(crate) fn program(package: &str, candidates: &[&str]) -> Option<PathBuf> {
    let found = candidates.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        skip(&format!("Debian's package {package} is not installed"));
    }
    found
}

/// Builds a package of the workspace for the sandbox; the component.
pub(crate) fn component(package: &str) -> Vec<u8> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--release", "--locked", "--package", package]);
    let told = succeed(cargo.args(["--target", "wasm32-wasip2", "--message-format", "json"]));
    let name = format!("{}.wasm", package.replace('-', "_"));
    fs::read(told.split('"').find(|word| word.ends_with(&name)).unwrap()).unwrap()
}

/// The component of `tests/hostile`, which describes itself in this way.
pub(crate) fn hostile(mode: &str) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut wasm = BUILT.get_or_init(|| component("sonde-hostile")).clone();
    let marker = b"hostile-describe:";
    let at = wasm.windows(marker.len()).position(|window| window == marker).unwrap();
    let word = &mut wasm[at + marker.len()..at + 48];
    word.fill(b' ');
    word[..mode.len()].copy_from_slice(mode.as_bytes());
    wasm
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where the tools are that turn Python and JavaScript into components, see the README; or none.
pub(crate) fn authors() -> Option<PathBuf> {
    let tools = root().join("target/authors");
    let there = ["venv/bin/componentize-py", "wheels", "node_modules/.bin/componentize-js", "npm-cache"];
    if let Some(missing) = there.iter().find(|name| !tools.join(name).exists()) {
        skip(&format!(
            "{} is missing: see \"Test and measure\" in the README",
            tools.join(missing).display()
        ));
        return None;
    }
    Some(tools)
}

/// Puts a folder in front of the command's PATH.
pub(crate) fn with_path<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let usual = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&usual));
    command.env("PATH", std::env::join_paths(paths).unwrap())
}

/// Runs a command that must succeed; what it prints.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

/// Skips a test, which under `CI` must not be.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}, and in CI nothing is skipped");
    say_skipped(reason);
}

/// Says why something is not tested, past the test runner's capture: nothing is skipped silently.
pub(crate) fn say_skipped(reason: &str) {
    std::io::stderr().lock().write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
}

/// A server that says a line and closes; gives its port.
pub(crate) fn greeter(line: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // The other side may have left.
            drop(stream.and_then(|mut stream| stream.write_all(format!("{line}\r\n").as_bytes())));
        }
    });
    port
}

/// A server that ends with its test.
pub(crate) struct Server(pub(crate) Child);

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM first: master processes end their own children on it.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        let _ended_already: nix::Result<()> = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        for _ in 0..50 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a server and waits until a port of it answers.
pub(crate) fn start(command: &mut Command, port: u16) -> Server {
    let mut server = spawn(command);
    listening(&mut server, port);
    server
}

/// Starts a server.
pub(crate) fn spawn(command: &mut Command) -> Server {
    Server(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Waits until a port of it answers.
pub(crate) fn listening(server: &mut Server, port: u16) {
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < until, "nobody listens on {port}: {:?}", server.0.try_wait());
        thread::sleep(Duration::from_millis(50));
    }
}
