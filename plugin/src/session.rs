//! The dialogue, in order: greeting, EHLO, TLS, AUTH, mail, QUIT. Parameters and a transport in; always a report out, with
//! everything measured up to a failure.

mod exchange;
mod hello;
mod step;
mod tls;

pub(crate) use self::step::{
    AUTH, CHALLENGE, DATA, EHLO, GREETING, LHLO, MAIL, MESSAGE, Phase, RCPT, STARTTLS, Step, Stop,
};
use crate::{
    error::ErrorCode,
    field::Field,
    parameters::{Parameters, Security},
    reply::{Reader, Reply, Within},
    report::{Cause, Failure, Report, Value},
    transport::{ErrorKind, Instant, Transport},
};

/// How long the answer to QUIT is waited for: it changes nothing any more.
const QUIT_WAIT_MS: u32 = 2_000;
/// What a login is made of, beside the handshake, whose wait the host reports.
const LOGIN_TIMES: [Field; 4] = [Field::BannerTime, Field::EhloTime, Field::StarttlsTime, Field::AuthTime];

/// A session under way.
pub(crate) struct Session<'a, T> {
    pub(crate) transport: &'a mut T,
    pub(crate) parameters: &'a Parameters,
    pub(crate) report: Report,
    reader: Reader,
    /// The step of the last reply, and what the command was called.
    behind: (Step, String),
    /// Microseconds that the handshake waited for the server.
    tls_wait: u64,
    /// No reply came through TLS yet.
    unproven: bool,
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
        behind: (Step::Connection, String::new()),
        tls_wait: 0,
        unproven: false,
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
    report.set(Field::SequenceCode, Value::Integer(Step::Internal as i64));
    report.set(Field::ResponseCode, Value::Integer(-1));
    report.failure = Some(Failure { cause: Cause::own(ErrorCode::ParameterInvalid), text });
    report
}

impl<T: Transport> Session<'_, T> {
    fn dialogue(&mut self, host: &str, port: u16, time: u64, run_id: &str) -> Result<(), Stop> {
        self.phase("connect");
        let mut ready_at = self.transport.connect(host, port).map_err(|fault| {
            let name = matches!(
                fault.kind,
                ErrorKind::NameNotFound | ErrorKind::ResolverFailed | ErrorKind::ResolverTimeout
            );
            Stop::fault(if name { Step::Name } else { Step::Connection }, "", fault)
        })?;
        if self.parameters.connection == Security::Tls {
            ready_at = self.start_tls()?;
        }
        self.greeting(ready_at)?;
        self.ehlo()?;
        if self.parameters.connection == Security::StartTls {
            self.starttls_command()?;
            self.start_tls()?;
            self.ehlo()?;
        }
        if !self.parameters.username.is_empty() {
            self.login()?;
        }
        self.report.set(Field::LoginTime, Value::Time(self.tls_wait + self.sum(&LOGIN_TIMES)));
        if self.parameters.to.is_empty() { Ok(()) } else { self.mail(time, run_id) }
    }

    /// Sums times as they stand on the line.
    pub(crate) fn sum(&self, times: &[Field]) -> u64 {
        times.iter().map(|time| self.report.time(*time)).sum()
    }

    pub(crate) fn phase(&mut self, name: &str) {
        self.report.set(Field::Phase, Value::Text(name.to_owned()));
    }

    fn greeting(&mut self, from: Instant) -> Result<(), Stop> {
        self.phase("banner");
        let received = self.receive(Step::Greeting, "greeting");
        let reply = received.map_err(|stop| self.explain_silence(stop))?;
        self.report.set(Field::Banner, Value::Text(reply.lines.join(" ")));
        self.judge(&GREETING, "greeting", from, reply).map(drop)
    }

    /// A server that has not said a word waits for TLS, or is too busy, or makes its clients wait on purpose.
    fn explain_silence(&self, stop: Stop) -> Stop {
        if stop.cause != Cause::Network(ErrorKind::Timeout) || self.secured || !self.reader.said().is_empty()
        {
            return stop;
        }
        let text = format!(
            "{}; speaks TLS? (connection = \"tls\"); or its backlog is full, or it pauses before it greets",
            stop.text
        );
        Stop { text, ..stop }
    }

    /// What stands unread before QUIT counts as before any command, but a refusal stands. That nobody is there any more
    /// changes nothing.
    fn look_before_quit(&mut self, ended: Result<(), Stop>) -> Result<(), Stop> {
        let due = match &ended {
            Ok(()) => self.behind.0,
            Err(stop) if stop.in_step => stop.step,
            Err(_) => return ended,
        };
        match (self.look(&Phase { step: due, ..EHLO }, "QUIT"), ended) {
            (Err(_), Err(stop)) if stop.reply.is_some() => Err(Stop { in_step: false, ..stop }),
            (Ok(()) | Err(Stop { cause: Cause::Network(_), .. }), ended) => ended,
            (Err(found), _) => Err(found),
        }
    }

    fn end(mut self, ended: Result<(), Stop>) -> Report {
        let (in_step, decided) = match self.look_before_quit(ended) {
            Ok(()) => {
                self.phase("quit");
                self.report.set(Field::SequenceCode, Value::Integer(0));
                self.report.set(Field::ResponseCode, Value::Integer(0));
                (true, self.last.take())
            }
            Err(stop) => {
                let refused = stop.reply.as_ref().filter(|reply| reply.is_refusal());
                let response = refused.map_or(-1, |reply| i64::from(reply.code));
                self.report.set(Field::SequenceCode, Value::Integer(stop.step as i64));
                self.report.set(Field::ResponseCode, Value::Integer(response));
                self.report.failure = Some(Failure { cause: stop.cause, text: stop.text });
                (stop.in_step, stop.reply)
            }
        };
        if let Some(reply) = decided {
            self.report.set(Field::ReplyCode, Value::Integer(i64::from(reply.code)));
            if let Some(status) = reply.enhanced_status() {
                self.report.set(Field::EnhancedStatus, Value::Text(status.to_owned()));
            }
        }
        if in_step {
            // Good manners; how it goes changes nothing.
            if let Ok(sent_at) = self.transport.write(b"QUIT\r\n")
                && let Ok(reply) =
                    self.reader.reply(self.transport, Some(Within { since: sent_at, ms: QUIT_WAIT_MS }))
            {
                self.report.add_wait(Field::QuitTime, sent_at, reply.at);
            }
        }
        self.report
    }
}

#[cfg(test)]
mod tests;
