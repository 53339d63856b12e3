//! Many checks that compute without end before any run, beside one that does not: each job has its line, and says of whom what.

use std::{fs, path::Path};

use support::{Point, hostile, points, sonde, stdout};

/// Checks that loop.
const LOOPING: usize = 40;

/// A check of this name whose component is this file, and jobs for it.
fn check(pinned: &str, name: &str, harm: &str, jobs: usize, timeout: &str) -> String {
    let pinned = pinned.replace("name = \"hostile\"", &format!("name = \"{name}\""));
    let pinned = pinned.replace("check = \"hostile\"", &format!("check = \"{name}\""));
    let pinned = pinned.replace("\"none\"", &format!("\"{harm}\""));
    let (check, job) = pinned.split_once("\n[[job]]").unwrap();
    let job = |number: usize| {
        let job = job.replacen(
            &format!("name = \"{name}\""),
            &format!("name = \"{name}-{number}\"\ntimeout = \"{timeout}\""),
            1,
        );
        format!("\n[[job]]{job}")
    };
    check.to_owned() + &(0..jobs).map(job).collect::<String>() + "\n"
}

/// The lines of a round; those of the good check succeed, whatever the others do.
fn beside_the_good(others: &str, pinned: &str, folder: &Path) -> Vec<Point> {
    let config = folder.join("sonde.toml");
    let cache = folder.join("cache");
    let good = check(pinned, "good", "none", 5, "60s");
    let text = format!("cache_dir = '{}'\n{good}{others}", cache.display());
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    // At deployment: what it refuses is compiled nonetheless.
    drop(sonde(&["compile", "--config", config]));
    let points = points(&stdout(&sonde(&["run", "--config", config])));
    let (good, others): (Vec<_>, Vec<_>) =
        points.into_iter().partition(|point| point.tags["job"].starts_with("good-"));
    assert_eq!((good.len(), others.len()), (5, LOOPING));
    assert!(good.iter().all(|point| point.tags["result"] == "success"), "{good:?}");
    others
}

#[test]
fn checks_that_judge_without_end_keep_no_good_one_from_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1", "-p", "harm=none"]));
    let looping = |timeout: &str| -> String {
        (0..LOOPING).map(|at| check(&pinned, &format!("loop-{at}"), "validate-loop", 1, timeout)).collect()
    };
    for point in beside_the_good(&looping("60s"), &pinned, folder.path()) {
        assert_eq!(point.code("error_code"), 215, "{point:?}");
        assert!(point.text("error").contains("its check does not judge it: "), "{point:?}");
    }
    // Those whose time is over before say what was waited for.
    for point in beside_the_good(&looping("100ms"), &pinned, folder.path()) {
        let text = point.text("error");
        let stages = [
            (213, ": not ready within 100ms: what has to be compiled "),
            (212, ": it has not described itself within 100ms"),
            (215, ": it has not judged the job within 100ms: it judges one after the other"),
        ];
        assert!(
            stages.iter().any(|(code, said)| point.code("error_code") == *code && text.contains(said)),
            "{point:?}"
        );
    }
}

#[test]
fn checks_that_describe_themselves_without_end_keep_no_good_one_from_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let (file, looping) = (folder.path().join("hostile.wasm"), folder.path().join("looping.wasm"));
    fs::write(&file, hostile("honest")).unwrap();
    fs::write(&looping, hostile("loop")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1", "-p", "harm=none"]));
    let sha256 = sonde_host::digest::sha256(&hostile("loop"));
    let pinned_looping: String = pinned
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("component", _)) => format!("component = {looping:?}\n"),
            Some(("sha256", _)) => format!("sha256 = \"{sha256}\"\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let others = |timeout: &str| -> String {
        let others = (0..LOOPING).map(|at| check(&pinned_looping, &format!("loop-{at}"), "none", 1, timeout));
        others.collect::<String>().replace("measurement = \"hostile\"", "measurement = \"looping\"")
    };
    for point in beside_the_good(&others("60s"), &pinned, folder.path()) {
        assert_eq!(point.code("error_code"), 212, "{point:?}");
        assert!(point.text("error").contains(": the component does not describe itself: "), "{point:?}");
    }
    for point in beside_the_good(&others("1s"), &pinned, folder.path()) {
        assert!([212, 213].contains(&point.code("error_code")), "{point:?}");
    }
}

#[test]
fn of_one_check_the_jobs_are_judged_in_the_order_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hostile.wasm");
    fs::write(&file, hostile("honest")).unwrap();
    let pinned = stdout(&sonde(&["pin", file.to_str().unwrap(), "--host", "127.0.0.1", "-p", "harm=none"]));
    let good = check(&pinned, "hostile", "none", 20, "60s");
    let looping = check(&pinned, "hostile", "validate-loop", 5, "60s").replace("\"hostile-", "\"loop-");
    let (_, looping) = looping.split_once("\n[[job]]").unwrap();
    let config = folder.path().join("sonde.toml");
    let cache = folder.path().join("cache");
    fs::write(&config, format!("cache_dir = '{}'\n{good}\n[[job]]{looping}", cache.display())).unwrap();
    let points = points(&stdout(&sonde(&["run", "--config", config.to_str().unwrap()])));
    let ended: Vec<bool> = points.iter().map(|point| point.tags["job"].starts_with("hostile-")).collect();
    assert_eq!(ended, [[true; 20].as_slice(), &[false; 5]].concat(), "{points:?}");
}
