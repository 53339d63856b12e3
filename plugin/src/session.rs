//! A session under way: a command in, its reply or the reason to stop out. Here, and only here, it is looked, sent, received,
//! judged and timed, so that the session stays in step with the server and loses no refusal.

use crate::{
    error::ErrorCode,
    field::Field,
    job::Job,
    reply::{NoReply, Reader, Reply, Within, unseen},
    report::{Report, Value},
    step::{BANNER, CONNECT, Step, TLS},
    stop::Stop,
    transport::{ErrorKind, Fault, Instant, Transport},
};

/// What is known of a session, and its connection.
pub(crate) struct Session<'a> {
    pub(crate) transport: &'a mut dyn Transport,
    pub(crate) job: &'a Job<'a>,
    pub(crate) report: Report,
    pub(crate) reader: Reader,
    /// The step of the last reply, and what the command was called.
    pub(crate) behind: (Step, String),
    /// From this moment the greeting is waited for.
    pub(crate) ready_at: Instant,
    /// Microseconds that the handshake waited for the server.
    pub(crate) tls_wait: u64,
    /// No reply came through TLS yet.
    pub(crate) unproven: bool,
    pub(crate) secured: bool,
    pub(crate) verify_error: Option<String>,
    /// The keywords of the last EHLO, as they were said.
    pub(crate) extensions: Vec<String>,
    /// How the last EHLO was refused, where HELO is what counts.
    pub(crate) ehlo_refused: Option<String>,
    /// The mail under way.
    pub(crate) mail: Vec<u8>,
    /// The first refusal of a recipient.
    pub(crate) refused: Option<Stop>,
    /// The last good reply.
    pub(crate) last: Option<Reply>,
}

/// What stands behind a keyword, in whatever case that is (RFC 5321 section 2.4).
pub(crate) fn behind<'a>(line: &'a str, keyword: &str) -> Option<&'a str> {
    let (begin, rest) = line.split_at_checked(keyword.len())?;
    begin.eq_ignore_ascii_case(keyword).then_some(rest)
}

/// How a character that nobody sees is shown.
fn code_point(unseen: char) -> String {
    format!("U+{:04X}", u32::from(unseen))
}

impl<'a> Session<'a> {
    pub(crate) fn new(transport: &'a mut dyn Transport, job: &'a Job<'a>) -> Self {
        Self {
            transport,
            job,
            report: Report::default(),
            reader: Reader::default(),
            behind: (CONNECT, String::new()),
            ready_at: 0,
            tls_wait: 0,
            unproven: false,
            secured: false,
            verify_error: None,
            extensions: Vec::new(),
            ehlo_refused: None,
            mail: Vec::new(),
            refused: None,
            last: None,
        }
    }

    /// The step is attempted from here on.
    pub(crate) fn enter(&mut self, step: &Step) {
        self.report.set(Field::Phase, Value::Text(step.phase.to_owned()));
    }

    /// The arguments of an extension that the server offers.
    pub(crate) fn extension(&self, keyword: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let rest = behind(line, keyword)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
        })
    }

    /// What the server offers, for texts; where that is nothing, perhaps why.
    pub(crate) fn offer(&self) -> String {
        match &self.ehlo_refused {
            Some(refusal) => format!("nothing, since it refused {refusal}"),
            None if self.extensions.is_empty() => "nothing".to_owned(),
            None => self.extensions.join(" "),
        }
    }

    /// Sends a command and waits for its reply. `name` stands for it in texts: a command may hold a secret.
    pub(crate) fn exchange(&mut self, step: &Step, name: &str, command: &str) -> Result<Reply, Stop> {
        let answer = self.send(step, name, format!("{command}\r\n").as_bytes()).and_then(|sent_at| {
            let reply = self.receive(step, name, None)?;
            self.judge(step, name, sent_at, reply)
        });
        // A phase that was not completed has no time, whatever its earlier exchanges took.
        if let (Err(Stop { reply: None, .. }), Some(time)) = (&answer, step.time) {
            self.report.remove(time);
        }
        answer
    }

    /// Looks, then sends; gives the moment of sending.
    pub(crate) fn send(&mut self, step: &Step, name: &str, bytes: &[u8]) -> Result<Instant, Stop> {
        self.look(step, name)?;
        self.transport.write(bytes).map_err(|fault| self.not_sent(step, name, fault))
    }

    /// Waits for a reply.
    pub(crate) fn receive(&mut self, step: &Step, name: &str, wait: Option<Within>) -> Result<Reply, Stop> {
        let reply = self.reader.reply(self.transport, wait);
        let reply = reply.map_err(|no_reply| self.no_reply(step, name, no_reply))?;
        self.unproven = false;
        self.behind = (*step, name.to_owned());
        Ok(reply)
    }

    /// Counts the wait, and lets a good reply pass; a refusal and an answer of the wrong class end the session.
    pub(crate) fn judge(
        &mut self,
        step: &Step,
        name: &str,
        sent_at: Instant,
        reply: Reply,
    ) -> Result<Reply, Stop> {
        if let Some(time) = step.time {
            self.report.add_wait(time, sent_at, reply.at);
        }
        if !(step.good)(reply.code) {
            return Err(Stop::reply(step, name, reply));
        }
        self.last = Some(reply.clone());
        Ok(reply)
    }

    /// Nothing unread may wait when a command goes out: every later reply would be taken for the next command's.
    pub(crate) fn look(&mut self, due: &Step, name: &str) -> Result<(), Stop> {
        let name = format!("before {name}");
        match self.reader.unasked(self.transport) {
            None => Ok(()),
            Some(Ok(reply)) if reply.code == 421 && reply.whole => Err(Stop::reply(due, &name, reply)),
            Some(Err(no_reply @ (NoReply::Fault(_) | NoReply::Closed))) if self.reader.said().is_empty() => {
                Err(self.no_reply(due, &name, no_reply))
            }
            Some(found) => {
                let (step, name) = &self.behind;
                // To a server that expects none, the header of a proxy before it is a command.
                let is_unknown = |reply: &Reply| (500..=503).contains(&reply.code);
                let proxied = step.code == BANNER.code && found.as_ref().is_ok_and(is_unknown);
                let perhaps = if proxied { " (of a proxy's PROXY header?)" } else { "" };
                let said = self.reader.said();
                let unseen = match &found {
                    Err(NoReply::Garbage(unseen)) => *unseen,
                    Err(_) => unseen(said.as_bytes()),
                    Ok(_) => None,
                };
                let unseen = unseen.map_or_else(String::new, |unseen| format!(" ({})", code_point(unseen)));
                let text = format!("{name}: behind the reply, not asked for{perhaps}{unseen}: {said}");
                let unexpected = Stop::own(step, ErrorCode::UnexpectedData, text);
                Err(Stop { in_step: false, unasked: found.ok(), ..unexpected })
            }
        }
    }

    /// A server that refuses and closes has said why: that decides, not our failed write.
    fn not_sent(&mut self, step: &Step, name: &str, fault: Fault) -> Stop {
        match self.reader.reply(self.transport, Some(Within::NOW)) {
            Ok(reply) if reply.is_refusal() => Stop { in_step: false, ..Stop::reply(step, name, reply) },
            Err(NoReply::Fault(found)) if found.kind.is_tls() => self.fault(step, name, found),
            _ => self.fault(step, name, fault),
        }
    }

    fn no_reply(&mut self, step: &Step, name: &str, no_reply: NoReply) -> Stop {
        let said = self.reader.said();
        let own = |code, text: &str| {
            let text = format!("{name}: {text}");
            Stop { in_step: false, ..Stop::own(step, code, text) }
        };
        let fault = match no_reply {
            NoReply::Fault(fault) => fault,
            NoReply::Closed => {
                let text = "the server closed the connection".to_owned();
                Fault { kind: ErrorKind::ConnectionClosed, text }
            }
            NoReply::Garbage(unseen) => {
                let unseen = unseen.map_or_else(String::new, |unseen| {
                    format!(" ({} in or behind its code)", code_point(unseen))
                });
                return own(ErrorCode::NotSmtp, &format!("not an SMTP reply{unseen}: {said}"));
            }
            NoReply::TooLong => {
                let text = "the reply is longer than 8192 bytes a line or 100 lines";
                return own(ErrorCode::ReplyTooLong, text);
            }
            NoReply::Tls if self.secured => return own(ErrorCode::NotSmtp, "not an SMTP reply"),
            NoReply::Tls => {
                return own(ErrorCode::SpeaksTls, "a TLS record; speaks TLS? (connection = \"tls\")");
            }
        };
        let half = if said.is_empty() { String::new() } else { format!(", after: {said}") };
        let text = format!("{}{half}", fault.text);
        self.fault(step, name, Fault { text, ..fault })
    }

    /// A fault of TLS before the first reply behind a handshake is the handshake's: a TLS 1.3 server looks at our
    /// certificate only then.
    fn fault(&mut self, step: &Step, name: &str, fault: Fault) -> Stop {
        if self.unproven && fault.kind.is_tls() {
            self.enter(&TLS);
            return Stop::fault(&TLS, "", fault);
        }
        Stop::fault(step, name, fault)
    }
}
