//! Why a session stops: at which step, by what, and whether the server still waits for a command.

use crate::{
    error::ErrorCode,
    reply::Reply,
    report::Cause,
    step::{AUTH, Step},
    transport::Fault,
};

/// The session ends here.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) step: Step,
    pub(crate) cause: Cause,
    pub(crate) text: String,
    /// The reply that decided, if one did.
    pub(crate) reply: Option<Reply>,
    /// Or the one that nobody asked for.
    pub(crate) unasked: Option<Reply>,
    /// The server waits for a command: QUIT is in order.
    pub(crate) in_step: bool,
}

impl Stop {
    /// By our own judgement, while the server waits for a command.
    pub(crate) fn own(step: &Step, code: ErrorCode, text: String) -> Self {
        Self { step: *step, cause: Cause::own(code), text, reply: None, unasked: None, in_step: true }
    }

    /// By a failed call: nothing more is said.
    pub(crate) fn fault(step: &Step, name: &str, fault: Fault) -> Self {
        let text = if name.is_empty() { fault.text } else { format!("{name}: {}", fault.text) };
        Self {
            step: *step,
            cause: Cause::Network(fault.kind),
            text,
            reply: None,
            unasked: None,
            in_step: false,
        }
    }

    /// By a reply that is not the good one.
    pub(crate) fn reply(step: &Step, name: &str, reply: Reply) -> Self {
        let code = match reply.code {
            421 => ErrorCode::ServiceClosing,
            400.. => step.refused,
            _ => ErrorCode::UnexpectedReply,
        };
        let doubt = match reply.code {
            334 if step.code == AUTH.code => " (it asks on, and has been told all)",
            _ if code == ErrorCode::UnexpectedReply => {
                " (that is no answer to it: the server's replies may be one behind)"
            }
            _ => "",
        };
        Self {
            step: *step,
            cause: Cause::own(code),
            text: format!("{name}: {}{doubt}", reply.text()),
            in_step: reply.is_refusal() && reply.whole && reply.code != 421,
            reply: Some(reply),
            unasked: None,
        }
    }

    /// Names what else went wrong as well: it may be the reason.
    pub(crate) fn behind(self, other: &Self) -> Self {
        Self { text: format!("{}; {}", self.text, other.text), ..self }
    }

    /// By a refusal.
    pub(crate) fn is_refusal(&self) -> bool {
        self.reply.as_ref().is_some_and(Reply::is_refusal)
    }

    /// By a reply that refuses nothing: it is out of place.
    pub(crate) fn is_out_of_place(&self) -> bool {
        let reply = self.reply.as_ref().or(self.unasked.as_ref());
        reply.is_some_and(|reply| !reply.is_refusal())
    }

    /// The server refuses for good, and goes on listening.
    pub(crate) fn is_for_good(&self) -> bool {
        self.in_step && self.reply.as_ref().is_some_and(|reply| reply.code >= 500)
    }

    /// The server is silent.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self.cause, Cause::Network(kind) if kind.is_silence())
    }

    /// No reply comes any more: the server is gone or silent, or the way to it is broken.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self.cause, Cause::Network(kind) if kind.is_loss())
    }
}
