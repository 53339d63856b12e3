//! Hosts: names that are looked up by a name server of the configuration, and how an address is shown.

use std::{fmt::Write as _, fs};

use support::{
    Point, greeter,
    name_server::{NO_ERROR, NXDOMAIN, NameServer, Record},
    points, sonde, stderr, stdout,
};

/// The lines of a round of as many jobs, each with a name of its own, for what `host` makes of its number.
fn round(server: &NameServer, jobs: usize, host: impl Fn(usize) -> String) -> Vec<Point> {
    let port = greeter("554 no");
    let mut config = format!("[resolver]\nservers = [\"{}\"]\n", server.address);
    for number in 0..jobs {
        let host = host(number);
        writeln!(
            config,
            "[[job]]\nname = \"{number}\"\nhost = \"{host}\"\ngrants = [\"tcp://127.0.0.1:{port}\"]\n\
             timeout = \"2s\"\nparameters.port = {port}"
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sonde.toml");
    fs::write(&file, config).unwrap();
    let ran = sonde(&["run", "--config", file.to_str().unwrap()]);
    let points = points(&stdout(&ran));
    assert_eq!(points.len(), jobs, "{}", stderr(&ran));
    points
}

#[test]
fn jobs_with_the_same_name_ask_for_it_once_and_each_says_what_it_waited() {
    let server = NameServer::of_addresses(60, |_| vec!["127.0.0.1".parse().unwrap()]);
    let points = round(&server, 100, |_| "mx1.test".to_owned());
    for point in points {
        assert_eq!(point.text("ip"), "127.0.0.1", "{point:?}");
        assert!(point.fields.contains_key("dns_time_ms"), "{point:?}");
    }
    assert_eq!(server.asked("mx1.test"), 2);
}

#[test]
fn names_that_nobody_answers_for_hold_up_no_other() {
    let server = NameServer::start(|question| match &*question.name {
        name if name.starts_with("silent") => Vec::new(),
        name if name.starts_with("absent") => vec![question.answer(NXDOMAIN, &[])],
        _ => {
            let address = Record::address(&question.name, 60, "127.0.0.1".parse().unwrap());
            let records = if question.kind == address.kind { vec![address] } else { Vec::new() };
            vec![question.answer(NO_ERROR, &records)]
        }
    });
    let kinds = ["silent", "absent", "good"];
    let points = round(&server, 60, |number| format!("{}-{number}.test", kinds[number % 3]));
    for point in points {
        let (code, said) = (point.code("error_code"), point.text("error"));
        match point.tags["server"].split('-').next().unwrap() {
            "silent" => {
                assert_eq!(code, 303, "{point:?}");
                assert!(said.contains(&format!("no answer from {}", server.address)), "{said}");
            }
            "absent" => {
                assert_eq!(code, 301, "{point:?}");
                assert!(said.contains("does not exist"), "{said}");
            }
            _ => assert_eq!(point.text("ip"), "127.0.0.1", "{point:?}"),
        }
    }
}

#[test]
fn an_address_in_brackets_is_named_without_them_and_told_from_its_port() {
    // Whether or not this machine has such addresses.
    let output = sonde(&["check", "[::1]", "--port", "1"]);
    let point = &points(&stdout(&output))[0];
    assert_eq!((&*point.tags["job"], &*point.tags["server"]), ("::1", "::1"));
    assert!(stderr(&output).starts_with("W! job ::1: [::1]:1: connection_failed: "), "{output:?}");
}
