//! Parts as a check reports them: the interface's in, one by one; as many as may have a line out, and how many others there
//! were. Refuses what is not announced or stands twice, of the others as well. However many there are, each is looked at once,
//! and cleaned only where it may have a line.

use std::collections::{HashMap, HashSet};

use super::{bindings::exports::sonde::check::check as wit, cause, contradiction::Contradiction, fields};
use crate::{
    description::{self, Description, TAG_BYTES},
    line,
    report::Part,
    secret::Secrets,
    text,
    value::{FieldKind, Value},
};

/// A kind, whose fields are found by name: a check announces hundreds, and reports thousands.
struct Kind<'a> {
    of: &'a description::Part,
    fields: HashMap<&'a str, (usize, FieldKind)>,
}

/// What tells a part's line from those of the run's other parts: of two points with the same, a database keeps one.
type Series = (String, Vec<(String, String)>);

/// Those of a run, as far as they were looked at.
pub(crate) struct Reported<'a> {
    by: &'a Description,
    kinds: HashMap<&'a str, Kind<'a>>,
    secrets: &'a Secrets,
    most: usize,
    known: HashSet<Series>,
    /// Those that have a line.
    pub(crate) parts: Vec<Part>,
    /// How many have none.
    pub(crate) dropped: u32,
}

impl<'a> Reported<'a> {
    /// Of a run that may have so many lines, its job's own included.
    pub(crate) fn new(by: &'a Description, lines: u32, secrets: &'a Secrets) -> Self {
        Self {
            by,
            kinds: by.parts.iter().map(|of| (&*of.name, Kind::new(of))).collect(),
            secrets,
            most: usize::try_from(lines.saturating_sub(1)).unwrap_or(usize::MAX),
            known: HashSet::new(),
            parts: Vec::new(),
            dropped: 0,
        }
    }

    /// The next one.
    pub(crate) fn add(&mut self, part: wit::Part) -> Result<(), Contradiction> {
        let Some(kind) = self.kinds.get(&*part.name) else {
            return Err(Contradiction::PartUnannounced(part.name));
        };
        let mut part = kind.announced(part, self.by)?;
        if self.parts.len() < self.most {
            clean_tags(&mut part, self.secrets);
            if self.known.insert(series(&part)) {
                clean_texts(&mut part, self.secrets);
                self.parts.push(part);
                return Ok(());
            }
        }
        self.dropped = self.dropped.saturating_add(1);
        Ok(())
    }
}

impl<'a> Kind<'a> {
    fn new(of: &'a description::Part) -> Self {
        let fields = of.fields.iter().enumerate().map(|(place, field)| (&*field.name, (place, field.kind)));
        Self { of, fields: fields.collect() }
    }

    /// One of it, its texts still the check's.
    fn announced(&self, from: wit::Part, by: &Description) -> Result<Part, Contradiction> {
        let qualified = |name: &str| format!("{}.{name}", self.of.name);
        let mut values: Vec<Option<String>> = vec![None; self.of.tags.len()];
        for tag in from.tags {
            let place = self.of.tags.iter().position(|known| known.name == tag.name);
            let value = place.and_then(|place| values.get_mut(place));
            let Some(value) = value else { return Err(Contradiction::TagUnannounced(qualified(&tag.name))) };
            if value.replace(tag.value).is_some() {
                return Err(Contradiction::TagTwice(qualified(&tag.name)));
            }
        }
        let tags =
            self.of.tags.iter().zip(values).filter_map(|(tag, value)| Some((tag.name.clone(), value?)));
        let tags = tags.collect();
        let (mut seen, mut fields) = (vec![false; self.of.fields.len()], Vec::new());
        for field in from.fields {
            let known = self.fields.get(&*field.name);
            let known = known.and_then(|(place, kind)| Some((seen.get_mut(*place)?, *kind)));
            let Some((seen, kind)) = known else {
                return Err(Contradiction::FieldUnannounced(qualified(&field.name)));
            };
            if std::mem::replace(seen, true) {
                return Err(Contradiction::FieldTwice(qualified(&field.name)));
            }
            let value = fields::value(kind, field.value).map_err(|wrong| wrong.at(qualified(&field.name)))?;
            fields.push((field.name, value));
        }
        let failure = from.failure.map(|failure| cause::failure(failure, by)).transpose()?;
        Ok(Part { kind: from.name, tags, fields, failure })
    }
}

fn clean_tags(part: &mut Part, secrets: &Secrets) {
    for (_, value) in &mut part.tags {
        *value = secrets.outgoing(value, TAG_BYTES);
    }
    part.tags.retain(|(_, value)| !value.is_empty());
}

fn clean_texts(part: &mut Part, secrets: &Secrets) {
    let values = part.fields.iter_mut().filter_map(|(_, value)| value.as_text_mut());
    for text in values.chain(part.failure.iter_mut().map(|failure| &mut failure.text)) {
        *text = secrets.outgoing(text, text::TEXT_BYTES);
    }
    // An empty text says nothing.
    part.fields.retain(|(_, value)| *value != Value::Text(String::new()));
}

fn series(part: &Part) -> Series {
    let written = part.tags.iter().map(|(name, value)| (name.clone(), line::read_tag(value)));
    (part.kind.clone(), written.filter(|(_, value)| !value.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::ErrorCode,
        description::{Field, OwnError, PartTag},
        report::Outcome,
    };

    fn described() -> Description {
        let tag = |name: &str| PartTag { name: name.into(), doc: String::new() };
        let part = |name: &str| description::Part {
            name: name.into(),
            doc: String::new(),
            tags: vec![tag("name"), tag("zone")],
            fields: vec![Field::plain("count", FieldKind::Integer), Field::plain("said", FieldKind::Text)],
        };
        let mut description = Description::unknown("a");
        description.parts = vec![part("box"), part("hop")];
        description.errors = vec![OwnError { code: 1000, name: "full".into(), doc: String::new() }];
        description
    }

    fn part(name: &str, tags: &[(&str, &str)], fields: &[(&str, wit::Value)]) -> wit::Part {
        let tag =
            |(name, value): &(&str, &str)| wit::TagValue { name: (*name).into(), value: (*value).into() };
        let field =
            |(name, value): &(&str, wit::Value)| wit::Field { name: (*name).into(), value: value.clone() };
        wit::Part {
            name: name.into(),
            tags: tags.iter().map(tag).collect(),
            fields: fields.iter().map(field).collect(),
            failure: None,
        }
    }

    fn named(name: &str) -> wit::Part {
        part("box", &[("name", name)], &[])
    }

    fn reported(parts: Vec<wit::Part>, lines: u32) -> Result<(Vec<Part>, u32), Contradiction> {
        let (description, secrets) = (described(), Secrets::new(&["hunter2".into()]).unwrap());
        let mut reported = Reported::new(&description, lines, &secrets);
        parts.into_iter().try_for_each(|part| reported.add(part))?;
        Ok((reported.parts, reported.dropped))
    }

    fn names(parts: &[Part]) -> Vec<&str> {
        parts.iter().flat_map(|part| &part.tags).map(|(_, value)| &**value).collect()
    }

    #[test]
    fn a_part_is_cleaned_and_its_secrets_are_masked() {
        let mut one = part(
            "box",
            &[("zone", "\u{202e}b\r\nbox,x=y"), ("name", "hunter2")],
            &[("said", wit::Value::Text("it is\0hunter2".into())), ("count", wit::Value::Integer(-1))],
        );
        let own = wit::OwnFailure { kind: wit::FailureKind::Rejected, code: 1000 };
        one.failure = Some(wit::Failure { cause: wit::Cause::Judgement(own), text: "no hunter2\n".into() });
        let (parts, dropped) = reported(vec![one], 64).unwrap();
        let [part] = &parts[..] else { panic!("{parts:?}") };
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(part.tags, [tag("name", "***"), tag("zone", "b box,x=y")]);
        let said = Value::Text("it is ***".into());
        assert_eq!(part.fields, [("said".to_owned(), said), ("count".to_owned(), Value::Integer(-1))]);
        let failure = part.failure.clone().unwrap();
        let known = (failure.outcome, failure.code, &*failure.text);
        assert_eq!(known, (Outcome::Rejected, ErrorCode(1000), "no ***"));
        assert_eq!(dropped, 0);
    }

    #[test]
    fn what_is_not_announced_or_stands_twice_is_refused_also_where_no_line_is_left() {
        let one = wit::Value::Integer(1);
        let text = |name: &str| name.to_owned();
        for (part, expected) in [
            (part("smtp", &[], &[]), Contradiction::PartUnannounced(text("smtp"))),
            (part("box", &[("result", "success")], &[]), Contradiction::TagUnannounced(text("box.result"))),
            (part("box", &[("name", "a"), ("name", "a")], &[]), Contradiction::TagTwice(text("box.name"))),
            (
                part("box", &[], &[("error_code", one.clone())]),
                Contradiction::FieldUnannounced(text("box.error_code")),
            ),
            (
                part("box", &[], &[("count", one.clone()), ("count", one.clone())]),
                Contradiction::FieldTwice(text("box.count")),
            ),
            (
                part("box", &[], &[("said", one)]),
                Contradiction::FieldKind {
                    name: text("box.said"),
                    announced: FieldKind::Text,
                    reported: FieldKind::Integer,
                },
            ),
        ] {
            for lines in [1, 64] {
                assert_eq!(reported(vec![part.clone()], lines), Err(expected.clone()));
            }
        }
        let own = wit::OwnFailure { kind: wit::FailureKind::Rejected, code: 201 };
        let failure = Some(wit::Failure { cause: wit::Cause::Judgement(own), text: String::new() });
        let forged = wit::Part { failure, ..named("a") };
        assert_eq!(reported(vec![forged], 64), Err(Contradiction::CodeUnannounced(201)));
    }

    #[test]
    fn of_parts_that_are_read_alike_the_first_is_kept() {
        let long = "x".repeat(TAG_BYTES);
        let alike = [
            ["a", " a\u{200b}", "a\n"],
            ["a\\", "a", "a\\\\"],
            ["a\\ b", "a b", "a\u{ad} b"],
            ["a \"b", "a \\\"b", "a\\ \\\"b"],
            [&long, &format!("{long}y"), &format!("{long}\0z")],
            ["hunter2", "***", "\u{200b}hunter2"],
            ["", "\0", "\\"],
        ];
        for same in alike {
            let mut parts: Vec<_> = same.iter().map(|name| named(name)).collect();
            parts.push(named("other"));
            let (kept, dropped) = reported(parts, 64).unwrap();
            assert_eq!((kept.len(), dropped), (2, 2), "{same:?}: {kept:?}");
        }
        // Neither a tag's place nor another kind makes a part the same.
        let apart = vec![
            part("box", &[("name", "a"), ("zone", "b")], &[]),
            part("box", &[("name", "b"), ("zone", "a")], &[]),
            part("box", &[("zone", "a")], &[]),
            part("box", &[("name", "a")], &[]),
            part("hop", &[("name", "a")], &[]),
            // But this one is.
            part("box", &[("zone", "b"), ("name", "a")], &[]),
        ];
        let (kept, dropped) = reported(apart, 64).unwrap();
        assert_eq!((kept.len(), dropped), (5, 1));
    }

    #[test]
    fn what_is_over_the_lines_of_a_run_is_counted() {
        let many = |count: usize| (0..count).map(|number| named(&number.to_string())).collect::<Vec<_>>();
        for (count, lines, kept, dropped) in
            [(0, 1, 0, 0), (3, 1, 0, 3), (3, 4, 3, 0), (100_000, 4, 3, 99_997), (3, 0, 0, 3)]
        {
            let (parts, over) = reported(many(count), lines).unwrap();
            assert_eq!((parts.len(), over), (kept, dropped), "{count} of {lines}");
            assert!(names(&parts).iter().eq(["0", "1", "2"].iter().take(kept)));
        }
    }
}
