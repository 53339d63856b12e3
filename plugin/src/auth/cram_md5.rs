//! CRAM-MD5 (RFC 2195): the name, and a digest of password and challenge.

use mail_send::Credentials;
use smtp_proto::AUTH_CRAM_MD5;

use super::mechanism::{Mechanism, NotBase64, Word};
use crate::parameters::Auth;

pub(crate) struct CramMd5<'a>(pub(crate) Credentials<&'a str>);

impl Mechanism for CramMd5<'_> {
    fn name(&self) -> &'static str {
        "CRAM-MD5"
    }

    fn asked_for_by(&self) -> Auth {
        Auth::CramMd5
    }

    fn shows_password(&self) -> bool {
        false
    }

    fn next(&mut self, challenge: Option<&str>) -> Result<Word, NotBase64> {
        match challenge {
            None => Ok(Word::none()),
            Some(challenge) => Ok(Word::last(self.0.encode(AUTH_CRAM_MD5, challenge)?)),
        }
    }
}
