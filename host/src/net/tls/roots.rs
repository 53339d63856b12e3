//! Trusted roots: certificates in; those that may have issued a chain out. The system's are read when they are first needed: the
//! file that has them all, and the folders beside it only for a chain that ends at none of those. Refuses what holds no certificate.

use std::{
    env,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use rustls::pki_types::{CertificateDer, TrustAnchor, pem::PemObject};
use rustls_native_certs::load_certs_from_paths;
use webpki::anchor_from_trusted_cert;
use x509_parser::{certificate::X509Certificate, prelude::FromDer, x509::X509Version};

use super::no_tls::{NoTls, pem_words};
use crate::{
    output::{self, Level},
    regular,
};

const NO_ROOTS: &str = "this machine has no trusted roots (package ca-certificates; SSL_CERT_FILE, SSL_CERT_DIR): a server's \
                        certificate is verified by a ca_file alone";

/// Bytes of the file that has them all: more than a hundred times what it mostly has.
const FILE_BYTES: usize = 32 << 20;

/// Certificates that are trusted.
#[derive(Default)]
pub(super) struct Roots(Vec<Root>);

struct Root {
    certificate: CertificateDer<'static>,
    /// Its name, as those have it that it issued.
    subject: Box<[u8]>,
}

/// Those of them that may have issued a chain.
pub(super) struct Authorities<'a> {
    certificates: Vec<&'a CertificateDer<'static>>,
    /// In the same order.
    anchors: Vec<TrustAnchor<'a>>,
}

impl Roots {
    /// Of a job's `ca_file`.
    pub(super) fn from_pem(pem: &[u8]) -> Result<Self, NoTls> {
        let mut roots = Self::default();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let refuse = |wrong| NoTls::CaFile(format!("certificate {}: {wrong}", index + 1));
            let certificate = certificate.map_err(|error| refuse(pem_words(&error)))?;
            if !roots.add(certificate) {
                return Err(refuse("not a usable certificate"));
            }
        }
        if roots.is_empty() { Err(NoTls::CaFile("no certificate in it".to_owned())) } else { Ok(roots) }
    }

    fn usable(found: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut roots = Self::default();
        for certificate in found {
            roots.add(certificate);
        }
        roots
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let Ok(anchor) = anchor_from_trusted_cert(&certificate) else { return false };
        let subject = anchor.subject.as_ref().into();
        self.0.push(Root { certificate, subject });
        true
    }

    /// There is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This very certificate is one of them.
    pub(super) fn contain(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.iter().any(|known| known.certificate == *certificate)
    }

    /// Those with one of these names that may issue others.
    pub(super) fn authorities(&self, names: &[&[u8]]) -> Authorities<'_> {
        let of_a_name = self.0.iter().filter(|root| names.contains(&&*root.subject));
        let authorities = of_a_name.map(|root| &root.certificate).filter(|root| is_authority(root));
        let (certificates, anchors) =
            authorities.filter_map(|root| Some((root, anchor_from_trusted_cert(root).ok()?))).unzip();
        Authorities { certificates, anchors }
    }
}

/// The system's, each part as it was when it was first needed: a configuration that is read again has others.
#[derive(Default)]
pub struct SystemRoots {
    file: OnceLock<Arc<Roots>>,
    folders: OnceLock<Roots>,
}

/// Those of its file that were read last: where it is gone for a while, or is no longer whole, they hold on.
static LAST: Mutex<Option<Arc<Roots>>> = Mutex::new(None);

impl SystemRoots {
    /// Those that stand in one file; what cannot be used of them is left out.
    pub(super) fn in_a_file(&self) -> &Roots {
        self.file.get_or_init(|| {
            let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(file) = Places::now().file else { return last.clone().unwrap_or_default() };
            let none = |last: &Option<Arc<Roots>>, why: &str| {
                let instead = match last {
                    None => "those in folders alone are known (SSL_CERT_FILE, SSL_CERT_DIR)",
                    Some(_) => "those that were read before are trusted",
                };
                output::log(Level::Warning, &format!("trusted roots: {}: {why}: {instead}", file.display()));
                last.clone().unwrap_or_default()
            };
            match regular::bytes(&file, FILE_BYTES) {
                Ok(pem) => {
                    let roots = Arc::new(Roots::usable(CertificateDer::pem_slice_iter(&pem).flatten()));
                    if roots.is_empty() {
                        return none(&last, "no certificate in it");
                    }
                    *last = Some(Arc::clone(&roots));
                    roots
                }
                Err(error) => none(&last, &error.to_string()),
            }
        })
    }

    /// Those that stand in folders, one in a file: mostly the same ones.
    pub(super) fn in_folders(&self) -> &Roots {
        self.folders.get_or_init(|| {
            let (file, folders) = (self.in_a_file(), Places::now().folders);
            let found = folders.iter().flat_map(|folder| load_certs_from_paths(None, Some(folder)).certs);
            let roots = Roots::usable(found.filter(|certificate| !file.contain(certificate)));
            if file.is_empty() && roots.is_empty() {
                output::log(Level::Warning, NO_ROOTS);
            }
            roots
        })
    }
}

impl<'a> Authorities<'a> {
    /// What verification compares with.
    pub(super) fn anchors(&self) -> &[TrustAnchor<'a>] {
        &self.anchors
    }

    /// The certificate behind one of [`Self::anchors`].
    pub(super) fn certificate(&self, anchor: &TrustAnchor<'_>) -> Option<&'a CertificateDer<'static>> {
        // By its place: two roots may have the same name and key, and end at different times.
        let place = self.anchors.iter().position(|known| std::ptr::addr_eq(known, anchor))?;
        self.certificates.get(place).copied()
    }
}

/// Where the system's roots are: where the environment says, in OpenSSL's words, else where they usually are.
struct Places {
    file: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Places {
    fn now() -> Self {
        let file = env::var_os(openssl_probe::ENV_CERT_FILE).map(PathBuf::from);
        let folders = env::var_os(openssl_probe::ENV_CERT_DIR).unwrap_or_default();
        let folders: Vec<_> =
            env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect();
        if file.is_some() || !folders.is_empty() {
            return Self { file, folders };
        }
        let usual = openssl_probe::probe();
        Self { file: usual.cert_file, folders: usual.cert_dir }
    }
}

/// The file that has the system's roots; none: there is none.
#[must_use]
pub fn system_roots_file() -> Option<PathBuf> {
    Places::now().file
}

/// As OpenSSL has it: says so itself, or was made before there was a way to say so. A key usage without the signing of
/// certificates takes it back.
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let says_so = match certificate.basic_constraints() {
        Ok(Some(basic)) => basic.value.ca,
        Ok(None) => certificate.version() == X509Version::V1,
        Err(_) => false,
    };
    may_sign(&certificate) && says_so
}

/// Its key usage, where it says one, has the signing of certificates (RFC 5280 section 6.1.4 (n)).
pub(super) fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Err(_) => false,
    }
}
