//! Components that were built against the interface's first version, and are not built again: none may stop working.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use rustls::ServerConnection;
use sonde_host::digest::sha256;
use support::{
    certificates::{Authority, FAR},
    greeter, points, root, sonde, stderr, stdout,
};

/// As they were when the interface was frozen.
const COMPONENTS: &[(&str, &str)] = &[
    ("c", "bc73a7cf9c4a4ae3562ad0295126b5f8103e536303681a958a73dca700f374dd"),
    ("javascript", "462599cba38a4103e2c46e71d2f278b6e114cf82c5bd861cacb319b08e829028"),
    ("python", "fc0fb64cbfa01b8b1f519891331ad19b1b159a66bd981a4690e026d02b4e24e6"),
    ("rust", "9991d1948c3f6cdca56796f89432c8df3fee4139a6ed7f727fadc04cc9524054"),
];

#[test]
fn no_component_was_built_again() {
    for (name, digest) in COMPONENTS {
        let bytes = fs::read(root().join(format!("tests/frozen/{name}.wasm"))).unwrap();
        assert_eq!(sha256(&bytes), *digest, "{name}: what was built before is no longer what is tried");
    }
}

/// The items of a file of the interface, by their first lines, without what is said about them.
fn items(path: &str) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let code = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("///"));
    let mut items: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut of = String::new();
    for line in code {
        // What stands in an interface: a type, a function, the methods of a resource.
        if line.starts_with("  ") && !line.starts_with("   ") && line.trim() != "}" {
            line.trim().clone_into(&mut of);
        }
        items.entry(of.clone()).or_default().push(line.trim().to_owned());
    }
    items
}

#[test]
fn what_the_interface_said_when_it_was_frozen_it_says_still() {
    for file in ["check.wit", "log.wit", "network.wit", "world.wit"] {
        let (then, now) = (items(&format!("tests/frozen/wit/{file}")), items(&format!("wit/{file}")));
        assert!(then.values().map(Vec::len).sum::<usize>() > 4, "{then:?}");
        for (item, was) in &then {
            let Some(is) = now.get(item) else { panic!("{file}: `{item}` is gone") };
            if item.starts_with("resource ") {
                assert!(was.iter().all(|method| is.contains(method)), "{file}: {was:#?} became {is:#?}");
            } else {
                assert_eq!(was, is, "{file}: a change of `{item}` makes a new version");
            }
        }
        if file == "check.wit" {
            assert_eq!(then.len(), now.len(), "more that a check exports makes a new version");
        }
    }
}

/// A server that says a line, hears one, and wants TLS then; gives its port.
fn tls_behind_a_line(authority: &Authority) -> u16 {
    let server = authority.issue("localhost", FAR).server();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move |mut stream: TcpStream| -> std::io::Result<usize> {
        stream.write_all(b"220 ready\r\n")?;
        stream.read_exact(&mut [0; "EHLO frozen\r\n".len()])?;
        let mut tls = ServerConnection::new(server.clone()).unwrap();
        rustls::Stream::new(&mut tls, &mut stream).read(&mut [0; 1])
    };
    thread::spawn(move || {
        for stream in listener.incoming() {
            // The other side may have left.
            drop(stream.and_then(&serve));
        }
    });
    port
}

/// What pins the component in a file, and a job that gives it these parameters.
fn configuration(file: &str, parameters: &str) -> String {
    let pinned = sonde(&["pin", file]);
    assert!(pinned.status.success(), "{}", stderr(&pinned));
    let check = stdout(&pinned).split_once("\n[[job]]").unwrap().0.to_owned();
    let job = "name = \"a\"\ncheck = \"frozen\"\nhost = \"127.0.0.1\"\nendpoints.second.host = \"127.0.0.1\"";
    // As many lines of parts as it may come to have, since it has any.
    assert!(check.contains("\nlines = 64\n"), "{check}");
    format!("{check}\n[[job]]\n{job}\n[job.parameters]\n{parameters}")
}

#[test]
fn a_component_that_uses_all_of_the_interface_is_described_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, path) = (at("frozen.wasm"), at("sonde.toml"));
    fs::copy(root().join("tests/frozen/rust.wasm"), &file).unwrap();

    let described = stdout(&sonde(&["describe", &file]));
    for item in ["second", "second_port", "token", "codes", "pause", "want", "line_time_ms"] {
        assert!(described.contains(&format!("`{item}`")), "{item}: {described}");
    }
    assert!(described.contains("| 1000 | unexpected-line | "), "{described}");

    let (port, second) = (greeter("220 mail.test.example ready"), greeter("554 not here"));
    let given =
        format!("port = {port}\nsecond_port = {second}\ntoken = \"open-sesame\"\nmode = \"b\"\nwhole = 7\n");
    let run = |more: &str| {
        fs::write(&path, configuration(&file, &format!("{given}pause = \"100ms\"\n{more}\n"))).unwrap();
        let output = sonde(&["run", "--config", &path]);
        assert!(output.status.success() && stderr(&output).contains("a runs"), "{}", stderr(&output));
        points(&stdout(&output))
    };
    let lines = run("texts = \"one\"\ncodes = 220\nwant = { text = \"ready\" }");
    let (parts, whole): (Vec<_>, Vec<_>) = lines.iter().partition(|point| point.measurement == "frozen_line");
    let [whole] = whole[..] else { panic!("{lines:?}") };
    assert_eq!((&*whole.tags["result"], &*whole.tags["mode"], whole.code("whole")), ("success", "b", 7));
    assert_eq!(whole.text("greeting"), "220 mail.test.example ready");
    for field in ["greeting_time_ms", "half", "yes"] {
        assert!(whole.fields.contains_key(field), "{field}: {whole:?}");
    }
    let said: Vec<_> = parts
        .iter()
        .map(|part| (&*part.tags["of"], part.text("line"), part.code("bytes"), part.text("peer")))
        .collect();
    let expected = [
        ("target", "220 mail.test.example ready", 27, "127.0.0.1"),
        ("second", "554 not here", 12, "127.0.0.1"),
    ];
    assert_eq!(said, expected);

    let lines = run("codes = [421, 554]");
    let whole = lines.iter().find(|point| point.measurement == "frozen").unwrap();
    assert_eq!((&*whole.tags["result"], whole.code("error_code")), ("string_mismatch", 1000), "{whole:?}");
    assert_eq!(whole.text("greeting"), "220 mail.test.example ready");

    let wrong = format!("{given}want = {{ code = 1 }}\n");
    let wrong = configuration(&file, &wrong).replace("127.0.0.1", "192.0.2.1");
    fs::write(&path, wrong.replace("name = \"a\"\n", "name = \"a\"\ntimeout = \"100ms\"\n")).unwrap();
    let output = sonde(&["config", "check", &path]);
    let said = format!(
        "E! {path}: job `a`: parameters.want: expected `text` and a text; host: not this one; \
         endpoints.second: nor here; timeout: expected 1s at least\n"
    );
    assert!(output.status.code() == Some(2) && stderr(&output).ends_with(&said), "{}", stderr(&output));
}

#[test]
fn a_component_that_was_built_before_knows_who_its_peer_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (file, path) = (at("frozen.wasm"), at("sonde.toml"));
    fs::copy(root().join("tests/frozen/rust.wasm"), &file).unwrap();
    let authority = Authority::default();
    fs::write(at("ca.pem"), authority.pem()).unwrap();
    let (port, second) = (tls_behind_a_line(&authority), tls_behind_a_line(&authority));
    let given = format!("port = {port}\nsecond_port = {second}\ntls = true\npause = \"50ms\"\n");
    let configuration = configuration(&file, &given).replace("127.0.0.1", "localhost");
    let of_second = "endpoints.second.host = \"localhost\"\n";
    for (rules, expected) in [
        (
            &*format!("tls.ca_file = {:?}\nendpoints.second.tls.verify = \"off\"", at("ca.pem")),
            ["verified", "skipped"],
        ),
        (
            "tls.verify = \"report\"\nendpoints.second.tls.verify = \"report\"",
            ["ErrorKind::CertificateUnknownIssuer"; 2],
        ),
    ] {
        fs::write(&path, configuration.replace(of_second, &format!("{of_second}{rules}\n"))).unwrap();
        let output = sonde(&["run", "--config", &path]);
        let points = points(&stdout(&output));
        let peers: Vec<_> = points
            .iter()
            .filter(|point| point.measurement == "frozen_line")
            .map(|part| part.text("peer"))
            .collect();
        assert_eq!(peers, expected, "{points:?} {}", stderr(&output));
    }
}

#[test]
fn a_component_in_another_language_runs() {
    let file = root().join("tests/frozen/c.wasm");
    let port = greeter("220 mail.test.example ready").to_string();
    let output = sonde(&["check", "127.0.0.1", "--check", file.to_str().unwrap(), "--port", &port]);
    let points = points(&stdout(&output));
    assert_eq!(points[0].tags["result"], "success", "{}", stderr(&output));
    assert!(points[0].fields.contains_key("greeting_time_ms"), "{points:?}");
}

/// Of components of many megabytes only what they import and export is kept, in one that ends where it is asked anything: it must
/// get as far as being asked.
#[test]
fn what_the_runtimes_of_python_and_javascript_import_is_there() {
    for language in ["python", "javascript"] {
        let file = root().join(format!("tests/frozen/{language}.wasm"));
        let output = sonde(&["describe", file.to_str().unwrap()]);
        let said = stderr(&output);
        assert!(said.contains("the component does not describe itself: wasm trap: "), "{language}: {said}");
    }
}
