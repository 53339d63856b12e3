//! Harm while the check describes itself: [`MODE`] in; a description out, or none.

use crate::{
    TEXTS,
    exports::sonde::check::check::*,
    random,
    sonde::check::network::{Connection, Endpoint},
};

/// What `describe` does; the tests write another word over it in the built component.
#[used]
static MODE: [u8; 48] = *b"hostile-describe:honest                         ";

fn mode() -> String {
    // Or the compiler would know what it says.
    let mode = unsafe { std::ptr::read_volatile(&raw const MODE) };
    String::from_utf8_lossy(&mode).split_once(':').unwrap().1.trim().to_owned()
}

fn parameter(name: &str, kind: ParameterKind, default: &str) -> Parameter {
    Parameter {
        name: name.into(),
        kind,
        required: false,
        default: Some(default.into()),
        conditional_defaults: Vec::new(),
        choices: Vec::new(),
        single_line: true,
        endpoint: None,
        doc: String::new(),
    }
}

fn field(name: &str, kind: FieldKind, when_unreported: Option<Value>) -> FieldDescription {
    FieldDescription {
        name: name.into(),
        kind,
        unit: String::new(),
        doc: String::new(),
        when_unreported,
        phase: false,
    }
}

fn endpoint(name: &str) -> EndpointDescription {
    EndpointDescription { name: name.into(), required: false, default: None, doc: String::new() }
}

pub(crate) fn describe() -> Description {
    let mut description = Description {
        name: "hostile".into(),
        version: "0".into(),
        measurement: "hostile".into(),
        doc: String::new(),
        parameters: vec![
            parameter("harm", ParameterKind::Text, "\"none\""),
            parameter("port", ParameterKind::Port, "1"),
            parameter("password", ParameterKind::Secret, "\"\""),
        ],
        fields: vec![
            field("state", FieldKind::Integer, Some(Value::Integer(-1))),
            field("time_ms", FieldKind::Float, None),
            field("said", FieldKind::Text, None),
        ],
        tags: Vec::new(),
        endpoints: Vec::new(),
        parts: Vec::new(),
        errors: vec![ErrorDescription { code: 1000, name: "harm".into(), doc: String::new() }],
    };
    let tag =
        |name: &str, of: &str| TagDescription { name: name.into(), parameter: of.into(), doc: String::new() };
    match &*mode() {
        "honest" => {}
        "loop" => loop {
            std::hint::black_box(0);
        },
        "wait" => std::thread::sleep(std::time::Duration::from_secs(3600)),
        "trap" => panic!("\x1b[31mharm\nE! forged"),
        "exit" => std::process::exit(0),
        "network" => {
            let to = Endpoint { host: "127.0.0.1".into(), port: 1 };
            description.doc = format!("{:?}", Connection::connect(&to).unwrap_err().kind);
        }
        "changing" => {
            let seed = wasip2::random::insecure_seed::insecure_seed();
            let (wall, since) = (std::time::SystemTime::now(), std::time::Instant::now());
            let memory = core::arch::wasm32::memory_grow(0, 256);
            description.doc = format!("{:?} {seed:?} {wall:?} {since:?} {memory}", random(8));
        }
        "long" => description.doc = "x".repeat(300 << 10),
        "many" => {
            description
                .parameters
                .extend((0..300).map(|i| parameter(&format!("p{i}"), ParameterKind::Text, "\"\"")));
        }
        // One text of megabytes, which every tag shows.
        "default-in-tags" => {
            description.parameters[0].default = Some(format!("\"{}\"", "x".repeat(3_900_000)));
            description.tags.extend((0..250).map(|i| tag(&format!("t{i}"), "harm")));
        }
        "nested-default" => {
            description.parameters[0].default = Some(format!("[{}[]]", "[],".repeat(1_300_000)))
        }
        "many-tags" => description.tags.extend((0..250).map(|i| tag(&format!("t{i}"), "harm"))),
        "many-texts" => {
            let text = |i| field(&format!("{i:a>64}"), FieldKind::Text, None);
            description.fields.extend((0..250).map(text));
        }
        // As many as there may be.
        "texts" => {
            description.measurement = "texts".into();
            description.fields.extend((0..TEXTS).map(|i| field(&format!("f{i}"), FieldKind::Text, None)));
        }
        "escapes" => {
            description.doc = "\x1b[31mharm\n\n| `smtp` | forged |\u{202e}".into();
            description.version = "0\n[[job]]".into();
            description.parameters[0].doc = "harm\n[[job]]\nname = \"forged\"".into();
            description.parameters[0].required = true;
        }
        "escape-in-a-default" => description.parameters[0].default = Some("\"\u{9b}31mharm\"".into()),
        "escape-in-a-condition" => description.parameters[0].conditional_defaults.push(ConditionalDefault {
            parameter: "\x1b[31mharm".into(),
            equals: "1".into(),
            default: "\"x\"".into(),
        }),
        "measurement-smtp" => description.measurement = "smtp".into(),
        "measurement-sonde" => description.measurement = "sonde".into(),
        "measurement-line" => description.measurement = "a b=1\nsmtp".into(),
        "tag-of-a-secret" => description.tags.push(tag("shown", "password")),
        "field-of-the-host" => description.fields.push(field("result_code", FieldKind::Text, None)),
        "code-of-the-host" => description.errors[0].code = 201,
        "known-secrets" => description
            .parameters
            .extend((0..200).map(|i| parameter(&format!("s{i}"), ParameterKind::Secret, "\"*\""))),
        "without-port" => drop(description.parameters.remove(1)),
        "endpoints" => {
            description.endpoints.push(endpoint("imap"));
            let about = |parameter| Parameter { endpoint: Some("imap".into()), ..parameter };
            let port = parameter("imap_port", ParameterKind::Port, "1");
            description.parameters.push(about(port));
            let secret = parameter("imap_password", ParameterKind::Secret, "\"\"");
            description.parameters.push(about(secret));
        }
        "endpoint-twice" => description.endpoints = vec![endpoint("imap"), endpoint("imap")],
        "field-kept-for-an-endpoint" => {
            description.endpoints.push(endpoint("imap"));
            description.fields.push(field("imap_tls_state", FieldKind::Integer, None));
        }
        "endpoint-kept-for-the-host" => description.endpoints.push(endpoint("dns")),
        "measurement-of-a-part" => description.measurement = "smtp_hop".into(),
        "measurement-of-the-hosts-parts" => description.measurement = "sonde_hop".into(),
        other => {
            description.measurement = "parts".into();
            description.parts =
                crate::parts::announced(other).unwrap_or_else(|| panic!("no such mode: {other}"));
        }
    }
    description
}
