//! Harm with the parts of a run: the harm's name in; parts out, or kinds of them while the check describes itself.

use crate::exports::sonde::check::check::*;

/// Fields of text that a part has in mode `part-texts`.
pub(crate) const TEXTS: usize = 90;

fn field(name: &str, kind: FieldKind) -> FieldDescription {
    FieldDescription {
        name: name.into(),
        kind,
        unit: String::new(),
        doc: String::new(),
        when_unreported: None,
        phase: false,
    }
}

fn kind(name: &str, tags: &[&str], fields: Vec<FieldDescription>) -> PartDescription {
    let tag = |name: &&str| PartTag { name: (*name).into(), doc: String::new() };
    PartDescription { name: name.into(), doc: String::new(), tags: tags.iter().map(tag).collect(), fields }
}

/// The kinds that a mode of describing announces; none: it is another mode.
pub(crate) fn announced(mode: &str) -> Option<Vec<PartDescription>> {
    let count = || vec![field("count", FieldKind::Integer), field("said", FieldKind::Text)];
    let texts = |number: usize| (0..number).map(|i| field(&format!("f{i}"), FieldKind::Text)).collect();
    Some(match mode {
        "parts" => vec![kind("box", &["name", "zone"], count()), kind("texts", &["name"], texts(TEXTS))],
        "part-tag-result" => vec![kind("box", &["result"], count())],
        "part-long-line" => vec![kind("box", &["name"], texts(250))],
        "many-part-fields" => vec![kind("box", &["name"], texts(300))],
        _ => return None,
    })
}

fn named(name: impl Into<String>) -> Part {
    Part { name: "box".into(), tags: vec![tag("name", name)], fields: Vec::new(), failure: None }
}

fn tag(name: &str, value: impl Into<String>) -> TagValue {
    TagValue { name: name.into(), value: value.into() }
}

fn value(name: &str, value: Value) -> Field {
    Field { name: name.into(), value }
}

/// The parts of a run that does this harm; none: it is another one.
pub(crate) fn reported(harm: &str, secret: &str) -> Option<Vec<Part>> {
    let failure = |code, text: &str| {
        let cause = Cause::Judgement(OwnFailure { kind: FailureKind::Rejected, code });
        Some(Failure { cause, text: text.into() })
    };
    Some(match harm {
        "parts" => {
            let count = vec![value("count", Value::Integer(7))];
            vec![
                Part { fields: count, ..named("in") },
                Part { failure: failure(1000, "full"), ..named("out") },
            ]
        }
        "parts-without-end" => {
            let mut parts = Vec::new();
            loop {
                parts.push(named("x"));
            }
        }
        "very-many-parts" => {
            let bare = || Part { name: String::new(), tags: Vec::new(), fields: Vec::new(), failure: None };
            (0..200_000).map(|_| bare()).collect()
        }
        // As many as are handed over in one call.
        "many-parts" => (0..10_000).map(|i| named(format!("{i}"))).collect(),
        "many-parts-alike" => (0..10_000).map(|_| named("x")).collect(),
        "parts-alike" => {
            let long = "x".repeat(128);
            let alike = ["a", " a", "a\n", "a\u{200b}", "a\\", "", "\0", "\\", "b\\ c", "b c"];
            let mut parts: Vec<_> = alike.into_iter().map(named).collect();
            parts.extend([named(&*long), named(format!("{long}y")), named(format!("{long}\0z"))]);
            parts
        }
        "part-forged-tags" => {
            let forged = "x,job=forged,result=success result_code=9i 1\nsmtp,job=forged state=1i\\";
            vec![Part { tags: vec![tag("name", forged), tag("zone", "a=b,c d\\")], ..named("") }]
        }
        "part-long-tags" => vec![Part { tags: vec![tag("name", "x".repeat(1 << 20))], ..named("") }],
        "part-secret" => {
            let said = vec![value("said", Value::Text(secret.into()))];
            vec![Part { fields: said, failure: failure(1000, secret), ..named(secret) }]
        }
        // As many and as long texts as are handed over in one call.
        "part-texts" => {
            let text = "0001".repeat(3_500_000 / TEXTS / 63 / 4);
            let fields: Vec<_> =
                (0..TEXTS).map(|i| value(&format!("f{i}"), Value::Text(text.clone()))).collect();
            let one =
                |i: usize| Part { name: "texts".into(), fields: fields.clone(), ..named(format!("{i}")) };
            (0..63).map(one).collect()
        }
        "part-unannounced" => vec![Part { name: "smtp".into(), ..named("") }],
        "part-tag-unannounced" => vec![Part { tags: vec![tag("result", "success")], ..named("") }],
        "part-tag-twice" => vec![Part { tags: vec![tag("name", "a"), tag("name", "b")], ..named("") }],
        "part-field-unannounced" => {
            vec![Part { fields: vec![value("error_code", Value::Integer(0))], ..named("") }]
        }
        "part-field-twice" => {
            let count = || value("count", Value::Integer(1));
            vec![Part { fields: vec![count(), count()], ..named("") }]
        }
        "part-field-retyped" => vec![Part { fields: vec![value("count", Value::Float(1.0))], ..named("") }],
        "part-code-forged" => vec![Part { failure: failure(201, ""), ..named("") }],
        // Behind all that may have a line.
        "part-unannounced-at-the-end" => {
            let mut parts: Vec<_> = (0..1000).map(|i| named(format!("{i}"))).collect();
            parts.push(Part { name: "smtp".into(), ..named("") });
            parts
        }
        _ => return None,
    })
}
