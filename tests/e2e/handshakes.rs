//! Handshakes that fail, against OpenSSL's own server: each fault with its number, its text and what to do; and by whose roots
//! those that succeed are judged.

use std::{env, fs, path::Path, process::Command};

use nix::{sys::stat::Mode, unistd::mkfifo};
use support::{agent::Execd, binary, points, stderr, stdout, succeed};

use crate::certificates::{HOST, Place, TRUSTED, fails, succeeds};

#[test]
fn each_fault_of_a_handshake_has_its_number_and_says_what_to_do() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha256");
    let text = "the server refuses TLS 1.2 and later: it may know only versions before, which are not safe (update it), or have no \
                certificate or key that it can use (its log says so)";
    for version in ["-tls1", "-tls1_1"] {
        let point = place.probe(&format!("{version} -cipher ALL:@SECLEVEL=0"), TRUSTED, "");
        fails(&point, "tls_error", 518, text);
        assert_eq!(point.code("sequence_code"), 4);
    }
    // Without a certificate it says the same.
    fails(&place.probe("-tls1_3 -nocert", TRUSTED, ""), "tls_error", 518, text);
    let point = place.probe("-tls1_2", &format!("{TRUSTED}\nmin_version = \"1.3\""), "");
    let text = "the server refuses TLS 1.3, which min_version asks for: it may not know it, or have no certificate or key that it can \
                use (its log says so)";
    fails(&point, "tls_error", 518, text);
    let text = "no cipher suite in common: the server may have no certificate or key that it can use (its log says so), one of \
                an unusual kind, or know only RSA or DHE key exchange: enable ECDHE with AES-GCM or ChaCha20-Poly1305 there";
    for cipher in ["AES128-GCM-SHA256", "AES256-SHA", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"] {
        let point = place.probe(&format!("-tls1_2 -cipher {cipher}"), TRUSTED, "");
        fails(&point, "tls_error", 519, text);
    }
    let text = "the server wants a client certificate: set client_cert and client_key in the job's tls";
    for verify in ["full", "off"] {
        let point = place.probe("-tls1_2 -Verify 1", &format!("{TRUSTED}\nverify = \"{verify}\""), "");
        fails(&point, "tls_error", 520, text);
    }
}

#[test]
fn a_client_certificate_that_tls_13_misses_only_afterwards_is_named_all_the_same() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha256");
    let point = place.probe("-tls1_3 -Verify 1", TRUSTED, "");
    assert_eq!(point.code("error_code"), 520, "{point:?}");
    let text = "the server wants a client certificate: set client_cert and client_key in the job's tls";
    assert!(point.text("error").ends_with(text), "{point:?}");
}

#[test]
fn a_client_certificate_is_shown_to_who_asks_but_to_nobody_in_report() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha256");
    let client = format!("{TRUSTED}\nclient_cert = \"cert.pem\"\nclient_key = \"key.pem\"");
    let report = format!("{client}\nverify = \"report\"");
    for version in ["-tls1_2", "-tls1_3"] {
        succeeds(&place.probe(&format!("{version} -Verify 1 -CAfile ca.pem"), &client, ""));
        // Asked for, and not needed.
        succeeds(&place.probe(&format!("{version} -verify 1 -CAfile ca.pem"), &report, ""));
    }
    let text = "the server wants a client certificate: verify = \"report\" shows it none";
    fails(&place.probe("-tls1_2 -Verify 1", &report, ""), "tls_error", 520, text);
}

#[test]
fn the_systems_roots_are_asked_beside_a_ca_file_and_read_only_where_that_does_not_suffice() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm ED25519", "");
    place.openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=Other -keyout other.key -out other.pem");
    // Whoever would read these says why that cannot be.
    mkfifo(&place.path("endless"), Mode::S_IRWXU).unwrap();
    fs::write(place.path("empty"), "# none\n").unwrap();
    let check = |system: &str, own: Option<&str>| {
        let (_server, port) = place.serve("");
        let mut command = Command::new(binary());
        command.args(["check", HOST, "--connection", "tls", "--port", &port.to_string()]);
        command.args(own.map(|own| [Path::new("--ca-file").into(), place.path(own)]).iter().flatten());
        let output = command.env("SSL_CERT_FILE", place.path(system)).output().unwrap();
        (points(&stdout(&output)).remove(0), stderr(&output))
    };
    for (system, own) in [("endless", Some("ca.pem")), ("ca.pem", Some("other.pem")), ("ca.pem", None)] {
        let (point, log) = check(system, own);
        succeeds(&point);
        assert_eq!(log, "");
    }
    for (system, why) in [
        ("endless", "not a regular file"),
        ("empty", "no certificate in it"),
        ("none", "No such file or directory (os error 2)"),
    ] {
        let (point, log) = check(system, None);
        fails(&point, "cert_invalid", 504, "");
        let said = format!("W! trusted roots: {}: {why}: ", place.path(system).display());
        assert!(log.starts_with(&said), "{log}");
    }
}

#[test]
fn what_is_not_in_the_systems_file_is_looked_for_in_its_folders() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm ED25519", "");
    place.openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=Other -keyout other.key -out other.pem");
    for folder in ["one", "two"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    fs::rename(place.path("ca.pem"), place.path("two/ca.pem")).unwrap();
    let folders = env::join_paths([place.path("one"), place.path("two")]).unwrap();
    for file in [Some("other.pem"), Some("none"), None] {
        let (_server, port) = place.serve("");
        let mut command = Command::new(binary());
        command.args(["check", HOST, "--connection", "tls", "--port", &port.to_string()]);
        command.env_remove("SSL_CERT_FILE").envs(file.map(|file| ("SSL_CERT_FILE", place.path(file))));
        succeeds(&points(&succeed(command.env("SSL_CERT_DIR", &folders)))[0]);
    }
}

#[test]
fn the_systems_roots_are_read_again_when_their_file_has_changed() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm ED25519", "");
    place.openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=Other -keyout other.key -out other.pem");
    fs::copy(place.path("other.pem"), place.path("roots.pem")).unwrap();
    let (_server, port) = place.serve("-naccept 5");
    let job = format!(
        "[[job]]\nname = \"a\"\nhost = \"{HOST}\"\nparameters = {{ port = {port}, connection = \"tls\" }}"
    );
    fs::write(place.path("sonde.toml"), job).unwrap();
    let mut command = Command::new(binary());
    command.args(["execd", "-c"]).arg(place.path("sonde.toml")).env("SSL_CERT_FILE", place.path("roots.pem"));
    let mut agent = Execd::start(&mut command);
    for changed in ["ca.pem", "other.pem"] {
        agent.gather();
        let point = agent.lines(1).remove(0);
        match changed {
            "ca.pem" => fails(&point, "cert_invalid", 504, ""),
            _ => succeeds(&point),
        }
        fs::copy(place.path(changed), place.path("roots.pem")).unwrap();
        agent.logged(": read again: 1 job");
    }
    agent.gather();
    fails(&agent.lines(1)[0], "cert_invalid", 504, "");
    // What cannot be used takes no trust away.
    fs::copy(place.path("ca.pem"), place.path("roots.pem")).unwrap();
    agent.logged(": read again: 1 job");
    agent.gather();
    succeeds(&agent.lines(1)[0]);
    fs::write(place.path("roots.pem"), "half a file").unwrap();
    agent.logged(": read again: 1 job");
    agent.gather();
    succeeds(&agent.lines(1)[0]);
    agent.logged(": no certificate in it: those that were read before are trusted");
    agent.stop();
}

#[test]
fn where_the_machine_has_no_roots_that_is_said() {
    let Some(place) = Place::new() else { return };
    place.issue("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "-sha256");
    let (_server, port) = place.serve("");
    let mut command = Command::new(binary());
    command.args(["check", HOST, "--connection", "tls", "--port", &port.to_string()]);
    let none = place.path("none");
    let output = command.env("SSL_CERT_FILE", &none).env("SSL_CERT_DIR", &none).output().unwrap();
    fails(&points(&String::from_utf8(output.stdout).unwrap())[0], "cert_invalid", 504, "");
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        log.matches("W! this machine has no trusted roots (package ca-certificates; ").count(),
        1,
        "{log}"
    );
}
