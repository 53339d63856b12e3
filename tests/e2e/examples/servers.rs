//! The servers that the example checks meet: nothing in; Dovecot, Redis and nginx on free ports, and servers that say what they
//! are told to, out. None where the program is not installed.

use std::{
    fs,
    io::{Read, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use support::{
    Server,
    certificates::{Authority, FAR, Identity},
    free_port, program, skip, start, succeed,
};

use crate::mail_servers::own;

/// Of Dovecot's user `probe`, and of Redis.
pub(crate) const PASSWORD: &str = "open-sesame";

/// A Dovecot with one mailbox.
///
/// Fields are dropped in this order: it needs its folder until it has ended.
pub(crate) struct Dovecot {
    _server: Server,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) folder: TempDir,
}

const DOVECOT: &str = "\
protocols = imap
base_dir = {d}/run
state_dir = {d}/run
log_path = {d}/dovecot.log
ssl = yes
ssl_cert = <{d}/cert.pem
ssl_key = <{d}/key.pem
auth_failure_delay = 0
mail_location = maildir:{d}/mail/%u
first_valid_uid = 1
listen = 127.0.0.1
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  inet_listener imap {
    port = {plain}
  }
  inet_listener imaps {
    port = {tls}
  }
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN {d}/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home={d}/mail
}
";

impl Dovecot {
    pub(crate) fn start() -> Option<Self> {
        let dovecot = program("dovecot-core", &["/usr/sbin/dovecot"])?;
        program("dovecot-imapd", &["/usr/lib/dovecot/imap"])?;
        if !nix::unistd::Uid::effective().is_root() {
            skip("Dovecot starts as root only");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (plain, tls) = (free_port(), free_port());
        let authority = Authority::default();
        let Identity { certificate, key } = authority.issue("127.0.0.1", FAR);
        for (name, text) in [("ca.pem", authority.pem()), ("cert.pem", certificate), ("key.pem", key)] {
            fs::write(at(name), text).unwrap();
        }
        fs::write(at("users"), format!("probe:{PASSWORD}\n")).unwrap();
        let config = DOVECOT.replace("{d}", folder.path().to_str().unwrap());
        let config = config.replace("{plain}", &plain.to_string()).replace("{tls}", &tls.to_string());
        fs::write(at("dovecot.conf"), config).unwrap();
        for name in ["run", "mail", "mail/probe", "mail/probe/new", "mail/probe/cur", "mail/probe/tmp"] {
            fs::create_dir(at(name)).unwrap();
        }
        for (name, age) in [("1.a", Duration::from_hours(48)), ("2.b", Duration::from_hours(2))] {
            let path = at("mail/probe/new").join(name);
            fs::write(&path, "From: a@test.example\nSubject: x\n\nx\n").unwrap();
            fs::File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
        succeed(Command::new("chmod").arg("755").arg(folder.path()));
        for entry in ["mail", "mail/probe", "mail/probe/new", "mail/probe/cur", "mail/probe/tmp"] {
            own(&at(entry), "nobody");
        }
        for name in ["1.a", "2.b"] {
            own(&at("mail/probe/new").join(name), "nobody");
        }
        let mut command = Command::new(dovecot);
        let dovecot = start(command.args(["-F", "-c"]).arg(at("dovecot.conf")), plain);
        Some(Self { _server: dovecot, plain, tls, folder })
    }
}

/// A Redis, and a replica of it.
pub(crate) struct Redis {
    _servers: [Server; 2],
    pub(crate) master: u16,
    pub(crate) replica: u16,
    _folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Option<Self> {
        let redis = program("redis-server", &["/usr/bin/redis-server"])?;
        let folder = tempfile::tempdir().unwrap();
        let (master, replica) = (free_port(), free_port());
        let run = |port: u16, more: &[&str]| {
            let mut command = Command::new(&redis);
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]);
            command.args(["--requirepass", PASSWORD, "--dir"]).arg(folder.path());
            start(command.args(more), port)
        };
        let first = run(master, &["--repl-diskless-sync-delay", "0"]);
        let second = run(replica, &["--replicaof", &format!("127.0.0.1 {master}"), "--masterauth", PASSWORD]);
        let linked = || {
            let mut stream = TcpStream::connect(("127.0.0.1", replica)).unwrap();
            stream.write_all(format!("AUTH {PASSWORD}\r\nINFO replication\r\nQUIT\r\n").as_bytes()).unwrap();
            let mut said = String::new();
            stream.read_to_string(&mut said).unwrap();
            said.contains("master_link_status:up")
        };
        let until = Instant::now() + Duration::from_secs(20);
        while !linked() {
            assert!(Instant::now() < until, "the replica does not find its master");
            thread::sleep(Duration::from_millis(100));
        }
        Some(Self { _servers: [first, second], master, replica, _folder: folder })
    }
}

/// An nginx with one page.
pub(crate) struct Nginx {
    _server: Server,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Nginx {
    pub(crate) fn start() -> Option<Self> {
        let nginx = program("nginx", &["/usr/sbin/nginx"])?;
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let d = folder.path().to_str().unwrap();
        let config = format!(
            "daemon off; pid {d}/pid; error_log {d}/log; events {{}}\nhttp {{ access_log off; client_body_temp_path {d}; \
             proxy_temp_path {d}; fastcgi_temp_path {d}; uwsgi_temp_path {d}; scgi_temp_path {d};\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"all is well\"; }} }} }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new(nginx);
        let nginx = start(command.args(["-e", &format!("{d}/log"), "-c", &format!("{d}/nginx.conf")]), port);
        Some(Self { _server: nginx, port, _folder: folder })
    }
}

/// Says the first at once, each of the others in answer to what it is told, and closes; gives its port.
pub(crate) fn scripted(replies: Vec<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for (place, reply) in replies.iter().enumerate() {
            if place > 0 && stream.read(&mut [0; 4096]).unwrap_or_default() == 0 {
                return;
            }
            stream.write_all(reply.as_bytes()).unwrap();
        }
    });
    port
}
