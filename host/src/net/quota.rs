//! What a run may use of the network: attempts at a connection, and bytes as they cross the socket, are charged here by whatever
//! makes them. Refuses what goes over.

use std::{
    fmt, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What is left to a run, shared by all that it does.
#[derive(Debug)]
pub struct Quota {
    /// At first.
    connections: u32,
    /// At first, in each direction.
    bytes: u64,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    connections: u32,
    receive_bytes: u64,
    send_bytes: u64,
}

/// A run's share, of so many, is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UsedUp {
    Connections(u32),
    Received(u64),
    Sent(u64),
}

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, key, share) = match self {
            Self::Connections(share) => ("connections", "connections", u64::from(*share)),
            Self::Received(bytes) => ("received bytes", "traffic_mib", bytes >> 20),
            Self::Sent(bytes) => ("sent bytes", "traffic_mib", bytes >> 20),
        };
        write!(f, "the run's share of {what} is used up: see `limits.{key}`, {share}")
    }
}

impl std::error::Error for UsedUp {}

impl From<UsedUp> for io::Error {
    fn from(used_up: UsedUp) -> Self {
        Self::new(io::ErrorKind::QuotaExceeded, used_up)
    }
}

impl Quota {
    /// So many attempts at a connection, and so many bytes in each direction.
    #[must_use]
    pub fn new(connections: u32, bytes: u64) -> Self {
        let left = Mutex::new(Left { connections, receive_bytes: bytes, send_bytes: bytes });
        Self { connections, bytes, left }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges one attempt.
    pub(super) fn connection(&self) -> Result<(), UsedUp> {
        let mut left = self.left();
        let rest = left.connections.checked_sub(1);
        left.connections = rest.ok_or(UsedUp::Connections(self.connections))?;
        Ok(())
    }

    /// How many of so many bytes may be asked for. One where nothing is left: the end of a stream costs nothing, and whoever
    /// gets a byte instead learns from [`Self::receive`] that it was one too many.
    pub(super) fn receivable(&self, bytes: usize) -> usize {
        usize::try_from(self.left().receive_bytes).unwrap_or(usize::MAX).clamp(1, bytes.max(1))
    }

    /// Charges what was received.
    pub(super) fn receive(&self, bytes: usize) -> Result<(), UsedUp> {
        take(&mut self.left().receive_bytes, bytes, UsedUp::Received(self.bytes))
    }

    /// Charges what is to be sent. What is refused uses up the rest: half a message is none.
    pub(super) fn send(&self, bytes: usize) -> Result<(), UsedUp> {
        take(&mut self.left().send_bytes, bytes, UsedUp::Sent(self.bytes))
    }
}

fn take(left: &mut u64, bytes: usize, used_up: UsedUp) -> Result<(), UsedUp> {
    let rest = u64::try_from(bytes).ok().and_then(|bytes| left.checked_sub(bytes));
    *left = rest.unwrap_or_default();
    rest.map(drop).ok_or(used_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_has_a_share_of_its_own_and_all_of_a_run_draw_on_it() {
        let quota = Quota::new(0, 10);
        let other = &quota;
        assert_eq!((quota.receivable(100), quota.receive(6)), (10, Ok(())));
        assert_eq!((other.receivable(100), other.receivable(2), other.receive(4)), (4, 2, Ok(())));
        // The end of the stream is still told.
        assert_eq!(
            (other.receivable(100), other.receive(0), other.receive(1)),
            (1, Ok(()), Err(UsedUp::Received(10)))
        );
        assert_eq!(
            (quota.send(11), quota.send(1), quota.send(0)),
            (Err(UsedUp::Sent(10)), Err(UsedUp::Sent(10)), Ok(()))
        );
    }
}
