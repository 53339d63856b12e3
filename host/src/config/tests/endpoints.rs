//! Further endpoints of a job: where each is, by whose word, and what is refused.

use super::*;
use crate::{description::FurtherEndpoint, grant::Whose, sandbox::SMTP};

/// The check with an endpoint that must be named, one that has a default below the job's host, one that has any, and one that
/// may be left out.
fn with_endpoints() -> Arc<Description> {
    let mut described = Description::clone(&description());
    let endpoint = |name: &str, required, default: Option<&str>| FurtherEndpoint {
        name: name.into(),
        required,
        default: default.map(Into::into),
        doc: String::new(),
    };
    described.endpoints = vec![
        endpoint("imap", true, None),
        endpoint("sts", false, Some("mta-sts.{host}")),
        endpoint("list", false, Some("list.example.net")),
        endpoint("pop", false, None),
    ];
    let like = |name: &str| described.parameters.iter().find(|known| known.name == name).unwrap().clone();
    let (port, password) = (like("port"), like("password"));
    for (name, default) in [("imap", Some(143)), ("sts", Some(443)), ("pop", None)] {
        described.parameters.push(Parameter {
            name: format!("{name}_port"),
            default: default.map(Json::from),
            conditional_defaults: Vec::new(),
            required: default.is_none(),
            endpoint: Some(name.into()),
            ..port.clone()
        });
        described.parameters.push(Parameter {
            name: format!("{name}_password"),
            endpoint: Some(name.into()),
            ..password.clone()
        });
    }
    described.into()
}

fn jobs_with(text: &str) -> Result<Vec<Job>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sonde.toml");
    fs::write(&path, text).unwrap();
    let check = |name: &str| Check { description: with_endpoints(), ..check(name) };
    let jobs = config::read(&path)
        .and_then(|plan| plan.jobs.iter().map(|planned| planned.job(&check(planned.check()))).collect());
    jobs.map_err(|error: ConfigError| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

/// Names, hosts and ports.
fn shown(job: &Job) -> Vec<String> {
    let port = |port: Option<u16>| port.map_or(String::new(), |port| format!(":{port}"));
    job.endpoints.iter().map(|known| format!("{} {}{}", known.name, known.host, port(known.port))).collect()
}

const IMAP: &str = "[job.endpoints]\nimap.host = \"imap.example.org\"\n";

fn declared() -> String {
    let digest = "0".repeat(64);
    format!(
        "[[check]]\nname = \"c\"\ncomponent = \"c.wasm\"\nsha256 = \"{digest}\"\n\
         description_sha256 = \"{digest}\"\nmeasurement = \"c\"\n"
    )
}

#[test]
fn an_endpoint_that_is_named_is_granted_at_its_port() {
    let text = format!(
        "[[job]]\nname = \"a\"\nhost = \"h\"\nparameters.imap_port = 993\n{IMAP}pop.host = \"[::1]\"\n"
    );
    let jobs = jobs_with(&text.replace("= 993", "= 993\nparameters.pop_port = 110"));
    let job = &jobs.unwrap()[0];
    let expected = ["imap imap.example.org:993", "sts mta-sts.h:443", "list list.example.net", "pop ::1:110"];
    assert_eq!(shown(job), expected);
    // What nobody can be sure of, and the operator has not named.
    let imap = "imap.example.org".parse().unwrap();
    let named = job.endpoints.iter().map(|known| (&known.host, known.port));
    let grant = crate::grant::Grant::new(&job.host, job.port, &job.grants).naming(named);
    assert_eq!((grant.covers(&imap, 993), grant.covers(&imap, 143)), (true, false));
    assert_eq!(grant.whose(&imap, 993), Whose::Named(0));
    let refused = jobs_with(&text).unwrap_err();
    assert_eq!(refused, "sonde.toml: job `a`: parameters.pop_port: missing");
}

#[test]
fn what_a_check_has_by_default_opens_nothing_that_nobody_named() {
    // Of the built-in check for each host; of a declared one not at all.
    let job = format!("[[job]]\nname = \"a\"\nhosts = [\"h\", \"i\"]\n{IMAP}");
    let of_each = |jobs: Vec<Job>| jobs.iter().map(shown).collect::<Vec<_>>().concat();
    let (imap, list) = ("imap imap.example.org:143", "list list.example.net");
    assert_eq!(
        of_each(jobs_with(&job).unwrap()),
        [imap, "sts mta-sts.h:443", list, imap, "sts mta-sts.i:443", list]
    );
    let of_another = format!("{}{}", declared(), job.replace("hosts", "check = \"c\"\nhosts"));
    assert_eq!(of_each(jobs_with(&of_another).unwrap()), [imap, imap]);
    // Of a component on the command line those below the host that is named there.
    let check = Check { description: with_endpoints(), ..check("c") };
    let named = |hosts: &[(&str, &str)]| AdHoc {
        endpoints: hosts.iter().map(|(name, host)| ((*name).to_owned(), (*host).to_owned())).collect(),
        ..AdHoc::new("a", &check, "h")
    };
    assert_eq!(shown(&named(&[("imap", "i")]).job().unwrap()), ["imap i:143", "sts mta-sts.h:443"]);
    let all = named(&[("imap", "i"), ("sts", "j"), ("list", "k")]).job().unwrap();
    assert_eq!(shown(&all), ["imap i:143", "sts j:443", "list k"]);
    let refused = |job: AdHoc<'_>| job.job().unwrap_err().to_string();
    assert_eq!(refused(named(&[])), "endpoints.imap.host: missing");
    assert_eq!(
        refused(named(&[("imapp", "i")])),
        "endpoints.imapp: the check has no such endpoint; did you mean `imap`?"
    );
    let addressed = AdHoc { host: "127.0.0.1".to_owned(), ..named(&[("imap", "i")]) };
    assert!(refused(addressed).starts_with("endpoints.sts.host: expected a host name or address"));
}

#[test]
fn of_several_hosts_only_one_that_clashes_with_an_endpoint_is_refused_whichever_comes_first() {
    let check = Check { description: with_endpoints(), ..check(SMTP) };
    let text =
        "[[job]]\nname = 'a'\nhosts = ['h', 'i']\nendpoints.imap.host = 'i'\nparameters.imap_port = 25\n";
    for order in [[0, 1], [1, 0]] {
        let plan = of_text(Path::new("sonde.toml"), text).unwrap();
        for place in order {
            assert_eq!(plan.jobs[place].job(&check).is_ok(), place == 0, "{order:?}");
        }
    }
}

#[test]
fn what_is_wrong_with_an_endpoint_is_refused_by_its_key() {
    for (text, expected) in [
        ("", "endpoints.imap.host: missing"),
        ("endpoints.imap.tls.verify = \"off\"", "endpoints.imap.host: missing"),
        ("endpoints.imp.host = \"i\"", "endpoints.imp: the check has no such endpoint; did you mean `imap`?"),
        (
            "endpoints.imap.host = \"i:993\"",
            "endpoints.imap.host: expected a host name or address, without port: the port is `parameters.imap_port`",
        ),
        (
            "endpoints.imap.host = \"i/\"",
            "endpoints.imap.host: expected a host name or address, without port",
        ),
        (
            "endpoints.imap = { host = \"i\", tls.ca_file = \"none\" }",
            "endpoints.imap.tls.ca_file: cannot read none: No such file or directory (os error 2)",
        ),
        (
            "endpoints.imap = { host = \"i\", tls.server_name = \"a b\" }",
            "endpoints.imap.tls.server_name: expected a name that a certificate can have",
        ),
        (
            "endpoints.imap.host = \"H.\"\nparameters.imap_port = 25",
            "endpoints.imap.host: the same host and port as the job's own endpoint: whose a connection is could not be told",
        ),
        (
            "endpoints.imap.host = \"i\"\nendpoints.sts.host = \"I\"\nparameters.sts_port = 143",
            "endpoints.sts.host: the same host and port as endpoint `imap`: whose a connection is could not be told",
        ),
        (
            "endpoints.imap.host = \"i\"\nparameters.pop_password = \"hunter2\"",
            "parameters.pop_password: it is for endpoint `pop`, whose host, `endpoints.pop.host`, is not given",
        ),
        (
            "endpoints.imap.host = \"i\"\nparameters.pop_port = 110",
            "parameters.pop_port: it is for endpoint `pop`, whose host, `endpoints.pop.host`, is not given",
        ),
        (
            "endpoints.imap.host = \"i\"\nalarm.pop_connect_time_ms = { warning = 1 }",
            "alarm.pop_connect_time_ms: it is for endpoint `pop`, whose host, `endpoints.pop.host`, is not given",
        ),
        (
            "endpoints.imap.host = \"i\"\nalarm.imap_conect_time_ms = { warning = 1 }",
            "alarm.imap_conect_time_ms: the check reports no such number; did you mean `imap_connect_time_ms`?",
        ),
        (
            "endpoints.imap.host = \"i\"\nalarm.imap_total_time_ms = { warning = 1 }",
            "alarm.imap_total_time_ms: the check reports no such number; did you mean `imap_tls_time_ms`?",
        ),
    ] {
        let refused = jobs_with(&format!("[[job]]\nname = \"a\"\nhost = \"h\"\n{text}")).unwrap_err();
        assert_eq!(refused, format!("sonde.toml: job `a`: {expected}"), "{text}");
    }
    for text in [
        "imap = 'hunter2'",
        "imap.host = ['hunter2']",
        "imap.tls.verify = 'hunter2'",
        "imap.host = 'hunter2 '",
    ] {
        let refused =
            jobs_with(&format!("[[job]]\nname = \"a\"\nhost = \"h\"\nendpoints.{text}")).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    let job = "[[job]]\nname = \"a\"\nhost = \"h\"\nendpoints.imap.host = \"i\"\n";
    let limited = jobs_with(&format!("{job}alarm.imap_cert_days_left = {{ warning = \"< 7\" }}")).unwrap();
    assert_eq!(limited[0].alarm_limits.len(), 1);
}

#[test]
fn each_endpoint_has_its_own_trust_and_equal_ones_share_what_was_read() {
    let job = "[[job]]\nname = \"a\"\nhost = \"h\"\ntls.verify = \"off\"\n";
    let jobs = jobs_with(&format!(
        "{job}endpoints.imap.host = \"i\"\nendpoints.sts.tls.verify = \"off\"\n{}endpoints.imap.host = \"i\"\n",
        job.replace("\"a\"", "\"b\"")
    ))
    .unwrap();
    let tls = |job: &Job, name: &str| {
        Arc::clone(&job.endpoints.iter().find(|known| known.name == name).unwrap().tls)
    };
    assert!(!tls(&jobs[0], "imap").shares_with(&jobs[0].tls));
    assert!(tls(&jobs[0], "sts").shares_with(&jobs[0].tls));
    assert!(tls(&jobs[0], "imap").shares_with(&tls(&jobs[1], "imap")));
}

#[test]
fn a_secret_is_kept_from_every_endpoint_but_its_own() {
    let text = format!(
        "[[job]]\nname = \"a\"\nhost = \"h\"\n{IMAP}[job.parameters]\npassword = \"open-sesame\"\nimap_password = \"hunter2\"\n"
    );
    let job = &jobs_with(&text).unwrap()[0];
    let kept = |number: usize, secret: &str| {
        job.apart.watch(number).is_some_and(|mut watch| watch.finds(secret.as_bytes()))
    };
    // The job's own endpoint, `imap`, `sts`.
    assert_eq!([0, 1, 2].map(|number| kept(number, "open-sesame")), [false, true, true]);
    assert_eq!([0, 1, 2].map(|number| kept(number, "hunter2")), [true, false, true]);
    assert_eq!(job.secrets.outgoing("open-sesame hunter2", 99), "*** ***");
}

#[test]
fn what_is_pinned_has_every_endpoint_that_the_job_would_have() {
    let check = Check { description: with_endpoints(), ..check("a") };
    let named = |named: &[(&str, &str)]| -> BTreeMap<String, String> {
        named.iter().map(|(name, host)| ((*name).to_owned(), (*host).to_owned())).collect()
    };
    let pinned = |hosts: &[(&str, &str)]| {
        let endpoints = sample::endpoints(&check.description, "mx1", &named(hosts));
        sample::pinned(&check, "a.wasm", "mx1", &BTreeMap::new(), &endpoints).unwrap()
    };
    let text = pinned(&[]);
    let endpoints = "[job.endpoints.imap]\nhost = \"…\"\n\n[job.endpoints.sts]\nhost = \"mta-sts.mx1\"\n\n\
                     [job.endpoints.list]\nhost = \"list.example.net\"\n";
    assert!(text.ends_with(endpoints), "{text}");
    assert!(text.contains("\nimap_port = 143\n") && text.contains("\nsts_port = 443\n"), "{text}");
    assert!(!text.contains("pop"), "{text}");
    let text = pinned(&[("imap", "i"), ("sts", "j"), ("pop", "::1")]);
    assert!(
        text.contains("\npop_port = 0\n") && text.ends_with("[job.endpoints.pop]\nhost = \"::1\"\n"),
        "{text}"
    );
    assert!(
        text.contains("[job.endpoints.imap]\nhost = \"i\"\n\n[job.endpoints.sts]\nhost = \"j\"\n"),
        "{text}"
    );
}
