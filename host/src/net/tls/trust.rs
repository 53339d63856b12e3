//! What a job trusts and shows: its rules in; what is in them, read once for all handshakes, out. Refuses rules that cannot
//! work, naming the key.

use std::{fmt, iter, sync::Arc};

use rustls::{
    InconsistentKeys,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::{
    no_tls::{NoTls, pem_words},
    provider::provider,
    roots::{Roots, SystemRoots},
};
use crate::{
    host::Host,
    tls_rules::{ClientIdentity, TlsRules, TlsVersion, Verify},
};

/// Whom to trust and who to be, without the name of the server: jobs that agree in it share one.
#[derive(Default)]
pub struct Trust {
    pub(super) verify: Verify,
    pub(super) min_version: TlsVersion,
    /// Beside the system's.
    pub(super) roots: Roots,
    pub(super) system: Arc<SystemRoots>,
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
        Self::sharing(rules.server_name.as_deref(), Arc::new(Trust::new(rules, &Arc::default())?))
    }

    /// By another job's rules, for a name of its own.
    pub fn sharing(server_name: Option<&str>, trust: Arc<Trust>) -> Result<Self, NoTls> {
        Ok(Self { server_name: server_name.map(name_of).transpose()?, trust })
    }

    /// For an endpoint that the job grants besides its own host: as strict, and revocation holds there as well, but by the
    /// system's roots alone, under the endpoint's own name, and without showing who the job is. None: that is the same.
    pub(crate) fn elsewhere(&self) -> Option<Self> {
        let Trust { verify, min_version, roots, system, revoked, identity } = &*self.trust;
        if self.server_name.is_none() && roots.is_empty() && identity.is_none() {
            return None;
        }
        let trust = Trust {
            verify: *verify,
            min_version: *min_version,
            roots: Roots::default(),
            system: Arc::clone(system),
            revoked: Arc::clone(revoked),
            identity: None,
        };
        Some(Self { server_name: None, trust: Arc::new(trust) })
    }

    /// Both trust the very same.
    #[must_use]
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.trust, &other.trust)
    }
}

/// A name that can be verified; also one with letters beyond ASCII, as certificates have it.
pub(super) fn name_of(name: &str) -> Result<ServerName<'static>, NoTls> {
    let ascii = name.parse::<Host>().map_or_else(|_no_host| name.to_owned(), |host| host.ascii().to_owned());
    ServerName::try_from(ascii).map_err(|_| NoTls::ServerName(name.to_owned()))
}

impl Trust {
    /// Reads everything that the rules name; their `server_name` is not looked at.
    pub fn new(rules: &TlsRules, system: &Arc<SystemRoots>) -> Result<Self, NoTls> {
        Ok(Self {
            verify: rules.verify,
            min_version: rules.min_version,
            roots: rules.ca_pem.as_deref().map(Roots::from_pem).transpose()?.unwrap_or_default(),
            system: Arc::clone(system),
            revoked: rules.crl_pem.as_deref().map(revoked).transpose()?.unwrap_or_default().into(),
            identity: rules.client.as_ref().map(identity).transpose()?.map(Arc::new),
        })
    }

    /// All that a chain may end at: its own, and then the system's, which are read when somebody goes so far.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Roots> {
        let system: [fn(&SystemRoots) -> &Roots; 2] = [SystemRoots::in_a_file, SystemRoots::in_folders];
        iter::once(&self.roots).chain(system.into_iter().map(|read| read(&self.system)))
    }
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
