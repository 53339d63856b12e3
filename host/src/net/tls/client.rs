//! A handshake's configuration: a job's trust in; what rustls needs, which shares everything with the other handshakes, out.

use std::sync::{Arc, Mutex, OnceLock};

use rustls::{ClientConfig, client::Resumption};

use super::{
    observer::{Observer, Seen},
    provider::provider,
    trust::Trust,
};
use crate::tls_rules::{TlsVersion, Verify};

/// For one handshake, which writes into `seen`. Where the system's roots are all there is, their file is read now if it was
/// not yet, so that no handshake waits for it; beside a job's own, which mostly suffice, when they are needed.
pub(super) fn config(trust: &Arc<Trust>, seen: &Arc<Mutex<Seen>>) -> Result<ClientConfig, rustls::Error> {
    if trust.verify != Verify::Off && trust.roots.is_empty() {
        trust.system.in_a_file();
    }
    let observer = Arc::new(Observer::new(trust, seen));
    let mut config = template(trust.min_version)?;
    config.dangerous().set_certificate_verifier(Arc::clone(&observer) as _);
    config.client_auth_cert_resolver = observer;
    Ok(config)
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
