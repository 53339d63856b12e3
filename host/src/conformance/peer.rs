//! The servers that a check is tested with: each on a loopback port of its own, and each wrong in its own way. A real
//! server's words go through a relay that cuts, stalls and trickles.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpSocket, TcpStream},
    task::{self, JoinSet},
};

use super::case::HOST;

/// What a peer reads or hands on at once.
const CHUNK_BYTES: usize = 4096;
/// Connections that wait to be accepted: more than there are runs at once.
const BACKLOG: u32 = 64;

/// What a peer does.
pub(super) enum Peer {
    /// Is not there.
    Absent,
    /// Accepts, and says nothing.
    Silent,
    /// Closes the connection at once.
    Closing,
    /// Resets it at once.
    Resetting,
    /// Says this at once, and again whenever it is told something.
    Talker(Vec<u8>),
    /// Says this without end.
    Endless(&'static [u8]),
    /// Hands on between the check and this server.
    Relay((String, u16), Manner),
}

/// How a relay hands on what the server says.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// All of it, and counts.
    AsItIs,
    /// All of it.
    Plainly,
    /// Each byte alone.
    ByteByByte,
    /// This many pieces, and no more.
    Stalls(usize),
    /// This many, and closes.
    Closes(usize),
    /// This many, and resets.
    Resets(usize),
}

/// All peers of a test; they end when this is dropped.
#[derive(Default)]
pub(super) struct Peers {
    listeners: JoinSet<()>,
    absent: Vec<TcpSocket>,
    replies: Arc<AtomicUsize>,
}

impl Peers {
    /// Starts one; gives its port.
    pub(super) fn start(&mut self, peer: Peer) -> io::Result<u16> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((HOST, 0)))?;
        let port = socket.local_addr()?.port();
        if matches!(peer, Peer::Absent) {
            // Bound, so that nobody else listens there.
            self.absent.push(socket);
            return Ok(port);
        }
        let listener = socket.listen(BACKLOG)?;
        let (peer, replies) = (Arc::new(peer), Arc::clone(&self.replies));
        self.listeners.spawn(async move {
            // Its conversations end with it.
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (peer, replies) = (Arc::clone(&peer), Arc::clone(&replies));
                conversations.spawn(async move {
                    // The other side may leave whenever it wants.
                    let _left: io::Result<()> = converse(stream, &peer, &replies).await;
                });
            }
        });
        Ok(port)
    }

    /// Pieces that the undisturbed relay handed on.
    pub(super) fn replies(&self) -> usize {
        self.replies.load(Ordering::Relaxed)
    }
}

/// Bytes in no order, the same every time: a linear congruential generator's.
pub(super) fn garbage() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes().first().copied().unwrap_or_default()
    };
    (0..CHUNK_BYTES).map(|_| next()).collect()
}

async fn converse(mut stream: TcpStream, peer: &Peer, replies: &AtomicUsize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match peer {
        Peer::Absent | Peer::Closing => Ok(()),
        Peer::Silent => drain(&mut stream).await,
        Peer::Resetting => stream.set_zero_linger(),
        Peer::Talker(words) => {
            let mut heard = [0; CHUNK_BYTES];
            loop {
                stream.write_all(words).await?;
                if stream.read(&mut heard).await? == 0 {
                    return Ok(());
                }
            }
        }
        Peer::Endless(words) => {
            let words = words.repeat(CHUNK_BYTES / words.len());
            loop {
                stream.write_all(&words).await?;
                // On the one thread that the check runs on, too.
                task::yield_now().await;
            }
        }
        Peer::Relay((host, port), manner) => {
            let server = TcpStream::connect((host.as_str(), *port)).await?;
            server.set_nodelay(true)?;
            relay(stream, server, *manner, replies).await
        }
    }
}

/// Listens until the other side closes.
async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut heard = [0; CHUNK_BYTES];
    while stream.read(&mut heard).await? > 0 {}
    Ok(())
}

/// What the relay does when it hands on nothing more.
enum End {
    Close,
    Reset,
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    manner: Manner,
    replies: &AtomicUsize,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let asking = async {
        // That the check has said everything does not end the answer.
        let _left: io::Result<u64> = copy(&mut from_client, &mut to_server).await;
        drop(to_server.shutdown().await);
        pending().await
    };
    let end = tokio::select! {
        end = answer(&mut from_server, &mut to_client, manner, replies) => end?,
        end = asking => end,
    };
    match end {
        End::Close => client.shutdown().await,
        End::Reset => client.set_zero_linger(),
    }
}

async fn answer(
    server: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
    manner: Manner,
    replies: &AtomicUsize,
) -> io::Result<End> {
    let mut piece = vec![0; CHUNK_BYTES];
    for count in 0.. {
        match manner {
            Manner::Stalls(place) if place == count => return pending().await,
            Manner::Closes(place) if place == count => return Ok(End::Close),
            Manner::Resets(place) if place == count => return Ok(End::Reset),
            _ => {}
        }
        let read = server.read(&mut piece).await?;
        let Some(said) = piece.get(..read).filter(|said| !said.is_empty()) else { break };
        match manner {
            Manner::AsItIs => {
                replies.fetch_add(1, Ordering::Relaxed);
                client.write_all(said).await?;
            }
            Manner::ByteByByte => {
                for byte in said {
                    client.write_all(std::slice::from_ref(byte)).await?;
                    // The check reads this one before there is another.
                    task::yield_now().await;
                }
            }
            _ => client.write_all(said).await?,
        }
    }
    Ok(End::Close)
}
