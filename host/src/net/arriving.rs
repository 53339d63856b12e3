//! What has arrived at a socket: how much of it is wanted in; bytes out, and when the last of them came, where the system says
//! it. Refuses to wait.

use std::{
    cell::RefCell,
    io,
    os::fd::AsRawFd,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::sys::socket::MsgFlags;
use tokio::net::TcpStream;

/// Bytes of one read at most: as many as a check may ask for.
const READ_BYTES: usize = 64 << 10;
/// A look is as good as a stamp that is this close to it: what times may be wrong by.
const CLOSE: Duration = Duration::from_micros(200);
/// A time stamp further back than this is of a clock that was set, and not of a late reader.
const OLDEST_ARRIVAL: Duration = Duration::from_mins(1);
/// By more the clock on the wall does not part from the other unless it is set: both are sped up and slowed down alike.
const SET: Duration = Duration::from_millis(1);
/// Two clocks read within this time were read at one moment: a tenth of what times may be wrong by.
const CLOSE_READINGS: Duration = Duration::from_micros(20);
/// Attempts at that; a machine on which all fail is one whose clocks are slow to read.
const READINGS: u32 = 5;

thread_local! {
    /// Where the kernel puts what is read, before it is known how much that is: a thousand connections that wait for a reply
    /// hold nothing for it.
    static ARRIVING: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// At most so many of the bytes that are there, and when the last of them came.
pub(super) fn receive(
    stream: &TcpStream,
    most: usize,
    how: MsgFlags,
) -> io::Result<(Vec<u8>, Option<Duration>)> {
    ARRIVING.with_borrow_mut(|buffer| {
        let most = most.min(buffer.len());
        let (count, stamp) = receive_into(stream, buffer.get_mut(..most).unwrap_or_default(), how)?;
        Ok((buffer.get(..count).unwrap_or_default().to_vec(), stamp))
    })
}

#[cfg(target_os = "linux")]
fn receive_into(
    stream: &TcpStream,
    buffer: &mut [u8],
    how: MsgFlags,
) -> io::Result<(usize, Option<Duration>)> {
    use nix::sys::socket::{ControlMessageOwned, recvmsg};
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut slices = [io::IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut control), how)?;
    let stamp = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        })
    });
    Ok((message.bytes, stamp))
}

#[cfg(not(target_os = "linux"))]
fn receive_into(
    stream: &TcpStream,
    buffer: &mut [u8],
    how: MsgFlags,
) -> io::Result<(usize, Option<Duration>)> {
    let count = nix::sys::socket::recv(stream.as_raw_fd(), buffer, how)?;
    Ok((count, None))
}

/// One moment on both clocks: the kernel stamps in wall-clock time, and how long ago that was is the same on every clock, as long as
/// none is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

impl Clocks {
    /// Where the scheduler let others run between the readings, they are read again.
    pub(super) fn read() -> Self {
        let read = || {
            let (before, wall) = (Instant::now(), SystemTime::now());
            let apart = before.elapsed();
            (apart, Self { now: before + apart / 2, wall })
        };
        let mut best = read();
        for _ in 1..READINGS {
            if best.0 <= CLOSE_READINGS {
                break;
            }
            let again = read();
            if again.0 < best.0 {
                best = again;
            }
        }
        best.1
    }

    /// The clock on the wall was set in between: who knows by which of its times a stamp was made?
    fn was_set_since(self, earlier: Self) -> bool {
        let by_wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        by_wall.abs_diff(self.now.saturating_duration_since(earlier.now)) > SET
    }
}

/// When bytes with this time stamp arrived; none: by the stamp nobody can say. `earlier` is from the last look before this one.
pub(super) fn arrival(stamp: Duration, clocks: Clocks, earlier: Clocks) -> Option<Instant> {
    let ago = clocks.wall.duration_since(UNIX_EPOCH + stamp).ok()?;
    if ago > OLDEST_ARRIVAL || clocks.was_set_since(earlier) {
        return None;
    }
    clocks.now.checked_sub(ago)
}

/// We look late at what arrived then, or what was in front of it came late.
pub(super) fn is_late(seen: Instant, arrival: Instant) -> bool {
    seen.saturating_duration_since(arrival) > CLOSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_counts_unless_the_clock_was_set_or_it_lies_ahead_or_far_back() {
        let (second, minutes) = (Duration::from_secs(1), Duration::from_mins(2));
        let clocks = Clocks::read();
        let since = |ago: Duration| (clocks.wall - ago).duration_since(UNIX_EPOCH).unwrap();
        let before =
            |by_wall| Clocks { now: clocks.now.checked_sub(second).unwrap(), wall: clocks.wall - by_wall };
        assert_eq!(arrival(since(second), clocks, before(second)), clocks.now.checked_sub(second));
        assert_eq!(arrival(since(minutes), clocks, before(second)), None);
        assert_eq!(arrival(since(Duration::ZERO) + second, clocks, before(second)), None);
        // Set ahead by a minute, by a hundredth of a second; and back, beyond what it was before.
        for by_wall in [second + minutes, second * 101 / 100, second * 99 / 100] {
            assert_eq!(arrival(since(second), clocks, before(by_wall)), None, "{by_wall:?}");
        }
        let back = Clocks { wall: clocks.wall + minutes, ..before(second) };
        assert_eq!(arrival(since(second), clocks, back), None);
    }
}
