//! A TCP stream that tells when bytes arrived: by the kernel's time stamp where the system gives one, else by the time of
//! reading.

use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::TcpStream};

/// A time stamp further back than this is a clock that was set, not a late reader.
const OLDEST_ARRIVAL: Duration = Duration::from_mins(1);

/// The stream.
pub(super) struct Tcp {
    stream: TcpStream,
    last_arrival: Instant,
    /// The peer accepted the connection and reset it before anybody looked.
    reset: Option<io::Error>,
    /// To be sent.
    outgoing: VecDeque<u8>,
}

impl Tcp {
    pub(super) async fn connect(to: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Before connecting: the kernel takes a moment to start. Where it cannot, the time of reading counts.
        #[cfg(target_os = "linux")]
        let _supported: nix::Result<()> =
            nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true);
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from_std(socket.into())?;
        stream.writable().await?;
        // A refused connection ends here. A reset one was there first: whoever reads from it learns that, so that a
        // server which accepts and resets is told from one that refuses, however fast it is.
        let reset = match stream.take_error()? {
            Some(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error),
            reset => reset,
        };
        Ok(Self { stream, last_arrival: Instant::now(), reset, outgoing: VecDeque::new() })
    }

    /// When the bytes read last arrived; before the first, when the connection was established.
    pub(super) fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// What is read from now on counts as arrived no earlier: the time stamp comes from another clock, and nothing that a
    /// check is told may lie before what it was told already.
    pub(super) fn not_before(&mut self, instant: Instant) {
        self.last_arrival = self.last_arrival.max(instant);
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Instant)> {
        let stream = &self.stream;
        let received = stream.async_io(Interest::READABLE, || receive(stream, buffer)).await;
        let (count, stamp) = received?;
        if count == 0
            && let Some(reset) = self.reset.take()
        {
            return Err(reset);
        }
        // Of a stream, one time stamp stands for all bytes of a read, and time does not run backwards.
        self.last_arrival = arrival(Instant::now(), SystemTime::now(), stamp).max(self.last_arrival);
        Ok((count, self.last_arrival))
    }

    /// Where bytes wait for [`Self::flush`].
    pub(super) fn outgoing(&mut self) -> &mut VecDeque<u8> {
        &mut self.outgoing
    }

    /// Sends what waits. Dropped in between, it leaves the rest to the next call, so that the stream stays whole.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if let Some(reset) = self.reset.take() {
            return Err(reset);
        }
        while !self.outgoing.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(self.outgoing.as_slices().0) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks whether bytes wait, without taking them.
    pub(super) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = nix::sys::socket::recv(
            self.stream.as_raw_fd(),
            buffer,
            nix::sys::socket::MsgFlags::MSG_PEEK | nix::sys::socket::MsgFlags::MSG_DONTWAIT,
        )?;
        Ok(count)
    }
}

#[cfg(target_os = "linux")]
fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<Duration>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty())?;
    let stamp = message.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
            _ => None,
        })
    });
    Ok((message.bytes, stamp))
}

#[cfg(not(target_os = "linux"))]
fn receive(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<Duration>)> {
    let _: Option<IoSliceMut<'_>> = None;
    stream.try_read(buffer).map(|count| (count, None))
}

/// The kernel stamps in wall-clock time; how long ago that was is the same on every clock.
fn arrival(now: Instant, wall: SystemTime, stamp: Option<Duration>) -> Instant {
    let ago = stamp.and_then(|stamp| wall.duration_since(UNIX_EPOCH + stamp).ok());
    match ago {
        Some(ago) if ago <= OLDEST_ARRIVAL => now.checked_sub(ago).unwrap_or(now),
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn without_a_usable_time_stamp_the_time_of_reading_counts() {
        let (now, wall) = (Instant::now(), UNIX_EPOCH + Duration::from_millis(1_000_500));
        assert_eq!(arrival(now, wall, None), now);
        assert_eq!(arrival(now, wall, Some(Duration::from_secs(1_001))), now);
        assert_eq!(arrival(now, wall, Some(Duration::from_mins(15))), now);
        assert_eq!(
            arrival(now, wall, Some(Duration::from_millis(999_500))),
            now.checked_sub(Duration::from_secs(1)).unwrap()
        );
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_reset_at_once_was_a_connection() {
        // On one thread the peer resets while the connection waits to be looked at.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tcp, ()) = tokio::join!(Tcp::connect(address), async {
            let listener = listener.into_std().unwrap();
            listener.set_nonblocking(false).unwrap();
            let (peer, _) = listener.accept().unwrap();
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        });
        let error = tcp.unwrap().read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_late_reader_still_learns_when_the_bytes_arrived() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tcp = Tcp::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        // The kernel stamps for a first socket only after it has switched that on.
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.write_all(b"220\r\n").await.unwrap();
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (count, arrived) = tcp.read(&mut [0; 16]).await.unwrap();
        assert_eq!(count, 5);
        assert!(arrived < sent + Duration::from_millis(150), "read at once would be no better");
    }
}
