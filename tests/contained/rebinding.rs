//! A name that leads to a granted address first and to another one then: decided at every connection, on every address.

use std::{
    fs,
    net::TcpListener,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    process::ALONE,
    support::{hostile, points, skip, stderr, stdout},
};

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
        let first = listener.accept().unwrap();
        fs::write(changed, "127.0.0.2 changing.example\n").unwrap();
        thread::sleep(Duration::from_secs(5));
        drop(first);
    });

    fs::write(at("hostile.wasm"), hostile("honest")).unwrap();
    let sonde = |arguments: &str| {
        let script =
            format!("mount --bind hosts /etc/hosts && exec {} {arguments}", env!("CARGO_BIN_EXE_sonde"));
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).current_dir(folder.path()).stdin(Stdio::null());
        command.env("XDG_CACHE_HOME", at("cache")).output().unwrap()
    };
    let pinned =
        sonde(&format!("pin hostile.wasm --host changing.example -p harm=twice-by-name -p port={port}"));
    assert!(pinned.status.success(), "{}", stderr(&pinned));
    let granted = stdout(&pinned)
        .replace("\n[job.parameters]", &format!("grants = [\"tcp://127.0.0.1:{port}\"]\n\n[job.parameters]"));
    fs::write(at("sonde.toml"), granted).unwrap();
    let ran = sonde("run --config sonde.toml");
    let points = points(&stdout(&ran));
    assert_eq!(points.len(), 1, "{}", stderr(&ran));
    assert_eq!(points[0].text("said"), "[Ok(()), Err(ErrorKind::Denied)]", "{points:?}");
    assert!(stderr(&ran).contains("127.0.0.2, which must be granted by address"), "{}", stderr(&ran));
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err(), "a connection was made all the same");
}
