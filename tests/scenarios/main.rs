//! Scripted servers, and the line that the probe must come to: each file here is a test by its name, and so is each mishap at
//! each step of a session. They run side by side, since they mostly wait.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that breaks is to say where")]

mod each_step;
mod scenario;
mod script;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use support::Job;

/// Tests at once, unless the command says otherwise.
const AT_ONCE: usize = 8;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let files = fs::read_dir(support::root().join("tests/scenarios")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(files.len() > 20, "the scenarios are not where they should be");
    let mut trials: Vec<Trial> = files
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            Trial::test(name, move || play(&path))
        })
        .collect();
    trials.extend(
        each_step::all()
            .into_iter()
            .map(|(name, scenario)| Trial::test(name, move || scenario.play().map_err(Failed::from))),
    );
    trials.push(Trial::test("black-holed-address", black_holed));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn play(path: &Path) -> Result<(), Failed> {
    let scenario: scenario::Scenario = toml::from_str(&fs::read_to_string(path)?)?;
    Ok(scenario.play()?)
}

/// An address that swallows what is sent to it: a full queue of connections, which the kernel answers by silence.
fn black_holed() -> Result<(), Failed> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>()?.into())?;
    socket.listen(0)?;
    let address = socket.local_addr()?.as_socket().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        held.push(stream);
        assert!(held.len() < 100, "the queue never fills");
    }
    let folder = tempfile::tempdir()?;
    let point = Job::new("127.0.0.1", address.port()).set("timeout", "700ms").run(folder.path());
    assert_eq!(point.outcome(), ("timeout", 11, -1, 402));
    assert!(!point.fields.contains_key("connect_time_ms"));
    assert!(point.text("error").contains("no answer"), "{point:?}");
    Ok(())
}
