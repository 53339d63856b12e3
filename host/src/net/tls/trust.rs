//! What a job trusts and shows: its rules in, read once; a configuration for each of its handshakes out, which shares
//! everything. Refuses rules that cannot work, naming the key.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use rustls::{
    ClientConfig, InconsistentKeys,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::{
    group::P521,
    observer::{Observer, Seen},
    roots::Roots,
};
use crate::tls_rules::{ClientIdentity, TlsRules, TlsVersion, Verify};

/// The one provider of cryptography.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups.push(&P521);
        Arc::new(provider)
    })
}

/// Why rules cannot work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoTls {
    /// Not a name.
    ServerName(String),
    /// What is wrong with `ca_file`.
    CaFile(&'static str),
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

/// Whom to trust and who to be, without the name of the server: jobs that agree in it share one.
#[derive(Default)]
pub struct Trust {
    pub(super) verify: Verify,
    pub(super) min_version: TlsVersion,
    /// Beside the system's.
    pub(super) roots: Roots,
    pub(super) revoked: Arc<[CertRevocationList<'static>]>,
    pub(super) identity: Option<Arc<CertifiedKey>>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust(…)")
    }
}

/// A job's TLS: a name, and whom to trust.
#[derive(Debug, Default)]
pub struct Tls {
    pub(super) server_name: Option<ServerName<'static>>,
    pub(super) trust: Arc<Trust>,
}

impl Tls {
    /// By rules that nobody shares.
    pub fn new(rules: &TlsRules) -> Result<Self, NoTls> {
        Self::sharing(rules.server_name.as_deref(), Arc::new(Trust::new(rules)?))
    }

    /// By another job's rules, for a name of its own.
    pub fn sharing(server_name: Option<&str>, trust: Arc<Trust>) -> Result<Self, NoTls> {
        Ok(Self { server_name: server_name.map(name_of).transpose()?, trust })
    }

    /// For an endpoint that the job grants besides its own host: as strict, and revocation holds there as well, but by the
    /// system's roots alone, under the endpoint's own name, and without showing who the job is. None: that is the same.
    pub(in crate::net) fn elsewhere(&self) -> Option<Self> {
        let Trust { verify, min_version, roots, revoked, identity } = &*self.trust;
        if self.server_name.is_none() && roots.is_empty() && identity.is_none() {
            return None;
        }
        let (roots, revoked) = (Roots::default(), Arc::clone(revoked));
        let trust = Trust { verify: *verify, min_version: *min_version, roots, revoked, identity: None };
        Some(Self { server_name: None, trust: Arc::new(trust) })
    }

    /// Both trust the very same.
    #[must_use]
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.trust, &other.trust)
    }
}

/// A name that can be verified.
pub(super) fn name_of(name: &str) -> Result<ServerName<'static>, NoTls> {
    ServerName::try_from(name.to_owned()).map_err(|_| NoTls::ServerName(name.to_owned()))
}

impl Trust {
    /// Reads everything that the rules name; their `server_name` is not looked at.
    pub fn new(rules: &TlsRules) -> Result<Self, NoTls> {
        Ok(Self {
            verify: rules.verify,
            min_version: rules.min_version,
            roots: rules.ca_pem.as_deref().map(Roots::from_pem).transpose()?.unwrap_or_default(),
            revoked: rules.crl_pem.as_deref().map(revoked).transpose()?.unwrap_or_default().into(),
            identity: rules.client.as_ref().map(identity).transpose()?.map(Arc::new),
        })
    }

    /// All that a chain may end at.
    pub(super) fn roots(&self) -> [&Roots; 2] {
        [&self.roots, Roots::of_the_system()]
    }

    /// For one handshake, which writes into `seen`. The system's roots are read now if they were not yet, so that no
    /// handshake waits for them.
    pub(super) fn config(self: &Arc<Self>, seen: &Arc<Mutex<Seen>>) -> Result<ClientConfig, rustls::Error> {
        if self.verify != Verify::Off {
            self.roots();
        }
        let observer = Arc::new(Observer::new(self, seen));
        let mut config = template(self.min_version)?;
        config.dangerous().set_certificate_verifier(Arc::clone(&observer) as _);
        config.client_auth_cert_resolver = observer;
        Ok(config)
    }
}

/// What all handshakes have in common, built once.
fn template(min_version: TlsVersion) -> Result<ClientConfig, rustls::Error> {
    static TEMPLATES: [OnceLock<ClientConfig>; 2] = [OnceLock::new(), OnceLock::new()];
    let [from_12, from_13] = &TEMPLATES;
    let (template, versions): (_, &[_]) = match min_version {
        TlsVersion::V12 => (from_12, &[&rustls::version::TLS13, &rustls::version::TLS12]),
        TlsVersion::V13 => (from_13, &[&rustls::version::TLS13]),
    };
    if let Some(template) = template.get() {
        return Ok(template.clone());
    }
    // Each handshake puts its own in this one's place.
    let nobody = Arc::new(Observer::new(&Arc::default(), &Arc::default()));
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(nobody)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(template.get_or_init(|| config).clone())
}

fn revoked(pem: &[u8]) -> Result<Vec<CertRevocationList<'static>>, NoTls> {
    let mut lists = Vec::new();
    for list in CertificateRevocationListDer::pem_slice_iter(pem) {
        let list = list.map_err(|error| NoTls::CrlFile(pem_words(&error)))?;
        let list = OwnedCertRevocationList::from_der(&list).map_err(|error| {
            NoTls::CrlFile(match error {
                webpki::Error::UnsupportedDeltaCrl => "a delta list, which is not supported",
                webpki::Error::UnsupportedIndirectCrl => "an indirect list, which is not supported",
                webpki::Error::UnsupportedCrlVersion => "a list of version 1: version 2 is needed (`openssl ca` makes it where `crlnumber` is set)",
                _ => "not a usable list of version 2 (`openssl ca` makes it where `crlnumber` is set)",
            })
        })?;
        lists.push(list.into());
    }
    if lists.is_empty() { Err(NoTls::CrlFile("no revocation list in it")) } else { Ok(lists) }
}

fn identity(client: &ClientIdentity) -> Result<CertifiedKey, NoTls> {
    let chain = CertificateDer::pem_slice_iter(&client.chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| NoTls::ClientCert(pem_words(&error)))?;
    if chain.is_empty() {
        return Err(NoTls::ClientCert("no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(&client.key_pem).map_err(|error| match error {
        pem::Error::NoItemsFound => NoTls::ClientKey("no key in it that is not encrypted"),
        error => NoTls::ClientKey(pem_words(&error)),
    })?;
    CertifiedKey::from_der(chain, key, provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            NoTls::ClientPair("the key is not the certificate's")
        }
        rustls::Error::InvalidCertificate(_) => NoTls::ClientCert("not a usable certificate"),
        _ => NoTls::ClientKey("not a usable key"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_is_as_strict_and_knows_nothing_of_the_job() {
        let rules = TlsRules {
            verify: Verify::Report,
            min_version: TlsVersion::V13,
            server_name: Some("mail.example.org".to_owned()),
            ..TlsRules::default()
        };
        let own = Tls::new(&rules).unwrap();
        let elsewhere = own.elsewhere().unwrap();
        let (own, trust) = (&own.trust, &elsewhere.trust);
        assert_eq!((elsewhere.server_name.as_ref(), trust.verify), (None, Verify::Report));
        assert_eq!(trust.min_version, TlsVersion::V13);
        assert!(Arc::ptr_eq(&own.revoked, &trust.revoked));
        assert!(Tls::new(&TlsRules { server_name: None, ..rules }).unwrap().elsewhere().is_none());
    }
}
