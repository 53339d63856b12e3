//! The server that knows: an SMTP server on loopback with a fixed delay before each reply, in a process of its own. Of each
//! session it tells, by the kernel's stamps, when each command had reached it and when each reply left.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr},
    os::fd::AsRawFd,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use nix::sys::socket::{MsgFlags, TimestampingFlag, send, setsockopt, sockopt};
use rustls::{ServerConfig, ServerConnection, version::TLS13};
use serde::{Deserialize, Serialize};
use tokio::{
    io::Interest,
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use support::certificates::{Authority, FAR};

use crate::{
    clock::{now, receive, sent},
    packets::Ends,
};

/// The argument with which this program is the server.
pub(crate) const ARGUMENT: &str = "serve";

const GREETING: Duration = Duration::from_millis(50);
const COMMAND: Duration = Duration::from_millis(10);
const MESSAGE: Duration = Duration::from_millis(30);
const QUIT: Duration = Duration::from_millis(5);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// What the server waited for and answered.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wait {
    /// Which field of the line it is.
    pub(crate) phase: String,
    /// The command's last byte, as the kernel stamped it.
    pub(crate) reached: u64,
    /// The reply's last byte, in the same way.
    pub(crate) left: u64,
}

/// One session.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The number in the name that the client gave itself; none if it did not come so far.
    pub(crate) job: Option<usize>,
    /// None: the system did not say.
    pub(crate) ends: Option<Ends>,
    /// When the greeting left.
    pub(crate) greeted: u64,
    pub(crate) waits: Vec<Wait>,
    /// Replies without the kernel's stamp: of these, the clock right before the call to send counts.
    pub(crate) unstamped: usize,
}

/// What the server says first.
#[derive(Serialize, Deserialize)]
struct Hello {
    port: u16,
    authority: String,
}

/// The server's process; it ends with this, and with its standard input.
pub(crate) struct Scripted {
    pub(crate) port: u16,
    /// PEM of the authority of its certificate, which is for 127.0.0.1.
    pub(crate) authority: String,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    _process: support::Server,
}

impl Scripted {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut child = command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let asks = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let process = support::Server(child);
        let hello: Hello = answer(&mut answers);
        Self { port: hello.port, authority: hello.authority, asks, answers, _process: process }
    }

    /// The sessions that ended since the last call.
    pub(crate) fn sessions(&mut self) -> Vec<Session> {
        // The last one's client is gone; the server may still have to notice.
        thread::sleep(Duration::from_millis(200));
        self.asks.write_all(b"\n").unwrap();
        answer(&mut self.answers)
    }
}

fn answer<T: for<'a> Deserialize<'a>>(from: &mut BufReader<ChildStdout>) -> T {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("the server has ended: {error}"))
}

/// The server itself. One thread carries all sessions: a reply that leaves late was only a longer delay.
pub(crate) fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = Arc::new(Mutex::new(Vec::<Session>::new()));
    let authority = Authority::default();
    let (chain, key) = authority.issue("127.0.0.1", FAR).chain_and_key();
    // TLS 1.3 alone: there the client waits once, for all that the server has to say.
    let config = ServerConfig::builder_with_protocol_versions(&[&TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let config = Arc::new(config.map_err(io::Error::other)?);
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        // Every accepted connection inherits both.
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let stamps =
            TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        setsockopt(&socket, sockopt::Timestamping, &stamps)?;
        let listener = socket.listen(BACKLOG)?;
        say(&Hello { port: listener.local_addr()?.port(), authority: authority.pem() })?;
        let asked = Arc::clone(&ended);
        thread::spawn(move || {
            for _ask in io::stdin().lines() {
                let sessions = std::mem::take(&mut *asked.lock().unwrap());
                say(&sessions).unwrap();
            }
            std::process::exit(0);
        });
        loop {
            let (stream, client) = listener.accept().await?;
            let (config, ended) = (Arc::clone(&config), Arc::clone(&ended));
            tokio::spawn(async move {
                let ends = match stream.local_addr().map(|server| server.ip()) {
                    Ok(IpAddr::V4(server)) => Some((client.port(), server)),
                    _ => None,
                };
                let seen = Session { ends, ..Session::default() };
                let mut client = Client { stream, config, tls: None, input: Vec::new(), reached: 0, seen };
                // A client that breaks off is missing in the tables.
                drop(client.converse().await);
                ended.lock().unwrap().push(client.seen);
            });
        }
    })
}

fn say(what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(what)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

struct Client {
    stream: TcpStream,
    config: Arc<ServerConfig>,
    tls: Option<ServerConnection>,
    /// Received and not used yet, without encryption.
    input: Vec<u8>,
    /// When the last of it reached us.
    reached: u64,
    seen: Session,
}

impl Client {
    async fn converse(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        sleep(GREETING).await;
        self.seen.greeted = self.send(b"220 truth.invalid ESMTP\r\n")?;
        loop {
            let line = self.take(b"\r\n").await?;
            let line = String::from_utf8_lossy(&line).to_ascii_uppercase();
            let (phase, delay, reply) = match line.get(..4) {
                Some("EHLO") => {
                    let number: String = line.chars().filter(char::is_ascii_digit).collect();
                    self.seen.job = number.parse().ok();
                    let offers = if self.tls.is_some() { "" } else { "250-STARTTLS\r\n" };
                    ("ehlo", COMMAND, format!("250-truth.invalid\r\n{offers}250 8BITMIME\r\n"))
                }
                Some("STAR") => ("starttls", COMMAND, "220 go ahead\r\n".to_owned()),
                Some("MAIL") => ("mail", COMMAND, "250 ok\r\n".to_owned()),
                Some("RCPT") => ("rcpt", COMMAND, "250 ok\r\n".to_owned()),
                Some("DATA") => ("data", COMMAND, "354 go ahead\r\n".to_owned()),
                Some("QUIT") => ("quit", QUIT, "221 bye\r\n".to_owned()),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            self.answer(phase, delay, &reply).await?;
            match phase {
                "starttls" => self.handshake().await?,
                "data" => {
                    self.take(b"\r\n.\r\n").await?;
                    self.answer("message", MESSAGE, "250 ok queued as T1\r\n").await?;
                }
                "quit" => return Ok(()),
                _ => {}
            }
        }
    }

    async fn answer(&mut self, phase: &str, delay: Duration, reply: &str) -> io::Result<()> {
        let reached = self.reached;
        sleep(delay).await;
        let left = self.send(reply.as_bytes())?;
        self.seen.waits.push(Wait { phase: phase.to_owned(), reached, left });
        Ok(())
    }

    /// What the handshake took of the client's time: from when its hello reached us to when all of our answer left. So our
    /// computing is the peer's time, and the client's is not: checking the answer, making its own last part. What comes
    /// later, session tickets, nobody waits for.
    async fn handshake(&mut self) -> io::Result<()> {
        self.tls = Some(ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?);
        loop {
            self.receive().await?;
            let (reached, left) = (self.reached, self.flush()?);
            if !self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                return Ok(());
            }
            if let Some(left) = left {
                self.seen.waits.push(Wait { phase: "tls".to_owned(), reached, left });
            }
        }
    }

    /// Waits for input up to this end.
    async fn take(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                return Ok(self.input.drain(..at + end.len()).collect());
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let fd = self.stream.as_raw_fd();
        let received = self.stream.async_io(Interest::READABLE, || receive(fd, &mut buffer)).await;
        let (count, stamp) = received?;
        let mut bytes = &buffer[..count];
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.reached = stamp.ok_or_else(|| io::Error::other("the kernel gave no stamp"))?;
        let Some(tls) = &mut self.tls else {
            self.input.extend(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            let plain = tls.process_new_packets().map_err(io::Error::other)?.plaintext_bytes_to_read();
            let from = self.input.len();
            self.input.resize(from + plain, 0);
            tls.reader().read_exact(&mut self.input[from..])?;
        }
        Ok(())
    }

    /// Sends; gives the moment at which that left.
    fn send(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let Some(tls) = &mut self.tls else { return self.transmit(bytes) };
        tls.writer().write_all(bytes)?;
        self.flush()?.ok_or_else(|| io::ErrorKind::WriteZero.into())
    }

    /// Sends what TLS has to send.
    fn flush(&mut self) -> io::Result<Option<u64>> {
        let mut bytes = Vec::new();
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut bytes)?;
        }
        if bytes.is_empty() { Ok(None) } else { self.transmit(&bytes).map(Some) }
    }

    /// At once, past the runtime, which might let others run between the clock and the call.
    fn transmit(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let socket = self.stream.as_raw_fd();
        let called = now();
        if send(socket, bytes, MsgFlags::MSG_NOSIGNAL)? != bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // Any other stamp would be of an earlier call.
        let left = sent(socket).filter(|left| (called..=now()).contains(left));
        self.seen.unstamped += usize::from(left.is_none());
        Ok(left.unwrap_or(called))
    }
}
