//! The targets of `cargo fuzz`, see the folder `fuzz`: any bytes in; a panic out where a promise is broken. Their short form
//! runs with the other tests.

#![allow(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a broken promise is to end the program"
)]

#[path = "../../tests/fuzz/input.rs"]
mod input;

use self::input::Draw;
use crate::{
    dialogue,
    field::{Field, FieldKind},
    job::Job,
    parameters::{Auth, Parameters, Security},
    reply::{NoReply, Reader, Reply},
    report::Value,
    transport::{ErrorKind, Fault, Instant, Secured, Transport},
};

/// Ways in which a stream ends, or a call fails.
const ENDS: [Option<ErrorKind>; 5] = [
    None,
    Some(ErrorKind::ConnectionReset),
    Some(ErrorKind::ReadTimeout),
    Some(ErrorKind::TlsFailed),
    Some(ErrorKind::LimitExceeded),
];

/// A server whose turns are known before: each comes when something was sent.
struct Server<'a> {
    /// The last one's stand first.
    turns: Vec<&'a [u8]>,
    pending: &'a [u8],
    /// Bytes of each read, in turn.
    cuts: &'a [u8],
    reads: usize,
    end: Option<ErrorKind>,
    tls: Result<Secured, Fault>,
    sent: Vec<Vec<u8>>,
    /// Commands sent before TLS.
    readable: usize,
}

fn fault(kind: ErrorKind) -> Fault {
    Fault { kind, text: "scripted".to_owned() }
}

impl<'a> Server<'a> {
    fn new(turns: impl Iterator<Item = &'a [u8]>, cuts: &'a [u8], end: Option<ErrorKind>) -> Self {
        let mut turns: Vec<&[u8]> = turns.collect();
        turns.reverse();
        let pending = turns.pop().unwrap_or_default();
        let tls = Ok(Secured::default());
        Self { turns, pending, cuts, reads: 0, end, tls, sent: Vec::new(), readable: usize::MAX }
    }
}

impl Transport for Server<'_> {
    fn connect(&mut self, _host: &str, _port: u16) -> Result<Instant, Fault> {
        Ok(0)
    }

    fn start_tls(&mut self) -> Result<Secured, Fault> {
        self.readable = self.sent.len();
        self.tls.clone()
    }

    fn read(&mut self, max: u32, wait_ms: Option<u32>) -> Result<(Vec<u8>, Instant), Fault> {
        self.reads += 1;
        if self.pending.is_empty() {
            let looks = wait_ms == Some(0) && !self.turns.is_empty();
            return match self.end {
                _ if looks => Err(fault(ErrorKind::WaitEnded)),
                None => Ok((Vec::new(), 0)),
                Some(kind) => Err(fault(kind)),
            };
        }
        let cut = self.cuts.get(self.reads % self.cuts.len().max(1)).copied().map_or(usize::MAX, usize::from);
        let count = cut.max(1).min(usize::try_from(max).unwrap_or(usize::MAX)).min(self.pending.len());
        let (bytes, rest) = self.pending.split_at(count);
        self.pending = rest;
        Ok((bytes.to_vec(), self.reads as Instant * 1_000))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Instant, Fault> {
        self.sent.push(bytes.to_vec());
        if let (Some(kind), true) = (self.end, self.turns.is_empty()) {
            return Err(fault(kind));
        }
        if self.pending.is_empty() {
            self.pending = self.turns.pop().unwrap_or_default();
        }
        Ok(self.reads as Instant * 1_000)
    }
}

/// All replies of a stream, without their times, and what stands behind the last.
fn replies(stream: &[u8], cuts: &[u8], end: Option<ErrorKind>) -> (Vec<Reply>, Option<NoReply>) {
    let (mut server, mut reader) = (Server::new([stream].into_iter(), cuts, end), Reader::default());
    let mut replies = Vec::new();
    loop {
        match reader.reply(&mut server, None) {
            Err(none) => break (replies, Some(none)),
            Ok(reply) if !reply.whole => break ([replies, vec![Reply { at: 0, ..reply }]].concat(), None),
            Ok(reply) => replies.push(Reply { at: 0, ..reply }),
        }
        assert!(replies.len() <= stream.len() && server.reads <= stream.len() + 1, "no end");
    }
}

/// Parser of replies: an ending, cuts, and a stream. However the stream is cut, its replies are the same; each is one.
pub fn reply(data: &[u8]) {
    let mut draw = Draw::new(data);
    let (end, cuts, stream) = (ENDS[draw.below(ENDS.len())], draw.some(), draw.rest());
    let found = replies(stream, cuts, end);
    assert_eq!(found, replies(stream, &[], end), "it depends on how the stream is cut");
    for reply in &found.0 {
        assert!((200..600).contains(&reply.code) && (1..=100).contains(&reply.lines.len()), "{reply:?}");
        assert!(reply.whole || reply.is_refusal(), "{reply:?}");
        assert!(reply.enhanced_status().is_none_or(|status| reply.lines.concat().contains(status)));
    }
}

fn parameters(draw: &mut Draw<'_>) -> Parameters {
    let connections = [Security::Plain, Security::StartTls, Security::Tls];
    let mechanisms = [Auth::Auto, Auth::Plain, Auth::Login, Auth::CramMd5];
    let (connection, auth) = (connections[draw.below(3)], mechanisms[draw.below(4)]);
    let does = draw.byte();
    let text = |bit: u8, text: &str| if does & bit == 0 { String::new() } else { text.to_owned() };
    Parameters {
        connection,
        auth,
        username: text(1, "user"),
        password: "open sesame".to_owned(),
        from: "a@b".to_owned(),
        to: [text(2, "c@d"), text(4, "e@f")].into_iter().filter(|to| !to.is_empty()).collect(),
        subject: "Sonde".to_owned(),
        body: "<p>Sonde</p>".to_owned(),
        allow_plaintext_auth: does & 8 != 0,
        ehlo_name: "probe".to_owned(),
        ..Parameters::default()
    }
}

/// A whole session: parameters, an ending, cuts, and what the server says, its turns parted by NUL. It ends; it reports what
/// it has announced; each command is one line; no password is readable where it must not be.
pub fn session(data: &[u8]) {
    let mut draw = Draw::new(data);
    let parameters = parameters(&mut draw);
    let (end, tls, cuts) = (ENDS[draw.below(ENDS.len())], draw.below(8), draw.some());
    let mut server = Server::new(draw.rest().split(|byte| *byte == 0), cuts, end);
    server.tls = match tls {
        0 => Err(fault(ErrorKind::TlsFailed)),
        1 => Ok(Secured { verify_error: Some("unknown issuer".to_owned()), ..Secured::default() }),
        _ => Ok(Secured::default()),
    };
    let job = Job { host: "mx1", port: 25, parameters: &parameters, time: 1_700_000_000, run_id: "id1" };
    let report = dialogue::run(&mut server, &job);
    // Every command may be preceded by a look, and be followed by an end.
    assert!(server.reads <= data.len() + 3 * server.sent.len() + 3, "no end: {} reads", server.reads);
    for (field, value) in &report.fields {
        let fits = match field.row().kind {
            FieldKind::Time | FieldKind::Phase => matches!(value, Value::Time(_)),
            FieldKind::Code | FieldKind::CodeAlways => matches!(value, Value::Integer(_)),
            FieldKind::Text => matches!(value, Value::Text(_)),
        };
        assert!(fits, "{field:?} is {value:?}");
    }
    let step = report.get(Field::SequenceCode);
    assert_eq!(step == Some(&Value::Integer(0)), report.failure.is_none(), "{report:?}");
    let mut mail = false;
    for (at, command) in server.sent.iter().enumerate() {
        let line = command.strip_suffix(b"\r\n").unwrap_or_default();
        assert!(mail || !line.is_empty() && !line.iter().any(u8::is_ascii_control), "{command:?}");
        mail = command == b"DATA\r\n";
        let login = line.starts_with(b"AUTH ");
        let hidden = at >= server.readable || parameters.allow_plaintext_auth || line == b"AUTH CRAM-MD5";
        assert!(!login || hidden && (tls != 1 || server.readable == usize::MAX), "{command:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::input::run;

    #[test]
    fn replies_are_found_in_anything() {
        run(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/reply"), 10_000, super::reply);
    }

    #[test]
    fn a_session_ends_whatever_the_server_says() {
        run(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/session"), 10_000, super::session);
    }
}
