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

/// Where the server does not refuse HELO as well, and says nothing to it, or nothing that is a reply, its refusal of EHLO decides.
/// It is told in any case, for it may be the reason of all that follows.
fn helo(session: &mut Session<'_>, refused: Stop) -> Result<(), Stop> {
    let answered = session.report.time(Field::EhloTime);
    session.ehlo_refused = Some(refused.text.clone());
    match hello(session, &EHLO, "HELO") {
        Ok(_) => Ok(()),
        Err(stop) if stop.is_refusal() => {
            let stop = with_reason(stop, &refused);
            Err(if stop.is_for_good() { lhlo(session, stop) } else { stop })
        }
        // EHLO's own reply, say, behind that to a proxy's header before it.
        Err(stop) if stop.is_out_of_place() => Err(stop.behind(&refused)),
        // Stopped by the host, nobody knows.
        Err(stop) if matches!(stop.cause, Cause::Network(_)) && !stop.is_loss() => Err(stop),
        Err(stop) => {
            session.report.set(Field::EhloTime, Value::Time(answered));
            let told = if stop.is_loss() { refused } else { refused.behind(&stop) };
            Err(Stop { in_step: false, ..told })
        }
    }
}

/// A refusal of HELO, and that of EHLO before it.
fn with_reason(stop: Stop, refused: &Stop) -> Stop {
    match (&stop.reply, &refused.reply) {
        (Some(last), Some(first)) if last.lines != first.lines => stop.behind(refused),
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
