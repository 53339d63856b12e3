//! The round trip of a TCP handshake as the kernel measured it: a socket in, a time or nothing out.

use std::{os::fd::AsRawFd, time::Duration};

/// None where the system does not tell, or a SYN was sent more than once: the kernel then only knows the last one's time.
/// To be asked before anything is sent, which would change the answer.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no library reads this option")]
pub(super) fn of_handshake(socket: &impl AsRawFd) -> Option<Duration> {
    use nix::libc;
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `info`, whose fields are all integers: zeroed or written, they
    // are initialised.
    let info = unsafe {
        let to = info.as_mut_ptr().cast();
        match libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, to, &raw mut length) {
            0 => info.assume_init(),
            _ => return None,
        }
    };
    let measured = info.tcpi_total_retrans == 0 && info.tcpi_rtt > 0;
    measured.then(|| Duration::from_micros(info.tcpi_rtt.into()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_handshake(_socket: &impl AsRawFd) -> Option<Duration> {
    None
}
