//! PLAIN (RFC 4616): name and password at once, with the command; behind its challenge where the line would be too long.

use mail_send::Credentials;
use smtp_proto::AUTH_PLAIN;

use super::mechanism::{Mechanism, NotBase64, Word};
use crate::parameters::Auth;

/// The longest word that goes with the command (RFC 4954 section 4): a command has at most 512 bytes, its line end included (RFC 5321
/// section 4.5.3.1.4), and servers refuse more.
const INITIAL_BYTES: usize = 512 - "AUTH PLAIN \r\n".len();

pub(crate) struct Plain<'a>(pub(crate) Credentials<&'a str>);

impl Mechanism for Plain<'_> {
    fn name(&self) -> &'static str {
        "PLAIN"
    }

    fn asked_for_by(&self) -> Auth {
        Auth::Plain
    }

    fn shows_password(&self) -> bool {
        true
    }

    fn next(&mut self, challenge: Option<&str>) -> Result<Word, NotBase64> {
        let text = self.0.encode(AUTH_PLAIN, "")?;
        let waits = challenge.is_none() && text.len() > INITIAL_BYTES;
        Ok(if waits { Word::none() } else { Word::last(text) })
    }
}
