//! Harm while the check judges a job, whose parameter `harm` names it: a job in; a refusal out, or none.

use crate::{
    exports::sonde::check::check::{Job, Refusal},
    random,
    sonde::check::{
        log,
        network::{Connection, Endpoint},
    },
};

pub(crate) fn validate(job: Job) -> Option<Refusal> {
    let parameters: serde_json::Value = serde_json::from_str(&job.parameters).unwrap();
    let password = parameters["password"].as_str().unwrap_or_default();
    let refuse = |text: String| Some(Refusal { parameter: "harm".into(), text });
    match parameters["harm"].as_str().unwrap().strip_prefix("validate-")? {
        "refuses" => refuse("expected\x1b[31m \"good\"\nE! forged".into()),
        "loop" => loop {
            std::hint::black_box(0);
        },
        "wait" => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            None
        }
        "trap" => panic!("\x1b[31mharm\nE! forged"),
        "exit" => std::process::exit(0),
        "bloat" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        }
        "long" => refuse("x".repeat(8 << 20)),
        "flood-log" => loop {
            log::write(log::Level::Error, "\x1b[31mharm\nsmtp forged=1\u{202e}");
        },
        "nothing" => Some(Refusal { parameter: "no\nsuch".into(), text: String::new() }),
        "secret-as-parameter" => Some(Refusal { parameter: password.into(), text: String::new() }),
        "secret" => {
            log::write(log::Level::Error, password);
            println!("{password}");
            refuse(format!("it is {password}"))
        }
        "network" => {
            let to = Endpoint { host: job.target.host, port: job.target.port };
            refuse(format!("{:?}", Connection::connect(&to).unwrap_err().kind))
        }
        "changing" => {
            let seed = wasip2::random::insecure_seed::insecure_seed();
            let (wall, since) = (std::time::SystemTime::now(), std::time::Instant::now());
            let given = (job.time, job.started_at_ms, job.run_id);
            refuse(format!("{given:?} {:?} {seed:?} {wall:?} {since:?}", random(8)))
        }
        other => panic!("no such harm: {other}"),
    }
}
