//! CRAM-MD5 (RFC 2195): the name, and a digest of password and challenge. The digest is not mail-send's, which takes a password of 64
//! bytes for one that is longer than a block, and sends another one's (RFC 2104 section 2).

use encodify::base64::STANDARD;
use hmac::{Hmac, Mac};
use md5::Md5;

use super::mechanism::{Mechanism, NotBase64, Word};
use crate::parameters::Auth;

pub(crate) struct CramMd5<'a> {
    pub(crate) username: &'a str,
    pub(crate) password: &'a str,
}

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
        let Some(challenge) = challenge else { return Ok(Word::none()) };
        let challenge = STANDARD.decode(challenge).map_err(|_| NotBase64)?;
        // Of any length: this kind of key is never refused.
        let hmac =
            Hmac::<Md5>::new_from_slice(self.password.as_bytes()).map(|hmac| hmac.chain_update(challenge));
        let digest = hmac.map(|hmac| hmac.finalize().into_bytes()).unwrap_or_default();
        Ok(Word::last(STANDARD.encode(format!("{} {digest:x}", self.username))))
    }
}
