//! What the program says of itself.

use std::collections::BTreeSet;

use support::{Point, points, refusing};

use super::{Config, Gate, job, many};

#[test]
fn a_line_about_the_program_is_behind_those_of_each_round_and_has_its_time() {
    let (_held, port) = refusing();
    let config = Config::new(&format!("[daemon]\nself_metrics = true\n{}", many(3, port)));
    let mut agent = config.start();
    for number in 1..4 {
        agent.gather();
        let lines: Vec<_> = (0..4).map(|_| agent.line() + "\n").collect();
        let own = &points(&lines[3])[0];
        assert_eq!((&*own.measurement, &*own.tags["config"]), ("sonde", config.path.to_str().unwrap()));
        assert_eq!(own.tags.len(), 1);
        let stamps: BTreeSet<_> = lines.iter().map(|line| line.rsplit_once(' ').unwrap().1).collect();
        assert_eq!(stamps.len(), 1, "{lines:?}");
        let counts = ["jobs", "rounds", "run", "skipped", "failed", "traps"].map(|name| own.code(name));
        assert_eq!(counts, [3, number, 3 * number, 0, 3 * number, 0]);
    }
    assert_eq!(agent.stop().lines, [""; 0]);
}

#[test]
fn a_round_that_hangs_has_its_line_when_the_next_begins_and_what_is_skipped_is_counted() {
    let gate = Gate::new();
    let (_held, port) = refusing();
    let jobs = job("held", gate.port) + &job("quick", port);
    let config = Config::new(&format!("[daemon]\ninterval = \"1s\"\nself_metrics = true\n{jobs}"));
    let agent = config.start();
    gate.wait();
    let mut own = Vec::new();
    while own.len() < 3 {
        own.extend(agent.lines(1).into_iter().filter(|point| point.measurement == "sonde"));
    }
    let counts = |point: &Point| ["rounds", "run", "skipped"].map(|name| point.code(name));
    assert_eq!(own.iter().map(counts).collect::<Vec<_>>(), [[1, 1, 0], [2, 2, 1], [3, 3, 2]]);
    assert!(own.iter().all(|point| !point.fields.contains_key("round_time_ms")), "{own:?}");
    gate.answer();
    agent.stop();
}

#[test]
fn what_is_cut_off_at_the_end_is_in_the_last_line() {
    let gate = Gate::new();
    let config = Config::new(&format!("[daemon]\nself_metrics = true\n{}", job("held", gate.port)));
    let mut agent = config.start();
    agent.gather();
    gate.wait();
    let stopped = agent.stop();
    let own = &points(&(stopped.lines.concat() + "\n"))[0];
    let counts = ["rounds", "run", "skipped", "queued"].map(|name| own.code(name));
    assert_eq!((&*own.measurement, counts), ("sonde", [1, 0, 0, 1]));
    assert!(stopped.log.iter().any(|line| line.ends_with("1 of 1 job has no line")), "{:?}", stopped.log);
}
