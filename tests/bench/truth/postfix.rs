//! A Postfix with TLS from the first byte. It leaves Nagle's algorithm on: its greeting waits until our kernel has
//! acknowledged the session tickets that went before it.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    Server,
    certificates::{Authority, FAR, Identity},
    free_port, listening, points, program, run_text, skip, spawn,
};

use crate::{compare::time, table::figures};

const SESSIONS: usize = 20;

const MASTER: &str = "\
127.0.0.1:{port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = {d}/queue
data_directory = {d}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.test.example
mydestination =
mynetworks =
smtpd_peername_lookup = no
smtpd_tls_cert_file = {d}/cert.pem
smtpd_tls_key_file = {d}/key.pem
smtpd_tls_security_level = may
maillog_file_prefixes = {d}
maillog_file = {d}/mail.log
";

/// Its master is the child of a script: it is stopped in order.
struct Postfix {
    program: PathBuf,
    config: PathBuf,
    started: Server,
}

impl Drop for Postfix {
    fn drop(&mut self) {
        drop(Command::new(&self.program).arg("-c").arg(&self.config).arg("stop").output());
    }
}

impl Postfix {
    fn start(folder: &Path, port: u16) -> Option<Self> {
        let program = program("postfix", &["/usr/sbin/postfix"])?;
        if !nix::unistd::Uid::effective().is_root() {
            skip("Postfix starts as root only");
            return None;
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["queue", "data"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        let user = nix::unistd::User::from_name("postfix").unwrap().unwrap();
        let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
        std::os::unix::fs::chown(folder.join("data"), uid, gid).unwrap();
        let authority = Authority::default();
        let Identity { certificate, key } = authority.issue("127.0.0.1", FAR);
        for (name, text) in [
            ("ca.pem", authority.pem().as_str()),
            ("cert.pem", &certificate),
            ("key.pem", &key),
            ("main.cf", MAIN),
            ("master.cf", MASTER),
        ] {
            let text = text.replace("{d}", folder.to_str().unwrap()).replace("{port}", &port.to_string());
            fs::write(folder.join(name), text).unwrap();
        }
        let mut command = Command::new(&program);
        command.arg("-c").arg(folder).arg("start-fg").env("MAIL_CONFIG", folder);
        // Complete before the wait: also a master that never listens must be stopped.
        let mut postfix = Self { program, config: folder.to_owned(), started: spawn(&mut command) };
        listening(&mut postfix.started, port);
        Some(postfix)
    }
}

/// Prints how long it takes to greet, one session after the other.
pub(crate) fn print() {
    // Outlives Postfix.
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let Some(_postfix) = Postfix::start(folder.path(), port) else { return };
    let mut config = "max_concurrent = 1\n".to_owned();
    for job in 0..SESSIONS {
        write!(
            config,
            "\n[[job]]\nname = \"{job}\"\nhost = \"127.0.0.1\"\ntls.ca_file = \"ca.pem\"\n[job.parameters]\n\
             connection = \"tls\"\nport = {port}\n"
        )
        .unwrap();
    }
    let lines = points(&run_text(&config, folder.path()));
    let succeeded = lines.iter().filter(|line| line.tags["result"] == "success").count();
    println!(
        "\nPostfix with TLS from the first byte, 1 at once, {succeeded} of {SESSIONS} sessions succeeded"
    );
    for name in ["banner", "ehlo", "own", "total"] {
        figures(&format!("{name}_time_ms"), &lines.iter().filter_map(|line| time(line, name)).collect());
    }
}
