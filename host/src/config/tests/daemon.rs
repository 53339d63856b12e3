//! What `sonde execd` does by itself.

use std::{fs, time::Duration};

use crate::config;

#[test]
fn an_interval_is_from_a_second_to_a_day_and_stands_in_no_included_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let interval = |daemon: &str| {
        fs::write(&path, format!("{daemon}\n[[job]]\nname = \"a\"\nhost = \"h\"")).unwrap();
        config::read(&path).map(|plan| plan.interval).map_err(|error| error.to_string())
    };
    assert_eq!(interval(""), Ok(None));
    assert_eq!(interval("[daemon]"), Ok(None));
    assert_eq!(interval("daemon.interval = \"1s\""), Ok(Some(Duration::from_secs(1))));
    assert_eq!(interval("daemon.interval = \"1440m\""), Ok(Some(Duration::from_hours(24))));
    let expected = "daemon.interval: expected a time such as \"60s\" or \"5m\", from 1s to 1440m";
    for wrong in ["999ms", "1441m", "60", "", "1h"] {
        let refused = interval(&format!("daemon.interval = \"{wrong}\"")).unwrap_err();
        assert!(refused.ends_with(expected), "{refused}");
    }
    fs::write(folder.path().join("more.toml"), "[daemon]\ninterval = \"60s\"").unwrap();
    let refused = interval("include = [\"more.toml\"]").unwrap_err();
    assert!(
        refused.ends_with("more.toml: an included file may only have [[check]] and [[job]]"),
        "{refused}"
    );
}
