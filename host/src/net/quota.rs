//! What a run may use of the network: every attempt at a connection is charged here, by whatever makes it. Refuses what goes
//! over.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// What is left to a run, shared by all that it does.
#[derive(Clone, Debug)]
pub struct Quota(Arc<Mutex<Left>>);

#[derive(Debug)]
struct Left {
    connections: u32,
}

/// A run's share is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UsedUp {
    Connections,
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Connections => "connections",
        };
        write!(f, "the run's share of {what} is used up")
    }
}

impl std::error::Error for UsedUp {}

impl Quota {
    /// So many attempts at a connection.
    #[must_use]
    pub fn new(connections: u32) -> Self {
        Self(Arc::new(Mutex::new(Left { connections })))
    }

    /// Charges one attempt.
    pub(super) fn connection(&self) -> Result<(), UsedUp> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.connections = left.connections.checked_sub(1).ok_or(UsedUp::Connections)?;
        Ok(())
    }
}
