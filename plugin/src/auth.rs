//! Login (RFC 4954): the mechanisms offered and the parameters in; accepted or a reason out. One attempt, and never a
//! readable password on an unprotected or unverified connection unless the operator said so.

mod cram_md5;
mod login;
mod mechanism;
mod plain;

use mail_send::Credentials;

use self::{cram_md5::CramMd5, login::Login, mechanism::Mechanism, plain::Plain};
use crate::{
    error::ErrorCode,
    field::Field,
    parameters::{Auth, Parameters},
    reply::Reply,
    report::{Cause, Value},
    session::{Session, behind},
    step::{AUTH, CHALLENGE},
    stop::Stop,
};

/// All mechanisms, the strongest first.
fn mechanisms(parameters: &Parameters) -> Vec<Box<dyn Mechanism + '_>> {
    let credentials = || Credentials::new(&*parameters.username, &*parameters.password);
    vec![
        Box::new(CramMd5 { username: &parameters.username, password: &parameters.password }),
        Box::new(Plain(credentials())),
        Box::new(Login::new(credentials())),
    ]
}

pub(crate) fn login(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut mechanism = choose(session)?;
    session.report.set(Field::AuthMechanism, Value::Text(mechanism.name().to_owned()));
    let command = format!("AUTH {}", mechanism.name());
    if let Some(error) = &session.verify_error {
        let text = format!("{command}: held back from an unverified server: {error}");
        return Err(Stop::own(&AUTH, ErrorCode::CredentialsHeldBack, text));
    }
    let mut challenge: Option<Reply> = None;
    loop {
        let asked = challenge.as_ref().map(|reply| reply.lines.first().map_or("", |line| line.trim()));
        let Ok(word) = mechanism.next(asked) else {
            session.report.remove(Field::AuthTime);
            let text = format!("{command}: the server's challenge is not base64");
            return Err(Stop { in_step: false, ..Stop::own(&AUTH, ErrorCode::UnexpectedReply, text) });
        };
        let line = match challenge {
            Some(_) => word.text,
            None if word.text.is_empty() => command.clone(),
            None => format!("{command} {}", word.text),
        };
        let step = if word.is_last { AUTH } else { CHALLENGE };
        let reply = session.exchange(&step, &format!("{command}{}", word.called), &line);
        let reply = reply.map_err(|stop| another_way(session, &*mechanism, deferred(stop)))?;
        if word.is_last {
            return Ok(());
        }
        challenge = Some(reply);
    }
}

/// A refusal for now – a rate limit, a directory that is down – refuses no password.
fn deferred(stop: Stop) -> Stop {
    let for_now = stop.reply.as_ref().is_some_and(|reply| reply.code < 500);
    if for_now && stop.cause == Cause::own(ErrorCode::AuthRefused) {
        return Stop { cause: Cause::own(ErrorCode::AuthDeferred), ..stop };
    }
    stop
}

/// Servers offer CRAM-MD5 that have no password for it, but a digest of their own.
fn another_way(session: &Session<'_>, mechanism: &dyn Mechanism, stop: Stop) -> Stop {
    let parameters = session.job.parameters;
    let by_itself = parameters.auth == Auth::Auto && mechanism.asked_for_by() == Auth::CramMd5;
    if !by_itself || stop.cause != Cause::own(ErrorCode::AuthRefused) {
        return stop;
    }
    let others = [("PLAIN", "plain"), ("LOGIN", "login")];
    let another = others.iter().find(|(name, _)| offered(session).any(|it| it.eq_ignore_ascii_case(name)));
    match another {
        Some((name, auth)) if may_show(session) => {
            let text = format!("{}; it offers {name} as well (auth = \"{auth}\")", stop.text);
            Stop { text, ..stop }
        }
        _ => stop,
    }
}

/// The mechanisms that the server offers. Some still write AUTH=; the union of all such lines counts.
fn offered<'a>(session: &'a Session<'_>) -> impl Iterator<Item = &'a str> {
    let lines = session.extensions.iter();
    let lines = lines.filter_map(|line| behind(line, "AUTH ").or_else(|| behind(line, "AUTH=")));
    lines.flat_map(str::split_whitespace)
}

/// Nobody on the way reads a password, or the operator does not mind.
fn may_show(session: &Session<'_>) -> bool {
    session.secured || session.job.parameters.allow_plaintext_auth
}

/// The strongest that is offered, wanted and allowed.
fn choose<'a>(session: &Session<'a>) -> Result<Box<dyn Mechanism + 'a>, Stop> {
    let parameters = session.job.parameters;
    let offered: Vec<&str> = offered(session).collect();
    let any = parameters.auth == Auth::Auto;
    let wanted: Vec<_> = mechanisms(parameters)
        .into_iter()
        .filter(|mechanism| any || mechanism.asked_for_by() == parameters.auth)
        .collect();
    let names: Vec<&str> = wanted.iter().map(|mechanism| mechanism.name()).collect();
    let is_offered = |name: &str| offered.iter().any(|offered| offered.eq_ignore_ascii_case(name));
    let Some(strongest) = names.iter().find(|name| is_offered(name)) else {
        let offered = if offered.is_empty() { session.offer() } else { offered.join(" ") };
        let text = format!("AUTH: wanted is {}, the server offers {offered}", names.join(" or "));
        return Err(Stop::own(&AUTH, ErrorCode::AuthNotOffered, text));
    };
    let may_show = may_show(session);
    let allowed = wanted
        .into_iter()
        .find(|mechanism| is_offered(mechanism.name()) && (may_show || !mechanism.shows_password()));
    allowed.ok_or_else(|| {
        let text = format!(
            "AUTH {strongest}: without TLS the password would be readable (allow_plaintext_auth permits it)"
        );
        Stop::own(&AUTH, ErrorCode::PlaintextAuthNotAllowed, text)
    })
}
