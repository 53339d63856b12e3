//! Several processes with one configuration: each job is run by one of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use nix::{sys::signal::Signal, unistd::Uid};

use support::{agent::Execd, points, refusing, skip, sonde, stderr, stdout};

const JOBS: usize = 200;

/// A job with so many hosts, all of this machine.
fn configuration(folder: &Path, hosts: usize, port: u16) -> String {
    let hosts: Vec<_> = (1..=hosts).map(|host| format!("127.0.0.{host}")).collect();
    let path = folder.join("sonde.toml");
    fs::write(&path, format!("[[job]]\nname = \"many\"\nhosts = {hosts:?}\nparameters.port = {port}\n"))
        .unwrap();
    path.to_str().unwrap().to_owned()
}

/// The hosts of the lines.
fn hosts(lines: &str) -> Vec<String> {
    points(lines).into_iter().map(|point| point.tags["server"].clone()).collect()
}

/// In which of so many shares each job was run.
fn shares(config: &str, of: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for number in 0..of {
        let output = sonde(&["run", "--config", config, "--shard", &format!("{number}/{of}")]);
        assert!(output.status.success(), "{}", stderr(&output));
        for host in hosts(&stdout(&output)) {
            assert_eq!(shares.insert(host.clone(), number), None, "{host} was run twice");
        }
    }
    assert_eq!(shares.len(), JOBS);
    shares
}

#[test]
fn each_job_is_run_by_one_of_several_processes_and_with_one_more_few_move() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let config = configuration(folder.path(), JOBS, port);
    let (before, now) = (shares(&config, 8), shares(&config, 9));
    let moved = before.iter().filter(|(host, share)| now[*host] != **share);
    let to: BTreeSet<usize> = moved.map(|(host, _)| now[host]).collect();
    assert_eq!(to, [8].into());
    let output = sonde(&["config", "check", &config, "--shard", "3/8"]);
    let own = before.values().filter(|share| **share == 3).count();
    assert_eq!(stdout(&output), format!("{config}: {JOBS} jobs, {own} of them in share 3/8, no error\n"));
}

#[test]
fn an_agent_that_keeps_several_running_has_each_job_once_a_round_also_behind_a_reload() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let config = configuration(folder.path(), JOBS, port);
    let execd = |shard: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sonde"));
        Execd::start(command.args(["execd", "--config", &config, "--shard", shard]))
    };
    let mut agents = ["0/3", "1/3", "2/3"].map(execd);
    for all in [JOBS, 20] {
        if all < JOBS {
            configuration(folder.path(), all, port);
        }
        let mut seen = Vec::new();
        for (number, agent) in agents.iter_mut().enumerate() {
            if all < JOBS {
                // A round comes by itself.
                agent.signal(Signal::SIGHUP);
                agent.logged("read again");
            } else {
                agent.gather();
            }
            let check = sonde(&["config", "check", &config, "--shard", &format!("{number}/3")]);
            let own = stdout(&check).split_once(" jobs, ").unwrap().1.split(' ').next().unwrap().parse();
            seen.extend(agent.lines(own.unwrap()).into_iter().map(|point| point.tags["server"].clone()));
        }
        let distinct: BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (all, all));
    }
    for agent in agents {
        assert_eq!(agent.stop().lines, [""; 0]);
    }
}

#[test]
fn a_share_without_a_job_says_so_and_an_empty_configuration_is_refused_all_the_same() {
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let config = configuration(folder.path(), 1, port);
    let mut lines = 0;
    for number in 0..4 {
        let shard = format!("{number}/4");
        let output = sonde(&["run", "--config", &config, "--shard", &shard]);
        assert_eq!(output.status.code(), Some(0));
        let own = hosts(&stdout(&output)).len();
        lines += own;
        let said = format!("I! share {shard} has none of 1 job\n");
        assert_eq!(stderr(&output) == said, own == 0, "{output:?}");
    }
    assert_eq!(lines, 1);
    fs::write(&config, "").unwrap();
    let output = sonde(&["run", "--config", &config, "--shard", "0/4"]);
    assert_eq!(
        (output.status.code(), &*stderr(&output)),
        (Some(2), &*format!("E! {config}: no [[job]] in it\n"))
    );
}

#[test]
fn what_is_wrong_with_a_job_every_share_refuses_alike() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sonde.toml");
    let good = "[[job]]\nname = \"good\"\nhost = \"127.0.0.1\"\n";
    for wrong in [
        "parameters.prot = 25\n",
        "parameters.password = { file = \"absent\" }\n",
        "tls.ca_file = \"absent\"\n",
    ] {
        fs::write(&config, format!("{good}[[job]]\nname = \"bad\"\nhost = \"127.0.0.1\"\n{wrong}")).unwrap();
        let refused = |number: usize| {
            let shard = format!("{number}/2");
            let output = sonde(&["run", "--config", config.to_str().unwrap(), "--shard", &shard]);
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            stderr(&output)
        };
        assert_eq!(refused(0), refused(1));
        assert!(refused(0).contains("job `bad`: "), "{}", refused(0));
    }
}

#[test]
fn a_share_that_is_none_is_refused_with_what_is_expected() {
    let refused = |shard: &str, expected: &str| {
        for command in ["run", "execd"] {
            let output = sonde(&[command, "--config", "/nowhere.toml", "--shard", shard]);
            assert_eq!(
                (output.status.code(), &*stderr(&output)),
                (Some(2), &*format!("E! --shard {expected}\n"))
            );
        }
    };
    refused("8/8", "8/8: shares count from 0: of 8 the last is 7/8");
    refused("3", "3: expected a share and their number, at most 256, such as 0/8 to 7/8, or auto/8");
}

#[test]
fn auto_is_the_pods_own_number() {
    if !Uid::effective().is_root() {
        return skip("only root may start a program under another host name");
    }
    let (folder, (_held, port)) = (tempfile::tempdir().unwrap(), refusing());
    let config = configuration(folder.path(), 20, port);
    let named = |name: &str| {
        let script =
            "printf %s \"$1\" >/proc/sys/kernel/hostname; exec \"$2\" run --config \"$3\" --shard auto/2";
        let mut command = Command::new("unshare");
        command.args(["--uts", "sh", "-c", script, "sh", name, env!("CARGO_BIN_EXE_sonde"), &config]);
        command.output().unwrap()
    };
    let one = sonde(&["run", "--config", &config, "--shard", "1/2"]);
    let (one, own) = (hosts(&stdout(&one)), hosts(&stdout(&named("sonde-1"))));
    assert!(!one.is_empty() && one.len() < 20);
    assert_eq!(BTreeSet::from_iter(one), BTreeSet::from_iter(own));
    let said = "E! --shard auto/2: by the host name `sonde-2` it is 2/2, and of 2 the last is 1/2\n";
    assert_eq!(stderr(&named("sonde-2")), said);
}
