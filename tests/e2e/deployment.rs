//! The files of `host/telegraf`, as an operator puts them to where they belong: what is in them is understood, by Sonde and as TOML,
//! and says the same in each place.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use tempfile::TempDir;
use toml::{Table, Value};

use support::{
    agent::{Execd, exec},
    refusing, root, sonde, stdout,
};

const README: &str = include_str!("../../README.md");
const EXECD: &str = include_str!("../../host/telegraf/sonde.conf");
const EXEC: &str = include_str!("../../host/telegraf/sonde-exec.conf");
const UNIT: &str = include_str!("../../host/telegraf/telegraf.service.d/sonde.conf");
const KUBERNETES: &str = include_str!("../../host/telegraf/kubernetes.yaml");

/// One input of a file of Telegraf's.
fn input(text: &str, name: &str) -> Table {
    let file: Table = text.parse().unwrap();
    let inputs = file["inputs"][name].as_array().unwrap();
    assert_eq!((inputs.len(), inputs[0]["data_format"].as_str()), (1, Some("influx")));
    inputs[0].as_table().unwrap().clone()
}

/// A command in one, with the binary and a configuration that are here.
fn command(words: &Value, config: &Path) -> Command {
    let words: Vec<&str> = words.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words[0], "/usr/local/bin/sonde");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
    for word in &words[1..] {
        let word = if *word == "/etc/sonde/sonde.toml" { config.to_str().unwrap() } else { word };
        // This machine is no pod.
        command.arg(word.replace("auto/", "0/"));
    }
    command
}

/// A configuration of so many jobs that fail at once.
fn configuration(folder: &Path, jobs: usize, port: u16) -> std::path::PathBuf {
    let hosts: Vec<_> = (1..=jobs).map(|host| format!("127.0.0.{host}")).collect();
    let path = folder.join("sonde.toml");
    fs::write(&path, format!("[[job]]\nname = \"a\"\nhosts = {hosts:?}\nparameters.port = {port}\n"))
        .unwrap();
    path
}

/// What stands indented below `NAME: |`.
fn embedded(name: &str) -> String {
    let (before, text) = KUBERNETES.split_once(&format!("  {name}: |\n")).unwrap();
    let depth = before.len() - before.rfind('\n').unwrap() - 1 + 4;
    let is_within = |line: &&str| line.is_empty() || line.starts_with(&" ".repeat(depth));
    let lines = text.lines().take_while(is_within).map(|line| line.get(depth..).unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// A line's value, wherever it stands; it stands there once.
fn only(text: &str, key: &str) -> String {
    let found = text.lines().filter_map(|line| line.trim().strip_prefix(key));
    let found: Vec<_> = found.collect();
    assert_eq!(found.len(), 1, "{key}");
    found[0].trim().to_owned()
}

#[test]
fn telegrafs_files_start_what_there_is() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let config = configuration(folder.path(), 1, port);
    let input_of = input(EXECD, "execd");
    assert_eq!(input_of["signal"].as_str(), Some("STDIN"));
    let mut agent = Execd::start(&mut command(&input_of["command"], &config));
    agent.gather();
    assert_eq!(agent.lines(1)[0].tags["job"], "a");
    agent.stop();
    let commands = &input(EXEC, "exec")["commands"];
    let lines = exec(&mut command(&commands[0], &config), std::time::Duration::from_mins(1)).unwrap();
    assert_eq!(lines.len(), 1);
}

#[test]
fn the_readme_shows_the_files_as_they_are_and_leads_to_each() {
    for (name, text) in [("sonde.conf", EXECD), ("sonde-exec.conf", EXEC)] {
        let (_head, own) = text.split_once("\n\n").unwrap();
        assert!(README.contains(&format!("```toml\n{own}```\n")), "{name}");
    }
    for name in ["sonde.conf", "sonde-exec.conf", "telegraf.service.d/sonde.conf", "kubernetes.yaml"] {
        assert!(root().join("host/telegraf").join(name).is_file(), "{name}");
        assert!(README.contains(&format!("](host/telegraf/{name})")), "{name}");
    }
}

#[test]
fn the_unit_keeps_the_cache_where_the_readme_says_and_lets_compiled_checks_run() {
    let settings = UNIT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut settings = settings.skip_while(|line| *line != "[Service]").skip(1).peekable();
    assert!(settings.peek().is_some());
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && value.trim() == value, "{setting}");
    }
    assert_eq!(only(UNIT, "MemoryDenyWriteExecute="), "no");
    assert_eq!(only(UNIT, "CacheDirectory="), "sonde");
    assert_eq!(only(UNIT, "StateDirectory="), "telegraf sonde");
    assert!(stdout(&sonde(&["config", "sample"])).contains("state_file = \"/var/lib/sonde/state\""));
    assert!(README.contains("cache_dir = \"/var/cache/sonde\""));
    assert!(!UNIT.lines().any(|line| line.starts_with("LimitAS=") || line.starts_with("LimitNPROC=")));
}

/// As Kubernetes puts a `ConfigMap` or a Secret into a folder: each name leads to a file in a folder that can be exchanged.
fn mounted(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder.join("..2026_01_01")).unwrap();
    if !folder.join("..data").exists() {
        symlink("..2026_01_01", folder.join("..data")).unwrap();
    }
    fs::write(folder.join("..data").join(name), text).unwrap();
    symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
}

#[test]
fn in_kubernetes_each_job_is_in_one_of_as_many_shares_as_there_are_pods() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let own = embedded("sonde.toml");
    assert!(own.contains("cache_dir = \"/var/cache/sonde\"\n"), "{own}");
    let secrets = folder.path().join("secrets");
    let own = own.replace("/run/secrets/sonde", secrets.to_str().unwrap());
    mounted(folder.path(), "sonde.toml", &own);
    mounted(&secrets, "smtp.password", "secret\n");
    let config = folder.path().join("sonde.toml");
    let checked = sonde(&["config", "check", config.to_str().unwrap()]);
    assert_eq!(stdout(&checked), format!("{}: 3 jobs, no error\n", config.display()), "{checked:?}");

    let pods: usize = only(KUBERNETES, "replicas:").parse().unwrap();
    let agent = embedded("telegraf.conf");
    let words = &input(&agent, "execd")["command"];
    let (usual, shard) = words.as_array().unwrap().split_at(4);
    assert_eq!(usual, input(EXECD, "execd")["command"].as_array().unwrap());
    assert_eq!(shard, ["--shard".into(), Value::from(format!("auto/{pods}"))]);
    let mut checking = Execd::start(&mut command(words, &config));
    checking.say(b"");
    checking.stop();
}

#[test]
fn what_is_given_to_kubernetes_gives_a_pod_no_more_than_it_needs() {
    for line in KUBERNETES.lines() {
        let depth = line.len() - line.trim_start_matches(' ').len();
        assert!(depth.is_multiple_of(2) && !line.contains('\t') && line.trim_end() == line, "{line}");
    }
    let kinds: Vec<_> = KUBERNETES.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert_eq!(kinds, ["ConfigMap", "Service", "StatefulSet"]);
    for (key, value) in [
        ("runAsNonRoot:", "true"),
        ("readOnlyRootFilesystem:", "true"),
        ("allowPrivilegeEscalation:", "false"),
        ("drop:", "[\"ALL\"]"),
        ("type:", "RuntimeDefault"),
        ("automountServiceAccountToken:", "false"),
        ("securityContext: &", "confined"),
        ("securityContext: *", "confined"),
        ("subPath:", "cache"),
    ] {
        assert_eq!(only(KUBERNETES, key), value, "{key}");
    }
    // Of whom the others are: a name that nothing has is found when it is too late.
    for name in ["configuration", "secrets", "cache"] {
        let volumes = KUBERNETES.split_once("      volumes:\n").unwrap().1;
        assert_eq!(only(volumes, &format!("- name: {name}")), "");
        assert!(
            KUBERNETES.contains(&format!("            - name: {name}\n              mountPath: ")),
            "{name}"
        );
    }
}
