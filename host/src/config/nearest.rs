//! What a misspelt name was meant to be.

/// The known name that differs least, if by little or by a missing end, such as a unit.
pub(super) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.map(|name| (strsim::osa_distance(text, name), name)).min()?;
    let begins = text.len() > 2 && close.1.starts_with(text);
    (begins || close.0 <= (text.len() / 4).max(1)).then_some(close.1)
}
