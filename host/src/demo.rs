//! What `sonde demo` probes: a small mail server of our own on loopback, and the cases with what each must come to.

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
    /// Where.
    pub port: u16,
    /// How it must end.
    pub expected: Outcome,
    /// Its `sequence_code`.
    pub expected_sequence: i64,
}

/// All modes, a sent mail and a refused recipient.
#[must_use]
pub fn cases(server: &Server) -> Vec<Case> {
    let login = [("username", USERNAME), ("password", PASSWORD)];
    let case = |title, connection: &str, port, more: &[(&str, &str)]| {
        let all = [("connection", connection)].into_iter().chain(more.iter().copied());
        let parameters = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Case { title, parameters, port, expected: Outcome::Success, expected_sequence: 0 }
    };
    let mail = |to| [login[0], login[1], ("from", "probe@example.org"), ("to", to), ("subject", "Sonde")];
    vec![
        case("A plain session", "plain", server.plain.port(), &[]),
        case("STARTTLS and a login", "starttls", server.starttls.port(), &login),
        case("TLS from the first byte and a login", "tls", server.tls.port(), &login),
        case("A mail over TLS", "tls", server.tls.port(), &mail(RECIPIENT)),
        Case {
            expected: Outcome::Rejected,
            expected_sequence: 6,
            ..case("A refused recipient", "starttls", server.starttls.port(), &mail(REFUSED))
        },
    ]
}
