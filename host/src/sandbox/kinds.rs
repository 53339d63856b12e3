//! Kinds of parts as a component announces them: the interface's in, the host's own out. Refuses names that are taken on a
//! part's line or below `[job.alarm]`, and parts that could not be told from each other.

use super::{
    bindings::exports::sonde::check::check as wit,
    contradiction::{Contradiction, MOST, MOST_PARTS, NAME_BYTES},
    fields,
    names::{is_no_agents, name_on_line},
};
use crate::{
    description::{
        Field, FurtherEndpoint, HOST_TAGS, OUTCOME_FIELDS, Part, PartTag, SERVER_TAG, Tag, part_measurement,
    },
    measured::of_endpoint,
    text,
};

/// What a check announces besides.
pub(super) struct Beside<'a> {
    pub(super) measurement: &'a str,
    pub(super) fields: &'a [Field],
    pub(super) tags: &'a [Tag],
    pub(super) endpoints: &'a [FurtherEndpoint],
    /// The host's names on the lines of its jobs.
    pub(super) of_host: &'a [&'a str],
}

/// All that a check announces.
pub(super) fn announced(
    from: Vec<wit::PartDescription>,
    beside: &Beside<'_>,
) -> Result<Vec<Part>, Contradiction> {
    if from.len() > MOST_PARTS {
        return Err(Contradiction::ManyParts);
    }
    // A limit is on a field, or on those of a kind of parts: one name, one meaning.
    let mut kinds: Vec<String> = beside.fields.iter().map(|field| field.name.clone()).collect();
    from.into_iter().map(|part| one(part, &mut kinds, beside)).collect()
}

fn one(
    from: wit::PartDescription,
    kinds: &mut Vec<String>,
    beside: &Beside<'_>,
) -> Result<Part, Contradiction> {
    let kind = name_on_line(&from.name, beside.of_host, kinds)?;
    if !(1..=2).contains(&from.tags.len()) {
        return Err(Contradiction::PartTags(kind));
    }
    if from.fields.len() > MOST {
        return Err(Contradiction::Many("fields of a part"));
    }
    // What is on its line already.
    let outcome = OUTCOME_FIELDS.iter().map(|field| field.name);
    let further: Vec<String> =
        beside.endpoints.iter().map(|endpoint| of_endpoint(&endpoint.name, SERVER_TAG)).collect();
    let of_host = HOST_TAGS.iter().map(|tag| tag.0).chain(further.iter().map(String::as_str));
    let of_host: Vec<&str> = of_host.chain(outcome).collect();
    let mut taken: Vec<String> = beside.tags.iter().map(|tag| tag.name.clone()).collect();
    let mut tags = Vec::new();
    for tag in from.tags {
        let name = name_on_line(&tag.name, &of_host, &mut taken)?;
        tags.push(PartTag { name, doc: text::clean(&tag.doc) });
    }
    let mut fields = Vec::new();
    for field in from.fields {
        let field = fields::announced(field, &of_host, &mut taken)?;
        if field.phase || field.when_unreported.is_some() {
            return Err(Contradiction::PartField(format!("{kind}.{}", field.name)));
        }
        fields.push(field);
    }
    taken.iter().try_for_each(|name| is_no_agents(name))?;
    let part = Part { name: kind, doc: text::clean(&from.doc), tags, fields };
    if part_measurement(beside.measurement, &part.name).len() > NAME_BYTES {
        return Err(Contradiction::PartMeasurement(part.name));
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sandbox::convert::tests::field, value::FieldKind};

    fn part(name: &str, tags: &[&str], fields: &[&str]) -> wit::PartDescription {
        let tag = |name: &&str| wit::PartTag { name: (*name).into(), doc: String::new() };
        wit::PartDescription {
            name: name.into(),
            doc: String::new(),
            tags: tags.iter().map(tag).collect(),
            fields: fields.iter().map(|name| field(name)).collect(),
        }
    }

    /// Beside a field `time_ms` and a tag `user`.
    fn announced(parts: Vec<wit::PartDescription>) -> Result<Vec<Part>, Contradiction> {
        let time = Field { phase: true, ..Field::plain("time_ms", FieldKind::Float) };
        let user = Tag { name: "user".into(), parameter: "user".into(), doc: String::new() };
        let endpoint = |name: &str| FurtherEndpoint {
            name: name.into(),
            required: false,
            default: None,
            doc: String::new(),
        };
        let beside = Beside {
            measurement: "imap",
            fields: &[time],
            tags: &[user],
            endpoints: &[endpoint("relay")],
            of_host: &["connect_time_ms", "alarm", "relay_connect_time_ms"],
        };
        super::announced(parts, &beside)
    }

    #[test]
    fn a_part_has_names_of_its_own_on_its_line_and_below_the_alarm() {
        let text = |name: &str| name.to_owned();
        let of_host = |name| Contradiction::NameOfHost(text(name));
        let twice = |name| Contradiction::NameTwice(text(name));
        for (one, expected) in [
            (part("time_ms", &["a"], &[]), twice("time_ms")),
            (part("connect_time_ms", &["a"], &[]), of_host("connect_time_ms")),
            (part("alarm", &["a"], &[]), of_host("alarm")),
            (part("relay_connect_time_ms", &["a"], &[]), of_host("relay_connect_time_ms")),
            (part("box", &["relay_server"], &[]), of_host("relay_server")),
            (part("box", &["tls_a"], &[]), Contradiction::NameReserved(text("tls_a"), "tls_")),
            (part("time", &["a"], &[]), of_host("time")),
            (part("Box", &["a"], &[]), Contradiction::Name(text("Box"))),
            (part("box", &["job"], &[]), of_host("job")),
            (part("box", &["result"], &[]), of_host("result")),
            (part("box", &["user"], &[]), twice("user")),
            (part("box", &["alarm_state"], &[]), of_host("alarm_state")),
            (part("box", &["a", "a"], &[]), twice("a")),
            (part("box", &["a"], &["a"]), twice("a")),
            (part("box", &["a"], &["b", "b"]), twice("b")),
            (part("box", &["a"], &["user"]), twice("user")),
            (part("box", &["a"], &["server"]), of_host("server")),
            (part("box", &["a"], &["result_code"]), of_host("result_code")),
            (part("box", &["a"], &["error"]), of_host("error")),
            (part("box", &["host"], &[]), Contradiction::NameOfAgents(text("host"))),
            (part("box", &["a"], &["host"]), Contradiction::NameOfAgents(text("host"))),
            (part("box", &[], &[]), Contradiction::PartTags(text("box"))),
            (part("box", &["a", "b", "c"], &[]), Contradiction::PartTags(text("box"))),
            (part(&"b".repeat(60), &["a"], &[]), Contradiction::PartMeasurement("b".repeat(60))),
        ] {
            let name = one.name.clone();
            assert_eq!(announced(vec![one]), Err(expected), "{name}");
        }
        let one = || part("box", &["a"], &[]);
        assert_eq!(announced(vec![one(), one()]), Err(twice("box")));
        let many = (0..9).map(|number| part(&format!("box{number}"), &["a"], &[])).collect();
        assert_eq!(announced(many), Err(Contradiction::ManyParts));
        // What is measured of the job is not on a part's line, nor is one part's on another's.
        let same = |name| part(name, &["name", "zone"], &["ip", "count", "time_ms"]);
        let parts = announced(vec![same("box"), same("user"), part(&"b".repeat(59), &["a"], &[])]).unwrap();
        assert_eq!(parts.len(), 3);
        // A kind's name is on no line, but in its measurement.
        assert!(announced(vec![part("host", &["name"], &[])]).is_ok());
    }

    #[test]
    fn a_part_has_no_phases_and_says_nothing_of_runs_that_could_not_report() {
        for field in [
            wit::FieldDescription { phase: true, unit: "ms".into(), ..field("a_ms") },
            wit::FieldDescription { when_unreported: Some(wit::Value::Integer(0)), ..field("a_ms") },
        ] {
            let one = wit::PartDescription { fields: vec![field], ..part("box", &["name"], &[]) };
            assert_eq!(announced(vec![one]), Err(Contradiction::PartField("box.a_ms".into())));
        }
    }
}
