//! Into InfluxDB and out again: what was printed is what is stored.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use serde_json::Value as Json;
use tempfile::TempDir;

use support::{Server, free_port, points, program, refusing, root, run_text, start};

/// An InfluxDB with an empty database `sonde`.
///
/// Fields are dropped in this order: it needs its folder until it has ended.
pub(crate) struct Database {
    _influxd: Server,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Database {
    pub(crate) fn start() -> Option<Self> {
        let influxd = program("influxdb", &["/usr/bin/influxd"])?;
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
        let influxd = start(Command::new(influxd).arg("-config").arg(&path), http);
        let database = Self { _influxd: influxd, port: http, _folder: folder };
        let (status, said) = request(http, "POST", "/query?q=CREATE+DATABASE+sonde", "");
        assert_eq!(status, 200, "{said}");
        Some(database)
    }

    pub(crate) fn write(&self, lines: &str) {
        let (status, said) = request(self.port, "POST", "/write?db=sonde&precision=ns", lines);
        assert_eq!(status, 204, "{said}");
    }

    /// The answer to a query, with `+` for each space.
    pub(crate) fn query(&self, query: &str) -> Json {
        let (status, said) = request(self.port, "GET", &format!("/query?db=sonde&epoch=ns&q={query}"), "");
        assert_eq!(status, 200, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    /// The columns and rows of a measurement.
    pub(crate) fn read(&self, measurement: &str) -> (Vec<String>, Vec<Vec<Json>>) {
        let answer = self.query(&format!("SELECT+*+FROM+{measurement}"));
        let series = &answer["results"][0]["series"][0];
        let of = |name: &str| {
            series[name].as_array().unwrap_or_else(|| panic!("no {measurement}: {answer}")).clone()
        };
        let columns = of("columns").iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        (columns, of("values").iter().map(|row| row.as_array().unwrap().clone()).collect())
    }
}

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
fn the_readmes_query_gives_one_row_for_a_job_and_in_it_what_came_last() {
    let Some(database) = Database::start() else { return };
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let query = readme.lines().find(|line| line.starts_with("SELECT last(result_code) FROM smtp")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let round = || {
        let job = format!("[[job]]\nname = \"a\"\nhost = \"127.0.0.1\"\nparameters.port = {port}\n");
        let lines = run_text(&job, folder.path());
        database.write(&lines);
        points(&lines)[0].tags["result"].clone()
    };
    let asked = || {
        let answer = database.query(&query.replace('>', "%3E").replace(' ', "+"));
        let series = answer["results"][0]["series"].as_array().unwrap().clone();
        series.iter().map(|series| series["values"][0][1].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(round(), "connection_failed");
    assert_eq!(asked(), [2]);
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answering = thread::spawn(move || answer(&listener));
    assert_eq!(round(), "success");
    answering.join().unwrap();
    assert_eq!(asked(), [0]);
}

#[test]
fn lines_written_to_influxdb_come_back_equal() {
    let Some(database) = Database::start() else { return };
    let folder = tempfile::tempdir().unwrap();

    // A name and a text that need every escape.
    let (_held, closed) = refusing();
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
    database.write(&lines);

    let (columns, rows) = database.read("smtp");
    assert_eq!(rows.len(), printed.len());
    for (point, line) in printed.iter().zip(lines.lines()) {
        let row = rows.iter().find(|row| {
            let row: BTreeMap<_, _> = columns.iter().map(String::as_str).zip(row.iter()).collect();
            point.tags.iter().all(|(tag, value)| row[&**tag] == value)
        });
        let row = row.unwrap_or_else(|| panic!("{point:?} is not in {rows:?}"));
        let row: BTreeMap<_, _> = columns.iter().map(String::as_str).zip(row).collect();
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

#[test]
fn the_notation_of_very_large_and_small_floats_is_understood() {
    let Some(database) = Database::start() else { return };
    let floats = [1.797_693_134_862_315_7e308, -2.225_073_858_507_201_4e-308, 1e16];
    database.write(&format!("floats a={:e},b={:e},c={:e} 1", floats[0], floats[1], floats[2]));
    let (_, rows) = database.read("floats");
    let read: Vec<f64> = rows[0][1..].iter().filter_map(Json::as_f64).collect();
    assert_eq!(read, floats);
}
