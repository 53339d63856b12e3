//! The dialogue, in order: greeting, EHLO, TLS, AUTH, mail, QUIT. Parameters and a transport in; always a report out, with
//! everything measured up to a failure.

use crate::{
    describe::code,
    parameters::{Parameters, Security},
    reply::{NoReply, Reader, Reply},
    report::{Cause, Failure, Kind, Report, Value},
    transport::{ErrorKind, Fault, Instant, Transport},
};

/// How long the answer to QUIT is waited for: it changes nothing any more.
const QUIT_WAIT_MS: u32 = 2_000;

/// The step that failed: field `sequence_code`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Greeting = 1,
    Login = 2,
    Ehlo = 3,
    Tls = 4,
    Mail = 5,
    Rcpt = 6,
    Data = 7,
    Message = 8,
    Name = 10,
    Connection = 11,
    Internal = -1,
}

/// The session ends here.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) step: Step,
    pub(crate) cause: Cause,
    pub(crate) text: String,
    /// The reply that decided, if one did.
    pub(crate) reply: Option<Reply>,
    /// The server waits for a command: QUIT is in order.
    pub(crate) in_step: bool,
}

/// What a step makes of a refusal.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) step: Step,
    pub(crate) kind: Kind,
    pub(crate) code: u32,
}

/// A command and its reply.
pub(crate) struct Exchange {
    pub(crate) reply: Reply,
    pub(crate) sent_at: Instant,
}

/// A session under way.
pub(crate) struct Session<'a, T> {
    pub(crate) transport: &'a mut T,
    pub(crate) parameters: &'a Parameters,
    pub(crate) report: Report,
    reader: Reader,
    ehlo_time: u64,
    connected_at: Instant,
    /// The keywords of the last EHLO, in upper case.
    pub(crate) extensions: Vec<String>,
    pub(crate) secured: bool,
    pub(crate) verify_error: Option<String>,
    /// The last reply of the session proper.
    pub(crate) last: Option<Reply>,
}

/// Opens a session, and sends a mail if the parameters name a recipient. `time` is the round's start in Unix seconds;
/// `run_id` makes the mail's Message-ID unique.
pub fn run<T: Transport>(
    transport: &mut T,
    host: &str,
    port: u16,
    parameters: &Parameters,
    time: u64,
    run_id: &str,
) -> Report {
    let mut session = Session {
        transport,
        parameters,
        report: Report::default(),
        reader: Reader::default(),
        ehlo_time: 0,
        connected_at: 0,
        extensions: Vec::new(),
        secured: false,
        verify_error: None,
        last: None,
    };
    let ended = session.dialogue(host, port, time, run_id);
    session.end(ended)
}

/// A report for parameters that cannot be used.
#[must_use]
pub fn invalid(text: String) -> Report {
    let mut report = Report::default();
    report.set("sequence_code", Value::Integer(Step::Internal as i64));
    report.set("response_code", Value::Integer(-1));
    report.failure = Some(Failure { cause: Cause::Own(Kind::ProtocolError, code::PARAMETER_INVALID), text });
    report
}

impl<T: Transport> Session<'_, T> {
    fn dialogue(&mut self, host: &str, port: u16, time: u64, run_id: &str) -> Result<(), Stop> {
        self.phase("connect");
        self.connected_at = self.transport.connect(host, port).map_err(|fault| {
            let name = matches!(
                fault.kind,
                ErrorKind::NameNotFound | ErrorKind::ResolverFailed | ErrorKind::ResolverTimeout
            );
            stop_by(if name { Step::Name } else { Step::Connection }, "", fault)
        })?;
        let mut ready_at = self.connected_at;
        if self.parameters.connection == Security::Tls {
            ready_at = self.start_tls()?;
        }
        ready_at = self.greeting(ready_at)?;
        ready_at = ready_at.max(self.ehlo()?);
        if self.parameters.connection == Security::StartTls {
            self.starttls_command()?;
            self.start_tls()?;
            ready_at = self.ehlo()?;
        }
        if !self.parameters.username.is_empty() {
            self.phase("auth");
            ready_at = self.login()?;
        }
        self.report.set_span("login_time_ms", self.connected_at, ready_at);
        if self.parameters.to.is_empty() { Ok(()) } else { self.mail(time, run_id) }
    }

    pub(crate) fn phase(&mut self, name: &str) {
        self.report.set("phase", Value::Text(name.to_owned()));
    }

    fn greeting(&mut self, from: Instant) -> Result<Instant, Stop> {
        self.phase("banner");
        let reply = match self.reader.reply(self.transport, None) {
            Ok(reply) => reply,
            Err(NoReply::Fault(fault))
                if fault.kind == ErrorKind::Timeout && !self.secured && !self.reader.has_heard() =>
            {
                return Err(stop_by(Step::Greeting, "no greeting; speaks TLS?", fault));
            }
            Err(no_reply) => return Err(self.no_reply(Step::Greeting, "greeting", no_reply)),
        };
        self.report.set_span("banner_time_ms", from, reply.at);
        self.report.set("banner", Value::Text(reply.lines.join(" ")));
        let refusal = Refusal { step: Step::Greeting, kind: Kind::Rejected, code: code::GREETING_REFUSED };
        let at = reply.at;
        self.judge(reply, "greeting", |code| code == 220, refusal)?;
        Ok(at)
    }

    /// EHLO, or HELO where that is refused for good.
    fn ehlo(&mut self) -> Result<Instant, Stop> {
        self.phase("ehlo");
        // Before TLS nothing learnt counts (RFC 3207 section 4.2), and a second EHLO that stays unanswered has no time.
        self.extensions.clear();
        self.report.fields.retain(|(name, _)| *name != "ehlo_time_ms");
        let refusal = Refusal { step: Step::Ehlo, kind: Kind::Rejected, code: code::EHLO_REFUSED };
        let mut reply = self.hello("EHLO")?;
        if reply.code >= 500 {
            reply = self.hello("HELO")?;
            let at = reply.at;
            self.judge(reply, "HELO", is_completion, refusal)?;
            return Ok(at);
        }
        let at = reply.at;
        let reply = self.judge(reply, "EHLO", is_completion, refusal)?;
        // The first line is the server's name.
        self.extensions = reply.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase()).collect();
        Ok(at)
    }

    fn hello(&mut self, verb: &str) -> Result<Reply, Stop> {
        let command = format!("{verb} {}", self.parameters.ehlo_name);
        let exchange = self.exchange(Step::Ehlo, verb, &command)?;
        self.ehlo_time += exchange.reply.at.saturating_sub(exchange.sent_at);
        self.report.set_time("ehlo_time_ms", self.ehlo_time);
        Ok(exchange.reply)
    }

    fn starttls_command(&mut self) -> Result<(), Stop> {
        self.phase("starttls");
        if !self.extensions.iter().any(|line| line == "STARTTLS") {
            return Err(Stop {
                step: Step::Tls,
                cause: Cause::Own(Kind::TlsError, code::STARTTLS_NOT_OFFERED),
                text: "STARTTLS: the server does not offer it".to_owned(),
                reply: None,
                in_step: true,
            });
        }
        let exchange = self.exchange(Step::Tls, "STARTTLS", "STARTTLS")?;
        self.report.set_span("starttls_time_ms", exchange.sent_at, exchange.reply.at);
        let refusal = Refusal { step: Step::Tls, kind: Kind::TlsError, code: code::STARTTLS_REFUSED };
        self.judge(exchange.reply, "STARTTLS", |code| code == 220, refusal).map(drop)
    }

    fn start_tls(&mut self) -> Result<Instant, Stop> {
        self.phase("tls");
        let secured = self.transport.start_tls().map_err(|fault| stop_by(Step::Tls, "", fault))?;
        self.secured = true;
        self.verify_error = secured.verify_error;
        Ok(secured.at)
    }

    /// The arguments of an extension that the server offers.
    pub(crate) fn extension(&self, keyword: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let rest = line.strip_prefix(keyword)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
        })
    }

    /// Sends a command and waits for its reply. `name` stands for it in texts: a command may hold a secret.
    pub(crate) fn exchange(&mut self, step: Step, name: &str, command: &str) -> Result<Exchange, Stop> {
        let sent_at = self.send(step, name, format!("{command}\r\n").as_bytes())?;
        let reply = self.receive(step, name)?;
        Ok(Exchange { reply, sent_at })
    }

    pub(crate) fn send(&mut self, step: Step, name: &str, bytes: &[u8]) -> Result<Instant, Stop> {
        self.transport.write(bytes).map_err(|fault| stop_by(step, name, fault))
    }

    pub(crate) fn receive(&mut self, step: Step, name: &str) -> Result<Reply, Stop> {
        let reply = self.reader.reply(self.transport, None);
        reply.map_err(|no_reply| self.no_reply(step, name, no_reply))
    }

    fn no_reply(&self, step: Step, name: &str, no_reply: NoReply) -> Stop {
        let own = |code, text: String| Stop {
            step,
            cause: Cause::Own(Kind::ProtocolError, code),
            text: format!("{name}: {text}"),
            reply: None,
            in_step: false,
        };
        match no_reply {
            NoReply::Fault(fault) => stop_by(step, name, fault),
            NoReply::Closed => {
                let text = "the server closed the connection".to_owned();
                stop_by(step, name, Fault { kind: ErrorKind::ConnectionClosed, text })
            }
            NoReply::Garbage(line) => own(code::NOT_SMTP, format!("not an SMTP reply: {line}")),
            NoReply::TooLong => own(
                code::REPLY_TOO_LONG,
                "the reply is longer than 8192 bytes a line or 100 lines".to_owned(),
            ),
            NoReply::Tls if self.secured => own(code::NOT_SMTP, "not an SMTP reply".to_owned()),
            NoReply::Tls => {
                own(code::SPEAKS_TLS, "a TLS record; speaks TLS? (connection = \"tls\")".to_owned())
            }
        }
    }

    /// Lets a good reply pass; a refusal and an answer of the wrong class end the session.
    pub(crate) fn judge(
        &mut self,
        reply: Reply,
        name: &str,
        good: fn(u16) -> bool,
        refusal: Refusal,
    ) -> Result<Reply, Stop> {
        let code = reply.code;
        if good(code) {
            self.last = Some(reply.clone());
            return Ok(reply);
        }
        let cause = match code {
            421 => Cause::Own(Kind::Rejected, code::SERVICE_CLOSING),
            400.. => Cause::Own(refusal.kind, refusal.code),
            _ => Cause::Own(Kind::ProtocolError, code::UNEXPECTED_REPLY),
        };
        let text = format!("{name}: {}", reply.text());
        Err(Stop {
            step: refusal.step,
            cause,
            text,
            in_step: reply.is_refusal() && code != 421,
            reply: Some(reply),
        })
    }

    fn end(mut self, ended: Result<(), Stop>) -> Report {
        let (in_step, decided) = match ended {
            Ok(()) => {
                self.phase("quit");
                self.report.set("sequence_code", Value::Integer(0));
                self.report.set("response_code", Value::Integer(0));
                (true, self.last.take())
            }
            Err(stop) => {
                let refused = stop.reply.as_ref().filter(|reply| reply.is_refusal());
                let response = refused.map_or(-1, |reply| i64::from(reply.code));
                self.report.set("sequence_code", Value::Integer(stop.step as i64));
                self.report.set("response_code", Value::Integer(response));
                self.report.failure = Some(Failure { cause: stop.cause, text: stop.text });
                (stop.in_step, stop.reply)
            }
        };
        if let Some(reply) = decided {
            self.report.set("reply_code", Value::Integer(i64::from(reply.code)));
            if let Some(status) = reply.enhanced_status() {
                self.report.set("enhanced_status", Value::Text(status.to_owned()));
            }
        }
        if in_step {
            // Good manners; how it goes changes nothing.
            if let Ok(sent_at) = self.transport.write(b"QUIT\r\n")
                && let Ok(reply) = self.reader.reply(self.transport, Some(QUIT_WAIT_MS))
            {
                self.report.set_span("quit_time_ms", sent_at, reply.at);
            }
        }
        self.report
    }
}

/// Any reply of the class stands for its 250 (RFC 5321 section 4.2: an unknown code counts by its first digit).
pub(crate) fn is_completion(code: u16) -> bool {
    (200..300).contains(&code)
}

/// A failed call ends the session; nothing more is said.
pub(crate) fn stop_by(step: Step, name: &str, fault: Fault) -> Stop {
    let text = if name.is_empty() { fault.text } else { format!("{name}: {}", fault.text) };
    Stop { step, cause: Cause::Network(fault.kind), text, reply: None, in_step: false }
}

#[cfg(test)]
mod tests;
