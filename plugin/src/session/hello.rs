//! How we introduce ourselves: EHLO, HELO where that is refused for good, and LHLO to know an LMTP server by.

use super::{EHLO, LHLO, Phase, Session, Stop};
use crate::{
    error::ErrorCode,
    field::Field,
    reply::Reply,
    report::{Cause, Value},
    transport::Transport,
};

impl<T: Transport> Session<'_, T> {
    /// EHLO, or HELO where that is refused for good.
    pub(super) fn ehlo(&mut self) -> Result<(), Stop> {
        self.phase("ehlo");
        // Before TLS nothing learnt counts (RFC 3207 section 4.2).
        self.extensions.clear();
        match self.hello(&EHLO, "EHLO") {
            Ok(reply) => {
                // The first line is the server's name.
                let keywords = reply.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase());
                self.extensions = keywords.collect();
                Ok(())
            }
            Err(refused) if refused.is_for_good() => self.helo(refused),
            Err(stop) => Err(stop),
        }
    }

    /// Where the server is gone or silent now, what it had to say is its refusal of EHLO.
    fn helo(&mut self, refused: Stop) -> Result<(), Stop> {
        let answered = self.report.time(Field::EhloTime);
        match self.hello(&EHLO, "HELO") {
            Ok(_) => Ok(()),
            Err(stop) if stop.is_loss() => {
                self.report.set(Field::EhloTime, Value::Time(answered));
                Err(Stop { in_step: false, ..refused })
            }
            Err(stop) if stop.is_for_good() => Err(self.lhlo(stop)),
            Err(stop) => Err(stop),
        }
    }

    /// A server that knows only LHLO speaks LMTP (RFC 2033). Any other answer leaves the refusal as it is.
    fn lhlo(&mut self, refused: Stop) -> Stop {
        match self.hello(&LHLO, "LHLO") {
            Ok(_) => Stop {
                cause: Cause::own(ErrorCode::SpeaksLmtp),
                text: format!("this is LMTP, not SMTP: LHLO is accepted; {}", refused.text),
                ..refused
            },
            Err(stop) => Stop { in_step: stop.in_step, ..refused },
        }
    }

    fn hello(&mut self, phase: &Phase, verb: &str) -> Result<Reply, Stop> {
        let command = format!("{verb} {}", self.parameters.ehlo_name);
        self.exchange(phase, verb, &command)
    }

    /// The arguments of an extension that the server offers.
    pub(crate) fn extension(&self, keyword: &str) -> Option<&str> {
        self.extensions.iter().find_map(|line| {
            let rest = line.strip_prefix(keyword)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
        })
    }
}
