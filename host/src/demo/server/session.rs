//! One SMTP session of the demonstration's server, with its logins (AUTH PLAIN, LOGIN and CRAM-MD5): a stream in; replies on
//! it and mails out.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, Mac};
use md5::Md5;
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};

/// Who may log in.
pub const USERNAME: &str = "probe";
/// By this.
pub const PASSWORD: &str = "open-sesame";
/// Who gets mail.
pub const RECIPIENT: &str = "postmaster@example.org";
/// A mail as received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// Header and body, lines ended by CR LF, without the transport's dots.
    pub text: String,
}

pub(super) type Mails = Arc<Mutex<Vec<Mail>>>;

/// What the server calls itself.
const NAME: &str = "demo.sonde.invalid";
/// The longest line of a client, its end counted.
const LINE_BYTES: u64 = 4096;
/// The longest mail.
const MAIL_BYTES: usize = 1_048_576;

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Mode {
    Plain,
    StartTls,
    Tls,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Flow {
    On,
    StartTls,
    End,
}

pub(super) struct Session<S> {
    pub(super) stream: BufStream<S>,
    mode: Mode,
    mails: Mails,
    known: bool,
    logged_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(stream: S, mode: Mode, mails: Mails) -> Self {
        let stream = BufStream::new(stream);
        Self { stream, mode, mails, known: false, logged_in: false, from: None, to: Vec::new() }
    }

    pub(super) async fn greet(&mut self) -> io::Result<()> {
        self.say(&format!("220 {NAME} ESMTP Sonde demonstration")).await
    }

    /// Speaks until QUIT, the client's end, or STARTTLS.
    pub(super) async fn converse(&mut self) -> io::Result<Flow> {
        loop {
            let line = match self.line().await {
                Ok(line) => line,
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.say("500 5.5.2 line too long, or its end is not CR LF").await?;
                        self.stream.shutdown().await?;
                    }
                    return Err(error);
                }
            };
            match self.command(&line).await? {
                Flow::On => {}
                flow => return Ok(flow),
            }
        }
    }

    async fn command(&mut self, line: &str) -> io::Result<Flow> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match &*verb.to_ascii_uppercase() {
            "EHLO" | "HELO" if rest.trim().is_empty() => self.say("501 5.5.4 who are you?").await?,
            "EHLO" => {
                self.hello();
                let offer = match self.mode {
                    Mode::Plain => "",
                    Mode::StartTls => "250-STARTTLS\r\n",
                    Mode::Tls => "250-AUTH PLAIN LOGIN CRAM-MD5\r\n",
                };
                self.say(&format!(
                    "250-{NAME}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n{offer}250 SIZE {MAIL_BYTES}"
                ))
                .await?;
            }
            "HELO" => {
                self.hello();
                self.say(&format!("250 {NAME}")).await?;
            }
            "STARTTLS" if self.mode == Mode::StartTls => {
                self.say("220 2.0.0 ready for TLS").await?;
                return Ok(Flow::StartTls);
            }
            "AUTH" => self.auth(rest).await?,
            "MAIL" => {
                let answer = self.sender(rest);
                self.say(answer).await?;
            }
            "RCPT" => {
                let answer = self.recipient(rest);
                self.say(answer).await?;
            }
            "DATA" => self.data().await?,
            "RSET" => {
                self.reset();
                self.say("250 2.0.0 ok").await?;
            }
            "NOOP" => self.say("250 2.0.0 ok").await?,
            "VRFY" => self.say("252 2.5.1 send it and see").await?,
            "QUIT" => {
                self.say("221 2.0.0 bye").await?;
                self.stream.shutdown().await?;
                return Ok(Flow::End);
            }
            _ => self.say("502 5.5.1 not here").await?,
        }
        Ok(Flow::On)
    }

    fn hello(&mut self) {
        self.known = true;
        self.reset();
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn sender(&mut self, rest: &str) -> &'static str {
        let Some((address, more)) = path(rest, "FROM:") else {
            return "501 5.5.4 expected FROM:<address>";
        };
        if !self.known || self.from.is_some() {
            return "503 5.5.1 not now";
        }
        let size = more.split(' ').find_map(|word| word.strip_prefix("SIZE=")?.parse::<usize>().ok());
        if size.is_some_and(|size| size > MAIL_BYTES) {
            return "552 5.3.4 too large";
        }
        self.from = Some(address.to_owned());
        "250 2.1.0 ok"
    }

    fn recipient(&mut self, rest: &str) -> &'static str {
        let Some((address, _)) = path(rest, "TO:") else {
            return "501 5.5.4 expected TO:<address>";
        };
        if self.from.is_none() {
            return "503 5.5.1 MAIL first";
        }
        if !address.eq_ignore_ascii_case(RECIPIENT) {
            return "550 5.1.1 no such mailbox here";
        }
        if !self.to.iter().any(|known| known == address) {
            self.to.push(address.to_owned());
        }
        "250 2.1.5 ok"
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first").await;
        }
        if self.to.is_empty() {
            return self.say("554 5.5.1 no valid recipients").await;
        }
        self.say("354 end with a dot on a line of its own").await?;
        let (mut text, mut too_large) = (String::new(), false);
        loop {
            let line = self.line().await?;
            if line == "." {
                break;
            }
            let line = line.strip_prefix('.').unwrap_or(&line);
            too_large = too_large || text.len() + line.len() > MAIL_BYTES;
            if !too_large {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        let (from, to) = (self.from.take().unwrap_or_default(), std::mem::take(&mut self.to));
        if too_large {
            return self.say("552 5.3.4 too large").await;
        }
        let number = {
            let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
            mails.push(Mail { from, to, text });
            mails.len()
        };
        self.say(&format!("250 2.0.0 ok: queued as DEMO{number}")).await
    }

    async fn auth(&mut self, rest: &str) -> io::Result<()> {
        if self.mode != Mode::Tls {
            return self.say("538 5.7.11 only over TLS").await;
        }
        if !self.known || self.logged_in || self.from.is_some() {
            return self.say("503 5.5.1 not now").await;
        }
        let (mechanism, first) = rest.split_once(' ').map_or((rest, None), |(name, word)| (name, Some(word)));
        let right = match &*mechanism.to_ascii_uppercase() {
            "PLAIN" => {
                let answer = self.answer(first, "").await?;
                answer.map(|answer| answer == base64(format!("\0{USERNAME}\0{PASSWORD}").as_bytes()))
            }
            "LOGIN" => match self.answer(first, "Username:").await? {
                None => None,
                Some(name) => self.answer(None, "Password:").await?.map(|password| {
                    name == base64(USERNAME.as_bytes()) && password == base64(PASSWORD.as_bytes())
                }),
            },
            "CRAM-MD5" if first.is_none() => {
                let challenge = challenge()?;
                let digest = hmac_md5(PASSWORD.as_bytes(), challenge.as_bytes());
                let expected = base64(format!("{USERNAME} {}", hex(&digest)).as_bytes());
                self.answer(None, &challenge).await?.map(|answer| answer == expected)
            }
            _ => return self.say("504 5.5.4 no such mechanism").await,
        };
        self.logged_in = right == Some(true);
        self.say(match right {
            None => "501 5.7.0 cancelled",
            Some(true) => "235 2.7.0 welcome",
            Some(false) => "535 5.7.8 wrong user name or password",
        })
        .await
    }

    /// What came with the command, or else the answer to a question; none when the client cancels.
    async fn answer(&mut self, first: Option<&str>, question: &str) -> io::Result<Option<String>> {
        if let Some(first) = first {
            return Ok(Some(first.to_owned()));
        }
        self.say(&format!("334 {}", base64(question.as_bytes()))).await?;
        Ok(Some(self.line().await?).filter(|line| line != "*"))
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// A line without its end.
    async fn line(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let count = (&mut self.stream).take(LINE_BYTES).read_until(b'\n', &mut bytes).await?;
        match bytes.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if count == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The address, and the parameters behind it, of what follows MAIL or RCPT.
fn path<'a>(text: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (word, rest) = text.split_at_checked(keyword.len())?;
    word.eq_ignore_ascii_case(keyword).then_some(())?;
    rest.trim_start().strip_prefix('<')?.split_once('>')
}

pub(super) fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn challenge() -> io::Result<String> {
    let mut random = [0; 16];
    let source = aws_lc_rs::default_provider().secure_random;
    source.fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(format!("<{}@{NAME}>", hex(&random)))
}

/// For CRAM-MD5 (RFC 2195).
pub(super) fn hmac_md5(key: &[u8], message: &[u8]) -> Vec<u8> {
    // Of any length: this kind of key is never refused.
    let hmac = Hmac::<Md5>::new_from_slice(key).map(|hmac| hmac.chain_update(message));
    hmac.map(|hmac| hmac.finalize().into_bytes().to_vec()).unwrap_or_default()
}
