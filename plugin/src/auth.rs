//! Login (RFC 4954): the mechanisms offered and the parameters in; accepted or a reason out. One attempt, and never a
//! readable password on an unprotected or unverified connection unless the operator said so.

use mail_send::Credentials;
use smtp_proto::{AUTH_CRAM_MD5, AUTH_LOGIN, AUTH_PLAIN};

use crate::{
    describe::code,
    parameters::Mechanism,
    reply::Reply,
    report::{Cause, Kind},
    session::{Refusal, Session, Step, Stop},
    transport::{Instant, Transport},
};

/// Strongest first.
const MECHANISMS: [(Mechanism, &str); 3] =
    [(Mechanism::CramMd5, "CRAM-MD5"), (Mechanism::Plain, "PLAIN"), (Mechanism::Login, "LOGIN")];
/// What the library takes the prompts of LOGIN to be; servers word them as they like.
const USERNAME_PROMPT: &str = "VXNlcm5hbWU6";
const PASSWORD_PROMPT: &str = "UGFzc3dvcmQ6";

const REFUSAL: Refusal = Refusal { step: Step::Login, kind: Kind::AuthFailed, code: code::AUTH_REFUSED };

fn stop(code: u32, text: String) -> Stop {
    Stop { step: Step::Login, cause: Cause::Own(Kind::AuthFailed, code), text, reply: None, in_step: true }
}

impl<T: Transport> Session<'_, T> {
    /// Gives the arrival of the reply that accepted us.
    pub(crate) fn login(&mut self) -> Result<Instant, Stop> {
        if let Some(error) = &self.verify_error {
            return Err(stop(
                code::CREDENTIALS_HELD_BACK,
                format!("AUTH: held back from an unverified server: {error}"),
            ));
        }
        let mechanism = self.choose()?;
        let parameters = self.parameters;
        let credentials = Credentials::new(&*parameters.username, &*parameters.password);
        let encode = |mechanism, challenge: &str| {
            credentials.encode(mechanism, challenge).map_err(|_| {
                let text = "AUTH: the server's challenge is not base64".to_owned();
                Stop {
                    cause: Cause::Own(Kind::ProtocolError, code::UNEXPECTED_REPLY),
                    in_step: false,
                    ..stop(0, text)
                }
            })
        };
        let (sent_at, reply) = match mechanism {
            Mechanism::CramMd5 => {
                let (sent_at, challenge) = self.ask("AUTH CRAM-MD5", "AUTH CRAM-MD5")?;
                let answer = encode(AUTH_CRAM_MD5, challenge.lines.first().map_or("", |line| line.trim()))?;
                (sent_at, self.exchange(Step::Login, "AUTH CRAM-MD5", &answer)?.reply)
            }
            Mechanism::Login => {
                let (sent_at, _) = self.ask("AUTH LOGIN", "AUTH LOGIN")?;
                self.ask("AUTH LOGIN, user name", &encode(AUTH_LOGIN, USERNAME_PROMPT)?)?;
                let answer = encode(AUTH_LOGIN, PASSWORD_PROMPT)?;
                (sent_at, self.exchange(Step::Login, "AUTH LOGIN, password", &answer)?.reply)
            }
            Mechanism::Plain | Mechanism::Auto => {
                let command = format!("AUTH PLAIN {}", encode(AUTH_PLAIN, "")?);
                let exchange = self.exchange(Step::Login, "AUTH PLAIN", &command)?;
                (exchange.sent_at, exchange.reply)
            }
        };
        self.report.set_span("auth_time_ms", sent_at, reply.at);
        let at = reply.at;
        self.judge(reply, "AUTH", |code| code == 235, REFUSAL)?;
        Ok(at)
    }

    fn ask(&mut self, name: &str, command: &str) -> Result<(Instant, Reply), Stop> {
        let exchange = self.exchange(Step::Login, name, command)?;
        if exchange.reply.code != 334 {
            self.report.set_span("auth_time_ms", exchange.sent_at, exchange.reply.at);
        }
        let reply = self.judge(exchange.reply, name, |code| code == 334, REFUSAL)?;
        Ok((exchange.sent_at, reply))
    }

    fn choose(&self) -> Result<Mechanism, Stop> {
        // Some servers still write AUTH=; the union of all such lines counts.
        let offered: Vec<&str> = self
            .extensions
            .iter()
            .filter_map(|line| line.strip_prefix("AUTH ").or_else(|| line.strip_prefix("AUTH=")))
            .flat_map(str::split_whitespace)
            .collect();
        let wanted = |mechanism: Mechanism| {
            matches!(self.parameters.auth, Mechanism::Auto) || self.parameters.auth == mechanism
        };
        let usable: Vec<_> = MECHANISMS
            .iter()
            .filter(|(mechanism, name)| wanted(*mechanism) && offered.contains(name))
            .collect();
        if usable.is_empty() {
            let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(" ") };
            return Err(stop(
                code::AUTH_NOT_OFFERED,
                format!("AUTH: no usable mechanism, the server offers {offered}"),
            ));
        }
        let readable = self.secured || self.parameters.allow_plaintext_auth;
        usable
            .iter()
            .find(|(mechanism, _)| readable || *mechanism == Mechanism::CramMd5)
            .map(|(mechanism, _)| *mechanism)
            .ok_or_else(|| {
                let text =
                    "AUTH: without TLS the password would be readable (allow_plaintext_auth permits it)";
                stop(code::PLAINTEXT_AUTH_NOT_ALLOWED, text.to_owned())
            })
    }
}
