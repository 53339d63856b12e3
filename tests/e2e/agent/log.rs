//! What is in the log of rounds that are all the same.

use support::{hostile, sonde, stdout, succeed};

use super::Config;

#[test]
fn what_a_check_writes_in_each_round_is_in_the_log_once() {
    let config = Config::new("");
    let file = config.folder.path().join("hostile.wasm");
    std::fs::write(&file, hostile("honest")).unwrap();
    let file = file.to_str().unwrap();
    let pinned =
        stdout(&sonde(&["pin", file, "--host", "127.0.0.1", "-p", "port=7", "-p", "harm=flood-log"]));
    std::fs::write(&config.path, pinned).unwrap();
    succeed(&mut config.sonde("compile"));
    let mut agent = config.start();
    for _ in 0..3 {
        agent.gather();
        agent.line();
    }
    let log = agent.stop().log;
    // As many as a run may write, and how many more it did.
    assert_eq!(log.iter().filter(|line| line.ends_with("harm smtp forged=1")).count(), 20, "{log:?}");
    assert_eq!(
        log.iter().filter(|line| line.ends_with("49980 more log lines dropped")).count(),
        1,
        "{log:?}"
    );
}
