//! The steps of a session as a table: where each stands, what its time is called, what is good there and what a refusal
//! means; and how a session stops at one.

use crate::{error::ErrorCode, field::Field, reply::Reply, report::Cause, transport::Fault};

/// The step that failed: field `sequence_code`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Greeting = 1,
    Login = 2,
    Ehlo = 3,
    Tls = 4,
    Mail = 5,
    Rcpt = 6,
    Data = 7,
    Message = 8,
    Name = 10,
    Connection = 11,
    Internal = -1,
}

/// What an exchange is part of.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) step: Step,
    /// The field in which its waits add up.
    pub(crate) time: Option<Field>,
    pub(crate) good: fn(u16) -> bool,
    /// What a refusal is.
    pub(crate) refused: ErrorCode,
}

const fn phase(step: Step, time: Field, good: fn(u16) -> bool, refused: ErrorCode) -> Phase {
    Phase { step, time: Some(time), good, refused }
}

pub(crate) const GREETING: Phase =
    phase(Step::Greeting, Field::BannerTime, |code| code == 220, ErrorCode::GreetingRefused);
pub(crate) const EHLO: Phase = phase(Step::Ehlo, Field::EhloTime, is_completion, ErrorCode::EhloRefused);
/// A question of our own, beside the session proper.
pub(crate) const LHLO: Phase = Phase { time: None, ..EHLO };
pub(crate) const STARTTLS: Phase = Phase {
    step: Step::Tls,
    time: Some(Field::StarttlsTime),
    good: |code| code == 220,
    refused: ErrorCode::StarttlsRefused,
};
pub(crate) const AUTH: Phase = Phase {
    step: Step::Login,
    time: Some(Field::AuthTime),
    good: |code| code == 235,
    refused: ErrorCode::AuthRefused,
};
pub(crate) const CHALLENGE: Phase = Phase { good: |code| code == 334, ..AUTH };
pub(crate) const MAIL: Phase = phase(Step::Mail, Field::MailTime, is_completion, ErrorCode::MailRefused);
pub(crate) const RCPT: Phase = phase(Step::Rcpt, Field::RcptTime, is_completion, ErrorCode::RecipientRefused);
pub(crate) const DATA: Phase = phase(Step::Data, Field::DataTime, |code| code == 354, ErrorCode::DataRefused);
pub(crate) const MESSAGE: Phase =
    phase(Step::Message, Field::MessageTime, is_completion, ErrorCode::MessageRefused);

/// Any reply of the class stands for its 250 (RFC 5321 section 4.2: an unknown code counts by its first digit).
fn is_completion(code: u16) -> bool {
    (200..300).contains(&code)
}

/// The session ends here.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) step: Step,
    pub(crate) cause: Cause,
    pub(crate) text: String,
    /// The reply that decided, if one did.
    pub(crate) reply: Option<Reply>,
    /// The server waits for a command: QUIT is in order.
    pub(crate) in_step: bool,
}

impl Stop {
    /// By our own judgement, while the server waits for a command.
    pub(crate) fn own(step: Step, code: ErrorCode, text: String) -> Self {
        Self { step, cause: Cause::own(code), text, reply: None, in_step: true }
    }

    /// By a failed call: nothing more is said.
    pub(crate) fn fault(step: Step, name: &str, fault: Fault) -> Self {
        let text = if name.is_empty() { fault.text } else { format!("{name}: {}", fault.text) };
        Self { step, cause: Cause::Network(fault.kind), text, reply: None, in_step: false }
    }

    /// By a reply that is not the good one.
    pub(crate) fn reply(phase: &Phase, name: &str, reply: Reply) -> Self {
        let code = match reply.code {
            421 => ErrorCode::ServiceClosing,
            400.. => phase.refused,
            _ => ErrorCode::UnexpectedReply,
        };
        let doubt = if code == ErrorCode::UnexpectedReply {
            " (that is no answer to it: the server's replies may be one behind)"
        } else {
            ""
        };
        Self {
            step: phase.step,
            cause: Cause::own(code),
            text: format!("{name}: {}{doubt}", reply.text()),
            in_step: reply.is_refusal() && reply.whole && reply.code != 421,
            reply: Some(reply),
        }
    }

    /// The server refuses for good, and goes on listening.
    pub(crate) fn is_for_good(&self) -> bool {
        self.in_step && self.reply.as_ref().is_some_and(|reply| reply.code >= 500)
    }

    /// The server is gone or silent.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self.cause, Cause::Network(kind) if kind.is_loss())
    }
}
