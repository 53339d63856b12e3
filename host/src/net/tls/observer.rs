//! What one handshake shows: certificates, signatures and requests in, as rustls meets them; a judgement by the job's trust
//! out. Keeps everything that was seen, also of a handshake that is refused.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};
use webpki::EndEntityCert;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{certificate::CertificateFault, keys, trust::Trust, verify::verify};
use crate::tls_rules::Verify;

/// Certificates of a chain that are looked at; no honest chain is longer.
const CHAIN_CERTIFICATES: usize = 10;

/// What a handshake showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// All that was presented, the server's own first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The verified way from the server's own certificate to a root; empty: there is none.
    pub(super) path: Vec<CertificateDer<'static>>,
    pub(super) fault: Option<CertificateFault>,
    /// The server asked for a client certificate …
    pub(super) asked: bool,
    /// … and got one.
    pub(super) answered: bool,
}

/// Judges and remembers.
#[derive(Debug)]
pub(super) struct Observer {
    trust: Arc<Trust>,
    seen: Arc<Mutex<Seen>>,
}

impl Observer {
    pub(super) fn new(trust: &Arc<Trust>, seen: &Arc<Mutex<Seen>>) -> Self {
        Self { trust: Arc::clone(trust), seen: Arc::clone(seen) }
    }

    fn look<T>(&self, at: impl FnOnce(&mut Seen) -> T) -> T {
        at(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a fault; only with `full` it ends the handshake.
    fn judge<T>(&self, fault: CertificateFault, go_on: T) -> Result<T, Error> {
        let error = fault.error();
        // The first one counts: it is what verification says.
        self.look(|seen| {
            seen.fault.get_or_insert(fault);
        });
        if self.trust.verify == Verify::Full { Err(error) } else { Ok(go_on) }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        tls13: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.trust.verify == Verify::Off {
            return Ok(HandshakeSignatureValid::assertion());
        }
        // webpki finds the key in a quarter of the time, where it reads the certificate at all.
        let verified = match EndEntityCert::try_from(certificate) {
            Ok(certificate) => {
                keys::verify_handshake(message, &certificate.subject_public_key_info(), signed, tls13)
            }
            Err(_) => match X509Certificate::from_der(certificate) {
                Ok((_, certificate)) => {
                    let key = certificate.tbs_certificate.subject_pki.raw.into();
                    keys::verify_handshake(message, &key, signed, tls13)
                }
                Err(_) => Err(CertificateFault::Unreadable),
            },
        };
        match verified {
            Ok(()) => Ok(HandshakeSignatureValid::assertion()),
            Err(fault) => self.judge(fault, HandshakeSignatureValid::assertion()),
        }
    }

    /// Who we are, to this server. `report` shows nobody that: the server asks before it is known who it is.
    fn identity(&self) -> Option<&Arc<CertifiedKey>> {
        self.trust.identity.as_ref().filter(|_| self.trust.verify != Verify::Report)
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented = std::iter::once(leaf).chain(intermediates).take(CHAIN_CERTIFICATES);
        let chain = presented.map(|certificate| certificate.clone().into_owned()).collect();
        self.look(|seen| seen.chain = chain);
        if self.trust.verify == Verify::Off {
            return Ok(ServerCertVerified::assertion());
        }
        match verify(&self.trust, leaf, intermediates, server_name, now) {
            Ok(path) => {
                self.look(|seen| seen.path = path);
                Ok(ServerCertVerified::assertion())
            }
            Err(fault) => self.judge(fault, ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        keys::schemes(self.trust.verify == Verify::Full)
    }
}

impl ResolvesClientCert for Observer {
    fn resolve(&self, _issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let identity = self.identity().filter(|identity| identity.key.choose_scheme(schemes).is_some());
        self.look(|seen| {
            seen.asked = true;
            seen.answered = identity.is_some();
        });
        identity.cloned()
    }

    fn has_certs(&self) -> bool {
        self.identity().is_some()
    }
}
