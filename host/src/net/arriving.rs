//! What has arrived at a socket: how much of it is wanted in; bytes out, and when the last of them came, where the system says
//! it. Refuses to wait.

use std::{cell::RefCell, io, os::fd::AsRawFd, time::Duration};

use nix::sys::socket::MsgFlags;
use tokio::net::TcpStream;

/// Bytes of one read at most: as many as a check may ask for.
const READ_BYTES: usize = 64 << 10;

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
