//! One command and its reply: looked before, sent, waited for, timed and judged. Keeps the session in step with the server,
//! and loses no refusal.

use super::{Phase, Session, Step, Stop};
use crate::{
    error::ErrorCode,
    reply::{NoReply, Reply, Within},
    transport::{ErrorKind, Fault, Instant, Transport},
};

impl<T: Transport> Session<'_, T> {
    /// Sends a command and waits for its reply. `name` stands for it in texts: a command may hold a secret.
    pub(crate) fn exchange(&mut self, phase: &Phase, name: &str, command: &str) -> Result<Reply, Stop> {
        let answer = self.send(phase, name, format!("{command}\r\n").as_bytes()).and_then(|sent_at| {
            let reply = self.receive(phase.step, name)?;
            self.judge(phase, name, sent_at, reply)
        });
        // A phase that was not completed has no time, whatever its earlier exchanges took.
        if let (Err(Stop { reply: None, .. }), Some(time)) = (&answer, phase.time) {
            self.report.remove(time);
        }
        answer
    }

    /// Looks, then sends; gives the moment of sending.
    pub(crate) fn send(&mut self, phase: &Phase, name: &str, bytes: &[u8]) -> Result<Instant, Stop> {
        self.look(phase, name)?;
        self.transport.write(bytes).map_err(|fault| self.not_sent(phase, name, fault))
    }

    /// Nothing unread may wait when a command goes out: every later reply would be taken for the next command's.
    pub(super) fn look(&mut self, due: &Phase, name: &str) -> Result<(), Stop> {
        let name = format!("before {name}");
        match self.reader.unasked(self.transport) {
            None => Ok(()),
            Some(Ok(reply)) if reply.code == 421 && reply.whole => Err(Stop::reply(due, &name, reply)),
            Some(Err(no_reply @ (NoReply::Fault(_) | NoReply::Closed))) if self.reader.said().is_empty() => {
                Err(self.no_reply(due.step, &name, no_reply))
            }
            Some(_) => {
                let (step, name) = &self.behind;
                let said = self.reader.said();
                let said = if said.is_empty() { "an empty line" } else { said };
                let text = format!("{name}: behind the reply, not asked for: {said}");
                Err(Stop { in_step: false, ..Stop::own(*step, ErrorCode::UnexpectedData, text) })
            }
        }
    }

    /// A server that refuses and closes has said why: that decides, not our failed write.
    fn not_sent(&mut self, phase: &Phase, name: &str, fault: Fault) -> Stop {
        match self.reader.reply(self.transport, Some(Within::NOW)) {
            Ok(reply) if reply.is_refusal() => Stop { in_step: false, ..Stop::reply(phase, name, reply) },
            Err(NoReply::Fault(found)) if found.kind.is_tls() => self.fault(phase.step, name, found),
            _ => self.fault(phase.step, name, fault),
        }
    }

    /// Waits for a reply.
    pub(crate) fn receive(&mut self, step: Step, name: &str) -> Result<Reply, Stop> {
        let reply = self.reader.reply(self.transport, None);
        let reply = reply.map_err(|no_reply| self.no_reply(step, name, no_reply))?;
        self.unproven = false;
        self.behind = (step, name.to_owned());
        Ok(reply)
    }

    /// Counts the wait, and lets a good reply pass; a refusal and an answer of the wrong class end the session.
    pub(crate) fn judge(
        &mut self,
        phase: &Phase,
        name: &str,
        sent_at: Instant,
        reply: Reply,
    ) -> Result<Reply, Stop> {
        if let Some(time) = phase.time {
            self.report.add_wait(time, sent_at, reply.at);
        }
        if !(phase.good)(reply.code) {
            return Err(Stop::reply(phase, name, reply));
        }
        self.last = Some(reply.clone());
        Ok(reply)
    }

    fn no_reply(&mut self, step: Step, name: &str, no_reply: NoReply) -> Stop {
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
            NoReply::Garbage => return own(ErrorCode::NotSmtp, &format!("not an SMTP reply: {said}")),
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
    fn fault(&mut self, step: Step, name: &str, fault: Fault) -> Stop {
        if self.unproven && fault.kind.is_tls() {
            self.phase("tls");
            return Stop::fault(Step::Tls, "", fault);
        }
        Stop::fault(step, name, fault)
    }
}
