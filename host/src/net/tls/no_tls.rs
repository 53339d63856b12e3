//! Why the rules of a job's TLS cannot work, by the key that is wrong.

use std::fmt;

use rustls::pki_types::pem;

/// Why rules cannot work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoTls {
    /// Not a name.
    ServerName(String),
    /// What is wrong with `ca_file`.
    CaFile(String),
    /// What is wrong with `crl_file`.
    CrlFile(&'static str),
    /// What is wrong with `client_cert`.
    ClientCert(&'static str),
    /// What is wrong with `client_key`.
    ClientKey(&'static str),
    /// What is wrong with both together.
    ClientPair(&'static str),
}

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerName(name) => write!(f, "`{name}` is no name that a certificate can have"),
            Self::CaFile(wrong) => write!(f, "ca_file: {wrong}"),
            Self::CrlFile(wrong) => write!(f, "crl_file: {wrong}"),
            Self::ClientCert(wrong) => write!(f, "client_cert: {wrong}"),
            Self::ClientKey(wrong) => write!(f, "client_key: {wrong}"),
            Self::ClientPair(wrong) => write!(f, "client_cert and client_key: {wrong}"),
        }
    }
}

impl std::error::Error for NoTls {}

/// Why something is no PEM.
pub(super) fn pem_words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "not PEM: a section has no end",
        pem::Error::IllegalSectionStart { .. } => "not PEM: a section begins wrongly",
        pem::Error::Base64Decode(_) => "not PEM: a section is not base64",
        pem::Error::NoItemsFound => "nothing of the kind in it",
        _ => "not PEM",
    }
}
