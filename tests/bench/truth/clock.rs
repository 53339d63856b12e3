//! Moments in the kernel's wall clock, in nanoseconds.

use std::{
    io::{self, IoSliceMut},
    os::fd::RawFd,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// Of what the kernel tells beside the bytes: room for two kinds of stamps, and for what an error queue says of itself.
const CONTROL_BYTES: usize = 256;

pub(crate) fn now() -> u64 {
    nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

/// Receives, with the kernel's stamp of the last byte where the socket has `SO_TIMESTAMPNS`.
pub(crate) fn receive(socket: RawFd, buffer: &mut [u8]) -> io::Result<(usize, Option<u64>)> {
    let arrived = |message| match message {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(nanoseconds(stamp.into())),
        _ => None,
    };
    receive_with(socket, buffer, MsgFlags::empty(), arrived)
}

/// When the device took what was sent last, where the socket has `SO_TIMESTAMPING` and the kernel has said so since.
pub(crate) fn sent(socket: RawFd) -> Option<u64> {
    let left = |message| match message {
        ControlMessageOwned::ScmTimestampsns(stamps) => Some(nanoseconds(stamps.system.into())),
        _ => None,
    };
    let mut last = None;
    while let Ok((_, stamp)) = receive_with(socket, &mut [0; 64], MsgFlags::MSG_ERRQUEUE, left) {
        last = stamp.or(last);
    }
    last
}

fn receive_with(
    socket: RawFd,
    buffer: &mut [u8],
    flags: MsgFlags,
    stamp: impl Fn(ControlMessageOwned) -> Option<u64>,
) -> io::Result<(usize, Option<u64>)> {
    let mut control = [0; CONTROL_BYTES];
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket, &mut slices, Some(&mut control), flags)?;
    Ok((message.bytes, message.cmsgs()?.find_map(stamp)))
}

fn nanoseconds(since_epoch: Duration) -> u64 {
    since_epoch.as_nanos().try_into().unwrap()
}

/// From one moment to another, in milliseconds.
pub(crate) fn between(from: u64, to: u64) -> f64 {
    (i128::from(to) - i128::from(from)) as f64 / 1e6
}
