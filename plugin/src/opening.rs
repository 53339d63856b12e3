//! How a session opens (RFC 5321 section 3.1): the connection, and the server's greeting.

use crate::{
    field::Field,
    report::{Cause, Value},
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
    let reply = received.map_err(|stop| explain(session, stop))?;
    session.report.set(Field::Banner, Value::Text(reply.lines.join(" ")));
    session.judge(&BANNER, "greeting", session.ready_at, reply).map(drop)
}

/// A server that has not said a word may wait for TLS, or for a proxy to say whom it brings; or be too busy, or make its clients wait
/// on purpose. One that closes may not want us.
fn explain(session: &Session<'_>, stop: Stop) -> Stop {
    let without_a_word = session.reader.said().is_empty() && !session.secured;
    let perhaps = match stop.cause {
        Cause::Network(kind) if without_a_word && kind.is_silence() => {
            "speaks TLS? (connection = \"tls\"); or its backlog is full, or it pauses before it greets, or waits for a PROXY header"
        }
        Cause::Network(ErrorKind::ConnectionClosed | ErrorKind::ConnectionReset) if without_a_word => {
            "does it refuse this machine, or wait for a PROXY header?"
        }
        _ => return stop,
    };
    Stop { text: format!("{}; {perhaps}", stop.text), ..stop }
}
