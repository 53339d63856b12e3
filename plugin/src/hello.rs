//! How we introduce ourselves: EHLO, HELO where that is refused for good, and LHLO to know an LMTP server by. What the server
//! offers then stands in the session.

use crate::{
    error::ErrorCode,
    field::Field,
    reply::Reply,
    report::{Cause, Value},
    session::Session,
    step::{EHLO, LHLO, Step},
    stop::Stop,
};

pub(crate) fn ehlo(session: &mut Session<'_>) -> Result<(), Stop> {
    // Before TLS nothing learnt counts (RFC 3207 section 4.2).
    session.extensions.clear();
    session.ehlo_refused = None;
    match hello(session, &EHLO, "EHLO") {
        Ok(reply) => {
            // The first line is the server's name. The others as they were said: texts show them, and secrets are looked for
            // as they are.
            session.extensions = reply.lines.iter().skip(1).map(|line| line.trim().to_owned()).collect();
            Ok(())
        }
        Err(refused) if refused.is_for_good() => helo(session, refused),
        Err(stop) => Err(stop),
    }
}

/// Where the server is gone or silent now, what it had to say is its refusal of EHLO; else that is told as well, for it may be the
/// reason of all that follows.
fn helo(session: &mut Session<'_>, refused: Stop) -> Result<(), Stop> {
    let answered = session.report.time(Field::EhloTime);
    session.ehlo_refused = Some(refused.text.clone());
    match hello(session, &EHLO, "HELO").map_err(|stop| with_reason(stop, &refused)) {
        Ok(_) => Ok(()),
        Err(stop) if stop.is_loss() => {
            session.report.set(Field::EhloTime, Value::Time(answered));
            Err(Stop { in_step: false, ..refused })
        }
        Err(stop) if stop.is_for_good() => Err(lhlo(session, stop)),
        Err(stop) => Err(stop),
    }
}

/// A refusal of HELO, and that of EHLO before it.
fn with_reason(stop: Stop, refused: &Stop) -> Stop {
    match (&stop.reply, &refused.reply) {
        (Some(last), Some(first)) if last.is_refusal() && last.lines != first.lines => stop.behind(refused),
        _ => stop,
    }
}

/// A server that knows only LHLO speaks LMTP (RFC 2033). Any other answer leaves the refusal as it is.
fn lhlo(session: &mut Session<'_>, refused: Stop) -> Stop {
    match hello(session, &LHLO, "LHLO") {
        Ok(_) => Stop {
            cause: Cause::own(ErrorCode::SpeaksLmtp),
            text: format!("this is LMTP, not SMTP: LHLO is accepted; {}", refused.text),
            ..refused
        },
        Err(stop) => Stop { in_step: stop.in_step, ..refused },
    }
}

fn hello(session: &mut Session<'_>, step: &Step, verb: &str) -> Result<Reply, Stop> {
    let command = format!("{verb} {}", session.job.parameters.ehlo_name);
    session.exchange(step, verb, &command)
}
