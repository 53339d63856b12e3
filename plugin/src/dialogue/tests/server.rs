//! A scripted server: what it must be sent, what it answers, and what goes wrong.

use std::collections::VecDeque;

use super::super::run;
use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    job::Job,
    parameters::{Auth, Parameters, Security},
    report::{Cause, Report, Value},
    transport::{ErrorKind, Fault, Instant, Secured, Transport},
};

/// What a wait takes, in nanoseconds: not whole microseconds.
pub(super) const WAIT: u64 = 1_000_999;

/// A turn of the server's. Behind the last one the stream has ended, and nothing may be sent.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    /// Says this without being asked.
    Say(&'static str),
    /// Expects a line that begins with the first text and answers the second.
    Ask(&'static str, &'static str),
    /// Expects a mail.
    Mail(&'static str),
    /// Does a handshake.
    Tls,
    /// Fails what waits or sends, not what only looks.
    Fail(ErrorKind),
    /// Fails also what only looks.
    Broken(ErrorKind),
    /// Fails what sends, having said this.
    Cut(&'static str),
    /// Has ended the stream, and takes nothing more.
    Close,
}
use Turn::{Ask, Broken, Close, Cut, Fail, Mail, Say, Tls};

#[derive(Default)]
pub(super) struct Server {
    pub(super) turns: VecDeque<Turn>,
    pub(super) pending: Vec<u8>,
    pub(super) clock: Instant,
    pub(super) sent: String,
    pub(super) verify_error: Option<String>,
    pub(super) byte_by_byte: bool,
    /// As the host before TLS.
    pub(super) line_by_line: bool,
    /// What we take ourselves before each command.
    pub(super) thinking: u64,
}

fn fault(kind: ErrorKind) -> Fault {
    Fault { kind, text: "scripted".into() }
}

impl Transport for Server {
    fn connect(&mut self, _host: &str, _port: u16) -> Result<Instant, Fault> {
        match self.turns.front() {
            Some(Fail(kind)) => Err(fault(*kind)),
            _ => Ok(0),
        }
    }

    fn start_tls(&mut self) -> Result<Secured, Fault> {
        self.clock += self.thinking + WAIT;
        match self.turns.pop_front() {
            Some(Tls) => Ok(Secured { at: self.clock, wait: WAIT, verify_error: self.verify_error.clone() }),
            Some(Fail(kind)) => Err(fault(kind)),
            _ => panic!("TLS was not expected"),
        }
    }

    fn read(&mut self, _max: u32, wait_ms: Option<u32>) -> Result<(Vec<u8>, Instant), Fault> {
        let looks = wait_ms == Some(0);
        if self.pending.is_empty() {
            match self.turns.front().copied() {
                Some(Broken(kind)) => return Err(fault(kind)),
                Some(Close) | None => return Ok((Vec::new(), self.clock)),
                Some(_) if looks => return Err(fault(ErrorKind::WaitEnded)),
                Some(Say(text)) => self.pending.extend(text.as_bytes()),
                Some(Fail(kind)) => {
                    self.turns.pop_front();
                    return Err(fault(kind));
                }
                Some(_) => panic!("the client waits where the server does"),
            }
            self.turns.pop_front();
        }
        if !looks {
            self.clock += WAIT;
        }
        let line =
            self.pending.iter().position(|byte| *byte == b'\n').map_or(self.pending.len(), |at| at + 1);
        let count = match (self.byte_by_byte, self.line_by_line) {
            (true, _) => 1,
            (_, true) => line,
            _ => self.pending.len(),
        };
        Ok((self.pending.drain(..count).collect(), self.clock))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Instant, Fault> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.sent.push_str(&text);
        self.clock += self.thinking;
        let answer = match self.turns.front().copied() {
            Some(Ask(begin, answer)) => {
                assert!(text.starts_with(begin) && text.ends_with("\r\n"), "{text} instead of {begin}");
                answer
            }
            Some(Mail(answer)) => {
                assert!(text.ends_with("\r\n.\r\n"), "{text}");
                answer
            }
            Some(Cut(answer)) => {
                self.pending.extend(answer.as_bytes());
                self.turns.pop_front();
                return Err(fault(ErrorKind::ConnectionReset));
            }
            Some(Fail(kind)) => {
                self.turns.pop_front();
                return Err(fault(kind));
            }
            Some(Broken(kind)) => return Err(fault(kind)),
            Some(Close) => return Err(fault(ErrorKind::ConnectionClosed)),
            Some(Say(_) | Tls) | None => panic!("nothing was to be sent, but {text}"),
        };
        self.turns.pop_front();
        self.pending.extend(answer.as_bytes());
        Ok(self.clock)
    }
}

pub(super) const HELLO: Turn = Say("220 mx1 ESMTP Postfix\r\n");
pub(super) const EHLO: Turn =
    Ask("EHLO probe\r\n", "250-mx1\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250 SIZE 1000000\r\n");
pub(super) const QUIT: Turn = Ask("QUIT\r\n", "221 bye\r\n");
pub(super) const MAIL: Turn = Ask("MAIL FROM:<a@b> SIZE=", "250 2.1.0 ok\r\n");
pub(super) const RCPT: Turn = Ask("RCPT TO:<c@d>\r\n", "250 2.1.5 ok\r\n");
pub(super) const DATA: Turn = Ask("DATA\r\n", "354 go\r\n");

pub(super) const AUTH_LOGIN: Turn = Ask("AUTH LOGIN\r\n", "334 VXNlcg==\r\n");

pub(super) fn plain() -> Parameters {
    Parameters { ehlo_name: "probe".into(), ..Parameters::default() }
}

pub(super) fn mailing() -> Parameters {
    Parameters { from: "a@b".into(), to: vec!["c@d".into()], ..plain() }
}

pub(super) fn login(auth: Auth) -> Parameters {
    Parameters { username: "user".into(), password: "secret".into(), auth, ..plain() }
}

pub(super) fn drive<const N: usize>(parameters: &Parameters, turns: [Turn; N]) -> (Report, Server) {
    let server = Server { turns: turns.into(), ..Server::default() };
    drive_server(parameters, server)
}

pub(super) fn drive_server(parameters: &Parameters, mut server: Server) -> (Report, Server) {
    let job = Job { host: "mx1", port: 25, parameters, time: 1_700_000_000, run_id: "id1" };
    let report = run(&mut server, &job);
    let over = |turn: &&Turn| !matches!(turn, Fail(_) | Broken(_) | Close);
    let left = server.turns.iter().filter(over).count();
    assert_eq!(left, 0, "the client stopped too early, having sent:\n{}", server.sent);
    (report, server)
}

/// Sequence and response code, and the cause.
pub(super) fn outcome(report: &Report) -> (i64, i64, Option<Cause>) {
    let code = |field| match report.get(field) {
        Some(Value::Integer(code)) => *code,
        other => panic!("{field:?}: {other:?}"),
    };
    (
        code(Field::SequenceCode),
        code(Field::ResponseCode),
        report.failure.as_ref().map(|failure| failure.cause),
    )
}

pub(super) fn assert_outcome<const N: usize>(
    parameters: &Parameters,
    turns: [Turn; N],
    expected: (i64, i64, Cause),
) -> Report {
    let (report, _) = drive(parameters, turns);
    assert_eq!(outcome(&report), (expected.0, expected.1, Some(expected.2)), "{:?}", report.failure);
    report
}

pub(super) fn own(kind: Kind, code: ErrorCode) -> Cause {
    Cause::Own(kind, code)
}

/// A session that does all there is to do.
pub(super) fn full() -> Parameters {
    let auth = Parameters { connection: Security::StartTls, ..login(Auth::Plain) };
    Parameters { from: "a@b".into(), to: vec!["c@d".into()], ..auth }
}

/// What the server says in it.
pub(super) const FULL: [Turn; 11] = [
    HELLO,
    EHLO,
    Ask("STARTTLS\r\n", "220 go\r\n"),
    Tls,
    EHLO,
    Ask("AUTH PLAIN", "235 2.7.0 ok\r\n"),
    MAIL,
    RCPT,
    DATA,
    Mail("250 2.0.0 ok\r\n"),
    QUIT,
];

/// Its turns that wait for a reply, and the step of each.
pub(super) const STEPS: [(usize, i64); 9] =
    [(0, 1), (1, 3), (2, 4), (4, 3), (5, 2), (6, 5), (7, 6), (8, 7), (9, 8)];

/// The session up to one of its turns, at which the server does something else.
pub(super) fn until(turn: usize, instead: impl IntoIterator<Item = Turn>) -> (Report, Server) {
    let turns = FULL[..turn].iter().copied().chain(instead).collect();
    drive_server(&full(), Server { turns, ..Server::default() })
}

/// A turn with another answer.
pub(super) fn answering(turn: usize, answer: &'static str) -> Turn {
    match FULL[turn] {
        Say(_) => Say(answer),
        Ask(begin, _) => Ask(begin, answer),
        Mail(_) => Mail(answer),
        _ => panic!("turn {turn} waits for no reply"),
    }
}
