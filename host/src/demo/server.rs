//! A small, well-behaved SMTP server on loopback ports that it picks; certificates of an authority made on the spot.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
    task,
};
use tokio_rustls::TlsAcceptor;

/// Who may log in.
pub const USERNAME: &str = "probe";
/// By this.
pub const PASSWORD: &str = "open-sesame";
/// Who gets mail.
pub const RECIPIENT: &str = "postmaster@example.org";
/// Who does not.
pub const REFUSED: &str = "nobody@example.org";

/// "\0probe\0open-sesame" in base64.
const PLAIN_ANSWER: &str = "AHByb2JlAG9wZW4tc2VzYW1l";
/// A line of a client; the longest that the RFC allows for text is 1000.
const LINE_BYTES: u64 = 4096;
/// A certificate that is not to be mistaken for one in use.
const DAYS_VALID: i64 = 30;

/// The server; it ends with the runtime.
pub struct Server {
    /// Plain text only.
    pub plain: SocketAddr,
    /// With STARTTLS.
    pub starttls: SocketAddr,
    /// TLS from the first byte.
    pub tls: SocketAddr,
    /// PEM of the authority.
    pub ca_pem: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Plain,
    StartTls,
    Tls,
}

impl Server {
    /// Starts it.
    pub async fn start() -> io::Result<Self> {
        let (config, ca_pem) = certificates().map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(config);
        let mut addresses = Vec::new();
        for mode in [Mode::Plain, Mode::StartTls, Mode::Tls] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            addresses.push(listener.local_addr()?);
            let acceptor = acceptor.clone();
            task::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    // A client that breaks off is its own affair.
                    task::spawn(async move { drop(serve(stream, mode, acceptor).await) });
                }
            });
        }
        match addresses[..] {
            [plain, starttls, tls] => Ok(Self { plain, starttls, tls, ca_pem }),
            _ => Err(io::Error::other("not every port opened")),
        }
    }
}

fn certificates() -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error + Send + Sync>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let until = x509_parser::time::ASN1Time::from_timestamp(i64::try_from(now)? + DAYS_VALID * 86_400)?;
    let until = until.to_datetime();
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Sonde demonstration authority");
    params.not_after = until;
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.not_after = until;
    let certificate = params.signed_by(&key, &issuer)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    Ok((Arc::new(config), issuer.pem()))
}

async fn serve(stream: TcpStream, mode: Mode, acceptor: TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if mode == Mode::Tls {
        let mut stream = BufStream::new(acceptor.accept(stream).await?);
        return greet(&mut stream, false, true).await.map(drop);
    }
    let mut plain = BufStream::new(stream);
    if greet(&mut plain, mode == Mode::StartTls, false).await? {
        let mut stream = BufStream::new(acceptor.accept(plain.into_inner()).await?);
        session(&mut stream, false, true).await?;
    }
    Ok(())
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    starttls: bool,
    tls: bool,
) -> io::Result<bool> {
    say(stream, "220 demo.sonde.invalid ESMTP Sonde demonstration\r\n").await?;
    session(stream, starttls, tls).await
}

/// Speaks until QUIT, the end, or (`true`) STARTTLS.
async fn session<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    starttls: bool,
    tls: bool,
) -> io::Result<bool> {
    let mut recipients = 0;
    while let Some(line) = line(stream).await? {
        let upper = line.to_ascii_uppercase();
        let verb = upper.split([' ', ':']).next().unwrap_or_default();
        let answer = match verb {
            "EHLO" if starttls => "250-demo.sonde.invalid\r\n250-STARTTLS\r\n250 SIZE 1048576\r\n",
            "EHLO" if tls => "250-demo.sonde.invalid\r\n250-AUTH PLAIN\r\n250 SIZE 1048576\r\n",
            "EHLO" => "250-demo.sonde.invalid\r\n250 SIZE 1048576\r\n",
            "HELO" => "250 demo.sonde.invalid\r\n",
            "STARTTLS" if starttls => {
                say(stream, "220 2.0.0 ready\r\n").await?;
                return Ok(true);
            }
            "AUTH" if tls && line.ends_with(&format!(" {PLAIN_ANSWER}")) => "235 2.7.0 welcome\r\n",
            "AUTH" => "535 5.7.8 wrong user name or password\r\n",
            "MAIL" => "250 2.1.0 ok\r\n",
            "RCPT" if line.contains(&format!("<{RECIPIENT}>")) => {
                recipients += 1;
                "250 2.1.5 ok\r\n"
            }
            "RCPT" => "550 5.1.1 no such mailbox here\r\n",
            "DATA" if recipients > 0 => {
                say(stream, "354 end with a dot\r\n").await?;
                while self::line(stream).await?.is_some_and(|line| line != ".") {}
                "250 2.0.0 ok: queued as DEMO\r\n"
            }
            "DATA" => "554 5.5.1 no valid recipients\r\n",
            "NOOP" | "RSET" => "250 2.0.0 ok\r\n",
            "QUIT" => {
                say(stream, "221 2.0.0 bye\r\n").await?;
                stream.get_mut().shutdown().await?;
                return Ok(false);
            }
            _ => "502 5.5.2 not here\r\n",
        };
        say(stream, answer).await?;
    }
    Ok(false)
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await
}

async fn line<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let count = (&mut *stream).take(LINE_BYTES).read_until(b'\n', &mut bytes).await?;
    Ok((count > 0).then(|| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
}
