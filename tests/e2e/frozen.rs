//! Components that were built against the interface's first version, and are not built again: none may stop working.

use std::fs;

use support::{greeter, points, root, sonde, stderr, stdout};

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
    let said: Vec<_> =
        parts.iter().map(|part| (&*part.tags["of"], part.text("line"), part.code("bytes"))).collect();
    assert_eq!(said, [("target", "220 mail.test.example ready", 27), ("second", "554 not here", 12)]);

    let lines = run("codes = [421, 554]");
    let whole = lines.iter().find(|point| point.measurement == "frozen").unwrap();
    assert_eq!((&*whole.tags["result"], whole.code("error_code")), ("string_mismatch", 1000), "{whole:?}");
    assert_eq!(whole.text("greeting"), "220 mail.test.example ready");

    fs::write(&path, configuration(&file, &format!("{given}want = {{ code = 1 }}\n"))).unwrap();
    let output = sonde(&["config", "check", &path]);
    let said = format!("E! {path}: job `a`: parameters.want: expected `text` and a text\n");
    assert!(output.status.code() == Some(2) && stderr(&output).ends_with(&said), "{}", stderr(&output));
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
