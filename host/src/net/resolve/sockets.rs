//! Sockets to name servers: tokio's, and those of UDP connected, so that the kernel says at once where no server is, which would
//! else only be silent. What it said last is kept: the resolver passes only on that something failed.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    os::fd::AsRawFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hickory_resolver::net::runtime::{DnsUdpSocket, RuntimeProvider, TokioRuntimeProvider};
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use tokio::{io::Interest, net::UdpSocket};

/// Of one server.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    tokio: TokioRuntimeProvider,
    said: Said,
}

/// The number of the last error; 0: none.
#[derive(Clone, Default)]
pub(super) struct Said(Arc<AtomicI32>);

impl Said {
    pub(super) fn last(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }

    fn keep(&self, error: io::Error) -> io::Error {
        if let Some(number) = error.raw_os_error() {
            self.0.store(number, Ordering::Relaxed);
        }
        error
    }
}

impl Sockets {
    /// What the system says of them.
    pub(super) fn said(&self) -> Said {
        self.said.clone()
    }
}

type Coming<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = <TokioRuntimeProvider as RuntimeProvider>::Timer;
    type Udp = Connected;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        from: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Coming<'static, Self::Tcp> {
        let (connecting, said) = (self.tokio.connect_tcp(server, from, timeout), self.said());
        Box::pin(async move { connecting.await.map_err(|error| said.keep(error)) })
    }

    fn bind_udp(&self, from: SocketAddr, server: SocketAddr) -> Coming<'static, Connected> {
        let (binding, said) = (self.tokio.bind_udp(from, server), self.said());
        Box::pin(async move {
            let connected = async {
                let socket = binding.await?;
                socket.connect(server).await?;
                Ok::<_, io::Error>(socket)
            };
            match connected.await {
                Ok(socket) => Ok(Connected { socket, server, said }),
                Err(error) => Err(said.keep(error)),
            }
        })
    }
}

/// One of UDP. (On some systems such a one could not be told whom to send to; on Linux it can.)
pub(super) struct Connected {
    socket: UdpSocket,
    server: SocketAddr,
    said: Said,
}

impl Connected {
    /// Asks the kernel each time: when a stopped process goes on, its runtime knows of the clock before it knows of what has come, and
    /// whoever waits for both would be told of silence.
    fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            match recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(count) => return Poll::Ready(Ok((count, self.server))),
                Err(Errno::EAGAIN) => {}
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
            ready!(self.socket.poll_recv_ready(context))?;
            // What it knew of is gone.
            let forgotten =
                self.socket.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            drop(forgotten);
        }
    }
}

impl DnsUdpSocket for Connected {
    type Time = <TokioRuntimeProvider as RuntimeProvider>::Timer;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        DnsUdpSocket::poll_recv_from(&self.socket, context, buffer)
    }

    /// Who only waits to read is not told of an error.
    fn recv_from<'a, 'b, 'c>(&'a self, buffer: &'b mut [u8]) -> Coming<'c, (usize, SocketAddr)>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        Box::pin(async move {
            let failed = tokio::select! {
                biased;
                received = poll_fn(|context| self.poll_receive(context, buffer)) => {
                    return received.map_err(|error| self.said.keep(error));
                }
                failed = self.socket.ready(Interest::ERROR) => failed,
            };
            failed?;
            match self.socket.take_error()? {
                Some(error) => Err(self.said.keep(error)),
                None => self.socket.recv_from(buffer).await,
            }
        })
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        buffer: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        DnsUdpSocket::poll_send_to(&self.socket, context, buffer, to)
    }
}
