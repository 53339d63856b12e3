//! The names in what a component says of itself: text in, the same out. Refuses what is no name, is the host's, or stands twice.

use super::contradiction::{Contradiction, NAME_BYTES};
use crate::{
    description::{AGENT_TAG, RESERVED},
    text,
};

/// Of a parameter, an endpoint or a measurement; it is one more of those that are taken.
pub(super) fn name(text: &str, taken: &mut Vec<String>) -> Result<String, Contradiction> {
    let legal = text.len() <= NAME_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !legal {
        return Err(Contradiction::Name(text::clean(text)));
    }
    if text == "time" {
        return Err(Contradiction::NameOfHost(text.to_owned()));
    }
    if taken.iter().any(|known| known == text) {
        return Err(Contradiction::NameTwice(text.to_owned()));
    }
    taken.push(text.to_owned());
    Ok(text.to_owned())
}

/// Of a field, a tag or a kind of parts: of what stands on a line, as names of the host's do.
pub(super) fn name_on_line(
    text: &str,
    of_host: &[&str],
    taken: &mut Vec<String>,
) -> Result<String, Contradiction> {
    let name = name(text, taken)?;
    if of_host.contains(&text) {
        return Err(Contradiction::NameOfHost(name));
    }
    match RESERVED.iter().find(|begin| text.starts_with(**begin)) {
        Some(begin) => Err(Contradiction::NameReserved(name, begin)),
        None => Ok(name),
    }
}

/// Refuses what would be another's on a line: of its fields and tags.
pub(super) fn is_no_agents(name: &str) -> Result<(), Contradiction> {
    if name == AGENT_TAG { Err(Contradiction::NameOfAgents(name.to_owned())) } else { Ok(()) }
}

/// Of a check or an error code.
pub(super) fn check_name(text: &str) -> Result<String, Contradiction> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || text.len() > NAME_BYTES || !text.bytes().all(good) {
        return Err(Contradiction::CheckName(text::clean(text)));
    }
    Ok(text.to_owned())
}
