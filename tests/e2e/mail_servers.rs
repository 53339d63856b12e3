//! Against Postfix, with Dovecot's SASL: every connection mode, logins, mail delivered and read back, refusals.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tempfile::TempDir;

use support::{
    Point, Server,
    certificates::{Authority, FAR, Identity},
    free_port, listening, program, run, skip, spawn,
};

/// A Postfix and the Dovecot that it asks about logins.
///
/// Fields are dropped in this order: both need their folder until they have ended.
pub(crate) struct MailServer {
    postfix: Option<Postfix>,
    _dovecot: Server,
    pub(crate) plain: u16,
    tls: u16,
    folder: TempDir,
}

const MASTER: &str = "\
127.0.0.1:{plain} inet n - n - - smtpd
127.0.0.1:{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
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
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
virtual_mailbox_domains = test.example
virtual_mailbox_maps = texthash:{d}/boxes
virtual_mailbox_base = {d}/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {d}/auth.sock
smtpd_tls_cert_file = {d}/cert.pem
smtpd_tls_key_file = {d}/key.pem
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_sasl_authenticated, reject_unauth_destination
maillog_file_prefixes = {d}
maillog_file = {d}/mail.log
";

const DOVECOT: &str = "\
protocols =
base_dir = {d}/run
state_dir = {d}/run
log_path = {d}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN {d}/users
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home={d}
}
service auth {
  unix_listener {d}/auth.sock {
    mode = 0666
  }
}
";

/// Its master is not our child but the child of a script, which `postfix stop` ends in order.
struct Postfix {
    program: PathBuf,
    config: PathBuf,
    started: Server,
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let stopped = Command::new(&self.program).arg("-c").arg(&self.config).arg("stop").output();
        // A second panic would abort the test run, and leave every server behind.
        if !thread::panicking() {
            assert!(stopped.is_ok_and(|output| output.status.success()), "Postfix does not stop");
        }
    }
}

impl MailServer {
    pub(crate) fn start() -> Option<Self> {
        let postfix = program("postfix", &["/usr/sbin/postfix"])?;
        let dovecot = program("dovecot-core", &["/usr/sbin/dovecot"])?;
        if !nix::unistd::Uid::effective().is_root() {
            skip("Postfix starts as root only");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (plain, tls) = (free_port(), free_port());
        let write = |name: &str, text: &str| {
            let text = text.replace("{d}", folder.path().to_str().unwrap());
            let text = text.replace("{plain}", &plain.to_string()).replace("{tls}", &tls.to_string());
            fs::write(at(name), text).unwrap();
        };
        for name in ["queue", "data", "mail", "run"] {
            fs::create_dir(at(name)).unwrap();
        }
        own(&at("data"), "postfix");
        own(&at("mail"), "nobody");
        let authority = Authority::default();
        let Identity { certificate, key } = authority.issue("127.0.0.1", FAR);
        write("ca.pem", &authority.pem());
        write("cert.pem", &certificate);
        write("key.pem", &key);
        write("boxes", "box@test.example box/\n");
        write("users", "probe:open-sesame\n");
        write("main.cf", MAIN);
        write("master.cf", MASTER);
        write("dovecot.conf", DOVECOT);
        let mut command = Command::new(dovecot);
        let dovecot = command.args(["-F", "-c"]).arg(at("dovecot.conf")).spawn();
        let dovecot = Server(dovecot.unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        while !at("auth.sock").exists() {
            assert!(Instant::now() < until, "{:?}", fs::read_to_string(at("dovecot.log")));
            thread::sleep(Duration::from_millis(50));
        }
        let mut command = Command::new(&postfix);
        command.arg("-c").arg(folder.path()).arg("start-fg").env("MAIL_CONFIG", folder.path());
        // Complete before the wait: also a master that never listens must be stopped.
        let mut postfix =
            Postfix { program: postfix, config: folder.path().to_owned(), started: spawn(&mut command) };
        listening(&mut postfix.started, plain);
        Some(Self { postfix: Some(postfix), _dovecot: dovecot, plain, tls, folder })
    }

    /// Runs one job against it.
    fn probe(&self, connection: &str, parameters: &str) -> Point {
        let port = if connection == "tls" { self.tls } else { self.plain };
        let config = format!(
            "[[job]]\nname = \"postfix\"\nhost = \"127.0.0.1\"\ntls.ca_file = \"ca.pem\"\n[job.parameters]\n\
             connection = \"{connection}\"\nport = {port}\n{parameters}\n"
        );
        let mut points = run(&config, self.folder.path());
        assert_eq!(points.len(), 1);
        points.pop().unwrap()
    }

    fn mailbox(&self) -> PathBuf {
        self.folder.path().join("mail/box/new")
    }
}

pub(crate) fn own(path: &Path, user: &str) {
    let user = nix::unistd::User::from_name(user).unwrap().unwrap();
    std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
}

const LOGIN: &str = "username = \"probe\"\npassword = \"open-sesame\"\n";
const WRONG: &str = "username = \"probe\"\npassword = \"open-barley\"\n";

fn mail_to(recipient: &str) -> String {
    format!(
        "from = \"probe@test.example\"\nto = [\"{recipient}\"]\nsubject = \"Grüße, Welt\"\n\
         body = \"\"\"<p>Schöne Grüße</p>\n.\n<p>{}</p>\"\"\"\n",
        "lang ".repeat(60)
    )
}

#[test]
fn postfix_is_probed_in_every_mode_with_and_without_mail() {
    let Some(mut server) = MailServer::start() else { return };
    for connection in ["plain", "starttls", "tls"] {
        let point = server.probe(connection, "");
        assert_eq!(point.outcome(), ("success", 0, 0, 0), "{point:?}");
        assert_eq!(point.text("banner"), "mail.test.example ESMTP Postfix");
        assert_eq!(point.fields.contains_key("tls_version"), connection != "plain");
        assert!(point.fields.contains_key("login_time_ms") && !point.fields.contains_key("transfer_time_ms"));

        // CRAM-MD5 shows no password and is chosen first, with or without TLS.
        let point = server.probe(connection, LOGIN);
        assert_eq!(point.outcome(), ("success", 0, 0, 0), "{point:?}");
        let point = server.probe(connection, WRONG);
        assert_eq!(point.outcome(), ("auth_failed", 2, 535, 1016), "{point:?}");
        assert_eq!(point.text("enhanced_status"), "5.7.8");

        let point = server.probe(connection, &mail_to("box@test.example"));
        assert_eq!(point.outcome(), ("success", 0, 0, 0), "{point:?}");
        assert!(point.fields.contains_key("transfer_time_ms") && !point.text("queue_id").is_empty());
        let point = server.probe(connection, &mail_to("nobody@test.example"));
        assert_eq!(point.outcome(), ("rejected", 6, 550, 1019), "{point:?}");
        assert_eq!(point.text("enhanced_status"), "5.1.1");
    }
    for auth in ["plain", "login"] {
        let point = server.probe("starttls", &format!("{LOGIN}auth = \"{auth}\"\n"));
        assert_eq!(point.outcome(), ("success", 0, 0, 0), "{point:?}");
        let point =
            server.probe("plain", &format!("{LOGIN}auth = \"{auth}\"\nallow_plaintext_auth = true\n"));
        assert_eq!(point.outcome(), ("success", 0, 0, 0), "{point:?}");
        let point =
            server.probe("plain", &format!("{WRONG}auth = \"{auth}\"\nallow_plaintext_auth = true\n"));
        assert_eq!(point.outcome(), ("auth_failed", 2, 535, 1016), "{point:?}");
    }
    read_back(&server.mailbox());

    drop(server.postfix.take());
    let point = server.probe("plain", "");
    assert_eq!(point.outcome(), ("connection_failed", 11, -1, 403), "{point:?}");
}

/// The three mails are in the box, each intact.
fn read_back(mailbox: &Path) {
    let until = Instant::now() + Duration::from_secs(20);
    let mails = loop {
        let mails: Vec<_> =
            fs::read_dir(mailbox).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        if mails.len() >= 3 || Instant::now() > until {
            break mails;
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(mails.len(), 3);
    let mut ids = Vec::new();
    for mail in mails {
        let mail = fs::read_to_string(mail).unwrap();
        let (head, body) = mail.split_once("\n\n").unwrap();
        let header = |name: &str| {
            let found = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            found.unwrap_or_else(|| panic!("no {name} in\n{head}")).to_owned()
        };
        assert_eq!(encoded_word(&header("Subject")), "Grüße, Welt");
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        ids.push(header("Message-ID"));
        let parts: Vec<&str> =
            body.split("\n--").filter(|part| part.contains("Content-Type: text/")).collect();
        let [text, html] = parts[..] else { panic!("{body}") };
        assert!(text.contains("text/plain") && html.contains("text/html"), "{body}");
        let long = format!("<p>{}</p>", "lang ".repeat(60));
        assert_eq!(decoded(html).trim_end(), format!("<p>Schöne Grüße</p>\n.\n{long}"));
        assert_eq!(decoded(text).trim_end(), format!("Schöne Grüße\n.\n{}", "lang ".repeat(60).trim_end()));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "a Message-ID stands twice");
}

/// A part's content, out of its transfer encoding.
fn decoded(part: &str) -> String {
    let (head, content) = part.split_once("\n\n").unwrap();
    let bytes = if head.contains("quoted-printable") {
        quoted_printable(content)
    } else if head.contains("base64") {
        base64(content)
    } else {
        content.as_bytes().to_vec()
    };
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (b'=', [b'\n', after @ ..]) => rest = after,
            (b'=', [a, b, after @ ..]) => {
                let digits = [*a, *b];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text.split_whitespace().collect::<String>()).unwrap()
}

/// `=?utf-8?Q?…?=` or `=?utf-8?B?…?=`, one word.
fn encoded_word(header: &str) -> String {
    let parts: Vec<&str> = header.split('?').collect();
    let [_, charset, kind, text, _] = parts[..] else { return header.to_owned() };
    assert!(charset.eq_ignore_ascii_case("utf-8"));
    let bytes =
        if kind.eq_ignore_ascii_case("b") { base64(text) } else { quoted_printable(&text.replace('_', " ")) };
    String::from_utf8(bytes).unwrap()
}
