//! What came of a look-up.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::net::unresolved::Unresolved;

/// Shared by all that asked for the name.
#[derive(Debug)]
pub(super) struct Answer {
    /// Somebody was asked; before that it may have waited for its turn.
    pub(super) started: Instant,
    pub(super) ended: Instant,
    /// At least one, each once, those to be tried first in front.
    pub(super) found: Result<Vec<IpAddr>, Unresolved>,
    /// How long it holds from its end on; nothing: for those who asked meanwhile.
    pub(super) holds: Duration,
}
