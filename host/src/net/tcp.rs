//! A TCP stream that tells when bytes arrived: by the kernel's time stamp where the system gives one, else by the time of
//! reading. Each byte that crosses it, TLS's own ones included, is charged to the run; refuses those over its share.

use std::{
    collections::VecDeque,
    io::{self, Write},
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use nix::{errno::Errno, sys::socket::MsgFlags};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::Interest, net::TcpStream};

use super::{
    arriving::{Clocks, arrival, is_late, receive},
    quota::Quota,
    run::Run,
    tcp_info::TcpInfo,
};

/// The stream.
pub(super) struct Tcp {
    stream: TcpStream,
    run: Arc<Run>,
    local: SocketAddr,
    started: Instant,
    connected: Instant,
    last_arrival: Instant,
    last_read: Instant,
    /// As they were before the connection, or at the last look.
    clocks: Clocks,
    /// When bytes were looked at that are still to be taken.
    seen: Option<Instant>,
    /// The peer accepted the connection and reset it before anybody looked.
    reset: Option<io::Error>,
    /// To be sent.
    outgoing: VecDeque<u8>,
}

impl Tcp {
    pub(super) async fn connect(to: SocketAddr, run: &Arc<Run>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        let _said: io::Result<()> = stamp_arrivals(&socket);
        let (clocks, started) = (Clocks::read(), Instant::now());
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
        // However late we look, the connection was there when the kernel had the answer to its SYN. Where that was sent more than once,
        // our own look counts, unless the kernel knows that it was far too late.
        let (seen, info) = (Instant::now(), TcpInfo::of(&stream).unwrap_or_default());
        let connected = match info.round_trip {
            Some(time) => seen.min(started + time),
            None => info.established(seen).max(started),
        };
        let outgoing = VecDeque::new();
        let local = stream.local_addr()?;
        Ok(Self {
            stream,
            local,
            run: Arc::clone(run),
            started,
            connected,
            last_arrival: connected,
            last_read: connected,
            clocks,
            seen: None,
            reset,
            outgoing,
        })
    }

    /// From where.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// When the SYN was sent.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// When the connection was established.
    pub(super) fn connected(&self) -> Instant {
        self.connected
    }

    /// When the bytes read last arrived, or the bytes sent last were sent if that was later: since then the peer is waited
    /// for. Before the first, when the connection was established.
    pub(super) fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// When the bytes read last arrived, whatever was sent since.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }

    /// Waits for bytes, of which it takes `most`; none: the end of the stream.
    pub(super) async fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let received = self.wait(most, MsgFlags::empty()).await;
        self.arrived(received)
    }

    /// Takes the bytes that are there already, if any; none of them: the end of the stream.
    pub(super) fn look(&mut self, most: usize) -> io::Result<Option<Vec<u8>>> {
        match receive(&self.stream, self.run.quota.receivable(most), MsgFlags::empty()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            received => self.arrived(received).map(Some),
        }
    }

    /// Waits for bytes and leaves them for [`Self::look`], which says when they came; none: the end of the stream.
    pub(super) async fn ahead(&mut self, most: usize) -> io::Result<Vec<u8>> {
        match self.wait(most, MsgFlags::MSG_PEEK).await {
            Ok((bytes, _)) => {
                self.seen = Some(Instant::now());
                Ok(bytes)
            }
            // The kernel says it once.
            error => self.arrived(error),
        }
    }

    async fn wait(&self, most: usize, how: MsgFlags) -> io::Result<(Vec<u8>, Option<Duration>)> {
        acknowledge_at_once(&self.stream);
        let (stream, most) = (&self.stream, self.run.quota.receivable(most));
        stream.async_io(Interest::READABLE, || receive(stream, most, how)).await
    }

    fn arrived(&mut self, received: io::Result<(Vec<u8>, Option<Duration>)>) -> io::Result<Vec<u8>> {
        let received = match received {
            Ok((bytes, _)) if bytes.is_empty() => self.reset.take().map_or(Ok((bytes, None)), Err),
            received => received,
        };
        // Of a stream, one time stamp stands for all bytes of a read, and nothing that a check is told may lie before what
        // it was told already: the time stamp comes from another clock.
        let seen = self.seen.take().unwrap_or_else(Instant::now);
        let arrival = received.as_ref().map_or(seen, |(bytes, stamp)| self.arrival(bytes, *stamp, seen));
        let arrival = arrival.max(self.last_arrival);
        // Longer it is not waited for.
        self.run.clock.count_wait(self.last_arrival, arrival.min(self.run.deadline));
        self.last_arrival = arrival;
        self.last_read = arrival;
        let (bytes, _) = received?;
        self.run.quota.receive(bytes.len())?;
        Ok(bytes)
    }

    /// When these bytes came, which were seen then.
    fn arrival(&mut self, bytes: &[u8], stamp: Option<Duration>, seen: Instant) -> Instant {
        let clocks = Clocks::read();
        let arrival = stamp.and_then(|stamp| arrival(stamp, clocks, self.clocks));
        self.clocks = clocks;
        if bytes.is_empty() || arrival.is_some_and(|arrival| !is_late(seen, arrival)) {
            return arrival.unwrap_or(seen);
        }
        let info = TcpInfo::of(&self.stream).unwrap_or_default();
        match arrival {
            Some(arrival) => info.whole(arrival, seen, Instant::now()),
            None => info.last_data(seen, Instant::now()),
        }
    }

    /// How long the peer has been waited for when the wait was given up at `deadline`; counts it.
    pub(super) fn silence(&self, deadline: Instant) -> Duration {
        self.run.clock.count_wait(self.last_arrival, deadline.min(Instant::now()));
        deadline.saturating_duration_since(self.last_arrival)
    }

    /// Where bytes wait for [`Self::flush`], charged already: whoever gives up a write has sent them all the same.
    pub(super) fn outgoing(&mut self) -> Outgoing<'_> {
        Outgoing { queue: &mut self.outgoing, quota: &self.run.quota }
    }

    /// Sends what waits; gives the moment at which the first of it was handed to the kernel. Dropped in between, it leaves
    /// the rest to the next call, so that the stream stays whole. Refuses to send anything when the run's time is over.
    pub(super) async fn flush(&mut self) -> io::Result<Instant> {
        if let Some(reset) = self.reset.take() {
            return Err(reset);
        }
        let mut sent = None;
        while !self.outgoing.is_empty() {
            if self.run.is_over() {
                return Err(too_late());
            }
            // The moment before: a busy machine may let us go on long after the peer has answered.
            let before = Instant::now();
            match self.stream.try_write(self.outgoing.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    drop(self.outgoing.drain(..count));
                    sent = sent.or(Some(before));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.writable().await?;
                    self.run.clock.count_wait(before, self.run.deadline.min(Instant::now()));
                }
                Err(error) => return Err(error),
            }
        }
        let sent = sent.unwrap_or(self.last_arrival);
        self.last_arrival = self.last_arrival.max(sent);
        Ok(sent)
    }

    /// What waits to be taken, `most` of it, and is left.
    pub(super) fn peek(&self, most: usize) -> Vec<u8> {
        let (descriptor, how) = (self.stream.as_raw_fd(), MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
        let mut bytes = vec![0; most];
        let count = nix::sys::socket::recv(descriptor, &mut bytes, how).unwrap_or_default();
        bytes.truncate(count);
        bytes
    }
}

/// The way into what is to be sent.
pub(super) struct Outgoing<'a> {
    queue: &'a mut VecDeque<u8>,
    quota: &'a Quota,
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.quota.send(bytes.len())?;
        self.queue.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// Nothing was sent, for the run's time was over: the system's own has a number.
pub(super) fn is_too_late(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// Before connecting: the kernel takes a moment to start. Where it cannot, what else it knows counts, and then the time of reading.
#[cfg(target_os = "linux")]
fn stamp_arrivals(socket: &Socket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};
    Ok(setsockopt(socket, ReceiveTimestampns, &true)?)
}

#[cfg(not(target_os = "linux"))]
fn stamp_arrivals(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The kernel stamps from a moment after the first socket asks for it, and as long as there is one: this one is there from
/// the program's start, so that a first reply that comes at once is stamped as well. The error: it does not stamp.
pub(super) fn stamp_from_now_on() -> io::Result<()> {
    static ASKS: OnceLock<Socket> = OnceLock::new();
    // Where none is to be had, each connection says so.
    let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)) else { return Ok(()) };
    let stamps = stamp_arrivals(&socket);
    ASKS.get_or_init(|| socket);
    stamps
}

/// A server that holds back small segments until the last one is acknowledged (Nagle) must not wait for us: while a reply
/// is awaited, what arrives is acknowledged at once. The kernel forgets that with everything that is sent.
fn acknowledge_at_once(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _supported: io::Result<()> = socket2::SockRef::from(stream).set_tcp_quickack(true);
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::io::AsyncWriteExt;

    use super::*;

    fn run() -> Arc<Run> {
        Arc::new(Run::new(Quota::new(1, 1 << 20), Instant::now() + Duration::from_secs(10)))
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn however_late_we_look_the_connection_was_there_after_its_round_trip() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, run) = (listener.local_addr().unwrap(), run());
        // On one thread: the connection waits to be looked at.
        let (tcp, ()) = tokio::join!(Tcp::connect(address, &run), async {
            std::thread::sleep(Duration::from_millis(300));
        });
        let tcp = tcp.unwrap();
        let took = tcp.connected() - tcp.started();
        assert!(!took.is_zero() && took < Duration::from_millis(150), "{took:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_holds_its_bytes_back_until_they_are_acknowledged_gets_that_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let run = run();
        let mut tcp = Tcp::connect(listener.local_addr().unwrap(), &run).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.set_nodelay(false).unwrap();
        // After a while of this the kernel takes the exchange for a dialogue and delays what it acknowledges.
        for _ in 0..40 {
            tcp.outgoing().write_all(b"a").unwrap();
            tcp.flush().await.unwrap();
            tokio::io::AsyncReadExt::read_exact(&mut peer, &mut [0]).await.unwrap();
            let serving = async {
                peer.write_all(b"1").await.unwrap();
                // Nagle: the second goes out when the first is acknowledged.
                peer.write_all(b"2").await.unwrap();
            };
            let reading = async {
                let mut count = 0;
                while count < 2 {
                    count += tcp.read(16).await.unwrap().len();
                }
            };
            tokio::join!(reading, serving);
        }
        // Each delay is 40 ms.
        assert!(run.clock.waited() < Duration::from_millis(800), "{:?}", run.clock.waited());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_reset_at_once_was_a_connection() {
        // On one thread the peer resets while the connection waits to be looked at.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let run = run();
        let (tcp, ()) = tokio::join!(Tcp::connect(address, &run), async {
            let listener = listener.into_std().unwrap();
            listener.set_nonblocking(false).unwrap();
            let (peer, _) = listener.accept().unwrap();
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        });
        let error = tcp.unwrap().read(16).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_late_reader_still_learns_when_the_bytes_arrived() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let run = run();
        let mut tcp = Tcp::connect(listener.local_addr().unwrap(), &run).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        // The kernel stamps for a first socket only after it has switched that on.
        tokio::time::sleep(Duration::from_millis(100)).await;
        peer.write_all(b"220\r\n").await.unwrap();
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(tcp.read(16).await.unwrap().len(), 5);
        let arrived = tcp.last_arrival();
        assert!(arrived < sent + Duration::from_millis(150), "read at once would be no better");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_late_reader_learns_it_also_where_the_clock_was_set_meanwhile() {
        // As if it had been another time at the last look.
        let ahead = |wall| wall - Duration::from_secs(5);
        let back = |wall| wall + Duration::from_hours(1);
        for set in [ahead as fn(SystemTime) -> SystemTime, back] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let run = run();
            let mut tcp = Tcp::connect(listener.local_addr().unwrap(), &run).await.unwrap();
            let (mut peer, _) = listener.accept().await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let before = Instant::now();
            peer.write_all(b"220\r\n").await.unwrap();
            let sent = Instant::now();
            tokio::time::sleep(Duration::from_millis(200)).await;
            tcp.clocks.wall = set(tcp.clocks.wall);
            assert_eq!(tcp.read(16).await.unwrap().len(), 5);
            let arrived = tcp.last_arrival();
            assert!(
                arrived + Duration::from_millis(50) > before,
                "not before it was sent, but for the steps"
            );
            assert!(arrived < sent + Duration::from_millis(150), "read at once would be no better");
        }
    }
}
