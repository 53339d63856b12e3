//! What `sonde demo` probes: our own mail server's addresses in, the cases out, each with what it must come to.

pub mod server;

use std::collections::BTreeMap;

use self::server::{PASSWORD, RECIPIENT, REFUSED, Server, USERNAME};
use crate::report::Outcome;

/// One probe.
#[derive(Clone, Debug)]
pub struct Case {
    /// For people.
    pub title: &'static str,
    /// Of the check `smtp`, as text.
    pub parameters: BTreeMap<String, String>,
    /// How it must end.
    pub expected: Outcome,
    /// Its `sequence_code`.
    pub expected_sequence: i64,
}

/// The step that refuses a recipient, as in `sequence_code`.
const RCPT_STEP: i64 = 6;

/// All modes, all login mechanisms, a sent mail and a refused recipient.
#[must_use]
pub fn cases(server: &Server) -> Vec<Case> {
    let case = |title, connection: &str, more: &[(&str, &str)]| {
        let address = match connection {
            "plain" => server.plain,
            "starttls" => server.starttls,
            _ => server.tls,
        };
        let parameters = [("connection", connection), ("port", &*address.port().to_string())]
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Case { title, parameters, expected: Outcome::Success, expected_sequence: 0 }
    };
    let login = |mechanism| [("username", USERNAME), ("password", PASSWORD), ("auth", mechanism)];
    let mail = |to| {
        [
            ("from", "probe@example.org"),
            ("to", to),
            ("subject", "Sonde demonstration"),
            ("body", "<p>Sent by sonde demo.</p>"),
        ]
    };
    vec![
        case("A plain session", "plain", &[]),
        case("STARTTLS and a login by CRAM-MD5", "starttls", &login("cram-md5")),
        case("TLS from the first byte and a login by LOGIN", "tls", &login("login")),
        case(
            "A mail over TLS, after a login by PLAIN",
            "tls",
            &[&login("plain")[..], &mail(RECIPIENT)[..]].concat(),
        ),
        Case {
            expected: Outcome::Rejected,
            expected_sequence: RCPT_STEP,
            ..case("A refused recipient", "starttls", &mail(REFUSED))
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_case_goes_to_the_port_of_its_connection() {
        let server = Server::start().await.unwrap();
        let cases = cases(&server);
        assert_eq!(cases.len(), 5);
        for case in &cases {
            let address = match &*case.parameters["connection"] {
                "plain" => server.plain,
                "starttls" => server.starttls,
                "tls" => server.tls,
                other => panic!("{other}"),
            };
            assert_eq!(case.parameters["port"], address.port().to_string(), "{}", case.title);
        }
    }

    #[tokio::test]
    async fn only_the_refused_recipient_is_to_fail() {
        let server = Server::start().await.unwrap();
        for case in cases(&server) {
            let refused = case.parameters.get("to").is_some_and(|to| to == REFUSED);
            let expected = if refused { (Outcome::Rejected, 6) } else { (Outcome::Success, 0) };
            assert_eq!((case.expected, case.expected_sequence), expected, "{}", case.title);
        }
    }
}
