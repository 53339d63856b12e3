//! Jobs of the examples that need no other beside them: further mailboxes, and what is refused before it runs.

use std::fs;

use support::{points, sonde, stderr, stdout};

use super::{
    examples, of, pinned,
    servers::{Dovecot, PASSWORD},
};

/// What is asked of further mailboxes stands on lines of their own, also that one of them is not there.
#[test]
fn each_further_mailbox_is_a_line() {
    let (Some(examples), Some(dovecot)) = (examples(), Dovecot::start()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    let config = [
        format!("cache_dir = '{}'\n{}", folder.path().join("cache").display(), pinned(examples, "imap")),
        "\n[[job]]\nname = \"mail\"\ncheck = \"imap\"\nhost = \"127.0.0.1\"\n".to_owned(),
        format!(
            "[job.parameters]\nport = {}\nusername = \"probe\"\npassword = \"{PASSWORD}\"\n",
            dovecot.plain
        ),
        "allow_plaintext_auth = true\nmailboxes = [\"INBOX\", \"Missing\", \"INBOX\"]\n".to_owned(),
    ];
    fs::write(&path, config.concat()).unwrap();
    let compiled = sonde(&["compile", "--config", path.to_str().unwrap()]);
    assert!(compiled.status.success(), "{}", stderr(&compiled));
    let output = sonde(&["run", "--config", path.to_str().unwrap()]);
    let lines = points(&stdout(&output));
    assert_eq!((lines.len(), of(&lines, "mail").code("messages")), (3, 2), "{}", stderr(&output));
    let part = |name: &str| {
        let mut parts = lines.iter().filter(|point| point.measurement == "imap_mailbox");
        parts.find(|point| point.tags["mailbox"] == name).unwrap_or_else(|| panic!("no {name} in {lines:?}"))
    };
    let (inbox, missing) = (part("INBOX"), part("Missing"));
    assert_eq!((&*inbox.tags["result"], inbox.code("messages"), inbox.code("unseen")), ("success", 2, 2));
    assert_eq!((&*missing.tags["result"], missing.code("error_code")), ("rejected", 1005));
}

/// What the kind of a parameter does not say, the check does, before anything runs.
#[test]
fn the_examples_refuse_a_job_that_cannot_be_run() {
    let Some(examples) = examples() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    for (name, given, said) in [
        ("imap", "username = \"u\"", "password: expected beside `username`"),
        ("redis", "username = \"u\"", "password: expected beside `username`"),
        ("http", "path = \"index.html\"", "path: expected a path that begins with `/`"),
    ] {
        let head =
            format!("cache_dir = '{}'\n{}", folder.path().join("cache").display(), pinned(examples, name));
        let job = format!(
            "\n[[job]]\nname = \"a\"\ncheck = \"{name}\"\nhost = \"127.0.0.1\"\nparameters.port = 1\nparameters."
        );
        fs::write(&path, head + &job + given).unwrap();
        let output = sonde(&["config", "check", path.to_str().unwrap()]);
        let expected = format!("E! {}: job `a`: parameters.{said}\n", path.display());
        assert_eq!(output.status.code(), Some(2));
        // Behind what is said of compiling it.
        assert!(stderr(&output).ends_with(&expected), "{name}: {}", stderr(&output));
    }
}
