//! What a mechanism of AUTH is (RFC 4954): the server's challenge in, our next word out. Refuses a challenge that it cannot
//! read.

use crate::parameters::Auth;

/// One mechanism, within one login.
pub(crate) trait Mechanism {
    /// Its name in EHLO and AUTH.
    fn name(&self) -> &'static str;

    /// The parameter's value that asks for this one alone.
    fn asked_for_by(&self) -> Auth;

    /// Whoever reads its words has the password.
    fn shows_password(&self) -> bool;

    /// What to say next. No challenge: what goes with the command itself (the initial response).
    fn next(&mut self, challenge: Option<&str>) -> Result<Word, NotBase64>;
}

/// What we say.
pub(crate) struct Word {
    /// In base64; empty with a command that goes alone.
    pub(crate) text: String,
    /// What it is called in texts, behind the command's name.
    pub(crate) called: &'static str,
    /// The server is to accept or to refuse now, not to ask on.
    pub(crate) is_last: bool,
}

impl Word {
    /// Nothing: the server speaks first.
    pub(crate) fn none() -> Self {
        Self { text: String::new(), called: "", is_last: false }
    }

    pub(crate) fn last(text: String) -> Self {
        Self { text, called: "", is_last: true }
    }
}

/// The challenge is not base64.
#[derive(Debug)]
pub(crate) struct NotBase64;

impl From<mail_send::Error> for NotBase64 {
    fn from(_: mail_send::Error) -> Self {
        Self
    }
}
