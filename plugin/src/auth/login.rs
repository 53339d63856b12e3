//! LOGIN (draft-murchison-sasl-login): name, then password, each when asked. The questions' words count for nothing: servers
//! word them as they like.

use mail_send::Credentials;
use smtp_proto::AUTH_LOGIN;

use super::mechanism::{Mechanism, NotBase64, Word};
use crate::parameters::Auth;

/// The questions as the library knows them: "Username:" and "Password:".
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

pub(crate) struct Login<'a> {
    credentials: Credentials<&'a str>,
    named: bool,
}

impl<'a> Login<'a> {
    pub(crate) fn new(credentials: Credentials<&'a str>) -> Self {
        Self { credentials, named: false }
    }
}

impl Mechanism for Login<'_> {
    fn name(&self) -> &'static str {
        "LOGIN"
    }

    fn asked_for_by(&self) -> Auth {
        Auth::Login
    }

    fn shows_password(&self) -> bool {
        true
    }

    fn next(&mut self, challenge: Option<&str>) -> Result<Word, NotBase64> {
        if challenge.is_none() {
            return Ok(Word::none());
        }
        if self.named {
            let text = self.credentials.encode(AUTH_LOGIN, PASSWORD)?;
            return Ok(Word { called: ", password", ..Word::last(text) });
        }
        self.named = true;
        let text = self.credentials.encode(AUTH_LOGIN, USERNAME)?;
        Ok(Word { text, called: ", user name", is_last: false })
    }
}
