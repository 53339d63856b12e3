//! Names that lead to a granted address first and to another one then, or to very many, and a name server that says nothing.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use support::{hostile, points, refusing, skip, stderr, stdout};

use crate::{
    process::ALONE,
    yard::{GOOD_JOBS, mail_server},
};

/// Runs it in a folder, with a file there in the place of that of `/etc`.
fn sonde_with(file: &str, folder: &Path, arguments: &str) -> Output {
    let script =
        format!("mount --bind {file} /etc/{file} && exec {} {arguments}", env!("CARGO_BIN_EXE_sonde"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).current_dir(folder).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", folder.join("cache")).output().unwrap()
}

/// More names than are asked for at once, each of which would be waited for half a minute.
#[test]
fn a_silent_name_server_holds_up_no_line() {
    let _alone = ALONE.blocking_lock();
    if !nix::unistd::Uid::effective().is_root() {
        return skip("only root may give a process an /etc/resolv.conf of its own");
    }
    let folder = tempfile::tempdir().unwrap();
    let _silent = UdpSocket::bind("127.0.0.53:53").unwrap();
    let resolver = "nameserver 127.0.0.53\noptions timeout:30 attempts:1\n";
    fs::write(folder.path().join("resolv.conf"), resolver).unwrap();
    let mut config = "max_concurrent = 300\n".to_owned();
    for number in 0..900 {
        let job = format!("name = \"{number}\"\nhost = \"{number}.example.org\"\ntimeout = \"300ms\"");
        writeln!(config, "[[job]]\n{job}").unwrap();
    }
    fs::write(folder.path().join("sonde.toml"), config).unwrap();
    let began = Instant::now();
    let ran = sonde_with("resolv.conf", folder.path(), "run --config sonde.toml");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let points = points(&stdout(&ran));
    assert_eq!(points.len(), 900, "{}", stderr(&ran));
    assert!(points.iter().all(|point| point.code("error_code") == 303));
}

#[test]
fn a_name_that_changes_its_address_does_not_lead_past_the_grants() {
    let _alone = ALONE.blocking_lock();
    if !nix::unistd::Uid::effective().is_root() {
        return skip("only root may give a process an /etc/hosts of its own");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Also the other address would answer.
    let other = TcpListener::bind(("127.0.0.2", port)).unwrap();
    let hosts = at("hosts");
    fs::write(&hosts, "127.0.0.1 changing.example\n").unwrap();
    let changed = hosts.clone();
    thread::spawn(move || {
        let mut first = listener.accept().unwrap().0;
        fs::write(changed, "127.0.0.2 changing.example\n").unwrap();
        first.write_all(b"!").unwrap();
        thread::sleep(Duration::from_secs(5));
        drop(first);
    });

    fs::write(at("hostile.wasm"), hostile("honest")).unwrap();
    let sonde = |arguments: &str| sonde_with("hosts", folder.path(), arguments);
    let pinned =
        sonde(&format!("pin hostile.wasm --host changing.example -p harm=twice-by-name -p port={port}"));
    assert!(pinned.status.success(), "{}", stderr(&pinned));
    let granted = stdout(&pinned)
        .replace("\n[job.parameters]", &format!("grants = [\"tcp://127.0.0.1:{port}\"]\n\n[job.parameters]"));
    fs::write(at("sonde.toml"), granted).unwrap();
    let ran = sonde("run --config sonde.toml");
    let points = points(&stdout(&ran));
    assert_eq!(points.len(), 1, "{}", stderr(&ran));
    assert_eq!(points[0].text("said"), "Err(ErrorKind::Denied)", "{points:?}");
    assert!(stderr(&ran).contains("127.0.0.2, which must be granted by address"), "{}", stderr(&ran));
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "a connection was made all the same");
}

/// What a name server may put into one answer.
const ADDRESSES: u16 = 1000;
/// Of which a call may try 8, each charged as a connection.
const CONNECTIONS: u16 = 100;

#[test]
fn a_name_with_many_addresses_costs_no_more_than_its_share_of_connections() {
    let _alone = ALONE.blocking_lock();
    if !nix::unistd::Uid::effective().is_root() {
        return skip("only root may give a process an /etc/hosts of its own");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Nobody listens on any of them.
    let ((_held, port), good) = (refusing(), mail_server().port());
    let (mut hosts, mut grants) = (String::new(), String::new());
    for number in 0..ADDRESSES {
        let [high, low] = number.to_be_bytes();
        writeln!(hosts, "127.1.{high}.{low} many.example").unwrap();
        write!(grants, "\"tcp://127.1.{high}.{low}:{port}\", ").unwrap();
    }
    fs::write(at("hosts"), hosts).unwrap();
    fs::write(at("hostile.wasm"), hostile("honest")).unwrap();
    let sonde = |arguments: &str| sonde_with("hosts", folder.path(), arguments);
    let pinned = sonde(&format!("pin hostile.wasm --host many.example -p harm=until-limited -p port={port}"));
    assert!(pinned.status.success(), "{}", stderr(&pinned));
    let mut config = stdout(&pinned)
        .replace("\n[[job]]", &format!("limits.connections = {CONNECTIONS}\n\n[[job]]"))
        .replace("\n[job.parameters]", &format!("grants = [{grants}]\n\n[job.parameters]"));
    for number in 0..GOOD_JOBS {
        writeln!(config, "[[job]]\nname = \"{number}\"\nhost = \"127.0.0.1\"\nparameters.port = {good}")
            .unwrap();
    }
    fs::write(at("sonde.toml"), config).unwrap();
    let began = Instant::now();
    let ran = sonde("run --config sonde.toml");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let (good, hostile): (Vec<_>, Vec<_>) =
        points(&stdout(&ran)).into_iter().partition(|point| point.measurement == "smtp");
    assert_eq!((good.len(), hostile.len()), (GOOD_JOBS, 1), "{}", stderr(&ran));
    assert!(good.iter().all(|point| point.outcome() == ("success", 0, 0, 0)), "{good:?}");
    let calls = CONNECTIONS.div_ceil(8);
    assert_eq!(hostile[0].text("said"), format!("{calls} calls, the last one ErrorKind::ConnectionRefused"));
}
