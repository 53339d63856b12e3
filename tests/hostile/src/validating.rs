//! Harm while the check judges a job, whose parameter `harm` names it: a job in; refusals out, or none.

use crate::{
    exports::sonde::check::check::{Job, Refusal, Subject},
    random,
    sonde::check::{
        log,
        network::{Connection, Endpoint},
    },
};

pub(crate) fn validate(job: Job) -> Vec<Refusal> {
    let parameters: serde_json::Value = serde_json::from_str(&job.parameters).unwrap();
    let password = parameters["password"].as_str().unwrap_or_default();
    let about = |subject: Subject, text: &str| vec![Refusal { subject, text: text.into() }];
    let refuse = |text: String| about(Subject::Parameter("harm".into()), &text);
    match parameters["harm"].as_str().unwrap().strip_prefix("validate-").unwrap_or_default() {
        "" => Vec::new(),
        "refuses" => refuse("expected\x1b[31m \"good\"\nE! forged".into()),
        "loop" => loop {
            std::hint::black_box(0);
        },
        "wait" => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            Vec::new()
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
        "nothing" => about(Subject::Parameter("no\nsuch".into()), ""),
        "no-endpoint" => about(Subject::Endpoint("no\nsuch".into()), ""),
        "secret-as-parameter" => about(Subject::Parameter(password.into()), ""),
        "secret-as-endpoint" => about(Subject::Endpoint(password.into()), ""),
        "host" => about(Subject::Host, "expected a server"),
        "timeout" => about(Subject::Timeout, "expected a longer one"),
        "job" => about(Subject::Job, "expected another"),
        "no-text" => about(Subject::Job, " \n"),
        "secret-in-two" => {
            let (begin, end) = password.split_at(password.len() / 2);
            [about(Subject::Parameter("harm".into()), begin), about(Subject::Host, end)].concat()
        }
        "many" => vec![about(Subject::Timeout, "no"); 1_000].concat(),
        "endless" => vec![about(Subject::Timeout, "no"); 100_000].concat(),
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
            let given = (job.round_started_at_s, job.started_at_ms, job.run_id);
            refuse(format!("{given:?} {:?} {seed:?} {wall:?} {since:?}", random(8)))
        }
        other => panic!("no such harm: {other}"),
    }
}
