//! The mail transaction (RFC 5321 section 3.3): MAIL, RCPT for each recipient, DATA, the message, once.

use crate::{
    describe::code,
    message, queue_id,
    reply::Reply,
    report::{Cause, Kind, Value},
    session::{Refusal, Session, Step, Stop, is_completion},
    transport::{ErrorKind, Transport},
};

impl<T: Transport> Session<'_, T> {
    pub(crate) fn mail(&mut self, time: u64, run_id: &str) -> Result<(), Stop> {
        self.phase("mail");
        let parameters = self.parameters;
        let message = message::build(parameters, time, run_id);
        let mut command = format!("MAIL FROM:<{}>", parameters.from);
        if let Some(limit) = self.extension("SIZE") {
            let limit: usize = limit.parse().unwrap_or(0);
            if limit != 0 && message.len() > limit {
                return Err(Stop {
                    step: Step::Mail,
                    cause: Cause::Own(Kind::Rejected, code::MESSAGE_TOO_LARGE),
                    text: format!("MAIL: the mail has {} bytes, the server takes {limit}", message.len()),
                    reply: None,
                    in_step: true,
                });
            }
            command = format!("{command} SIZE={}", message.len());
        }
        let exchange = self.exchange(Step::Mail, "MAIL", &command)?;
        let began_at = exchange.sent_at;
        self.report.set_span("mail_time_ms", exchange.sent_at, exchange.reply.at);
        let refusal = Refusal { step: Step::Mail, kind: Kind::Rejected, code: code::MAIL_REFUSED };
        self.judge(exchange.reply, "MAIL", is_completion, refusal)?;

        let refused = self.recipients()?;
        self.data()?;
        let reply = self.message(&message)?;
        if let Some(stop) = refused {
            return Err(stop);
        }
        self.report.set_span("transfer_time_ms", began_at, reply.at);
        Ok(())
    }

    /// Gives the first refusal where others were accepted.
    fn recipients(&mut self) -> Result<Option<Stop>, Stop> {
        self.phase("rcpt");
        let refusal = Refusal { step: Step::Rcpt, kind: Kind::Rejected, code: code::RECIPIENT_REFUSED };
        let (mut time, mut accepted, mut refused) = (0, 0, None);
        for to in &self.parameters.to {
            let name = format!("RCPT TO:<{to}>");
            let exchange = self.exchange(Step::Rcpt, &name, &name)?;
            time += exchange.reply.at.saturating_sub(exchange.sent_at);
            self.report.set_time("rcpt_time_ms", time);
            match self.judge(exchange.reply, &name, is_completion, refusal) {
                Ok(_) => accepted += 1,
                Err(stop) if stop.in_step => refused = refused.or(Some(stop)),
                Err(stop) => return Err(stop),
            }
        }
        match refused {
            Some(stop) if accepted == 0 => Err(stop),
            refused => Ok(refused),
        }
    }

    fn data(&mut self) -> Result<(), Stop> {
        self.phase("data");
        let exchange = self.exchange(Step::Data, "DATA", "DATA")?;
        self.report.set_span("data_time_ms", exchange.sent_at, exchange.reply.at);
        let refusal = Refusal { step: Step::Data, kind: Kind::Rejected, code: code::DATA_REFUSED };
        self.judge(exchange.reply, "DATA", |code| code == 354, refusal).map(drop)
    }

    fn message(&mut self, message: &[u8]) -> Result<Reply, Stop> {
        self.phase("message");
        let sent_at = self.send(Step::Message, "message", &message::on_the_wire(message))?;
        // From here on the server may have taken it: what is lost now is not to be sent again (RFC 5321 section 6.1).
        let reply = self.receive(Step::Message, "message").map_err(|mut stop| {
            let kind = match stop.cause {
                Cause::Network(ErrorKind::Timeout) => Some(Kind::Timeout),
                // We were stopped: that is no loss.
                Cause::Network(ErrorKind::LimitExceeded) | Cause::Own(..) => None,
                Cause::Network(_) => Some(Kind::ReadFailed),
            };
            if let Some(kind) = kind {
                stop.cause = Cause::Own(kind, code::DELIVERY_AMBIGUOUS);
                stop.text = format!("ambiguous: the mail may have been delivered: {}", stop.text);
            }
            stop
        })?;
        self.report.set_span("message_time_ms", sent_at, reply.at);
        let refusal = Refusal { step: Step::Message, kind: Kind::Rejected, code: code::MESSAGE_REFUSED };
        let reply = self.judge(reply, "message", is_completion, refusal)?;
        if let Some(id) = queue_id::find(&reply.lines.join(" ")) {
            self.report.set("queue_id", Value::Text(id.to_owned()));
        }
        Ok(reply)
    }
}
