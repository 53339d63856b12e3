//! What the host measures of a run: a table of its fields, each with its meaning. Values come from `net`, and go onto the line
//! of every check; texts are the server's own, not yet clean.

use std::{fmt, net::IpAddr, time::Duration};

use crate::value::{FieldKind, Value};

/// A field that the host adds to every check's line.
#[derive(Clone, Copy, Debug)]
pub struct HostField {
    /// Its key on the line: lower-case letters and `_`. No check may announce it.
    pub name: &'static str,
    /// Of its value, on every line that has it.
    pub kind: FieldKind,
    /// `ms`, `s`, `d` or `%`; empty: none.
    pub unit: &'static str,
    /// One sentence for the operator, as tables of fields show it.
    pub doc: &'static str,
}

/// What can be measured.
trait Fact {
    const KIND: FieldKind;
    fn value(&self) -> Value;
}

impl Fact for Duration {
    const KIND: FieldKind = FieldKind::Float;
    fn value(&self) -> Value {
        Value::milliseconds(*self)
    }
}

impl Fact for IpAddr {
    const KIND: FieldKind = FieldKind::Text;
    fn value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

impl Fact for String {
    const KIND: FieldKind = FieldKind::Text;
    fn value(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Fact for i64 {
    const KIND: FieldKind = FieldKind::Integer;
    fn value(&self) -> Value {
        Value::Integer(*self)
    }
}

/// A struct of facts, each a field of the line; behind `beside` what is none.
macro_rules! facts {
    ($(#[$about:meta])* $name:ident {
        $(#[doc = $doc:literal] $member:ident: $kind:ty = $field:literal $unit:literal;)+
        beside { $($(#[$beside_about:meta])* $beside:ident: $beside_kind:ty;)* }
    }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(#[doc = $doc] pub $member: Option<$kind>,)+
            $($(#[$beside_about])* pub $beside: $beside_kind,)*
        }

        impl $name {
            /// Its fields, measured or not.
            pub const FIELDS: &'static [HostField] = &[$(HostField {
                name: $field,
                kind: <$kind as Fact>::KIND,
                unit: $unit,
                doc: $doc.trim_ascii(),
            },)+];

            /// What was measured of them.
            fn own_fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
                let all = [$(($field, self.$member.as_ref().map(Fact::value)),)+];
                all.into_iter().filter_map(|(name, value)| Some((name, value?)))
            }
        }
    };
}

facts! {
    /// What the host measured of a run.
    Measured {
        /// The whole run.
        total: Duration = "total_time_ms" "ms";
        /// What of it was ours: the whole less all waits for name servers and peers.
        own: Duration = "own_time_ms" "ms";
        beside {
            /// Of the first connection to the job's own endpoint.
            contact: Contact;
            /// Of the first connection to each of its further endpoints, by name.
            further: Vec<(String, Contact)>;
        }
    }
}

facts! {
    /// What the host measured of a connection.
    Contact {
        /// What the run waited for the name's addresses, about 0 where an earlier answer still held; absent for an IP address.
        dns: Duration = "dns_time_ms" "ms";
        /// Of the address that answered: from the first SYN until the TCP connection was established.
        connect: Duration = "connect_time_ms" "ms";
        /// What the TLS handshake waited for the server; when refused by us, up to our alert.
        tls: Duration = "tls_time_ms" "ms";
        /// The address connected to, or last tried.
        ip: IpAddr = "ip" "";
        beside {
            /// What TLS showed.
            tls_facts: TlsFacts;
        }
    }
}

facts! {
    /// What a TLS handshake showed, also when it failed.
    TlsFacts {
        /// Negotiated TLS version.
        version: String = "tls_version" "";
        /// Negotiated cipher suite.
        cipher: String = "tls_cipher" "";
        /// Negotiated key exchange group.
        group: String = "tls_group" "";
        /// Whole days to the earliest end on the verified path, else of the server's own certificate; negative when past.
        days_left: i64 = "cert_days_left" "d";
        /// That end, in Unix seconds.
        not_after: i64 = "cert_not_after" "s";
        /// Whole days to the earliest end in all that was presented, used or not.
        chain_days_left: i64 = "cert_chain_days_left" "d";
        /// What is left of the lifetime of the server's own certificate; negative when past.
        life_left_percent: i64 = "cert_life_left_percent" "%";
        /// Issuer of the server's certificate.
        issuer: String = "cert_issuer" "";
        /// What verification of the certificate found wrong.
        verify_error: String = "verify_error" "";
        beside {
            /// The certificate that ends at `not_after`.
            ends_first: Option<Ending>;
            /// The certificate that ends first of all that were presented.
            chain_ends_first: Option<Ending>;
        }
    }
}

/// What a field or tag of the host's is called that is about a further endpoint.
#[must_use]
pub fn of_endpoint(endpoint: &str, name: &str) -> String {
    format!("{endpoint}_{name}")
}

impl Contact {
    /// Its fields and those of its TLS, measured or not.
    pub fn all_fields() -> impl Iterator<Item = &'static HostField> {
        Self::FIELDS.iter().chain(TlsFacts::FIELDS)
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
        self.own_fields().chain(self.tls_facts.own_fields())
    }
}

impl Measured {
    /// The fields of what was measured, by name.
    pub fn fields(&self) -> impl Iterator<Item = (String, Value)> {
        let own =
            self.contact.fields().chain(self.own_fields()).map(|(name, value)| (name.to_owned(), value));
        let further = self.further.iter().flat_map(|(endpoint, contact)| {
            contact.fields().map(move |(name, value)| (of_endpoint(endpoint, name), value))
        });
        own.chain(further)
    }

    /// The certificate that a field of the line is about.
    #[must_use]
    pub fn ending(&self, field: &str) -> Option<&Ending> {
        let further = self.further.iter().find_map(|(endpoint, contact)| {
            contact.tls_facts.ending(field.strip_prefix(&**endpoint)?.strip_prefix('_')?)
        });
        self.contact.tls_facts.ending(field).or(further)
    }
}

impl TlsFacts {
    /// The certificate that a field is about.
    #[must_use]
    pub fn ending(&self, field: &str) -> Option<&Ending> {
        match field {
            "cert_days_left" | "cert_not_after" => self.ends_first.as_ref(),
            "cert_chain_days_left" => self.chain_ends_first.as_ref(),
            _ => None,
        }
    }
}

/// The certificate that ends before the others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ending {
    /// Where it stands.
    pub place: Place,
    /// Its subject, not yet clean.
    pub subject: String,
    /// Its end, in Unix seconds.
    pub at: i64,
}

/// Where a certificate stands in a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The server's own.
    Server,
    /// Between the server's own and a root.
    Intermediate,
    /// A trusted root.
    Root,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Server => "the server's own certificate",
            Place::Intermediate => "the intermediate certificate",
            Place::Root => "the root certificate",
        };
        let separator = if self.subject.is_empty() { "" } else { " " };
        write!(f, "ends first: {place}{separator}{}", self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_of_one_endpoint_however_endpoints_are_called() {
        // Or one called `a` and one called `a_tls` could write the same.
        let names: Vec<&str> = Contact::all_fields().map(|field| field.name).chain(["server"]).collect();
        for name in &names {
            assert!(!names.iter().any(|other| other.ends_with(&format!("_{name}"))), "{name}");
        }
    }

    #[test]
    fn what_was_measured_of_an_endpoint_has_its_name() {
        let days = |days_left| Contact {
            tls_facts: TlsFacts { days_left: Some(days_left), ..TlsFacts::default() },
            ..Contact::default()
        };
        let ending = Ending { place: Place::Server, subject: String::new(), at: 7 };
        let mut imap = days(5);
        imap.tls_facts.ends_first = Some(ending.clone());
        let measured =
            Measured { contact: days(9), further: vec![("imap".to_owned(), imap)], ..Measured::default() };
        let fields: Vec<_> = measured.fields().collect();
        let expected = [("cert_days_left", 9), ("imap_cert_days_left", 5)];
        assert_eq!(fields, expected.map(|(name, days)| (name.to_owned(), Value::Integer(days))));
        assert_eq!(measured.ending("imap_cert_days_left"), Some(&ending));
        assert_eq!((measured.ending("cert_days_left"), measured.ending("imap_ip")), (None, None));
    }
}
