//! Limits on values of the job's own line, and of its parts.

use super::*;

#[test]
fn a_limit_on_the_command_line_that_says_nothing_is_refused() {
    let check = check("smtp");
    for text in ["login_time_ms", "login_time_ms=", "login_time_ms=,", "login_time_ms= , "] {
        let job = AdHoc { alarm_limits: vec![text.to_owned()], ..AdHoc::new("a", &check, "h") };
        let refused = job.job().unwrap_err().to_string();
        assert_eq!(refused, "limit: expected [PART.]FIELD=WARNING[,CRITICAL]", "{text}");
    }
}

#[test]
fn limits_may_be_on_the_parts_of_a_run() {
    let mut check = check("smtp");
    let mut description = (*description()).clone();
    description.parts = vec![Part {
        name: "mailbox".to_owned(),
        doc: String::new(),
        tags: Vec::new(),
        // One that is called as a level is.
        fields: vec![
            Field::plain("messages", FieldKind::Integer),
            Field::plain("warning", FieldKind::Float),
            Field::plain("state", FieldKind::Text),
        ],
    }];
    check.description = Arc::new(description);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let limits = |text: &str| {
        fs::write(&path, format!("[[job]]\nname = \"a\"\nhost = \"h\"\n{text}")).unwrap();
        let job = config::read(&path).and_then(|plan| plan.jobs[0].job(&check));
        let job = job.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), ""));
        job.map(|job| job.alarm_limits)
    };
    let limit = |field: &str, severity, text: &str| Limit {
        part: Some("mailbox".to_owned()),
        ..Limit::parse(field, severity, text).unwrap()
    };
    let expected = [limit("messages", Severity::Critical, "9"), limit("warning", Severity::Warning, "< 1")];
    let text = "[job.alarm.mailbox]\nmessages = { critical = 9 }\nwarning = { warning = \"< 1\" }";
    assert_eq!(limits(text).unwrap(), expected);
    let beside = "[job.alarm]\ntotal_time_ms = { warning = 1 }\nmailbox.error_code = { warning = \"!= 0\" }";
    assert_eq!(limits(beside).unwrap().len(), 2);
    for (text, expected) in [
        (
            "alarm.mailbox.mesages = { warning = 1 }",
            "job `a`: alarm.mailbox.mesages: the check reports no such number; did you mean `messages`?",
        ),
        (
            "alarm.mailbox.state = { warning = 1 }",
            "job `a`: alarm.mailbox.state: the check reports no such number",
        ),
        (
            "alarm.mailbox.alarm_state = { warning = 1 }",
            "job `a`: alarm.mailbox.alarm_state: the check reports no such number",
        ),
        (
            "alarm.mailboxes.messages = { warning = 1 }",
            "job `a`: alarm.mailboxes: the check reports no such parts; did you mean `mailbox`?",
        ),
        (
            "alarm.mailbox.messages = {}",
            "job `a`: alarm.mailbox.messages: expected `warning`, `critical` or both",
        ),
        (
            "alarm.mailbox.messages = { warning = \"many\" }",
            "job `a`: alarm.mailbox.messages.warning: no limit: expected a number or, for example, \"< 30\" \
             (>, >=, <, <=, ==, !=)",
        ),
        (
            "alarm.mailbox = { warning = 1, messages = { warning = 1 } }",
            "line 4: job.alarm.mailbox: expected limits on a field, or tables of limits on fields of a part",
        ),
        (
            "alarm.mailbox = { warn = 1 }",
            "line 4: job.alarm.mailbox: unknown key `warn`; did you mean `warning`?",
        ),
        (
            "alarm.mailbox.messages = { warn = 1 }",
            "line 4: job.alarm.mailbox.messages: unknown key `warn`; did you mean `warning`?",
        ),
        (
            "alarm.mailbox.messages = true",
            "line 4: job.alarm.mailbox.messages: expected a number or, for example, \"< 30\", not true or false",
        ),
    ] {
        assert_eq!(limits(text).unwrap_err(), format!("/sonde.toml: {expected}"), "{text}");
    }
    let of_text = |text: &str| {
        let job = AdHoc { alarm_limits: vec![text.to_owned()], ..AdHoc::new("a", &check, "h") };
        job.job().map(|job| job.alarm_limits).map_err(|error| error.to_string())
    };
    assert_eq!(of_text("mailbox.messages=,9").unwrap(), expected[..1]);
    assert_eq!(
        of_text("mailbox.mesages=9").unwrap_err(),
        "alarm.mailbox.mesages: the check reports no such number; did you mean `messages`?"
    );
    assert_eq!(
        of_text("mailbox.messages=many").unwrap_err(),
        "limit mailbox.messages: no limit: expected a number or, for example, \"< 30\" (>, >=, <, <=, ==, !=)"
    );
}

#[test]
fn a_check_with_parts_is_pinned_with_lines_for_them() {
    let mut check = check("a");
    let pinned = |check: &Check| {
        sample::pinned(check, "a.wasm", "mx1", &BTreeMap::default(), &BTreeMap::default()).unwrap()
    };
    assert!(!pinned(&check).contains("lines"), "{}", pinned(&check));
    let mut description = (*description()).clone();
    let part = Part { name: "box".to_owned(), doc: String::new(), tags: Vec::new(), fields: Vec::new() };
    description.parts = vec![part];
    check.description = Arc::new(description);
    let limits =
        "\n\n[check.limits]\n# Of a run: its job's own and those of its parts.\nlines = 64\n\n[[job]]\n";
    assert!(pinned(&check).contains(limits), "{}", pinned(&check));
}

#[test]
fn a_limit_on_parts_that_may_have_no_line_is_refused() {
    let zeros = "0".repeat(64);
    let with = |lines: &str| {
        read(&format!(
            "[[check]]\nname = \"c\"\ncomponent = \"c.wasm\"\nsha256 = \"{zeros}\"\ndescription_sha256 = \"{zeros}\"\n\
             measurement = \"c\"\n{lines}[[job]]\nname = \"a\"\ncheck = \"c\"\nhost = \"h\"\n\
             alarm.mailbox.messages = {{ warning = 1 }}\n"
        ))
        .unwrap_err()
    };
    let wrong = "no part has a line: `lines` in the [check.limits] of its check is 1";
    for lines in ["", "limits.lines = 1\n"] {
        assert_eq!(with(lines), format!("sonde.toml: job `a`: alarm.mailbox: {wrong}"));
    }
    // Of this check, which has no parts.
    assert!(with("limits.lines = 2\n").contains("the check reports no such parts"));
}

#[test]
fn a_limit_whose_direction_was_forgotten_is_doubted() {
    let said = |warning: &str, critical: &str| {
        let alarm = format!("alarm.cert_days_left = {{ warning = {warning}, critical = {critical} }}");
        let text = format!("[[job]]\nname = \"a\"\nhosts = [\"g\", \"h\"]\n{alarm}");
        let plan = of_text(Path::new("sonde.toml"), &text).ok().unwrap();
        plan.doubts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for (warning, critical, expected) in [
        (
            "30",
            "7",
            "warning > 30, critical > 7: whatever breaks the first breaks the second, and it never comes to a warning; a lower \
             bound is \"< 30\"",
        ),
        (
            "\"<= 7\"",
            "\"< 30\"",
            "warning <= 7, critical < 30: whatever breaks the first breaks the second, and it never comes to a warning; an \
             upper bound is \"> 7\"",
        ),
        (
            "\"< 30\"",
            "7",
            "warning < 30, critical > 7: every value breaks one of them; a lower bound is \"< 7\"",
        ),
        (
            "7",
            "\"< 30\"",
            "warning > 7, critical < 30: every value breaks one of them; a lower bound is \"< 7\"",
        ),
    ] {
        assert_eq!(
            said(warning, critical),
            [format!("sonde.toml: job `a`: alarm.cert_days_left: {expected}")]
        );
    }
    for (warning, critical) in [
        ("7", "30"),
        ("7", "7"),
        ("\"< 30\"", "\"< 7\""),
        ("\"> 30\"", "\"< 7\""),
        ("\"< 7\"", "30"),
        ("\"!= 0\"", "\"== 0\""),
    ] {
        assert_eq!(said(warning, critical), [""; 0], "{warning} {critical}");
    }
}
