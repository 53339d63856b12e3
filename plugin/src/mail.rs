//! The mail transaction (RFC 5321 section 3.3): MAIL, RCPT for each recipient, DATA, the message, once.

use crate::{
    error::{ErrorCode, Kind},
    field::Field,
    message, queue_id,
    report::{Cause, Value},
    session::Session,
    step::{DATA, MAIL, MESSAGE, RCPT},
    stop::Stop,
};

/// Bytes that are said of recipients that are refused: more than is shown. Of thousands it would be copied on and on.
const TOLD_BYTES: usize = 1024;

pub(crate) fn mail(session: &mut Session<'_>) -> Result<(), Stop> {
    let job = session.job;
    let message = message::build(job.parameters, job.time, job.run_id);
    let mut command = format!("MAIL FROM:<{}>", job.parameters.from);
    if let Some(limit) = session.extension("SIZE") {
        let limit: usize = limit.parse().unwrap_or(0);
        if limit != 0 && message.len() > limit {
            let text = format!("MAIL: the mail has {} bytes, the server takes {limit}", message.len());
            return Err(Stop::own(&MAIL, ErrorCode::MessageTooLarge, text));
        }
        command = format!("{command} SIZE={}", message.len());
    }
    session.mail = message;
    session.exchange(&MAIL, "MAIL", &command).map(drop)
}

/// Goes on where one was accepted, and keeps the first refusal, with the others that were refused.
pub(crate) fn recipients(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut accepted = 0;
    for to in &session.job.parameters.to {
        let name = format!("RCPT TO:<{to}>");
        match session.exchange(&RCPT, &name, &name) {
            Ok(_) => accepted += 1,
            Err(stop) if stop.in_step => match &mut session.refused {
                Some(first) if first.text.len() > TOLD_BYTES => {}
                Some(first) => first.text.extend(["; also refused: <", to, ">"]),
                none => *none = Some(stop),
            },
            Err(stop) => return Err(stop),
        }
    }
    if accepted > 0 { Ok(()) } else { session.refused.take().map_or(Ok(()), Err) }
}

pub(crate) fn data(session: &mut Session<'_>) -> Result<(), Stop> {
    session.exchange(&DATA, "DATA", "DATA").map(drop)
}

pub(crate) fn message(session: &mut Session<'_>) -> Result<(), Stop> {
    let wire = message::on_the_wire(&session.mail);
    let sent_at = session.send(&MESSAGE, "message", &wire)?;
    // From here on the server may have taken it: what is lost now is not to be sent again (RFC 5321 section 6.1).
    let reply = session.receive(&MESSAGE, "message", None).map_err(ambiguous)?;
    let reply = session.judge(&MESSAGE, "message", sent_at, reply)?;
    if let Some(id) = queue_id::find(&reply.lines.join(" ")) {
        session.report.set(Field::QueueId, Value::Text(id.to_owned()));
    }
    Ok(())
}

fn ambiguous(stop: Stop) -> Stop {
    if !stop.is_loss() {
        return stop;
    }
    let kind = if stop.is_silence() { Kind::Timeout } else { Kind::ReadFailed };
    Stop {
        cause: Cause::Own(kind, ErrorCode::DeliveryAmbiguous),
        text: format!("ambiguous: the mail may have been delivered: {}", stop.text),
        ..stop
    }
}
