//! Certificates: authorities, and what they issue, in PEM and as servers take them.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// A year that no test lives to see.
pub const FAR: i32 = 2100;
/// A year that is past.
pub const PAST: i32 = 2001;

/// An authority that issues certificates, all from the year 2000 on.
#[must_use]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

fn authority(name: &str, end_year: i32) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(end_year, 1, 1);
    params
}

impl Default for Authority {
    fn default() -> Self {
        Self::root("Test authority", FAR)
    }
}

impl Authority {
    /// A root, until the first of January of that year.
    pub fn root(name: &str, end_year: i32) -> Self {
        Self(CertifiedIssuer::self_signed(authority(name, end_year), KeyPair::generate().unwrap()).unwrap())
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str, end_year: i32) -> Self {
        let params = authority(name, end_year);
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    /// Another authority's name and key, certified by this one until then, in PEM.
    pub fn cross(&self, name: &str, other: &Self, end_year: i32) -> String {
        authority(name, end_year).signed_by(other.0.key(), &self.0).unwrap().pem()
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem().as_bytes()).unwrap()
    }

    /// A certificate for a host, until the first of January of that year.
    pub fn issue(&self, host: &str, end_year: i32) -> Identity {
        self.issue_numbered(host, end_year, 1)
    }

    /// One with this serial number.
    pub fn issue_numbered(&self, host: &str, end_year: i32, serial: u64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(end_year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A list, in PEM, that revokes one of its certificates.
    pub fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2021, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }

    /// Accepts those clients alone that have a certificate of this authority.
    pub fn clients(&self) -> Arc<dyn ClientCertVerifier> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).unwrap();
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A certificate and its key, in PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Identity {
    /// Both as TLS takes them.
    pub fn chain_and_key(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        (chain.collect::<Result<_, _>>().unwrap(), key.unwrap())
    }

    /// A server with it, for whatever client.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server_for(WebPkiClientVerifier::no_client_auth())
    }

    /// A server with it that judges its clients.
    pub fn server_for(&self, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let (chain, key) = self.chain_and_key();
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.unwrap().with_client_cert_verifier(clients).with_single_cert(chain, key);
        Arc::new(config.unwrap())
    }
}
