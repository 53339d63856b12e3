//! A scripted server: a step a line, for one client.
//!
//! `S text` sends a line, `s text` without its end, `C begin` reads a line that must begin so, `M` reads a mail to its dot,
//! `R bytes` reads so many, `TLS` does a handshake, `WAIT ms` pauses, `SILENCE` waits for the client to give up, `RESET`
//! resets, `FLOOD` sends without end. At its end the server closes. `{b:N}` in a text stands for N letters b.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// More than a busy machine needs to connect.
const PATIENCE: Duration = Duration::from_secs(20);

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.read_exact(bytes),
            Self::Tls(stream) => stream.read_exact(bytes),
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            self.read_exact(&mut byte)?;
            line.extend_from_slice(&byte);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// Whoever comes; nobody is a fault.
fn accept(listener: &TcpListener) -> Result<TcpStream, String> {
    let until = Instant::now() + PATIENCE;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).map_err(|error| error.to_string())?;
                return Ok(stream);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock || Instant::now() > until => {
                return Err(format!("nobody comes: {error}"));
            }
            Err(_nobody_yet) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Plays the script once; an error says at which step it broke.
pub(crate) fn play(listener: &TcpListener, script: &str, config: &Arc<ServerConfig>) -> Result<(), String> {
    let mut stream = Stream::Plain(accept(listener)?);
    for step in script.lines().filter(|line| !line.is_empty()) {
        let (verb, text) = step.split_once(' ').unwrap_or((step, ""));
        let text = expand(text);
        let done = match verb {
            "S" => stream.send(format!("{text}\r\n").as_bytes()),
            "s" => stream.send(text.replace("\\n", "\n").replace("\\r", "\r").as_bytes()),
            "C" => match stream.read_line() {
                Ok(line) if line.starts_with(&text) => Ok(()),
                Ok(line) => return Err(format!("the client said `{line}` instead of `{text}`")),
                Err(error) => Err(error),
            },
            "M" => loop {
                match stream.read_line() {
                    Ok(line) if line == "." => break Ok(()),
                    Ok(_) => {}
                    Err(error) => break Err(error),
                }
            },
            "R" => stream.read_exact(&mut vec![0; text.parse().unwrap()]),
            "WAIT" => {
                thread::sleep(Duration::from_millis(text.parse().unwrap()));
                Ok(())
            }
            "TLS" => {
                let Stream::Plain(plain) = stream else { return Err("TLS twice".to_owned()) };
                let connection =
                    ServerConnection::new(Arc::clone(config)).map_err(|error| error.to_string())?;
                let mut tls = StreamOwned::new(connection, plain);
                // Whoever refuses the other's certificate ends the script, and that is as it should be.
                if tls.flush().is_err() {
                    return Ok(());
                }
                stream = Stream::Tls(Box::new(tls));
                Ok(())
            }
            "SILENCE" => {
                while stream.read_line().is_ok() {}
                return Ok(());
            }
            "FLOOD" => {
                while stream.send(&[b'x'; 4096]).is_ok() {}
                return Ok(());
            }
            "RESET" => {
                if let Stream::Plain(plain) = &stream {
                    socket2::SockRef::from(plain)
                        .set_linger(Some(Duration::ZERO))
                        .map_err(|error| error.to_string())?;
                }
                return Ok(());
            }
            other => return Err(format!("no such step: {other}")),
        };
        done.map_err(|error| format!("{step}: {error}"))?;
    }
    // A polite end: what the client still says is read, so that closing does not reset.
    match &mut stream {
        Stream::Plain(plain) => drop(plain.shutdown(std::net::Shutdown::Write)),
        Stream::Tls(tls) => {
            tls.conn.send_close_notify();
            drop(tls.flush());
            drop(tls.sock.shutdown(std::net::Shutdown::Write));
        }
    }
    while stream.read_line().is_ok() {}
    Ok(())
}

/// `{b:3}` becomes `bbb`.
pub(crate) fn expand(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').unwrap();
    let (letter, count) = inside.split_once(':').unwrap();
    format!("{before}{}{}", letter.repeat(count.parse().unwrap()), expand(after))
}
