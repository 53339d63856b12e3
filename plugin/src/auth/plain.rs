//! PLAIN (RFC 4616): name and password at once, with the command.

use mail_send::Credentials;
use smtp_proto::AUTH_PLAIN;

use super::mechanism::{Mechanism, NotBase64, Word};
use crate::parameters::Auth;

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

    fn next(&mut self, _: Option<&str>) -> Result<Word, NotBase64> {
        Ok(Word::last(self.0.encode(AUTH_PLAIN, "")?))
    }
}
