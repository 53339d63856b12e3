//! Colours of a terminal, by their numbers in its own codes (ECMA-48, SGR).

pub(super) const RED: &str = "31";
pub(super) const GREEN: &str = "32";
pub(super) const YELLOW: &str = "33";
pub(super) const CYAN: &str = "36";
