//! Trusted roots: certificates in; what a chain may end at out. The system's are read once, when a handshake first needs
//! them. Refuses what holds no certificate.

use std::sync::OnceLock;

use rustls::pki_types::{CertificateDer, TrustAnchor, pem::PemObject};
use webpki::anchor_from_trusted_cert;
use x509_parser::{certificate::X509Certificate, prelude::FromDer, x509::X509Version};

use super::no_tls::{NoTls, pem_words};
use crate::output::{self, Level};

const NO_ROOTS: &str = "this machine has no trusted roots (package ca-certificates; SSL_CERT_FILE, SSL_CERT_DIR): a server's \
                        certificate is verified by a ca_file alone";

/// Certificates that are trusted, each with what verification needs of it.
#[derive(Default)]
pub(super) struct Roots {
    /// Those that may issue others.
    anchors: Vec<TrustAnchor<'static>>,
    /// Their certificates, in the same order.
    authorities: Vec<CertificateDer<'static>>,
    /// Those that are trusted as they are, and for nothing else.
    others: Vec<CertificateDer<'static>>,
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

    /// The system's; what cannot be used of them is left out.
    pub(super) fn of_the_system() -> &'static Self {
        static ROOTS: OnceLock<Roots> = OnceLock::new();
        ROOTS.get_or_init(|| {
            let mut roots = Self::default();
            for certificate in rustls_native_certs::load_native_certs().certs {
                roots.add(certificate);
            }
            if roots.is_empty() {
                output::log(Level::Warning, NO_ROOTS);
            }
            roots
        })
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let Ok(anchor) = anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned()) else {
            return false;
        };
        if is_authority(&certificate) {
            self.anchors.push(anchor);
            self.authorities.push(certificate);
        } else {
            self.others.push(certificate);
        }
        true
    }

    /// There is none.
    pub(super) fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.others.is_empty()
    }

    /// What verification compares with.
    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The certificate behind one of [`Self::anchors`].
    pub(super) fn certificate(&self, anchor: &TrustAnchor<'_>) -> Option<&CertificateDer<'static>> {
        // By its place: two roots may have the same name and key, and end at different times.
        let place = self.anchors.iter().position(|known| std::ptr::addr_eq(known, anchor))?;
        self.authorities.get(place)
    }

    /// This very certificate is one of them.
    pub(super) fn contain(&self, certificate: &CertificateDer<'_>) -> bool {
        self.authorities.iter().chain(&self.others).any(|known| known == certificate)
    }
}

/// As OpenSSL has it: says so itself, or was made before there was a way to say so. A key usage without the signing of
/// certificates takes it back.
fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let may_sign = match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Err(_) => false,
    };
    let says_so = match certificate.basic_constraints() {
        Ok(Some(basic)) => basic.value.ca,
        Ok(None) => certificate.version() == X509Version::V1,
        Err(_) => false,
    };
    may_sign && says_so
}
