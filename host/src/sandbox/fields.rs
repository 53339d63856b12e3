//! Fields as a component announces and reports them: the interface's in, the host's own out. Refuses values that are not of the
//! announced kind, and reported fields that are not announced or stand twice.

use super::{
    bindings::exports::sonde::check::check as wit, contradiction::Contradiction, names::name_on_line,
};
use crate::{
    description::Field,
    text,
    value::{FieldKind, Value},
};

/// One that is announced; its name is one more of those that are taken.
pub(super) fn announced(
    from: wit::FieldDescription,
    of_host: &[&str],
    taken: &mut Vec<String>,
) -> Result<Field, Contradiction> {
    let kind = match from.kind {
        wit::FieldKind::Integer => FieldKind::Integer,
        wit::FieldKind::Float => FieldKind::Float,
        wit::FieldKind::Boolean => FieldKind::Boolean,
        wit::FieldKind::Text => FieldKind::Text,
    };
    let name = name_on_line(&from.name, of_host, taken)?;
    let is_number = matches!(kind, FieldKind::Integer | FieldKind::Float);
    if from.phase && !(is_number && from.unit == "ms") {
        return Err(Contradiction::Phase(name));
    }
    let when_unreported = from.when_unreported.map(|value| self::value(kind, value)).transpose();
    let mut when_unreported = when_unreported.map_err(|wrong| wrong.at(name.clone()))?;
    if let Some(text) = when_unreported.as_mut().and_then(Value::as_text_mut) {
        *text = text::clean(text);
    }
    Ok(Field {
        name,
        kind,
        unit: text::clean(&from.unit),
        doc: text::clean(&from.doc),
        when_unreported,
        phase: from.phase,
    })
}

/// What is wrong with a value.
pub(super) enum Wrong {
    Kind { announced: FieldKind, reported: FieldKind },
    NotFinite,
}

impl Wrong {
    /// Of the field with this name.
    pub(super) fn at(self, name: String) -> Contradiction {
        match self {
            Self::Kind { announced, reported } => Contradiction::FieldKind { name, announced, reported },
            Self::NotFinite => Contradiction::FieldNotFinite(name),
        }
    }
}

/// A value of a kind.
pub(super) fn value(kind: FieldKind, from: wit::Value) -> Result<Value, Wrong> {
    let (reported, value) = match from {
        wit::Value::Integer(value) => (FieldKind::Integer, Value::Integer(value)),
        wit::Value::Float(value) => (FieldKind::Float, Value::Float(value)),
        wit::Value::Boolean(value) => (FieldKind::Boolean, Value::Boolean(value)),
        wit::Value::Text(value) => (FieldKind::Text, Value::Text(value)),
    };
    match value {
        _ if reported != kind => Err(Wrong::Kind { announced: kind, reported }),
        Value::Float(value) if !value.is_finite() => Err(Wrong::NotFinite),
        value => Ok(value),
    }
}

/// Those of a report, all of them announced and of the announced kind.
pub(crate) fn reported(
    from: Vec<wit::Field>,
    announced: &[Field],
) -> Result<Vec<(String, Value)>, Contradiction> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for field in from {
        let known = announced.iter().find(|known| known.name == field.name);
        let Some(known) = known else { return Err(Contradiction::FieldUnannounced(field.name)) };
        if fields.iter().any(|(name, _)| *name == field.name) {
            return Err(Contradiction::FieldTwice(field.name));
        }
        let value = value(known.kind, field.value).map_err(|wrong| wrong.at(known.name.clone()))?;
        fields.push((known.name.clone(), value));
    }
    Ok(fields)
}
