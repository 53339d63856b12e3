//! A check with two endpoints that gives one of them what is the other's, and one without any port: jobs among good ones in; what
//! the servers saw, and lines, out.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use rustls::ServerConfig;
use serde_json::Value as Json;
use sonde_host::{
    job::Job,
    net::NamedEndpoint,
    sandbox::Limits,
    secret::{Secrets, apart::Apart},
    value::Value,
};

use support::{
    certificates::{Authority, FAR},
    hostile, points, sonde, stderr, stdout,
};

use crate::{
    process::{ALONE, Log},
    yard::{Checks, SECRET, TIMEOUT, Yard, load},
};

/// What the job's own host is not to be told.
const FURTHER_SECRET: &str = "hunter2~?hunter2";

/// The job with an endpoint `imap` at this port.
pub(crate) fn with_another(job: Job, port: u16) -> Job {
    let mut parameters = (*job.parameters).clone();
    parameters.insert("imap_port".to_owned(), port.into());
    parameters.insert("imap_password".to_owned(), FURTHER_SECRET.into());
    let imap = NamedEndpoint {
        name: "imap".to_owned(),
        host: "127.0.0.1".parse().unwrap(),
        port: Some(port),
        tls: Arc::clone(&job.tls),
    };
    let secrets = [SECRET, FURTHER_SECRET].map(ToOwned::to_owned);
    Job {
        parameters: Arc::new(parameters),
        endpoints: [imap].into(),
        secrets: Secrets::new(&secrets).unwrap(),
        apart: Apart::new(&secrets.map(|secret| vec![secret])).unwrap(),
        ..job
    }
}

/// A server that hands out all that each of its clients says.
fn listener() -> (u16, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut said = Vec::new();
            // The other side may have left.
            drop(client.and_then(|mut client| client.read_to_end(&mut said)));
            drop(sender.send(said));
        }
    });
    (port, heard)
}

#[tokio::test]
async fn a_secret_of_one_endpoint_that_is_written_to_another_is_not_sent() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "endpoints", &hostile("endpoints"), Limits::default()).await.unwrap();
    let mut yard = Yard::new(sandbox);
    let (own, heard_own) = listener();
    let (further, heard_further) = listener();
    yard.servers.insert("imap", further);
    yard.servers.insert("leak-back", own);
    drop(log.lines());
    for (harm, said, heard, sent) in [
        ("leak-plain", "[Err(ErrorKind::SecretElsewhere)]", &heard_further, "end"),
        ("leak-in-base64", "[Err(ErrorKind::SecretElsewhere)]", &heard_further, "end"),
        ("leak-in-two", "[Ok(()), Err(ErrorKind::SecretElsewhere)]", &heard_further, "open-end"),
        ("leak-back", "[Err(ErrorKind::SecretElsewhere)]", &heard_own, "end"),
    ] {
        let (report, line) = yard.round(&[(harm, "endpoints")], TIMEOUT).await.pop().unwrap();
        assert_eq!(report.failure, None, "{harm}: {line}");
        assert!(report.fields.contains(&("said".to_owned(), Value::Text(said.to_owned()))), "{harm}: {line}");
        let heard = heard.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), sent, "{harm}");
        let lines = log.lines();
        let end = ": what was to be written has a secret of another endpoint in it: nothing of it was sent";
        assert!(
            lines.iter().any(|line| line.contains(": denied: 127.0.0.1:") && line.ends_with(end)),
            "{lines:?}"
        );
        let shows = |line: &String| line.contains(SECRET) || line.contains("hunter2");
        assert!(!lines.iter().any(shows), "{lines:?}");
    }
}

#[tokio::test]
async fn a_check_without_a_port_reaches_nothing_at_its_host_and_has_no_such_tag() {
    let _alone = ALONE.lock().await;
    let mut log = Log::begin();
    let mut sandbox = Checks::new().await;
    load(&mut sandbox, "without-port", &hostile("without-port"), Limits::default()).await.unwrap();
    assert!(sandbox.description("without-port").port_of(None).is_none());
    let yard = Yard::new(sandbox);
    let (report, line) = yard.round(&[("without-port", "without-port")], TIMEOUT).await.pop().unwrap();
    assert!(report.fields.contains(&("said".to_owned(), Value::Text("0 2".to_owned()))), "{line}");
    assert!(line.contains(",server=127.0.0.1 ") && !line.contains("port="), "{line}");
    let denied = log.lines().iter().filter(|line| line.contains("denied: connect to 127.0.0.1:")).count();
    assert_eq!(denied, 2);
}

/// Handshakes, one after the other.
fn tls_server(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that trusts nobody ends it.
            drop(client.and_then(|mut client| {
                while tls.is_handshaking() {
                    tls.complete_io(&mut client)?;
                }
                client.flush()
            }));
        }
    });
    port
}

/// Through the whole program: what is pinned, configured, run and written.
#[test]
fn each_endpoint_has_its_own_trust_and_facts_from_the_file_to_the_line() {
    let _alone = ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (one, two) = (Authority::root("one", FAR), Authority::root("two", FAR));
    fs::write(at("one.pem"), one.pem()).unwrap();
    fs::write(at("two.pem"), two.pem()).unwrap();
    fs::write(at("hostile.wasm"), hostile("endpoints")).unwrap();
    let own = tls_server(one.issue("127.0.0.1", FAR).server());
    let further = tls_server(two.issue("127.0.0.1", FAR).server());
    let (own, further) = (format!("port={own}"), format!("imap_port={further}"));
    let wasm = at("hostile.wasm");
    let common = [wasm.to_str().unwrap(), "--host", "127.0.0.1", "-p", "harm=further-first"];
    let named = ["-p", &own, "-p", &further, "--endpoint", "imap=127.0.0.1"];
    let pinned = sonde(&[&["pin"][..], &common, &named].concat());
    assert!(pinned.status.success(), "{}", stderr(&pinned));
    let pinned = stdout(&pinned);
    let block = "\n[job.endpoints.imap]\nhost = \"127.0.0.1\"\n";
    assert!(pinned.ends_with(block), "{pinned}");

    let run = |text: &str| {
        fs::write(at("sonde.toml"), text).unwrap();
        let output = sonde(&["run", "--config", at("sonde.toml").to_str().unwrap()]);
        let mut points = points(&stdout(&output));
        assert_eq!(points.len(), 1, "{}", stderr(&output));
        points.pop().unwrap()
    };
    let limits = "[job.alarm]\nimap_cert_days_left = { warning = \"> 1\" }\n";
    for (own_ca, further_ca, said) in [
        ("one.pem", "two.pem", "Ok(()) Ok(())"),
        (
            "two.pem",
            "one.pem",
            "Err(ErrorKind::CertificateUnknownIssuer) Err(ErrorKind::CertificateUnknownIssuer)",
        ),
        ("one.pem", "one.pem", "Err(ErrorKind::CertificateUnknownIssuer) Ok(())"),
        ("two.pem", "two.pem", "Ok(()) Err(ErrorKind::CertificateUnknownIssuer)"),
    ] {
        let trust = format!(
            "[job.endpoints.imap.tls]\nca_file = \"{further_ca}\"\n[job.tls]\nca_file = \"{own_ca}\"\n"
        );
        let point = run(&format!("{pinned}{trust}{limits}"));
        assert_eq!(point.text("said"), said, "{point:?}");
        // Connected last, and refused or not.
        assert!(point.text("cert_issuer").contains("one") && point.text("imap_cert_issuer").contains("two"));
        assert_eq!(point.tags["imap_server"], "127.0.0.1");
        assert!(
            point.time("imap_connect_time_ms").is_some() && !point.fields.contains_key("imap_total_time_ms")
        );
        let alarm = point.text("alarm");
        assert!(alarm.contains("imap_cert_days_left") && alarm.contains("(ends first: the "), "{alarm}");
    }

    // The same from the command line, whose least strictness holds for both.
    let ad_hoc =
        ["check", "127.0.0.1", "--check", common[0], "-p", "harm=further-first", "--output", "influx"];
    for (verify, said) in [
        ("off", "Ok(()) Ok(())"),
        ("full", "Err(ErrorKind::CertificateUnknownIssuer) Err(ErrorKind::CertificateUnknownIssuer)"),
    ] {
        let checked = sonde(&[&ad_hoc[..], &named, &["--verify", verify]].concat());
        let points = points(&stdout(&checked));
        assert_eq!(points[0].text("said"), said, "{}", stderr(&checked));
    }
    let ca = at("one.pem");
    let checked = sonde(&[&ad_hoc[..], &named, &["--ca-file", ca.to_str().unwrap()]].concat());
    let said = points(&stdout(&checked))[0].text("said").to_owned();
    assert_eq!(said, "Err(ErrorKind::CertificateUnknownIssuer) Ok(())");

    // What is wrong with it is said, and nothing of it runs.
    let trust = "[job.endpoints.imap.tls]\nca_file = \"two.pem\"\n";
    for (text, said) in [
        (
            pinned.replace("endpoints.imap]", "endpoints.imp]"),
            "endpoints.imp: the check has no such endpoint; did you mean `imap`?",
        ),
        (pinned.replace(block, &format!("\n{trust}")), "endpoints.imap.host: missing"),
        (
            pinned.replace(block, "\n"),
            "parameters.imap_port: it is for endpoint `imap`, whose host, `endpoints.imap.host`, is not given",
        ),
        (
            pinned.replace(block, "\n[job.endpoints.imap]\nhost = \"imap.example.org:993\"\n"),
            "endpoints.imap.host: expected a host name or address, without port: the port is `parameters.imap_port`",
        ),
    ] {
        fs::write(at("sonde.toml"), text).unwrap();
        let output = sonde(&["config", "check", at("sonde.toml").to_str().unwrap()]);
        let expected = format!("E! {}: job `hostile`: {said}\n", at("sonde.toml").display());
        assert_eq!((output.status.code(), stderr(&output)), (Some(2), expected));
    }
    let described: Json =
        serde_json::from_str(&stdout(&sonde(&["describe", common[0], "--output", "json"]))).unwrap();
    assert_eq!(described["endpoints"][0]["name"], "imap");
    let announced = |list: &str| -> Vec<String> {
        let all = described[list].as_array().unwrap();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    for (list, name) in [("tags", "imap_server"), ("fields", "imap_cert_days_left"), ("fields", "imap_ip")] {
        assert!(announced(list).contains(&name.to_owned()), "{name}: {described}");
    }
    assert!(!announced("fields").contains(&"imap_total_time_ms".to_owned()));
}

/// The check talks to both, whatever one of them does meanwhile.
#[test]
fn a_check_is_tested_with_each_endpoint_absent_silent_and_talking_nonsense() {
    let _alone = ALONE.blocking_lock();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("endpoints")).unwrap();
    let tested = sonde(&["test", file.to_str().unwrap(), "-p", "harm=none", "--timeout", "500ms"]);
    let said = stdout(&tested);
    for case in ["nobody listens", "silent", "garbage", "not given"] {
        assert!(said.contains(&format!("\nendpoint `imap`: {case} ")), "{case}: {said}{}", stderr(&tested));
    }
    let unknown = sonde(&["test", file.to_str().unwrap(), "--endpoint", "pop=127.0.0.1"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(stderr(&unknown).lines().last(), Some("E! --endpoint pop: the check has no such endpoint"));
}
