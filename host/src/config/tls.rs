//! The `tls` keys of a job in; its trust out, shared by all jobs that name the same files. Refuses files that cannot be read
//! or used, before anything runs.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::{At, Problem},
    file,
    place::place,
};
use crate::{
    net::{NoTls, SystemRoots, Tls, Trust},
    regular,
    tls_rules::{ClientIdentity, TlsRules, TlsVersion, Verify},
};

/// What jobs must agree in to share their trust: all keys but `server_name`, with the files' places.
#[derive(Eq, Hash, PartialEq)]
struct Key {
    verify: Verify,
    min_version: TlsVersion,
    ca_file: Option<PathBuf>,
    crl_file: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
}

/// What was read so far, and the system's roots, which are read for all when one needs them.
#[derive(Default)]
pub(super) struct Trusts {
    known: HashMap<Key, Arc<Trust>>,
    system: Arc<SystemRoots>,
}

impl Trusts {
    /// A job's, whose file stands in `folder`.
    pub(super) fn tls(&mut self, shape: file::Tls, folder: &Path) -> Result<Arc<Tls>, At> {
        let server_name = shape.server_name.clone();
        let key = key(shape, folder)?;
        let trust = match self.known.get(&key) {
            Some(known) => Arc::clone(known),
            None => Arc::new(trust(&key, &self.system)?),
        };
        let tls = Tls::sharing(server_name.as_deref(), Arc::clone(&trust));
        let tls = tls.map_err(|wrong| refused(&wrong, Some(&key)))?;
        self.known.insert(key, trust);
        Ok(Arc::new(tls))
    }
}

/// By rules that nobody shares.
pub(super) fn alone(rules: &TlsRules) -> Result<Arc<Tls>, At> {
    Tls::new(rules).map(Arc::new).map_err(|wrong| refused(&wrong, None))
}

/// By the key that is wrong, and its file. What `server_name` says is not shown: it may have been meant for another key.
fn refused(wrong: &NoTls, key: Option<&Key>) -> At {
    let client = key.and_then(|key| key.client.as_ref());
    let (name, file, wrong) = match wrong {
        NoTls::ServerName(_) => {
            let expected = "a name that a certificate can have".into();
            return At::key("tls.server_name", Problem::Expected(expected));
        }
        NoTls::CaFile(wrong) => ("tls.ca_file", key.and_then(|key| key.ca_file.as_ref()), &**wrong),
        NoTls::CrlFile(wrong) => ("tls.crl_file", key.and_then(|key| key.crl_file.as_ref()), *wrong),
        NoTls::ClientCert(wrong) => ("tls.client_cert", client.map(|(certificate, _)| certificate), *wrong),
        NoTls::ClientKey(wrong) | NoTls::ClientPair(wrong) => {
            ("tls.client_key", client.map(|(_, key)| key), *wrong)
        }
    };
    let file = file.map_or_else(String::new, |path| format!("{}: ", path.display()));
    At::key(name, Problem::Said(format!("{file}{wrong}")))
}

fn key(shape: file::Tls, folder: &Path) -> Result<Key, At> {
    let place = |key: &str, written: Option<PathBuf>| {
        let place = written.map(|written| place(folder, &written)).transpose();
        place.map_err(|problem| At::key(format!("tls.{key}"), problem))
    };
    let (certificate, key) =
        (place("client_cert", shape.client_cert)?, place("client_key", shape.client_key)?);
    let client = match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => {
            return Err(At::key(
                "tls",
                Problem::Contradiction("client_cert and client_key: both or neither"),
            ));
        }
    };
    Ok(Key {
        verify: shape.verify,
        min_version: shape.min_version,
        ca_file: place("ca_file", shape.ca_file)?,
        crl_file: place("crl_file", shape.crl_file)?,
        client,
    })
}

/// Bytes of a file of certificates, keys or revocation lists: the largest public lists have some tens of megabytes.
pub const PEM_BYTES: usize = 64 << 20;

fn trust(key: &Key, system: &Arc<SystemRoots>) -> Result<Trust, At> {
    let read = |name: &str, path: &PathBuf| {
        regular::bytes(path, PEM_BYTES).map_err(|error| {
            At::key(format!("tls.{name}"), Problem::Unreadable(path.clone(), error.to_string()))
        })
    };
    let client = match &key.client {
        None => None,
        Some((certificate, key)) => Some(ClientIdentity {
            chain_pem: read("client_cert", certificate)?,
            key_pem: read("client_key", key)?,
        }),
    };
    let rules = TlsRules {
        verify: key.verify,
        server_name: None,
        min_version: key.min_version,
        ca_pem: key.ca_file.as_ref().map(|path| read("ca_file", path)).transpose()?,
        crl_pem: key.crl_file.as_ref().map(|path| read("crl_file", path)).transpose()?,
        client,
    };
    Trust::new(&rules, system).map_err(|wrong| refused(&wrong, Some(key)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use support::certificates::{Authority, FAR};

    use super::*;

    #[test]
    fn jobs_that_name_the_same_files_share_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), Authority::default().pem()).unwrap();
        let mut trusts = Trusts::default();
        let mut tls = |text: &str| trusts.tls(toml::from_str(text).unwrap(), folder.path());
        let one = tls("ca_file = \"ca.pem\"").ok().unwrap();
        let same = tls("ca_file = \"ca.pem\"\nserver_name = \"mx1\"").ok().unwrap();
        let other = tls("ca_file = \"ca.pem\"\nverify = \"report\"").ok().unwrap();
        assert!(one.shares_with(&same) && !one.shares_with(&other));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::default();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("cut.pem"), authority.pem() + authority.pem().get(..80).unwrap())
            .unwrap();
        fs::write(folder.path().join("key.pem"), authority.issue("mx1", FAR).key).unwrap();
        fs::write(folder.path().join("nothing"), "nothing").unwrap();
        for (text, expected) in [
            ("ca_file = \"nothing\"", "tls.ca_file: nothing: no certificate in it"),
            ("ca_file = \"cut.pem\"", "tls.ca_file: cut.pem: certificate 2: not PEM: a section has no end"),
            ("crl_file = \"ca.pem\"", "tls.crl_file: ca.pem: no revocation list in it"),
            ("server_name = \"a b\"", "tls.server_name: expected a name that a certificate can have"),
            ("client_cert = \"ca.pem\"", "tls: client_cert and client_key: both or neither"),
            (
                "client_cert = \"ca.pem\"\nclient_key = \"key.pem\"",
                "tls.client_key: key.pem: the key is not the certificate's",
            ),
            (
                "client_cert = \"ca.pem\"\nclient_key = \"nothing\"",
                "tls.client_key: nothing: no key in it that is not encrypted",
            ),
        ] {
            let refused = Trusts::default().tls(toml::from_str(text).unwrap(), folder.path());
            let refused = refused.err().unwrap().within(None, None).to_string();
            assert_eq!(refused.replace(&format!("{}/", folder.path().display()), ""), expected, "{text}");
        }
    }
}
