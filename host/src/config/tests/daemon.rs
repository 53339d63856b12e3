//! What `sonde execd` does by itself, and what it does no more often.

use std::{fs, path::Path, time::Duration};

use crate::config;

#[test]
fn an_interval_is_from_a_second_to_a_day() {
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
    for (daemon, wrong) in [
        ("jitter = \"1x\"", "a time such as \"20s\", less than the interval"),
        ("interval = \"10s\"\njitter = \"10s\"", "less than the interval"),
    ] {
        let refused = interval(&format!("[daemon]\n{daemon}")).unwrap_err();
        assert!(refused.ends_with(&format!(": daemon.jitter: expected {wrong}")), "{refused}");
    }
    assert!(interval("[daemon]\ninterval = \"10s\"\njitter = \"9999ms\"").is_ok());
}

#[test]
fn a_time_of_a_jobs_own_is_from_a_second_to_a_day_and_is_refused_by_its_job() {
    let every = |every: &str| {
        let text = format!("[[job]]\nname = \"a\"\nhost = \"h\"\nevery = {every}");
        config::of_text(Path::new("sonde.toml"), &text).map_err(|error| error.to_string())
    };
    assert_eq!(every("\"5m\"").ok().unwrap().jobs[0].every(), Some(Duration::from_mins(5)));
    for wrong in ["\"0s\"", "\"999ms\"", "\"1441m\"", "\"\"", "\"5\""] {
        let expected =
            "sonde.toml: job `a`: every: expected a time such as \"60s\" or \"5m\", from 1s to 1440m";
        assert_eq!(every(wrong).err().unwrap(), expected);
    }
    assert!(every("5").err().unwrap().starts_with("sonde.toml: line 4: "));
}

#[test]
fn how_many_jobs_of_a_host_run_at_once_is_at_least_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let read = |text: &str| {
        fs::write(&path, format!("{text}\n[[job]]\nname = \"a\"\nhost = \"h\"")).unwrap();
        config::read(&path).map(|plan| plan.max_per_host).map_err(|error| error.to_string())
    };
    assert_eq!((read(""), read("max_per_host = 3")), (Ok(None), Ok(Some(3))));
    let refused = read("max_per_host = 0").unwrap_err();
    assert!(refused.ends_with("line 1: max_per_host: expected a whole number from 1 to 65535"), "{refused}");
}

#[test]
fn a_state_file_stands_beside_the_configuration_and_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let state_file = |written: &str| {
        let text = format!("daemon.state_file = \"{written}\"\n[[job]]\nname = \"a\"\nhost = \"h\"");
        fs::write(&path, text).unwrap();
        config::read(&path).map(|plan| plan.state_file).map_err(|error| error.to_string())
    };
    assert_eq!(state_file("state"), Ok(Some(folder.path().join("state"))));
    assert_eq!(state_file("/var/lib/sonde/state"), Ok(Some("/var/lib/sonde/state".into())));
    for (wrong, said) in [
        ("", "expected a file"),
        ("..", "expected a file"),
        ("~/state", "`~` is not expanded: write the path in full"),
    ] {
        let refused = state_file(wrong).unwrap_err();
        assert!(refused.ends_with(&format!("daemon.state_file: {said}")), "{refused}");
    }
}

#[test]
fn a_job_may_run_once_a_minute_and_at_least_once_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let most = |number: i64| {
        let text = format!("[[job]]\nname = \"a\"\nhosts = [\"g\", \"h\"]\nmax_per_hour = {number}\n");
        fs::write(&path, text).unwrap();
        let plan = config::read(&path).map_err(|error| error.to_string())?;
        Ok(plan.jobs.iter().map(config::Planned::max_per_hour).collect::<Vec<_>>())
    };
    for number in [1, 60] {
        assert_eq!(most(number), Ok(vec![Some(u8::try_from(number).unwrap()); 2]));
    }
    for number in [i64::MIN, -1, 0, 61, 257, i64::MAX] {
        let refused: String = most(number).unwrap_err();
        assert!(refused.ends_with("job `a`: max_per_hour: expected a whole number, 1 to 60"), "{refused}");
    }
}
