//! The way to TLS (RFC 3207): STARTTLS where it is offered, and the host's handshake.

use super::{STARTTLS, Session, Step, Stop};
use crate::{
    error::ErrorCode,
    transport::{Instant, Transport},
};

impl<T: Transport> Session<'_, T> {
    pub(super) fn starttls_command(&mut self) -> Result<(), Stop> {
        self.phase("starttls");
        if !self.extensions.iter().any(|line| line == "STARTTLS") {
            let text = "STARTTLS: the server does not offer it".to_owned();
            return Err(Stop::own(Step::Tls, ErrorCode::StarttlsNotOffered, text));
        }
        self.exchange(&STARTTLS, "STARTTLS", "STARTTLS").map(drop)
    }

    /// Gives the end of the handshake. That nothing unread waits before it is the host's to see to.
    pub(super) fn start_tls(&mut self) -> Result<Instant, Stop> {
        self.phase("tls");
        let secured = self.transport.start_tls().map_err(|fault| Stop::fault(Step::Tls, "", fault))?;
        self.secured = true;
        self.unproven = true;
        self.tls_wait = secured.wait / 1_000;
        self.verify_error = secured.verify_error;
        Ok(secured.at)
    }
}
