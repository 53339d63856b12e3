//! How a session opens (RFC 5321 section 3.1): the connection, and the server's greeting.

use crate::{
    field::Field,
    report::Value,
    session::Session,
    step::{BANNER, CONNECT, NAME},
    stop::Stop,
    transport::ErrorKind,
};

pub(crate) fn connect(session: &mut Session<'_>) -> Result<(), Stop> {
    let connected = session.transport.connect(session.job.host, session.job.port);
    session.ready_at = connected.map_err(|fault| {
        let of_the_name = matches!(
            fault.kind,
            ErrorKind::NameNotFound
                | ErrorKind::ResolverFailed
                | ErrorKind::ResolverTimeout
                | ErrorKind::ResolverRefused
                | ErrorKind::DnssecBogus
        );
        Stop::fault(if of_the_name { &NAME } else { &CONNECT }, "", fault)
    })?;
    Ok(())
}

pub(crate) fn greeting(session: &mut Session<'_>) -> Result<(), Stop> {
    let received = session.receive(&BANNER, "greeting", None);
    let reply = received.map_err(|stop| explain_silence(session, stop))?;
    session.report.set(Field::Banner, Value::Text(reply.lines.join(" ")));
    session.judge(&BANNER, "greeting", session.ready_at, reply).map(drop)
}

/// A server that has not said a word waits for TLS, or is too busy, or makes its clients wait on purpose.
fn explain_silence(session: &Session<'_>, stop: Stop) -> Stop {
    let silent = stop.is_silence() && session.reader.said().is_empty();
    if !silent || session.secured {
        return stop;
    }
    let text = format!(
        "{}; speaks TLS? (connection = \"tls\"); or its backlog is full, or it pauses before it greets",
        stop.text
    );
    Stop { text, ..stop }
}
