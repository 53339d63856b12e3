//! Declared checks and their limits.

use super::*;

#[test]
fn a_declared_check_is_refused_by_what_is_wrong() {
    let zeros = "0".repeat(64);
    let pinned = |sha256: &str, measurement: &str| {
        format!(
            "component = \"c.wasm\"\nsha256 = \"{sha256}\"\ndescription_sha256 = \"{zeros}\"\n\
             measurement = \"{measurement}\"\n"
        )
    };
    let declared = pinned(&zeros, "m");
    for (text, expected) in [
        (format!("name = \"a\"\n{}", pinned("0", "m")), "check `a`: sha256: expected 64 hexadecimal digits"),
        ("name = \"a\"\ncomponent = \"c.wasm\"".to_owned(), "line 1: check: missing key `sha256`"),
        (format!("name = \"A\"\n{declared}"), "check `A`: name: expected lower-case letters, digits and -"),
        (format!("name = \"smtp\"\n{declared}"), "check `smtp`: name: another check has this name"),
        (
            format!("name = \"a\"\n{declared}[[check]]\nname = \"a\"\n{declared}"),
            "check `a`: name: another check has this name",
        ),
        (
            format!("name = \"a\"\n{declared}[[check]]\nname = \"b\"\n{}", pinned(&"1".repeat(64), "m")),
            "check `b`: measurement: check `a`, another component, writes this measurement, or may do so of its parts",
        ),
        (
            format!("name = \"a\"\n{}", pinned(&zeros, "smtp")),
            "check `a`: measurement: check `smtp`, another component, writes this measurement, or may do so of its parts",
        ),
        (
            format!("name = \"a\"\n{}", pinned(&zeros, "smtp_hop")),
            "check `a`: measurement: check `smtp`, another component, writes this measurement, or may do so of its parts",
        ),
        (
            format!("name = \"a\"\n{}", pinned(&zeros, "sonde_hop")),
            "check `a`: measurement: the host's own lines are of this measurement",
        ),
        (
            format!("name = \"a\"\n{}", pinned(&zeros, "sonde")),
            "check `a`: measurement: the host's own lines are of this measurement",
        ),
        (
            format!("name = \"a\"\n{declared}limits.cpu_time = \"1\""),
            "check `a`: limits.cpu_time: expected a time such as \"10s\", \"500ms\" or \"2m\", at most 10m",
        ),
        (
            format!("name = \"a\"\n{declared}limits.connections = 241"),
            "check `a`: limits.connections: expected a whole number from 0 to 240",
        ),
        (
            format!("name = \"a\"\n{declared}limits.log_lines = 10001"),
            "check `a`: limits.log_lines: expected a whole number from 0 to 10000",
        ),
        (
            format!("name = \"a\"\n{declared}limits.lines = 257"),
            "check `a`: limits.lines: expected a whole number from 1 to 256",
        ),
        (
            format!("name = \"a\"\n{declared}limits.lines = 0"),
            "check `a`: limits.lines: expected a whole number from 1 to 256",
        ),
        (
            format!("name = \"a\"\n{declared}limits.connections = -1"),
            "check `a`: limits.connections: expected a whole number from 0 to 240",
        ),
        (
            format!("name = \"a\"\n{declared}limits.memory = 1"),
            "line 7: check.limits: unknown key `memory`; did you mean `memory_mib`?",
        ),
    ] {
        let refused = read(&format!("[[check]]\n{text}\n[[job]]\nname = \"a\"\nhost = \"h\"")).unwrap_err();
        assert_eq!(refused, format!("sonde.toml: {expected}"));
    }
}

#[test]
fn no_check_can_write_what_the_parts_of_another_could() {
    let check = |number: u8, measurement: &str, lines: u16| {
        let digest = number.to_string().repeat(64);
        format!(
            "[[check]]\nname = \"c{number}-{lines}\"\ncomponent = \"c.wasm\"\nsha256 = \"{digest}\"\n\
             description_sha256 = \"{digest}\"\nmeasurement = \"{measurement}\"\nlimits.lines = {lines}\n"
        )
    };
    let read = |checks: &[String]| read(&(checks.concat() + "[[job]]\nname = \"a\"\nhost = \"h\"")).map(drop);
    let refused = |second: &str, first: &str| {
        Err(format!(
            "sonde.toml: check `{second}`: measurement: check `{first}`, another component, writes this measurement, or may \
             do so of its parts"
        ))
    };
    // `imap` may have parts `mailbox`, in whatever order they stand and whatever is loaded first.
    let (imap, mailbox) = (check(1, "imap", 64), check(2, "imap_mailbox", 1));
    assert_eq!(read(&[imap.clone(), mailbox.clone()]), refused("c2-1", "c1-64"));
    assert_eq!(read(&[mailbox.clone(), imap.clone()]), refused("c1-64", "c2-1"));
    // Parts `mailbox_quota` of the one and `quota` of the other.
    assert_eq!(read(&[imap.clone(), check(2, "imap_mailbox", 2)]), refused("c2-2", "c1-64"));
    // One that has no parts by the operator's word writes no line of any.
    assert_eq!(read(&[check(1, "imap", 1), mailbox.clone()]), Ok(()));
    assert_eq!(read(&[check(1, "imap", 1), check(2, "imap_mailbox", 64)]), Ok(()));
    assert_eq!(read(&[check(1, "imap", 1), check(2, "imap", 1)]), refused("c2-1", "c1-1"));
    assert_eq!(read(&[imap.clone(), check(2, "imaps", 64)]), Ok(()));
    // The same component is no other check.
    assert_eq!(read(&[imap, check(1, "imap", 9)]), Ok(()));
}

#[test]
fn digests_may_be_written_in_capitals() {
    let text = format!(
        "[[check]]\nname = \"a\"\ncomponent = \"a.wasm\"\nsha256 = \"{}\"\ndescription_sha256 = \"{}\"\n\
         measurement = \"a\"\n[[job]]\nname = \"a\"\nhost = \"h\"",
        "AB".repeat(32),
        "CD".repeat(32)
    );
    let plan = of_text(Path::new("sonde.toml"), &text).unwrap();
    let pinned = plan.checks[0].source.pinned.as_ref().unwrap();
    assert_eq!((plan.checks[0].sha256(), &*pinned.sha256), (&*"ab".repeat(32), &*"ab".repeat(32)));
    assert_eq!(pinned.description_sha256, "cd".repeat(32));
}

#[test]
fn limits_are_those_given_and_the_usual_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let digest = "0".repeat(64);
    let check = format!(
        "[[check]]\nname = \"a\"\ncomponent = \"c/a.wasm\"\nsha256 = \"{digest}\"\n\
         description_sha256 = \"{digest}\"\nmeasurement = \"a\"\n"
    );
    let job = "[[job]]\nname = \"a\"\nhost = \"h\"\n";
    let limits = "[check.limits]\nmemory_mib = 8\ncpu_time = \"50ms\"\nconnections = 0\nlines = 9\n";
    fs::write(&path, check + limits + job).unwrap();
    let plan = config::read(&path).unwrap();
    assert_eq!(plan.checks[0].source.path, folder.path().join("c/a.wasm"));
    let expected = crate::sandbox::Limits {
        memory_bytes: 8 << 20,
        cpu_time: Duration::from_millis(50),
        connections: 0,
        lines: 9,
        ..crate::sandbox::Limits::default()
    };
    assert_eq!(plan.checks[0].source.limits, expected);
}

#[test]
fn the_limits_of_the_sample_and_of_the_readme_are_the_usual_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let sample = sample::sample(&description());
    let (_, block) = sample.split_once("# [[check]]\n").unwrap();
    let (block, _) = block.split_once("\n\n").unwrap();
    let block: Vec<&str> = block.lines().map(|line| line.strip_prefix("# ").unwrap()).collect();
    let block = block.join("\n").replace('…', &"0".repeat(64)).replace("What each", "# What each");
    fs::write(&path, format!("[[check]]\n{block}\n[[job]]\nname = 'a'\nhost = 'h'")).unwrap();
    assert_eq!(config::read(&path).unwrap().checks[0].source.limits, crate::sandbox::Limits::default());
    let readme = include_str!("../../../../README.md");
    let (_, limits) = block.split_once("[check.limits]\n").unwrap();
    for (key, value) in limits.lines().map(|line| line.split_once(" = ").unwrap()) {
        let shown = if value.starts_with('"') { format!("`{value}`") } else { value.to_owned() };
        assert!(readme.contains(&format!("`{key}` | {shown} |")), "{key} = {value}");
    }
}
