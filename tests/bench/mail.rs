//! A mail server on loopback, on a thread of its own: how it treats each connection in; its ports and its authority out. It hears
//! every address of this machine, so that a job may have thousands of hosts.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use support::certificates::{Authority, FAR};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long a connection is kept that nobody closes.
const KEPT: Duration = Duration::from_secs(20);
/// The host of its certificate.
pub(crate) const NAME: &str = "localhost";

/// How it treats a connection.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Before each reply.
    pub(crate) delay: Duration,
    /// At which of its replies, from 0, something goes wrong, and what.
    pub(crate) fault: Option<(usize, Fault)>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Close,
    Silence,
    Garbage,
    Later,
    Never,
    /// The beginning of a reply, and the end.
    Part,
    /// The reply, a byte at a time.
    Slow,
    /// Far more lines than a reply has.
    Long,
}

pub(crate) const FAULTS: [Fault; 8] = [
    Fault::Close,
    Fault::Silence,
    Fault::Garbage,
    Fault::Later,
    Fault::Never,
    Fault::Part,
    Fault::Slow,
    Fault::Long,
];

/// Its ports.
pub(crate) struct MailServer {
    pub(crate) plain: u16,
    pub(crate) starttls: u16,
    pub(crate) tls: u16,
    /// In PEM.
    pub(crate) authority: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Plain,
    StartTls,
    Tls,
}

/// Starts it; it lives as long as the process.
pub(crate) fn serve(manner: impl FnMut() -> Manner + Send + 'static) -> MailServer {
    let authority = Authority::default();
    let config = authority.issue(NAME, FAR).server();
    let manner = Arc::new(Mutex::new(manner));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for mode in [Mode::Plain, Mode::StartTls, Mode::Tls] {
                sender.send(listen(mode, &config, &manner).unwrap()).unwrap();
            }
            std::future::pending::<()>().await;
        });
    });
    let [plain, starttls, tls] = [(); 3].map(|()| receiver.recv().unwrap());
    MailServer { plain, starttls, tls, authority: authority.pem() }
}

fn listen(
    mode: Mode,
    config: &Arc<ServerConfig>,
    manner: &Arc<Mutex<impl FnMut() -> Manner + Send + 'static>>,
) -> io::Result<u16> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    let port = listener.local_addr()?.port();
    let (acceptor, manner) = (TlsAcceptor::from(Arc::clone(config)), Arc::clone(manner));
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files: some are closed soon.
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let (acceptor, manner) = (acceptor.clone(), (manner.lock().unwrap())());
            // A client that breaks off is its own affair.
            tokio::spawn(async move { drop(timeout(KEPT, session(stream, mode, acceptor, manner)).await) });
        }
    });
    Ok(port)
}

async fn session(stream: TcpStream, mode: Mode, acceptor: TlsAcceptor, manner: Manner) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if mode == Mode::Tls {
        return Client::new(acceptor.accept(stream).await?, manner, 0).converse(false).await.map(drop);
    }
    let mut client = Client::new(stream, manner, 0);
    if client.converse(mode == Mode::StartTls).await? {
        let (replies, stream) = (client.replies, client.stream.into_inner());
        Client::new(acceptor.accept(stream).await?, manner, replies).converse(false).await?;
    }
    Ok(())
}

struct Client<S> {
    stream: BufReader<S>,
    manner: Manner,
    replies: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S, manner: Manner, replies: usize) -> Self {
        Self { stream: BufReader::new(stream), manner, replies }
    }

    /// Until the end, or until TLS is to begin.
    async fn converse(&mut self, offers_tls: bool) -> io::Result<bool> {
        if self.replies == 0 {
            self.reply("220 bench.invalid ESMTP").await?;
        }
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            match line.get(..4).unwrap_or_default() {
                "EHLO" if offers_tls => self.reply("250-bench.invalid\r\n250 STARTTLS").await?,
                "EHLO" => self.reply("250-bench.invalid\r\n250 AUTH PLAIN").await?,
                "STAR" => {
                    self.reply("220 go ahead").await?;
                    return Ok(true);
                }
                "AUTH" => self.reply("235 welcome").await?,
                "DATA" => {
                    self.reply("354 go ahead").await?;
                    while line != ".\r\n" {
                        line.clear();
                        if self.stream.read_line(&mut line).await? == 0 {
                            return Ok(false);
                        }
                    }
                    self.reply("250 queued as B1").await?;
                }
                "QUIT" => {
                    self.reply("221 bye").await?;
                    return Ok(false);
                }
                _ => self.reply("250 ok").await?,
            }
        }
    }

    async fn reply(&mut self, text: &str) -> io::Result<()> {
        if !self.manner.delay.is_zero() {
            sleep(self.manner.delay).await;
        }
        let fault = self.manner.fault.filter(|(at, _)| *at == self.replies).map(|(_, fault)| fault);
        self.replies += 1;
        let ended = || Err(io::ErrorKind::ConnectionAborted.into());
        match fault {
            None => self.say(&format!("{text}\r\n")).await,
            Some(Fault::Close) => ended(),
            Some(Fault::Silence) => {
                tokio::io::copy(&mut self.stream, &mut tokio::io::sink()).await?;
                ended()
            }
            Some(Fault::Garbage) => {
                self.stream.get_mut().write_all(b"\xff\xfe\0 what?\r\n").await?;
                self.stream.get_mut().flush().await
            }
            Some(Fault::Later) => self.say("451 4.7.1 later\r\n").await,
            Some(Fault::Never) => self.say("554 5.7.1 never\r\n").await,
            Some(Fault::Part) => {
                self.say("250-and the").await?;
                ended()
            }
            Some(Fault::Slow) => {
                for byte in format!("{text}\r\n").chars() {
                    self.say(&byte.to_string()).await?;
                    sleep(Duration::from_millis(15)).await;
                }
                Ok(())
            }
            Some(Fault::Long) => self.say(&"250-and so on\r\n".repeat(10_000)).await,
        }
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes()).await?;
        self.stream.get_mut().flush().await
    }
}

/// The same numbers again for the same seed (Marsaglia, "Xorshift RNGs", 2003).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// One of so many.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
