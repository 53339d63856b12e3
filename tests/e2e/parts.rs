//! A check with parts, from looking at it to its lines.

use std::fs;

use serde_json::Value as Json;
use support::{hostile, points, sonde, stderr, stdout};

#[test]
fn a_check_with_parts_is_looked_at_pinned_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parts.wasm");
    fs::write(&file, hostile("parts")).unwrap();
    let path = file.to_str().unwrap();

    let text = stdout(&sonde(&["describe", path]));
    for expected in [
        "| `parts_dropped` | integer |  | Parts that have no line: ",
        "\nMeasurement `parts_box`, a line for each part `box`: ",
        "| `zone` |  |\n",
        "| `count` | integer |  |  |\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let described: Json =
        serde_json::from_str(&stdout(&sonde(&["describe", "--output", "json", path]))).unwrap();
    assert_eq!(described["parts"][0]["measurement"], "parts_box");
    assert_eq!(described["parts"][0]["tags"][4]["name"], "name");

    let check = |more: &[&str]| {
        let output = sonde(&[&["check", "127.0.0.1", "--check", path, "-p", "harm=parts"], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let lines = check(&["--limit", "box.count=5", "--limit", "texts.error_code=1"]);
    let alarms: Vec<_> = points(&lines).iter().map(|point| point.text("alarm").to_owned()).collect();
    assert_eq!(alarms, ["no part texts has a line", "count 7 > 5", "count not measured"], "{lines}");
    let json = check(&["--output", "json"]);
    let objects: Vec<Json> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let measurements: Vec<_> = objects.iter().map(|object| object["measurement"].as_str().unwrap()).collect();
    assert_eq!(measurements, ["parts", "parts_box", "parts_box"]);
    assert!(check(&["--output", "waterfall"]).contains("\n  box      in  count 7\n"));

    let tested = sonde(&["test", path, "-p", "harm=many-parts-alike", "--timeout", "500ms"]);
    let row = |begin: &str| stdout(&tested).lines().find(|line| line.starts_with(begin)).unwrap().to_owned();
    assert!(row("case ").ends_with("    parts"), "{}", stdout(&tested));
    assert!(row("silent ").ends_with("    1+9999"), "{}", stdout(&tested));

    let pinned = sonde(&["pin", path, "--host", "127.0.0.1", "-p", "harm=parts"]);
    assert!(
        stdout(&pinned)
            .contains("\n[check.limits]\n# Of a run: its job's own and those of its parts.\nlines = 64\n")
    );
    let config = folder.path().join("sonde.toml");
    let run = |lines: &str| {
        fs::write(&config, stdout(&pinned).replace("lines = 64", lines)).unwrap();
        let output = sonde(&["run", "--config", config.to_str().unwrap()]);
        let points = points(&stdout(&output)).into_iter();
        points
            .map(|point| (point.tags["result"].clone(), point.fields.get("parts_dropped").cloned()))
            .collect::<Vec<_>>()
    };
    let own = |dropped: &str| ("success".to_owned(), Some(('i', dropped.to_owned())));
    let part = |result: &str| (result.to_owned(), None);
    assert_eq!(run("lines = 64"), [own("0"), part("success"), part("rejected")]);
    assert_eq!(run("lines = 2"), [own("1"), part("success")]);
    // What nobody allowed.
    assert_eq!(run(""), [own("2")]);
}
