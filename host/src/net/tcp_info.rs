//! What the kernel knows of a TCP connection: a socket in; of `struct tcp_info` (linux/tcp.h) what times are made of, or nothing, out.

use std::{
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

/// The kernel's clock goes in steps of no more, mostly: 250 in a second (`CONFIG_HZ`).
const STEP: Duration = Duration::from_millis(4);

/// How long the kernel's answer may be: what it adds some day is cut off.
#[cfg(target_os = "linux")]
const BYTES: usize = 256;
/// Places in it, of numbers of four bytes.
#[cfg(target_os = "linux")]
const LAST_DATA_RECV: usize = 52;
#[cfg(target_os = "linux")]
const RTT: usize = 68;
#[cfg(target_os = "linux")]
const TOTAL_RETRANS: usize = 100;
#[cfg(target_os = "linux")]
const RCV_OOOPACK: usize = 224;

/// Of one connection, at the moment of asking.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TcpInfo {
    /// The round trip, before anything was sent that of the handshake; none: a SYN was sent more than once, and the kernel knows
    /// only the last one's time.
    pub(super) round_trip: Option<Duration>,
    /// Since bytes came behind which nothing was missing, or before any since the connection was there: in steps of the kernel's
    /// clock, which are milliseconds.
    pub(super) since_data: Duration,
    /// Segments that came before one that belongs in front of them; none: the kernel does not count them (before Linux 5.4).
    pub(super) out_of_order: Option<u32>,
}

impl TcpInfo {
    /// None: the system does not tell.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "no library reads this option")]
    pub(super) fn of(socket: &impl AsRawFd) -> Option<Self> {
        use nix::libc;
        let mut info = [0_u8; BYTES];
        let mut length = libc::socklen_t::try_from(info.len()).ok()?;
        // SAFETY: the kernel writes at most `length` bytes into `info`, and says how many in `length`.
        let told = unsafe {
            let to = info.as_mut_ptr().cast();
            libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, to, &raw mut length)
        };
        let info = info.get(..usize::try_from(length).ok()?).filter(|_| told == 0)?;
        let number = |at: usize| Some(u32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
        let (rtt_us, retransmitted) = (number(RTT)?, number(TOTAL_RETRANS)?);
        Some(Self {
            round_trip: (retransmitted == 0 && rtt_us > 0).then(|| Duration::from_micros(rtt_us.into())),
            since_data: Duration::from_millis(number(LAST_DATA_RECV)?.into()),
            out_of_order: number(RCV_OOOPACK),
        })
    }

    /// When what was seen then was whole, whose last bytes arrived at that moment: where segments came in another order than they
    /// were sent in, or one was sent again, what was missing in front of them may have come later. It is asked now.
    pub(super) fn whole(self, arrival: Instant, seen: Instant, now: Instant) -> Instant {
        let was_missing = self.out_of_order.is_some_and(|segments| segments > 0);
        let whole = self.came(seen, now);
        if was_missing && whole.saturating_duration_since(arrival) > STEP { whole } else { arrival }
    }

    /// When bytes came that were seen then, and of whose arrival nothing else is known. It is asked now.
    pub(super) fn last_data(self, seen: Instant, now: Instant) -> Instant {
        let came = self.came(seen, now);
        if seen.saturating_duration_since(came) > STEP { came } else { seen }
    }

    fn came(self, seen: Instant, now: Instant) -> Instant {
        now.checked_sub(self.since_data).map_or(seen, |came| came.min(seen))
    }

    /// When a connection was there, of which nothing has come yet, and which was seen then.
    pub(super) fn established(self, seen: Instant) -> Instant {
        if self.since_data > STEP { seen.checked_sub(self.since_data).unwrap_or(seen) } else { seen }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_socket: &impl AsRawFd) -> Option<Self> {
        None
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        thread,
    };

    use super::*;

    #[test]
    fn a_reply_is_whole_when_what_was_missing_in_front_of_its_end_has_come() {
        let seen = Instant::now();
        let before = |ms| seen.checked_sub(Duration::from_millis(ms)).unwrap();
        let whole = |arrival: Instant, since_data: u64, segments| {
            let info = TcpInfo {
                since_data: Duration::from_millis(since_data),
                out_of_order: segments,
                ..TcpInfo::default()
            };
            info.whole(arrival, seen, seen + Duration::from_millis(1))
        };
        // We looked late, at what had come in its order.
        assert_eq!(whole(before(900), 900, Some(0)), before(900));
        assert_eq!(whole(before(900), 900, None), before(900));
        // Within a step of the kernel's clock the stamp is as good.
        assert_eq!(whole(before(900), 898, Some(1)), before(900));
        assert_eq!(whole(before(900), 500, Some(1)), before(499));
        // It was not there later than it was seen.
        assert_eq!(whole(before(900), 0, Some(1)), seen);
    }

    #[test]
    fn the_kernels_numbers_are_those_of_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let pause = Duration::from_millis(300);
        let since = || TcpInfo::of(&stream).unwrap().since_data;
        thread::sleep(pause);
        assert!(since() + STEP * 5 >= pause, "{:?}", since());
        let before = since();
        peer.write_all(b"220\r\n").unwrap();
        while stream.peek(&mut [0; 8]).unwrap() < 5 {}
        let info = TcpInfo::of(&stream).unwrap();
        assert!(info.since_data < before && info.out_of_order == Some(0), "{info:?}");
        let round_trip = info.round_trip.unwrap();
        assert!(!round_trip.is_zero() && round_trip < pause, "{round_trip:?}");
        assert!(TcpInfo::of(&std::fs::File::open("/dev/null").unwrap()).is_none());
    }
}
