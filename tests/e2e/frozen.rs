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
use wit_component::WitPrinter;

/// As they were when the interface was frozen.
const COMPONENTS: &[(&str, &str)] = &[
    ("c", "81adcfec7a971423945e677ab627690013b35bc0c0287db43094f65b7bcc50d5"),
    ("javascript", "fd4d6362ada3555401561df257fc832990cbce7687fd460d2a158d35fd91f2c3"),
    ("python", "6779a0e2b2da9a839d0990bceea994836b8723e84fbe18928f093889b6f2c0da"),
    ("rust", "ebf4a4e160648a51fc026b83d084fa552ee1ce40b14cc43bebb1b6db233ce575"),
];

/// And the interface itself.
const INTERFACE: &[(&str, &str)] = &[
    ("check.wit", "c2e7f8009f6ebe7d65747b2135cd94def34a07bfe10abedb388cef666bb68bdd"),
    ("log.wit", "3c328555b38bc6baa8a0589d1d6ce2dc1993456f5a5ad8c2b8cc2bf9b0d11f75"),
    ("network.wit", "31ac8bd3d566767d5148d2f804056cf4731b9327b59ee202af72f9f1f8882389"),
    ("world.wit", "8a0f581696089715ea9c84fba5483b9e523387f5e3b78980f54a0d888562fbaf"),
];

#[test]
fn no_component_was_built_again() {
    for (name, digest) in COMPONENTS {
        let bytes = fs::read(root().join(format!("tests/frozen/{name}.wasm"))).unwrap();
        assert_eq!(sha256(&bytes), *digest, "{name}: what was built before is no longer what is tried");
    }
}

/// What an interface says, without what is said about it: the lines of each block, and of each item in it, by their first lines.
type Items = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// As it is printed, not as somebody wrote it.
fn items(folder: &str) -> Items {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(root().join(folder)).unwrap();
    let mut printer = WitPrinter::default();
    printer.emit_docs(false).print(&resolve, package, &[]).unwrap();
    let text = printer.output.to_string();
    let (mut items, mut block, mut item) = (Items::new(), String::new(), String::new());
    for line in text.lines().filter(|line| !matches!(line.trim(), "" | "}")) {
        match line.len() - line.trim_start().len() {
            0 => (block, item) = (line.to_owned(), String::new()),
            2 => line.trim().clone_into(&mut item),
            _ => {}
        }
        items.entry(block.clone()).or_default().entry(item.clone()).or_default().push(line.trim().to_owned());
    }
    items
}

#[test]
fn what_the_interface_said_when_it_was_frozen_it_says_still() {
    for (file, digest) in INTERFACE {
        let bytes = fs::read(root().join("tests/frozen/wit").join(file)).unwrap();
        assert_eq!(sha256(&bytes), *digest, "{file}: what was frozen is frozen");
    }
    let (then, now) = (items("tests/frozen/wit"), items("wit"));
    let blocks: Vec<&str> = then.keys().map(String::as_str).collect();
    let known = [
        "interface check {",
        "interface log {",
        "interface network {",
        "package sonde:check@0.1.0;",
        "world checker {",
    ];
    assert_eq!(blocks, known);
    for (block, was) in then.iter().filter(|(block, _)| !block.starts_with("package")) {
        let Some(is) = now.get(block) else { panic!("`{block}` is gone") };
        for (item, was) in was {
            let Some(is) = is.get(item) else { panic!("{block} `{item}` is gone") };
            let same = if item.starts_with("resource ") {
                was.iter().all(|line| is.contains(line))
            } else {
                was == is
            };
            assert!(same, "a change of `{item}` makes a new version: {was:#?} became {is:#?}");
        }
        // What a check is made to say, and what a world has it export.
        let asked = |items: &BTreeMap<String, Vec<String>>| -> Vec<String> {
            items
                .keys()
                .filter(|item| block.contains(" check ") || item.starts_with("export"))
                .cloned()
                .collect()
        };
        assert_eq!(asked(was), asked(is), "more that a check is asked for makes a new version");
    }
    assert!(now.keys().any(|block| block.starts_with("package sonde:check@0.1.")), "{:?}", now.keys());
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

    // Of several hosts the one that it is about.
    let several = configuration(&file, &given)
        .replace("\nhost = \"127.0.0.1\"", "\nhosts = [\"127.0.0.1\", \"192.0.2.1\"]");
    fs::write(&path, several).unwrap();
    let output = sonde(&["config", "check", &path]);
    let said = format!("E! {path}: job `a`: hosts, entry 2: not this one\n");
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
