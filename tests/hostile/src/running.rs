//! Harm while the check runs: a job, whose parameter `harm` names it, in; a report out, or none.

use crate::{
    TEXTS,
    exports::sonde::check::check::*,
    random,
    sonde::check::{
        log,
        network::{Connection, Endpoint, ErrorKind},
    },
};

pub(crate) fn run(job: Job) -> Report {
    let parameters: serde_json::Value = serde_json::from_str(&job.parameters).unwrap();
    let mut report =
        Report { fields: vec![report("state", Value::Integer(1))], parts: Vec::new(), failure: None };
    let mut say = |text: String| report.fields.push(self::report("said", Value::Text(text)));
    let connect = |host: &str, port| Connection::connect(&Endpoint { host: host.into(), port });
    match parameters["harm"].as_str().unwrap() {
        "none" => {}
        "loop" => loop {
            std::hint::black_box(0);
        },
        "trap" => panic!("\x1b[31mharm\nE! forged"),
        "stack" => drop(recurse(1)),
        "bloat" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        }
        "hold-all" => {
            let streams: Vec<_> = (0..200).map(|_| wasip2::cli::stdout::get_stdout()).collect();
            for _ in 0..8 {
                for stream in &streams {
                    drop(stream.write(&[b'x'; 4096]));
                }
            }
            let all = std::hint::black_box(vec![1_u8; 50 << 20]);
            let text = String::from_utf8(all[..4_000_000].to_vec()).unwrap();
            for _ in 0..5 {
                log::write(log::Level::Error, &text);
            }
            std::hint::black_box(&all);
            say(text);
        }
        "huge-report" => say("x".repeat(8 << 20)),
        "long-report" => say("x".repeat(1 << 20)),
        "texts" => {
            let text = "0001".repeat(3_900_000 / TEXTS / 4);
            report
                .fields
                .extend((0..TEXTS).map(|i| self::report(&format!("f{i}"), Value::Text(text.clone()))));
        }
        "flood-log" => {
            (0..50_000).for_each(|_| log::write(log::Level::Error, "\x1b[31mharm\nsmtp forged=1\u{202e}"))
        }
        "flood-calls" => loop {
            log::write(log::Level::Debug, "");
        },
        "unannounced" => report.fields.push(self::report("result", Value::Integer(0))),
        "twice" => report.fields.push(self::report("state", Value::Integer(2))),
        "retyped" => report.fields = vec![self::report("state", Value::Text("0i".into()))],
        "not-a-number" => report.fields.push(self::report("time_ms", Value::Float(f64::NAN))),
        "forged-code" => {
            let cause = Cause::Judgement(OwnFailure { kind: FailureKind::Rejected, code: 201 });
            report.failure = Some(Failure { cause, text: String::new() });
        }
        "forged-line" => say("\",state=9i 1\nsmtp,job=x state=1i\\".into()),
        "secret" => say(parameters["password"].as_str().unwrap().into()),
        "elsewhere" => {
            let errors = [("127.0.0.2", job.target.port), (&job.target.host, 22), ("169.254.169.254", 80)]
                .map(|(host, port)| connect(host, port).map(drop).unwrap_err());
            say(format!("{}", errors.iter().filter(|error| error.kind == ErrorKind::Denied).count()));
        }
        "connections" => {
            let open: Vec<_> = (0..1000).map(|_| connect(&job.target.host, job.target.port)).collect();
            let limited = open
                .iter()
                .filter(|open| matches!(open, Err(error) if error.kind == ErrorKind::LimitExceeded));
            say(format!("{}", limited.count()));
        }
        harm @ ("silence" | "full-in-silence") => {
            let full = if harm == "silence" { Vec::new() } else { vec![1_u8; 1 << 20] };
            let connection = connect(&job.target.host, job.target.port).unwrap();
            let silent = connection.read(u32::MAX, Some(u32::MAX)).unwrap_err();
            drop(std::hint::black_box(full));
            report.failure = Some(Failure { cause: Cause::Network(silent.kind), text: silent.text });
        }
        "wait" => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            let late =
                connect(&job.target.host, job.target.port).and_then(|silent| silent.read(1, None).map(drop));
            let late = late.unwrap_err();
            say(format!("{:?}", late.kind));
        }
        "wait-on" => loop {
            std::thread::sleep(std::time::Duration::from_secs(3600));
        },
        "exit" => std::process::exit(0),
        "fill" => {
            let mut all = vec![0_u8; 32 << 20];
            loop {
                std::hint::black_box(&mut all).fill(1);
            }
        }
        "random" => loop {
            std::hint::black_box(random(4096));
        },
        "random-at-once" => drop(random(1 << 30)),
        "flood-output" => loop {
            println!("{}", "\x1b[31mharm\u{202e}".repeat(100));
            eprintln!("E! forged\rsmtp forged=1");
        },
        "line-without-end" => loop {
            print!("{}", "x".repeat(60_000));
        },
        // Nearly the secret, a letter a line: all at once, or as much at a time as may be.
        "write-at-once" => {
            let text = letters_of(parameters["password"].as_str().unwrap()).repeat(4_000_000 / 20);
            drop(wasip2::cli::stdout::get_stdout().write(text.as_bytes()));
        }
        "write-letters" => {
            let text = letters_of(parameters["password"].as_str().unwrap()).repeat(4096 / 20);
            let stream = wasip2::cli::stdout::get_stdout();
            loop {
                drop(stream.write(text.as_bytes()));
            }
        }
        "flood-writes" => {
            let stream = wasip2::cli::stdout::get_stdout();
            loop {
                drop(stream.write(b"x"));
            }
        }
        "write-without-end" => {
            let connection = connect(&job.target.host, job.target.port).unwrap();
            let stuck = (0..).find_map(|_| connection.write(&[b'x'; 32_768]).err()).unwrap();
            report.failure = Some(Failure { cause: Cause::Network(stuck.kind), text: stuck.text });
        }
        "ten-thousand-connections" => {
            let ended = (0..10_000).filter_map(|_| connect(&job.target.host, job.target.port).err());
            let limited = ended.filter(|error| error.kind == ErrorKind::LimitExceeded).count();
            say(format!("{limited}"));
        }
        "until-limited" => {
            let mut before = Vec::new();
            loop {
                match connect(&job.target.host, job.target.port).map(drop).map_err(|error| error.kind) {
                    Err(ErrorKind::LimitExceeded) => break,
                    other => before.push(other.unwrap_err()),
                }
            }
            say(format!("{} calls, the last one {:?}", before.len(), before.last().unwrap()));
        }
        "twice-by-name" => {
            let first = connect(&job.target.host, job.target.port).unwrap();
            // The server says when it has moved.
            first.read(1, None).unwrap();
            let second = connect(&job.target.host, job.target.port);
            say(format!("{:?}", second.map(drop).map_err(|error| error.kind)));
        }
        "world" => {
            use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
            let mut reached = Vec::new();
            let mut look = |what: &str, there: bool| reached.extend(there.then(|| what.to_owned()));
            look("a variable", std::env::vars().next().is_some());
            look("an argument", std::env::args().next().is_some());
            look("a folder", std::fs::read_dir("/").is_ok() || std::fs::read_dir(".").is_ok());
            look("a file", std::fs::read("/etc/passwd").is_ok() || std::fs::write("/tmp/harm", "x").is_ok());
            look("a folder given", !wasip2::filesystem::preopens::get_directories().is_empty());
            look("standard input", std::io::stdin().lines().next().is_some());
            look("a name", ("localhost", 25).to_socket_addrs().is_ok_and(|mut found| found.next().is_some()));
            look("a connection", TcpStream::connect(("127.0.0.1", job.target.port)).is_ok());
            look("a listener", TcpListener::bind("127.0.0.1:0").is_ok());
            look(
                "a datagram",
                UdpSocket::bind("127.0.0.1:0").is_ok_and(|own| own.send_to(b"x", "127.0.0.1:9").is_ok()),
            );
            look("a fine clock", (0..1000).any(|_| wasip2::clocks::monotonic_clock::now() % 100_000 != 0));
            say(format!("{reached:?}"));
        }
        "secret-everywhere" => {
            let secret = parameters["password"].as_str().unwrap();
            println!("{secret}");
            eprintln!("<{secret}>");
            log::write(log::Level::Error, &format!("it is {secret}"));
            // Also where a line is cut, and where the host itself speaks of it.
            for length in [240, 245, 250, 500, 505, 510] {
                let padding = "x".repeat(length);
                log::write(log::Level::Error, &format!("{padding}{secret}"));
                println!("{padding}{secret}");
            }
            drop(connect(secret, 25));
            say(secret.into());
            let cause = Cause::Judgement(OwnFailure { kind: FailureKind::Rejected, code: 1000 });
            report.failure = Some(Failure { cause, text: format!("harm: {secret}") });
        }
        "secret-in-parts" => {
            let secret = parameters["password"].as_str().unwrap();
            let (begin, rest) = secret.split_at(5);
            let hidden: String = secret.chars().flat_map(|c| [c, '\u{200b}']).collect();
            println!("{begin}\n{rest}");
            print!("it is {begin}");
            println!("{rest}");
            println!("it is {begin}");
            eprintln!("{rest}!");
            log::write(log::Level::Error, begin);
            log::write(log::Level::Error, rest);
            println!("{hidden}");
            secret.chars().for_each(|c| println!("{c}"));
            say(hidden);
        }
        "secret-in-a-panic" => panic!("{}", parameters["password"].as_str().unwrap()),
        // Both ask for TLS, the further endpoint first.
        "further-first" => {
            let secured = |to: &Endpoint| {
                Connection::connect(to).and_then(|connection| connection.start_tls()).map(drop)
            };
            let further = secured(&job.endpoints[0].endpoint).map_err(|error| error.kind);
            let own = secured(&job.target).map_err(|error| error.kind);
            say(format!("{further:?} {own:?}"));
        }
        "without-port" => {
            let errors =
                [job.target.port, 22].map(|port| connect(&job.target.host, port).map(drop).unwrap_err());
            let denied = errors.iter().filter(|error| error.kind == ErrorKind::Denied).count();
            say(format!("{} {denied}", job.target.port));
        }
        // One endpoint's secret to the other.
        leak if leak.starts_with("leak-") => {
            let (to, secret) = match leak {
                "leak-back" => (&job.target, "imap_password"),
                _ => (&job.endpoints[0].endpoint, "password"),
            };
            let secret = parameters[secret].as_str().unwrap().as_bytes();
            let pieces = match leak {
                "leak-in-base64" => vec![base64(&[b"\0me\0", secret].concat())],
                "leak-in-two" => vec![secret[..5].to_vec(), secret[5..].to_vec()],
                _ => vec![secret.to_vec()],
            };
            let connection = Connection::connect(to).unwrap();
            let written =
                pieces.iter().map(|piece| connection.write(piece).map(drop).map_err(|error| error.kind));
            say(format!("{:?}", written.collect::<Vec<_>>()));
            connection.write(b"end").unwrap();
        }
        // The harm is the server's.
        server if server.starts_with("tls-") => {
            let connection = connect(&job.target.host, job.target.port).unwrap();
            let mut count = 0;
            let ended = connection.start_tls().and_then(|_| {
                loop {
                    let read = connection.read(u32::MAX, None)?.bytes.len();
                    count += read;
                    if read == 0 {
                        return Ok(());
                    }
                }
            });
            say(format!("{count}"));
            report.failure =
                ended.err().map(|error| Failure { cause: Cause::Network(error.kind), text: error.text });
        }
        other => {
            let secret = parameters["password"].as_str().unwrap();
            report.parts =
                crate::parts::reported(other, secret).unwrap_or_else(|| panic!("no such harm: {other}"));
        }
    }
    report
}

/// All but the last, each on a line.
fn letters_of(text: &str) -> String {
    text[..text.len() - 1].chars().map(|letter| format!("{letter}\n")).collect()
}

/// Without padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.chunks(6)
        .map(|six| letters[(0..6).fold(0, |sum, bit| sum << 1 | six.get(bit).copied().unwrap_or(0)) as usize])
        .collect()
}

fn report(name: &str, value: Value) -> Field {
    Field { name: name.into(), value }
}

fn recurse(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 {
        return 0;
    }
    let frame = [depth; 512];
    std::hint::black_box(&frame)[usize::try_from(depth % 512).unwrap()] + recurse(depth + 1)
}
