//! Certificates as mail servers have them, against OpenSSL's own server: every kind of key, signature and version in every
//! mode of `verify`, which end comes first, revocation.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use support::{
    Job, Point, Server,
    certificates::{Authority, FAR, PAST},
    program, sonde, stderr, stdout, succeed,
};
use tempfile::TempDir;

/// The name that all certificates here are for.
pub(crate) const HOST: &str = "localhost";

/// A folder with certificates, and the tool that makes them and serves them.
pub(crate) struct Place {
    openssl: PathBuf,
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Option<Self> {
        let openssl = program("openssl", &["/usr/bin/openssl", "/usr/local/bin/openssl"])?;
        Some(Self { openssl, folder: tempfile::tempdir().unwrap() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        succeed(
            Command::new(&self.openssl).current_dir(self.folder.path()).args(arguments.split_whitespace()),
        );
    }

    /// A key, an authority with it, `ca.pem`, and with another such key a server's certificate, `cert.pem` and `key.pem`.
    pub(crate) fn issue(&self, key: &str, sign: &str) {
        for name in ["ca.key", "key.pem"] {
            self.openssl(&format!("genpkey {key} -out {name}"));
        }
        self.openssl(&format!("req -x509 -key ca.key -subj /CN=Authority -days 90 {sign} -out ca.pem"));
        self.openssl("req -new -key key.pem -subj /CN=mail -out request.pem");
        self.write("names", "subjectAltName = DNS:localhost\n");
        self.openssl(&format!(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -set_serial 7 -days 60 -extfile names {sign} -out cert.pem"
        ));
    }

    /// Serves one connection with `cert.pem`, and with what stands behind it in `chain.pem`.
    pub(crate) fn serve(&self, options: &str) -> (Server, u16) {
        let mut command = Command::new(&self.openssl);
        command.current_dir(self.folder.path()).args(["s_server", "-naccept", "1", "-cert", "cert.pem"]);
        command.args(["-key", "key.pem", "-accept", "0"]).args(options.split_whitespace());
        if self.path("chain.pem").exists() {
            command.args(["-cert_chain", "chain.pem"]);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut server = Server(child.unwrap());
        let (mut replies, told) = (server.0.stdin.take().unwrap(), server.0.stdout.take().unwrap());
        let mut told = BufReader::new(told).lines();
        // At a port that the system chose: `ACCEPT [::]:34567`.
        let listens = told
            .by_ref()
            .find_map(|line| line.unwrap().strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.parse().ok());
        let port = listens.unwrap_or_else(|| panic!("it does not listen"));
        thread::spawn(move || {
            for line in told.map_while(Result::ok) {
                let reply = match line.split(' ').next() {
                    // What it prints when a handshake is done.
                    Some("CIPHER") => "220 localhost ESMTP\r\n",
                    Some("EHLO") => "250 localhost\r\n",
                    Some("QUIT") => "221 bye\r\n",
                    _ => continue,
                };
                if replies.write_all(reply.as_bytes()).is_err() {
                    return;
                }
            }
        });
        (server, port)
    }

    /// One probe of one such server; `tls` are keys of `[job.tls]`, `alarm` of `[job.alarm]`.
    pub(crate) fn probe(&self, options: &str, tls: &str, alarm: &str) -> Point {
        let (_server, port) = self.serve(options);
        let job = Job::new(HOST, port).parameter("connection", "tls").written("tls", tls);
        job.written("alarm", alarm).run(self.folder.path())
    }
}

pub(crate) const TRUSTED: &str = "ca_file = \"ca.pem\"";

#[track_caller]
pub(crate) fn succeeds(point: &Point) {
    assert_eq!(point.outcome(), ("success", 0, 0, 0), "{point:?}");
    assert_eq!(point.text("verify_error"), "", "{point:?}");
}

#[track_caller]
pub(crate) fn fails(point: &Point, result: &str, code: i64, text: &str) {
    assert_eq!((&*point.tags["result"], point.code("error_code")), (result, code), "{point:?}");
    let (_, error) = point.text("error").split_once(": ").unwrap();
    assert!(error.ends_with(text), "{text}\n{point:?}");
}

#[test]
fn every_kind_of_key_and_signature_is_accepted_in_every_mode() {
    let Some(place) = Place::new() else { return };
    let ec = |curve: &str| format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}");
    let rsa = |bits: u16| format!("-algorithm RSA -pkeyopt rsa_keygen_bits:{bits}");
    let mut kinds = vec![
        ("-algorithm ED25519".to_owned(), String::new()),
        (rsa(3072), "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32".to_owned()),
        (
            "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048".to_owned(),
            "-sha256 -sigopt rsa_pss_saltlen:32".to_owned(),
        ),
    ];
    for hash in ["-sha256", "-sha384", "-sha512"] {
        kinds.extend(["P-256", "P-384", "P-521"].map(|curve| (ec(curve), hash.to_owned())));
        kinds.push((rsa(2048), hash.to_owned()));
    }
    for (key, sign) in kinds {
        place.issue(&key, &sign);
        for (verify, version) in [("full", "-tls1_2"), ("full", "-tls1_3"), ("report", ""), ("off", "")] {
            // Keys for RSA-PSS alone are rustls's to know, in TLS 1.2.
            if key.contains("RSA-PSS") && version == "-tls1_2" {
                continue;
            }
            let point = place.probe(version, &format!("{TRUSTED}\nverify = \"{verify}\""), "");
            assert_eq!(point.outcome(), ("success", 0, 0, 0), "{key} {sign} {version}: {point:?}");
            assert_eq!(point.text("verify_error"), "", "{key} {sign} {version}");
            assert_eq!(point.text("tls_group"), "x25519", "{key} {sign} {version}");
            assert!([59, 60].contains(&point.code("cert_days_left")), "{key} {sign}");
        }
    }
}

#[test]
fn what_is_too_weak_or_unknown_is_refused_in_full_and_stops_nobody_else() {
    let Some(place) = Place::new() else { return };
    let weak = "-cipher ALL:@SECLEVEL=0";
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits";
    for (key, sign, own, text) in [
        (
            "-algorithm ED448".to_owned(),
            "",
            false,
            "a certificate is signed by Ed448, which is too weak or not supported",
        ),
        ("-algorithm ED448".to_owned(), "", true, "the certificate's key is not supported: Ed448"),
        (
            format!("{rsa}:1024"),
            "-sha256",
            true,
            "the certificate's RSA key of 1024 bits is too short: 2048 are needed",
        ),
        (
            format!("{rsa}:1024"),
            "-sha256",
            false,
            "a certificate of the chain is not signed by its issuer's key, or that key is too short",
        ),
        (
            format!("{rsa}:2048"),
            "-sha1",
            false,
            "a certificate is signed by SHA-1 with RSA, which is too weak or not supported",
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-256".to_owned(),
            "-sha1",
            false,
            "a certificate is signed by SHA-1 with ECDSA, which is too weak or not supported",
        ),
    ] {
        place.issue(&key, sign);
        let trusted = if own { "ca_file = \"cert.pem\"" } else { TRUSTED };
        let point = place.probe(weak, trusted, "");
        fails(&point, "cert_invalid", 506, text);
        assert_eq!(point.text("verify_error"), text);
        assert!(
            point.fields.contains_key("cert_issuer") && point.fields.contains_key("tls_time_ms"),
            "{point:?}"
        );
        let point = place.probe(weak, &format!("{trusted}\nverify = \"report\""), "");
        assert_eq!((point.outcome(), point.text("verify_error")), (("success", 0, 0, 0), text), "{point:?}");
        succeeds(&place.probe(weak, "verify = \"off\"", ""));
    }
}

#[test]
fn a_self_signed_certificate_as_openssl_makes_it_is_trusted_once_it_stands_in_ca_file() {
    let Some(place) = Place::new() else { return };
    place.openssl(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 10 -keyout key.pem -out cert.pem",
    );
    let own = "ca_file = \"cert.pem\"";
    let point = place.probe("", own, "cert_days_left = { warning = \"< 30\" }");
    succeeds(&point);
    // Ten days, unless a second has passed.
    let alarm = point.text("alarm").replace("cert_days_left 10", "cert_days_left 9");
    assert_eq!(alarm, "cert_days_left 9 < 30 (ends first: the server's own certificate CN=localhost)");
    let text = "the certificate is self-signed and not trusted (put it into ca_file to trust it)";
    fails(&place.probe("", "", ""), "cert_invalid", 504, text);
    let point = place.probe("", &format!("{own}\nserver_name = \"mx.example.org\""), "");
    let text = "the certificate is not for mx.example.org but for localhost (if that is the right server, set server_name)";
    fails(&point, "cert_invalid", 503, text);
}

#[test]
fn a_secret_on_a_certificate_shows_in_no_output() {
    let Some(place) = Place::new() else { return };
    place.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
    place.openssl(
        "req -x509 -key key.pem -subj /CN=hunter2 -addext subjectAltName=DNS:localhost -days 9 -out cert.pem",
    );
    place.write("password", "hunter2\n");
    let [secret, authority] = ["password", "cert.pem"].map(|name| place.path(name).display().to_string());
    for output in ["influx", "json", "waterfall"] {
        let (_server, port) = place.serve("");
        let output = sonde(
            &[
                &["check", HOST, "--port", &port.to_string(), "--connection", "tls", "--username", "u"][..],
                &["--password-file", &secret, "--ca-file", &authority, "--limit", "cert_days_left=< 10"],
                &["--output", output],
            ]
            .concat(),
        );
        let (text, log) = (stdout(&output), stderr(&output));
        assert!(text.contains("ends first: the server's own certificate CN=***"), "{text}{log}");
        assert!(!format!("{text}{log}").contains("hunter2"), "{text}{log}");
    }
}

#[test]
fn old_versions_of_certificates_are_accepted_from_a_root_or_as_they_are() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "-sha256");
    place.openssl("req -new -key key.pem -subj /CN=localhost -out request.pem");
    place.openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -set_serial 8 -days 60 -out cert.pem");
    let shown = succeed(
        Command::new(&place.openssl).args(["x509", "-noout", "-text", "-in"]).arg(place.path("cert.pem")),
    );
    assert!(shown.contains("Version: 1"), "{shown}");
    succeeds(&place.probe("", TRUSTED, ""));
    let text =
        "the certificate is of an old version (X.509 v1 or v2), and not issued by a trusted root itself";
    fails(&place.probe("", "", ""), "cert_invalid", 504, text);
    place.openssl("x509 -req -in request.pem -signkey key.pem -days 60 -out cert.pem");
    succeeds(&place.probe("", "ca_file = \"cert.pem\"", ""));
    // An authority's certificate that a server uses.
    place.write("names", "subjectAltName = DNS:localhost\nbasicConstraints = CA:TRUE\n");
    place.openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -set_serial 9 -extfile names -out cert.pem",
    );
    succeeds(&place.probe("", TRUSTED, ""));
}

struct Chain {
    root: Authority,
    intermediate: Authority,
}

impl Chain {
    fn new(place: &Place, root_ends: i32, intermediate_ends: i32) -> Self {
        let root = Authority::root("Root", root_ends);
        let intermediate = root.intermediate("Intermediate", intermediate_ends);
        place.write("ca.pem", &root.pem());
        place.write("chain.pem", &intermediate.pem());
        Self { root, intermediate }
    }

    /// A server's certificate with this serial number.
    fn serve(&self, place: &Place, serial: u64) {
        let own = self.intermediate.issue_numbered(HOST, FAR - 1, serial);
        place.write("cert.pem", &own.certificate);
        place.write("key.pem", &own.key);
    }
}

const ENDS: &str = "cert_days_left = { critical = \"< 30\" }\n";

#[test]
fn an_expired_cross_certificate_that_no_path_uses_does_not_page() {
    let Some(place) = Place::new() else { return };
    let chain = Chain::new(&place, FAR, FAR);
    chain.serve(&place, 1);
    // The root's key, certified by an older root that has ended.
    let crossed = Authority::root("Old root", PAST).cross("Root", &chain.root, PAST);
    place.write("chain.pem", &format!("{}{crossed}", chain.intermediate.pem()));
    let point = place.probe("", TRUSTED, ENDS);
    succeeds(&point);
    assert_eq!((point.code("alarm_state"), point.text("alarm")), (0, ""));
    assert!(point.code("cert_days_left") > 20_000 && point.code("cert_chain_days_left") < -9000, "{point:?}");
    let point = place.probe("", TRUSTED, "cert_chain_days_left = { warning = \"< 30\" }");
    assert!(point.text("alarm").ends_with("(ends first: the intermediate certificate CN=Root)"), "{point:?}");
}

#[test]
fn an_authority_s_certificate_that_has_ended_is_named() {
    let Some(place) = Place::new() else { return };
    Chain::new(&place, FAR, PAST).serve(&place, 1);
    let text = "the intermediate certificate CN=Intermediate expired on 2001-01-01 00:00 UTC";
    fails(&place.probe("", TRUSTED, ""), "cert_invalid", 501, text);
    Chain::new(&place, PAST, FAR).serve(&place, 1);
    let text = "the root certificate CN=Root expired on 2001-01-01 00:00 UTC";
    fails(&place.probe("", TRUSTED, ""), "cert_invalid", 501, text);
    // Unverified, the server's own counts.
    assert!(place.probe("", "verify = \"off\"", "").code("cert_days_left") > 20_000);
}

#[test]
fn a_missing_intermediate_certificate_is_named_by_whom_it_should_be() {
    let Some(place) = Place::new() else { return };
    Chain::new(&place, FAR, FAR).serve(&place, 1);
    fs::remove_file(place.path("chain.pem")).unwrap();
    let text = "the certificate's issuer is unknown: CN=Intermediate (ca_file adds one, or the server leaves out an \
                intermediate certificate)";
    fails(&place.probe("", TRUSTED, ""), "cert_invalid", 504, text);
}

#[test]
fn a_certificate_of_six_days_is_judged_by_what_is_left_of_them() {
    let Some(place) = Place::new() else { return };
    place.openssl(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 6 -keyout key.pem -out cert.pem",
    );
    let own = "ca_file = \"cert.pem\"";
    let point = place.probe("", own, "cert_life_left_percent = { warning = \"< 33\" }");
    succeeds(&point);
    // Until a second has passed nothing of them is gone.
    assert!([5, 6].contains(&point.code("cert_days_left")), "{point:?}");
    assert!([99, 100].contains(&point.code("cert_life_left_percent")), "{point:?}");
    assert_eq!(point.code("alarm_state"), 0);
    let point = place.probe("", own, "cert_life_left_percent = { warning = \"< 101\" }");
    assert_eq!(point.code("alarm_state"), 1);
    // It is about one certificate only.
    assert!(point.text("alarm").ends_with(" < 101"), "{point:?}");
}

#[test]
fn a_revoked_certificate_is_refused_and_one_without_a_list_accepted() {
    let Some(place) = Place::new() else { return };
    let chain = Chain::new(&place, FAR, FAR);
    let listed = format!("{TRUSTED}\ncrl_file = \"revoked.pem\"");
    // The root's list alone says nothing of what the intermediate authority issued.
    place.write("revoked.pem", &chain.root.revoke(5));
    chain.serve(&place, 5);
    succeeds(&place.probe("", &listed, ""));
    place.write("revoked.pem", &format!("{}{}", chain.root.revoke(5), chain.intermediate.revoke(5)));
    let text = "a certificate of the chain is revoked, says a list in crl_file";
    fails(&place.probe("", &listed, ""), "cert_invalid", 505, text);
    let point = place.probe("", &format!("{listed}\nverify = \"report\""), "");
    assert_eq!((point.outcome(), point.text("verify_error")), (("success", 0, 0, 0), text));
    chain.serve(&place, 6);
    succeeds(&place.probe("", &listed, ""));
}
