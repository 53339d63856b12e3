//! One question to one name server: the server and the question in; its answer out. By UDP, again and again while the server is
//! silent, and by TCP what is too long for that. Refuses what cannot be read; the end of the wait is the caller's.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    time::Duration,
};

use hickory_resolver::proto::op::Message;
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::message::{Question, Read};

/// Of whom nothing is heard for so long, the question may be lost: it is asked again before another server has its turn.
const FIRST_AGAIN: Duration = Duration::from_millis(500);
/// And from then on: a server that is down is not to be flooded as well.
const AGAIN: Duration = Duration::from_secs(1);

/// Bytes of an answer by UDP: as much as the largest that servers send without being asked to. What is longer comes by TCP.
const BY_UDP: usize = 4096;

/// Why there is no answer.
pub(super) struct Broken {
    pub(super) is_by_tcp: bool,
    pub(super) error: io::Error,
}

/// Waits for ever where nobody answers; tells when it goes over to TCP.
pub(super) async fn ask(
    server: SocketAddr,
    question: &Question,
    goes_over: impl FnOnce(),
) -> Result<Box<Message>, Broken> {
    let by_udp = by_udp(server, question).await;
    if let Some(answer) = by_udp.map_err(|error| Broken { is_by_tcp: false, error })? {
        return Ok(answer);
    }
    goes_over();
    by_tcp(server, question).await.map_err(|error| Broken { is_by_tcp: true, error })
}

/// None: what came is too long for it, whether the server says so, or it is only cut.
async fn by_udp(server: SocketAddr, question: &Question) -> io::Result<Option<Box<Message>>> {
    let any = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // One for all that is sent, so that a late answer counts.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    // The kernel says at once then where no server is, and lets nobody else in.
    socket.connect(server).await?;
    let mut again = FIRST_AGAIN;
    loop {
        socket.send(&question.bytes).await?;
        match timeout(again, heard(&socket, question)).await {
            Ok(heard) => return heard,
            Err(_silent) => again = AGAIN,
        }
    }
}

async fn heard(socket: &UdpSocket, question: &Question) -> io::Result<Option<Box<Message>>> {
    let mut buffer = vec![0; BY_UDP];
    loop {
        let length = receive(socket, &mut buffer).await?;
        match question.read(buffer.get(..length).unwrap_or_default()) {
            Read::Answer(answer) => return Ok(Some(answer)),
            Read::Part => return Ok(None),
            Read::Other => {}
        }
    }
}

/// Asks the kernel each time: when a stopped process goes on, its runtime knows of the clock before it knows of what has come, and
/// whoever waits for both would be told of silence.
async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => return Ok(length),
            Err(Errno::EAGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
        // Who only waits to read is not told of an error.
        socket.ready(Interest::READABLE | Interest::ERROR).await?;
        // What it knew of is gone; of both together it would forget neither.
        for interest in [Interest::READABLE, Interest::ERROR] {
            drop(socket.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into())));
        }
    }
}

/// Over a connection of its own: one that is kept may be dead when it is wanted, and nobody says so.
async fn by_tcp(server: SocketAddr, question: &Question) -> io::Result<Box<Message>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), &*question.bytes].concat()).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    match question.read(&answer) {
        Read::Answer(answer) => Ok(answer),
        Read::Part => Err(io::Error::other("its answer cannot be read")),
        Read::Other => Err(io::Error::other("its answer is to another question")),
    }
}
