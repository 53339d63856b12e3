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
/// A time stamp further back than this is a clock that was set, not a late reader.
const OLDEST_ARRIVAL: Duration = Duration::from_mins(1);
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

/// When bytes with this time stamp arrived, which were seen then: the kernel stamps in wall-clock time, and how long ago that was is
/// the same on every clock.
pub(super) fn arrival(stamp: Option<Duration>, seen: Instant) -> Instant {
    let Some(stamp) = stamp else { return seen };
    let (now, wall) = both_clocks();
    match wall.duration_since(UNIX_EPOCH + stamp) {
        Ok(ago) if ago <= OLDEST_ARRIVAL => now.checked_sub(ago).unwrap_or(seen),
        _ => seen,
    }
}

/// One moment on both clocks. Where the scheduler let others run between the readings, they are read again.
fn both_clocks() -> (Instant, SystemTime) {
    let read = || {
        let (before, wall) = (Instant::now(), SystemTime::now());
        let apart = before.elapsed();
        (apart, before + apart / 2, wall)
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
    (best.1, best.2)
}

/// We look late at what arrived then, or what was in front of it came late.
pub(super) fn is_late(seen: Instant, arrival: Instant) -> bool {
    seen.saturating_duration_since(arrival) > CLOSE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_usable_time_stamp_the_time_of_looking_counts() {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let (second, before) = (Duration::from_secs(1), Instant::now());
        for unusable in
            [None, Some(since + Duration::from_mins(1)), since.checked_sub(Duration::from_mins(2))]
        {
            assert_eq!(arrival(unusable, before), before, "{unusable:?}");
        }
        assert!(arrival(since.checked_sub(second), before) < before);
    }
}
