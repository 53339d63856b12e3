//! The way to TLS (RFC 3207): STARTTLS where it is offered, and the host's handshake.

use crate::{
    error::ErrorCode,
    session::Session,
    step::{STARTTLS, TLS},
    stop::Stop,
};

pub(crate) fn starttls(session: &mut Session<'_>) -> Result<(), Stop> {
    if session.extension("STARTTLS").is_none() {
        let text = format!("STARTTLS: the server does not offer it; it offers {}", session.offer());
        return Err(Stop::own(&STARTTLS, ErrorCode::StarttlsNotOffered, text));
    }
    session.exchange(&STARTTLS, "STARTTLS", "STARTTLS").map(drop)
}

/// That nothing unread waits before it is the host's to see to.
pub(crate) fn handshake(session: &mut Session<'_>) -> Result<(), Stop> {
    let secured = session.transport.start_tls().map_err(|fault| Stop::fault(&TLS, "", fault))?;
    session.ready_at = secured.at;
    session.tls_wait = secured.wait / 1_000;
    session.unproven = true;
    session.secured = true;
    session.verify_error = secured.verify_error;
    Ok(())
}
