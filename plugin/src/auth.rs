//! Login (RFC 4954): the mechanisms offered and the parameters in; accepted or a reason out. One attempt, and never a
//! readable password on an unprotected or unverified connection unless the operator said so.

use mail_send::Credentials;
use smtp_proto::{AUTH_CRAM_MD5, AUTH_LOGIN, AUTH_PLAIN};

use crate::{
    error::ErrorCode,
    field::Field,
    parameters::Auth,
    reply::Reply,
    report::{Cause, Value},
    session::{AUTH, CHALLENGE, Phase, Session, Step, Stop},
    transport::Transport,
};

/// Strongest first.
const MECHANISMS: [(Auth, &str); 3] =
    [(Auth::CramMd5, "CRAM-MD5"), (Auth::Plain, "PLAIN"), (Auth::Login, "LOGIN")];
/// What the library takes the prompts of LOGIN to be; servers word them as they like.
const USERNAME_PROMPT: &str = "VXNlcm5hbWU6";
const PASSWORD_PROMPT: &str = "UGFzc3dvcmQ6";

fn stop(code: ErrorCode, text: String) -> Stop {
    Stop::own(Step::Login, code, text)
}

impl<T: Transport> Session<'_, T> {
    pub(crate) fn login(&mut self) -> Result<(), Stop> {
        self.phase("auth");
        let (mechanism, name) = self.choose()?;
        self.report.set(Field::AuthMechanism, Value::Text(name.to_owned()));
        let command = format!("AUTH {name}");
        if let Some(error) = &self.verify_error {
            let text = format!("{command}: held back from an unverified server: {error}");
            return Err(stop(ErrorCode::CredentialsHeldBack, text));
        }
        self.attempt(mechanism, &command).map(drop)
    }

    /// Gives the reply that accepted us.
    fn attempt(&mut self, mechanism: Auth, command: &str) -> Result<Reply, Stop> {
        let parameters = self.parameters;
        let credentials = Credentials::new(&*parameters.username, &*parameters.password);
        let encode = |mechanism, challenge: &str| {
            credentials.encode(mechanism, challenge).map_err(|_| {
                let text = format!("{command}: the server's challenge is not base64");
                Stop { in_step: false, ..stop(ErrorCode::UnexpectedReply, text) }
            })
        };
        match mechanism {
            Auth::CramMd5 => {
                let challenge = self.ask(&CHALLENGE, command, command)?;
                let challenge = challenge.lines.first().map_or("", |line| line.trim());
                let answer =
                    encode(AUTH_CRAM_MD5, challenge).inspect_err(|_| self.report.remove(Field::AuthTime))?;
                self.ask(&AUTH, command, &answer)
            }
            Auth::Login => {
                self.ask(&CHALLENGE, command, command)?;
                let username = encode(AUTH_LOGIN, USERNAME_PROMPT)?;
                self.ask(&CHALLENGE, &format!("{command}, user name"), &username)?;
                let password = encode(AUTH_LOGIN, PASSWORD_PROMPT)?;
                self.ask(&AUTH, &format!("{command}, password"), &password)
            }
            Auth::Plain | Auth::Auto => {
                self.ask(&AUTH, command, &format!("{command} {}", encode(AUTH_PLAIN, "")?))
            }
        }
    }

    /// Exchanges a line of the login. A refusal for now – a rate limit, a directory that is down – refuses no password.
    fn ask(&mut self, phase: &Phase, name: &str, line: &str) -> Result<Reply, Stop> {
        self.exchange(phase, name, line).map_err(|stop| {
            let for_now = stop.reply.as_ref().is_some_and(|reply| reply.code < 500);
            if for_now && stop.cause == Cause::own(ErrorCode::AuthRefused) {
                return Stop { cause: Cause::own(ErrorCode::AuthDeferred), ..stop };
            }
            stop
        })
    }

    fn choose(&self) -> Result<(Auth, &'static str), Stop> {
        // Some servers still write AUTH=; the union of all such lines counts.
        let offered: Vec<&str> = self
            .extensions
            .iter()
            .filter_map(|line| line.strip_prefix("AUTH ").or_else(|| line.strip_prefix("AUTH=")))
            .flat_map(str::split_whitespace)
            .collect();
        let any = self.parameters.auth == Auth::Auto;
        let wanted: Vec<_> = MECHANISMS
            .into_iter()
            .filter(|(mechanism, _)| any || self.parameters.auth == *mechanism)
            .collect();
        let usable: Vec<_> = wanted.iter().filter(|(_, name)| offered.contains(name)).collect();
        let Some((_, strongest)) = usable.first() else {
            let wanted: Vec<&str> = wanted.iter().map(|(_, name)| *name).collect();
            let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(" ") };
            let text = format!("AUTH: wanted is {}, the server offers {offered}", wanted.join(" or "));
            return Err(stop(ErrorCode::AuthNotOffered, text));
        };
        let readable = self.secured || self.parameters.allow_plaintext_auth;
        let allowed = usable.iter().find(|(mechanism, _)| readable || *mechanism == Auth::CramMd5);
        allowed.map(|chosen| **chosen).ok_or_else(|| {
            let text = format!(
                "AUTH {strongest}: without TLS the password would be readable (allow_plaintext_auth permits it)"
            );
            stop(ErrorCode::PlaintextAuthNotAllowed, text)
        })
    }
}
