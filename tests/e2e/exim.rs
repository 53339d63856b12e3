//! Against Exim, which keeps no more than 20 connections that it has not taken: jobs of one host do not all begin at once.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use support::{Server, free_port, listening, program, root, run, say_skipped, skip, spawn};

use super::mail_servers::own;

const CONFIGURATION: &str = "\
primary_hostname = mail.test.example
spool_directory = {d}/run/spool
log_file_path = {d}/run/%slog
pid_file_path = {d}/run/pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts =
host_lookup =
keep_environment =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
";

/// Who an unpacked Exim runs as is not installed with it: it is in these files where the program looks, and nowhere else.
const START: &str = "cd \"$0\" && mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec \"$1\" -C \"$0/exim.conf\" -bdf";

struct Exim {
    _server: Server,
    port: u16,
    _folder: TempDir,
}

impl Exim {
    fn start() -> Option<Self> {
        let unpacked = root().join("target/authors/exim");
        let places = ["/usr/sbin/exim4".into(), unpacked.join("usr/sbin/exim4")];
        let places: Vec<&str> = places.iter().map(|place: &PathBuf| place.to_str().unwrap()).collect();
        let exim = program("exim4-daemon-light", &places)?;
        if !nix::unistd::Uid::effective().is_root() {
            skip("Exim starts as root only");
            return None;
        }
        let own_mounts = Command::new("unshare").args(["-m", "true"]).output();
        if !own_mounts.is_ok_and(|output| output.status.success()) {
            // Of this machine's kind, not of what is installed: no CI can mend it.
            say_skipped("Exim wants mounts of its own, which are not allowed here");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let text = CONFIGURATION.replace("{d}", folder.path().to_str().unwrap());
        fs::write(at("exim.conf"), text.replace("{port}", &port.to_string())).unwrap();
        fs::create_dir(at("run")).unwrap();
        own(&at("run"), "nobody");
        for (file, user) in
            [("passwd", "Debian-exim:x:65534:65534::/:/bin/false\n"), ("group", "Debian-exim:x:65534:\n")]
        {
            let known = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
            let known: String =
                known.split_inclusive('\n').filter(|line| !line.starts_with("Debian-exim:")).collect();
            fs::write(at(file), known + user).unwrap();
        }
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", START]).arg(folder.path()).arg(exim);
        command.env("LD_LIBRARY_PATH", unpacked.join("usr/lib/x86_64-linux-gnu"));
        let mut server = spawn(&mut command);
        listening(&mut server, port);
        Some(Self { _server: server, port, _folder: folder })
    }
}

/// Where this machine is so busy that it is not Exim's turn for long, the one or other round has too many at once all the same;
/// with all of them at once, each has.
const ROUNDS: usize = 5;
const JOBS: usize = 200;

#[test]
fn hundreds_of_jobs_of_one_exim_are_all_greeted() {
    let Some(exim) = Exim::start() else { return };
    let mut config = format!("max_concurrent = {JOBS}\n");
    for number in 0..JOBS {
        let port = exim.port;
        writeln!(config, "[[job]]\nname = \"{number}\"\nhost = \"127.0.0.1\"\nparameters.port = {port}")
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let silent = || {
        let points = run(&config, folder.path());
        assert_eq!(points.len(), JOBS);
        points.iter().filter(|point| point.tags["result"] != "success").count()
    };
    let silent: Vec<usize> = (0..ROUNDS).map(|_| silent()).take_while(|silent| *silent > 0).collect();
    assert!(silent.len() < ROUNDS, "{silent:?}");
}
