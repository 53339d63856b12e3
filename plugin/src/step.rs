//! The steps of a session as a table: how each shows on the line, which replies are good there, and what a refusal is. The
//! order in which they are taken stands in `dialogue`.

use crate::{error::ErrorCode, field::Field};

/// One step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Field `sequence_code` where the session fails here.
    pub(crate) code: i64,
    /// Field `phase`.
    pub(crate) phase: &'static str,
    /// The field in which its waits add up.
    pub(crate) time: Option<Field>,
    /// The replies by which it goes on.
    pub(crate) good: fn(u16) -> bool,
    /// What a refusal is.
    pub(crate) refused: ErrorCode,
}

const fn step(
    code: i64,
    phase: &'static str,
    time: Field,
    good: fn(u16) -> bool,
    refused: ErrorCode,
) -> Step {
    Step { code, phase, time: Some(time), good, refused }
}

/// The host does it and tells its time; no reply of SMTP belongs to it.
const fn of_the_host(code: i64, phase: &'static str) -> Step {
    Step { code, phase, time: None, good: |_| false, refused: ErrorCode::UnexpectedReply }
}

/// The part of the connection that has a code of its own.
pub(crate) const NAME: Step = of_the_host(10, "connect");
pub(crate) const CONNECT: Step = of_the_host(11, "connect");
/// RFC 5321 calls it the greeting, the line the banner.
pub(crate) const BANNER: Step =
    step(1, "banner", Field::BannerTime, |code| code == 220, ErrorCode::GreetingRefused);
pub(crate) const EHLO: Step = step(3, "ehlo", Field::EhloTime, is_completion, ErrorCode::EhloRefused);
pub(crate) const STARTTLS: Step =
    step(4, "starttls", Field::StarttlsTime, |code| code == 220, ErrorCode::StarttlsRefused);
/// A handshake, with or without STARTTLS before it: one code, since to the operator both are TLS.
pub(crate) const TLS: Step = of_the_host(4, "tls");
pub(crate) const AUTH: Step = step(2, "auth", Field::AuthTime, |code| code == 235, ErrorCode::AuthRefused);
pub(crate) const MAIL: Step = step(5, "mail", Field::MailTime, is_completion, ErrorCode::MailRefused);
pub(crate) const RCPT: Step = step(6, "rcpt", Field::RcptTime, is_completion, ErrorCode::RecipientRefused);
pub(crate) const DATA: Step = step(7, "data", Field::DataTime, is_intermediate, ErrorCode::DataRefused);
pub(crate) const MESSAGE: Step =
    step(8, "message", Field::MessageTime, is_completion, ErrorCode::MessageRefused);
/// Never fails: its code is only reserved.
pub(crate) const QUIT: Step = step(9, "quit", Field::QuitTime, |_| true, ErrorCode::UnexpectedReply);

/// A question of our own within EHLO, beside the session proper: in no time.
pub(crate) const LHLO: Step = Step { time: None, ..EHLO };
/// A line of AUTH that is not the last one: the server is to ask on.
pub(crate) const CHALLENGE: Step = Step { good: |code| code == 334, ..AUTH };

/// Any reply of the class stands for its 250 (RFC 5321 section 4.2: an unknown code counts by its first digit), but those that
/// are known, and answer something else: a greeting, QUIT, AUTH.
fn is_completion(code: u16) -> bool {
    (200..300).contains(&code) && !matches!(code, 220 | 221 | 235)
}

/// The same of 354, but a question of AUTH.
fn is_intermediate(code: u16) -> bool {
    (300..400).contains(&code) && code != 334
}
