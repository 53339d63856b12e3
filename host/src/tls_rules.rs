//! What a job says of TLS, as the operator gave it, in the file or by a flag. Files are not read yet, and what is in them is not
//! understood.

use std::fmt;

use clap::ValueEnum;
use serde::Deserialize;

// The docs of the members are none of the help, where a flag says all in one line.

/// How certificates are judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase", expecting = "\"full\", \"report\" or \"off\"")]
pub enum Verify {
    /// Fail closed.
    #[default]
    #[value(help = None::<&str>)]
    Full,
    /// Go on and report.
    #[value(help = None::<&str>)]
    Report,
    /// Not at all.
    #[value(help = None::<&str>)]
    Off,
}

/// The least TLS version accepted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, ValueEnum)]
#[serde(expecting = "\"1.2\" or \"1.3\"")]
pub enum TlsVersion {
    /// TLS 1.2
    #[default]
    #[serde(rename = "1.2")]
    #[value(name = "1.2", help = None::<&str>)]
    V12,
    /// TLS 1.3
    #[serde(rename = "1.3")]
    #[value(name = "1.3", help = None::<&str>)]
    V13,
}

/// A job's trust in its server's TLS, as the operator gave it: files read, and not yet understood.
#[derive(Clone, Debug, Default)]
pub struct TlsRules {
    /// How certificates are judged.
    pub verify: Verify,
    /// Name to ask for and to verify instead of the host's.
    pub server_name: Option<String>,
    /// The least version accepted.
    pub min_version: TlsVersion,
    /// PEM text of further trusted roots, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// PEM text of lists of revoked certificates.
    pub crl_pem: Option<Vec<u8>>,
    /// PEM text of a client certificate's chain and its key.
    pub client: Option<ClientIdentity>,
}

/// A client certificate.
#[derive(Clone)]
pub struct ClientIdentity {
    /// PEM text of the chain, leaf first.
    pub chain_pem: Vec<u8>,
    /// PEM text of the key.
    pub key_pem: Vec<u8>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(…)")
    }
}
