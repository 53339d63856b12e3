//! The mail transaction (RFC 5321 section 3.3): MAIL, RCPT for each recipient, DATA, the message, once.

use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    message, queue_id,
    report::{Cause, Value},
    session::{DATA, MAIL, MESSAGE, RCPT, Session, Step, Stop},
    transport::{ErrorKind, Transport},
};

/// What a transfer is made of.
const TRANSFER_TIMES: [Field; 4] = [Field::MailTime, Field::RcptTime, Field::DataTime, Field::MessageTime];

impl<T: Transport> Session<'_, T> {
    pub(crate) fn mail(&mut self, time: u64, run_id: &str) -> Result<(), Stop> {
        self.phase("mail");
        let parameters = self.parameters;
        let message = message::build(parameters, time, run_id);
        let mut command = format!("MAIL FROM:<{}>", parameters.from);
        if let Some(limit) = self.extension("SIZE") {
            let limit: usize = limit.parse().unwrap_or(0);
            if limit != 0 && message.len() > limit {
                let text = format!("MAIL: the mail has {} bytes, the server takes {limit}", message.len());
                return Err(Stop::own(Step::Mail, ErrorCode::MessageTooLarge, text));
            }
            command = format!("{command} SIZE={}", message.len());
        }
        self.exchange(&MAIL, "MAIL", &command)?;
        let refused = self.recipients()?;
        self.phase("data");
        self.exchange(&DATA, "DATA", "DATA")?;
        self.message(&message)?;
        if let Some(stop) = refused {
            return Err(stop);
        }
        self.report.set(Field::TransferTime, Value::Time(self.sum(&TRANSFER_TIMES)));
        Ok(())
    }

    /// Gives the first refusal where others were accepted.
    fn recipients(&mut self) -> Result<Option<Stop>, Stop> {
        self.phase("rcpt");
        let (mut accepted, mut refused) = (0, None);
        for to in &self.parameters.to {
            let name = format!("RCPT TO:<{to}>");
            match self.exchange(&RCPT, &name, &name) {
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

    fn message(&mut self, message: &[u8]) -> Result<(), Stop> {
        self.phase("message");
        let sent_at = self.send(&MESSAGE, "message", &message::on_the_wire(message))?;
        // From here on the server may have taken it: what is lost now is not to be sent again (RFC 5321 section 6.1).
        let reply = self.receive(Step::Message, "message").map_err(|mut stop| {
            if stop.is_loss() {
                let silent = stop.cause == Cause::Network(ErrorKind::Timeout);
                let kind = if silent { Kind::Timeout } else { Kind::ReadFailed };
                stop.cause = Cause::Own(kind, ErrorCode::DeliveryAmbiguous);
                stop.text = format!("ambiguous: the mail may have been delivered: {}", stop.text);
            }
            stop
        })?;
        let reply = self.judge(&MESSAGE, "message", sent_at, reply)?;
        if let Some(id) = queue_id::find(&reply.lines.join(" ")) {
            self.report.set(Field::QueueId, Value::Text(id.to_owned()));
        }
        Ok(())
    }
}
