//! The README says what the program does.

use support::{sonde, stdout};

const README: &str = include_str!("../../README.md");
const REFERENCE: &str = include_str!("../../host/REFERENCE.md");

#[test]
fn the_tables_are_those_of_describe() {
    let (_, rest) = REFERENCE.split_once("<!-- sonde describe -->\n").unwrap();
    let (tables, _) = rest.split_once("<!-- /sonde describe -->").unwrap();
    let described = stdout(&sonde(&["describe"]));
    let differ = tables.lines().zip(described.lines()).find(|(here, there)| here != there);
    let what_to_do = "run `sonde describe` and put its output into host/REFERENCE.md";
    assert_eq!((differ, tables.lines().count()), (None, described.lines().count()), "{what_to_do}");
}

#[test]
fn the_configuration_in_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let blocks: Vec<&str> =
        README.split("```toml\n").skip(1).filter_map(|block| block.split("```").next()).collect();
    let config = blocks.iter().find(|block| block.starts_with("[[job]]")).unwrap();
    std::fs::write(folder.path().join("smtp"), "secret").unwrap();
    std::fs::write(&path, config.replace("/run/secrets/smtp", "smtp")).unwrap();
    let output = sonde(&["config", "check", path.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn every_key_of_the_sample_stands_in_it() {
    for line in stdout(&sonde(&["config", "sample"])).lines() {
        if let Some((key, _)) =
            line.trim_start_matches("# ").split_once(" = ").filter(|(key, _)| !key.contains(' '))
        {
            // In the first column of a table, or in an example.
            let mut cells = README
                .lines()
                .chain(REFERENCE.lines())
                .filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
            let is_told = cells.any(|cell| cell.contains(&format!("`{key}`")));
            assert!(is_told || README.contains(&format!("\n{key} = ")), "{key}");
        }
    }
}

#[test]
fn every_command_in_it_exists_with_its_options() {
    let blocks = README.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let lines = blocks.flat_map(str::lines);
    let lines = lines.map(|line| line.strip_prefix("sudo -u telegraf ").unwrap_or(line));
    let commands = lines.filter_map(|line| line.strip_prefix("sonde "));
    let mut count = 0;
    for command in commands {
        let mut words = command.split('#').next().unwrap().split_whitespace();
        let name = words.next().unwrap();
        let output = sonde(&["help", name]);
        assert!(output.status.success(), "{command}");
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(stdout(&output).contains(option), "{command}");
        }
        count += 1;
    }
    assert!(count > 10, "{count}");
}
