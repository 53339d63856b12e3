//! Into InfluxDB and out again: what was printed is what is stored.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use crate::support::{Server, free_port, points, program, run_text, start};

fn request(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// Needs every escape of a text field.
const BANNER: &str = "mail \"quoted\" \\ back, a=b é";

/// One session that succeeds: its line has times as well.
fn answer(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(format!("220 {BANNER}\r\n").as_bytes()).unwrap();
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let quit = line.unwrap() == "QUIT";
        stream.write_all(if quit { b"221 bye\r\n" } else { b"250 ok\r\n" }).unwrap();
        if quit {
            return;
        }
    }
}

#[test]
fn lines_written_to_influxdb_come_back_equal() {
    let Some(influxd) = program("influxdb", &["/usr/bin/influxd"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (http, rpc) = (free_port(), free_port());
    let d = folder.path().display();
    let config = format!(
        "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{d}/meta\"\n[data]\n\
         dir = \"{d}/data\"\nwal-dir = \"{d}/wal\"\n[http]\nbind-address = \"127.0.0.1:{http}\"\n[monitor]\n\
         store-enabled = false\n"
    );
    let path = folder.path().join("influxdb.conf");
    fs::write(&path, config).unwrap();
    let _influxd: Server = start(Command::new(influxd).arg("-config").arg(&path), http);
    let (status, said) = request(http, "POST", "/query?q=CREATE+DATABASE+sonde", "");
    assert_eq!(status, 200, "{said}");

    // A name and a text that need every escape.
    let closed = free_port();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let answers = listener.local_addr().unwrap().port();
    let answering = thread::spawn(move || answer(&listener));
    let job = |name: &str, host: &str, port| {
        format!("[[job]]\nname = {name:?}\nhost = \"{host}\"\ntimeout = \"2s\"\nparameters.port = {port}\n")
    };
    let jobs = [
        job("plain", "127.0.0.1", closed),
        job("with space, comma = and \\ inside", "127.0.0.1", closed),
        job("a name", "does-not-exist.invalid", 25),
        job("answers", "127.0.0.1", answers),
    ];
    let lines = run_text(&jobs.concat(), folder.path());
    answering.join().unwrap();
    let printed = points(&lines);
    assert_eq!(printed.len(), 4);
    let answered = printed.iter().find(|point| point.tags["job"] == "answers").unwrap();
    assert_eq!((&*answered.tags["result"], answered.text("banner")), ("success", BANNER));
    let (status, said) = request(http, "POST", "/write?db=sonde&precision=ns", &lines);
    assert_eq!(status, 204, "{said}");

    let (status, said) = request(http, "GET", "/query?db=sonde&epoch=ns&q=SELECT+*+FROM+smtp", "");
    assert_eq!(status, 200, "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    let series = &answer["results"][0]["series"][0];
    let columns: Vec<&str> =
        series["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let rows = series["values"].as_array().unwrap();
    assert_eq!(rows.len(), printed.len());
    for (point, line) in printed.iter().zip(lines.lines()) {
        let row = rows.iter().find(|row| {
            let row: BTreeMap<_, _> = columns.iter().copied().zip(row.as_array().unwrap()).collect();
            point.tags.iter().all(|(tag, value)| row[&**tag] == value)
        });
        let row = row.unwrap_or_else(|| panic!("{point:?} is not in {said}"));
        let row: BTreeMap<_, _> = columns.iter().copied().zip(row.as_array().unwrap()).collect();
        assert_eq!(row["time"].to_string(), line.rsplit_once(' ').unwrap().1);
        for (name, (kind, value)) in &point.fields {
            let stored = row[&**name];
            match kind {
                's' => assert_eq!(stored, value),
                _ => assert_eq!(
                    stored.as_f64().unwrap().to_bits(),
                    value.parse::<f64>().unwrap().to_bits(),
                    "{name}"
                ),
            }
        }
        let stored = row.iter().filter(|(name, value)| !value.is_null() && **name != "time").count();
        assert_eq!(stored, point.fields.len() + point.tags.len());
    }
}
