//! The dialogue: which steps are taken, in which order, and how it ends. A job and a transport in; always a report out, with
//! everything measured up to a failure.

use crate::{
    auth,
    error::ErrorCode,
    field::Field,
    hello,
    job::Job,
    mail, opening,
    parameters::{Parameters, Security},
    reply::Within,
    report::{Cause, Failure, Report, Value},
    session::Session,
    step::{AUTH, BANNER, CONNECT, DATA, EHLO, MAIL, MESSAGE, QUIT, RCPT, STARTTLS, Step, TLS},
    stop::Stop,
    tls,
    transport::Transport,
};

/// Up to ready for a mail: field `login_time_ms`.
const LOGIN: &[Planned] = &[
    plan(CONNECT, always, opening::connect),
    plan(TLS, at_once, tls::handshake),
    plan(BANNER, always, opening::greeting),
    plan(EHLO, always, hello::ehlo),
    plan(STARTTLS, after_starttls, tls::starttls),
    plan(TLS, after_starttls, tls::handshake),
    plan(EHLO, after_starttls, hello::ehlo),
    plan(AUTH, |parameters| !parameters.username.is_empty(), auth::login),
];

/// The mail transaction, if there is a recipient: field `transfer_time_ms`.
const TRANSFER: &[Planned] = &[
    plan(MAIL, always, mail::mail),
    plan(RCPT, always, mail::recipients),
    plan(DATA, always, mail::data),
    plan(MESSAGE, always, mail::message),
];

/// A step in its place.
struct Planned {
    step: Step,
    /// Whether a job takes it.
    when: fn(&Parameters) -> bool,
    take: fn(&mut Session<'_>) -> Result<(), Stop>,
}

const fn plan(
    step: Step,
    when: fn(&Parameters) -> bool,
    take: fn(&mut Session<'_>) -> Result<(), Stop>,
) -> Planned {
    Planned { step, when, take }
}

fn always(_: &Parameters) -> bool {
    true
}

fn at_once(parameters: &Parameters) -> bool {
    parameters.connection == Security::Tls
}

fn after_starttls(parameters: &Parameters) -> bool {
    parameters.connection == Security::StartTls
}

/// How long the answer to QUIT is waited for: it changes nothing any more.
const QUIT_WAIT_MS: u32 = 2_000;
/// A code where there is none.
const NO_CODE: i64 = -1;

/// Opens a session, and sends a mail if the parameters name a recipient.
pub fn run(transport: &mut dyn Transport, job: &Job<'_>) -> Report {
    let mut session = Session::new(transport, job);
    let ended = converse(&mut session);
    end(session, ended)
}

/// A report for parameters that cannot be used.
#[must_use]
pub fn invalid(text: String) -> Report {
    let mut report = Report::default();
    report.set(Field::SequenceCode, Value::Integer(NO_CODE));
    report.set(Field::ResponseCode, Value::Integer(NO_CODE));
    report.failure = Some(Failure { cause: Cause::own(ErrorCode::ParameterInvalid), text });
    report
}

fn converse(session: &mut Session<'_>) -> Result<(), Stop> {
    take(session, LOGIN)?;
    let login = session.tls_wait + sum(&session.report, LOGIN);
    session.report.set(Field::LoginTime, Value::Time(login));
    if session.job.parameters.to.is_empty() {
        return Ok(());
    }
    let taken = take(session, TRANSFER);
    if let Some(refused) = session.refused.take() {
        // Where the mail went to the others, refused is refused.
        return Err(match taken {
            Ok(()) => refused,
            Err(later) => later.behind(&refused),
        });
    }
    taken?;
    let transfer = sum(&session.report, TRANSFER);
    session.report.set(Field::TransferTime, Value::Time(transfer));
    Ok(())
}

fn take(session: &mut Session<'_>, planned: &[Planned]) -> Result<(), Stop> {
    for Planned { step, when, take } in planned {
        if when(session.job.parameters) {
            session.enter(step);
            take(session)?;
        }
    }
    Ok(())
}

/// Sums the times of steps as they stand on the line; a step that is taken twice has one.
fn sum(report: &Report, planned: &[Planned]) -> u64 {
    let theirs = |time: &&Field| planned.iter().any(|planned| planned.step.time == Some(**time));
    Field::ALL.iter().filter(theirs).map(|time| report.time(*time)).sum()
}

fn end(mut session: Session<'_>, ended: Result<(), Stop>) -> Report {
    let (in_step, decided) = match look_before_quit(&mut session, ended) {
        Ok(()) => {
            session.enter(&QUIT);
            session.report.set(Field::SequenceCode, Value::Integer(0));
            session.report.set(Field::ResponseCode, Value::Integer(0));
            (true, session.last.take())
        }
        Err(stop) => {
            let refused = stop.reply.as_ref().filter(|reply| reply.is_refusal());
            let response = refused.map_or(NO_CODE, |reply| i64::from(reply.code));
            session.report.set(Field::SequenceCode, Value::Integer(stop.step.code));
            session.report.set(Field::ResponseCode, Value::Integer(response));
            session.report.failure = Some(Failure { cause: stop.cause, text: stop.text });
            (stop.in_step, stop.reply)
        }
    };
    if let Some(reply) = decided {
        session.report.set(Field::ReplyCode, Value::Integer(i64::from(reply.code)));
        if let Some(status) = reply.enhanced_status() {
            session.report.set(Field::EnhancedStatus, Value::Text(status.to_owned()));
        }
    }
    if in_step {
        quit(&mut session);
    }
    session.report
}

/// What stands unread before QUIT counts as before any command, but a refusal stands. That nobody is there any more changes
/// nothing.
fn look_before_quit(session: &mut Session<'_>, ended: Result<(), Stop>) -> Result<(), Stop> {
    let due = match &ended {
        Ok(()) => session.behind.0,
        Err(stop) if stop.in_step => stop.step,
        Err(_) => return ended,
    };
    match (session.look(&due, "QUIT"), ended) {
        (Err(_), Err(stop)) if stop.reply.is_some() => Err(Stop { in_step: false, ..stop }),
        (Ok(()) | Err(Stop { cause: Cause::Network(_), .. }), ended) => ended,
        (Err(found), _) => Err(found),
    }
}

/// Good manners; how it goes changes nothing.
fn quit(session: &mut Session<'_>) {
    let Ok(sent_at) = session.transport.write(b"QUIT\r\n") else { return };
    let within = Within { since: sent_at, ms: QUIT_WAIT_MS };
    if let Ok(reply) = session.receive(&QUIT, "QUIT", Some(within)) {
        drop(session.judge(&QUIT, "QUIT", sent_at, reply));
    }
}

#[cfg(test)]
mod tests;
