//! Verification of a server's certificate: the presented chain, a name and the moment in; the verified way to a root, or what
//! is wrong, out. Accepts what OpenSSL accepts: also X.509 v1, a common name where no other stands, and a certificate that
//! is trusted itself.

use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, Error, KeyUsage, RevocationOptionsBuilder, UnknownStatusPolicy,
    VerifiedPath, spki_for_anchor,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, x509::X509Version};

use super::{
    certificate::{CertificateFault, Whose, short_name},
    keys, names,
    roots::{Authorities, Roots, may_sign},
    trust::Trust,
};

type Path = Vec<CertificateDer<'static>>;

/// Gives the way from the server's own certificate to a root's; of one that is trusted itself, that alone.
pub(super) fn verify(
    trust: &Trust,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<Path, CertificateFault> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| CertificateFault::Unreadable)?;
    let chain = Chain { trust, leaf, parsed: &parsed, intermediates, now };
    let path = chain.to_a_root()?;
    // One that is trusted itself may be whatever it is.
    if path.len() > 1 && !is_of_a_server(&parsed) {
        return Err(CertificateFault::KeyUsage);
    }
    names::is_for(name, leaf, &parsed, &path)?;
    keys::judge(&parsed.tbs_certificate.subject_pki)?;
    Ok(path)
}

struct Chain<'a> {
    trust: &'a Trust,
    leaf: &'a CertificateDer<'a>,
    parsed: &'a X509Certificate<'a>,
    intermediates: &'a [CertificateDer<'a>],
    now: UnixTime,
}

impl Chain<'_> {
    fn to_a_root(&self) -> Result<Path, CertificateFault> {
        self.search().or_else(|fault| match fault {
            Error::CertExpired { .. } => self.without_what_has_ended(fault),
            fault => Err(self.explain(&fault)),
        })
    }

    fn search(&self) -> Result<Path, Error> {
        let mut fault = Error::UnknownIssuer;
        for roots in self.trust.roots() {
            if roots.contain(self.leaf) {
                lasts(self.parsed, self.now)?;
                return Ok(vec![self.leaf.clone().into_owned()]);
            }
            match self.to_one_of(roots) {
                Ok(path) => return Ok(path),
                // That the others do not know the issuer says nothing.
                Err(error) if fault == Error::UnknownIssuer => fault = error,
                Err(_) => {}
            }
        }
        Err(fault)
    }

    /// An intermediate certificate that has ended, such as one of an old authority, may not be what is wrong.
    fn without_what_has_ended(&self, ended: Error) -> Result<Path, CertificateFault> {
        let lasting = |der: &&CertificateDer<'_>| {
            X509Certificate::from_der(der).is_ok_and(|(_, it)| lasts(&it, self.now).is_ok())
        };
        let intermediates: Vec<CertificateDer<'_>> =
            self.intermediates.iter().filter(lasting).cloned().collect();
        let fewer = Chain { intermediates: &intermediates, ..*self };
        let fault = match fewer.search() {
            Ok(path) => return Ok(path),
            // One that has ended would have led to a root.
            Err(Error::UnknownIssuer) if self.intermediates.iter().any(|it| self.is_of_a_root(it)) => ended,
            Err(fault) => fault,
        };
        Err(self.explain(&fault))
    }

    fn is_of_a_root(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
        let issuer = keys::value(certificate.issuer().as_raw()).map(|(issuer, _)| issuer);
        issuer.is_some_and(|issuer| {
            self.trust.roots().any(|roots| !roots.authorities(&[issuer]).anchors().is_empty())
        })
    }

    fn to_one_of(&self, roots: &Roots) -> Result<Path, Error> {
        let issuer = keys::value(self.parsed.issuer().as_raw()).map(|(issuer, _)| issuer);
        let presented: Vec<_> =
            self.intermediates.iter().filter_map(|der| EndEntityCert::try_from(der).ok()).collect();
        let issuers: Vec<_> = issuer.into_iter().chain(presented.iter().map(|it| it.issuer())).collect();
        let roots = &roots.authorities(&issuers);
        let verified = EndEntityCert::try_from(self.leaf).and_then(|leaf| self.by_webpki(&leaf, roots));
        match verified {
            // Neither is one for it, wherever they come from.
            Err(error @ (Error::UnsupportedCertVersion | Error::CaUsedAsEndEntity)) => {
                self.by_a_root_itself(roots)?.ok_or(error)
            }
            verified => verified,
        }
    }

    fn by_webpki(&self, leaf: &EndEntityCert<'_>, roots: &Authorities<'_>) -> Result<Path, Error> {
        // One after the other: of two lists by one issuer webpki looks at the first alone.
        let mut found = self.by_webpki_and(None, leaf, roots);
        for list in self.trust.revoked.iter() {
            found = found.and_then(|_| self.by_webpki_and(Some(list), leaf, roots));
        }
        found
    }

    fn by_webpki_and(
        &self,
        revoked: Option<&CertRevocationList<'static>>,
        leaf: &EndEntityCert<'_>,
        roots: &Authorities<'_>,
    ) -> Result<Path, Error> {
        let lists: Vec<_> = revoked.into_iter().collect();
        // Without a list there is nothing to ask.
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_status_policy(UnknownStatusPolicy::Allow).build());
        // What webpki does not look at.
        let is_sound = |path: &VerifiedPath<'_>| {
            for intermediate in path.intermediate_certificates() {
                let der = intermediate.der();
                let (_, intermediate) = X509Certificate::from_der(&der).map_err(|_| Error::BadDer)?;
                if !may_sign(&intermediate) {
                    return Err(Error::EndEntityUsedAsCa);
                }
            }
            match roots.certificate(path.anchor()) {
                Some(root) => {
                    let (_, root) = X509Certificate::from_der(root).map_err(|_| Error::BadDer)?;
                    lasts(&root, self.now)
                }
                None => Ok(()),
            }
        };
        let path = leaf.verify_for_usage(
            keys::algorithms(),
            roots.anchors(),
            self.intermediates,
            self.now,
            KeyUsage::server_auth(),
            revocation,
            Some(&is_sound),
        )?;
        let mut found: Path = vec![self.leaf.clone().into_owned()];
        found.extend(path.intermediate_certificates().map(|certificate| certificate.der().into_owned()));
        found.extend(roots.certificate(path.anchor()).cloned());
        Ok(found)
    }

    /// For the kinds of certificate that webpki takes for no server's: accepted where a root itself issued them. None: no
    /// root did.
    fn by_a_root_itself(&self, roots: &Authorities<'_>) -> Result<Option<Path>, Error> {
        let certificate = self.parsed;
        let issuer = keys::value(certificate.issuer().as_raw()).map(|(issuer, _)| issuer);
        for anchor in roots.anchors() {
            // What a root with constraints may issue is webpki's to judge.
            if Some(&*anchor.subject) != issuer
                || anchor.name_constraints.is_some()
                || !self.is_signed_by(anchor)
            {
                continue;
            }
            let Some(root) = roots.certificate(anchor) else { continue };
            lasts(certificate, self.now)?;
            lasts(&X509Certificate::from_der(root).map_err(|_| Error::BadDer)?.1, self.now)?;
            match certificate.extended_key_usage() {
                Ok(None) => {}
                Ok(Some(usage)) if usage.value.server_auth => {}
                _ => return Err(Error::EmptyEkuExtension),
            }
            for list in self.trust.revoked.iter().filter(|list| Some(list.issuer()) == issuer) {
                if list.find_serial(certificate.raw_serial())?.is_some() {
                    return Err(Error::CertRevoked);
                }
            }
            return Ok(Some(vec![self.leaf.clone().into_owned(), root.clone()]));
        }
        Ok(None)
    }

    fn is_signed_by(&self, anchor: &rustls::pki_types::TrustAnchor<'_>) -> bool {
        let Some((inside, _)) = keys::value(self.leaf) else { return false };
        if self.parsed.signature_algorithm != self.parsed.tbs_certificate.signature {
            return false;
        }
        let algorithm =
            keys::value(inside).and_then(|(_, behind)| keys::value(behind)).map(|(inside, _)| inside);
        let key = spki_for_anchor(anchor);
        let (message, signature) = (self.parsed.tbs_certificate.as_ref(), &*self.parsed.signature_value.data);
        let fits = |known: &dyn SignatureVerificationAlgorithm| {
            Some(known.signature_alg_id().as_ref()) == algorithm
                && keys::is_signed(&key, known, message, signature)
        };
        keys::algorithms().iter().any(|known| fits(*known))
    }

    /// With what webpki leaves out: whose certificate it is.
    fn explain(&self, error: &Error) -> CertificateFault {
        let whose = |moment: &dyn Fn(&X509Certificate<'_>) -> i64, at: i64| {
            if moment(self.parsed) == at {
                return Whose::Server;
            }
            let presented =
                self.intermediates.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1));
            presented.into_iter().find(|certificate| moment(certificate) == at).map_or_else(
                || Whose::Root(self.last_issuer()),
                |it| Whose::Intermediate(short_name(it.subject())),
            )
        };
        match CertificateFault::from(error) {
            CertificateFault::Expired(_, end) => {
                CertificateFault::Expired(whose(&|it| it.validity().not_after.timestamp(), end), end)
            }
            CertificateFault::NotYetValid(_, begin, now) => {
                let whose = whose(&|it| it.validity().not_before.timestamp(), begin);
                CertificateFault::NotYetValid(whose, begin, now)
            }
            CertificateFault::UnknownIssuer(_)
            | CertificateFault::AuthorityAsServer
            | CertificateFault::Version
                if self.parsed.issuer() == self.parsed.subject() =>
            {
                CertificateFault::SelfSigned
            }
            CertificateFault::UnknownIssuer(_) => CertificateFault::UnknownIssuer(self.last_issuer()),
            // Both can only be trusted as they are.
            CertificateFault::Version if self.parsed.version() == X509Version::V3 => {
                CertificateFault::Malformed
            }
            fault => fault,
        }
    }

    /// The issuer of the last certificate that can be reached from the server's own.
    fn last_issuer(&self) -> String {
        let presented: Vec<_> = self
            .intermediates
            .iter()
            .filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1))
            .collect();
        let mut last = self.parsed;
        for _ in &presented {
            let issuer =
                presented.iter().find(|it| it.subject() == last.issuer() && it.issuer() != it.subject());
            let Some(issuer) = issuer else { break };
            last = issuer;
        }
        short_name(last.issuer())
    }
}

/// Its key usage, where it says one, has one of those that TLS has a use for (RFC 5280 section 4.2.1.3).
fn is_of_a_server(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(None) => true,
        Ok(Some(usage)) => {
            let usage = usage.value;
            usage.digital_signature() || usage.key_encipherment() || usage.key_agreement()
        }
        Err(_) => false,
    }
}

fn lasts(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let at = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let unix = |moment: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(moment.max(0).unsigned_abs()))
    };
    let validity = certificate.validity();
    let (begin, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    if at < begin {
        return Err(Error::CertNotValidYet { time: now, not_before: unix(begin) });
    }
    if at > end {
        return Err(Error::CertExpired { time: now, not_after: unix(end) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn judged(roots: &str, leaf: &CertificateDer<'_>, name: &'static str) -> Result<Path, CertificateFault> {
        judged_by(roots, leaf, &[], name)
    }

    fn judged_by(
        roots: &str,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &'static str,
    ) -> Result<Path, CertificateFault> {
        let rules = crate::tls_rules::TlsRules {
            ca_pem: Some(roots.into()),
            ..crate::tls_rules::TlsRules::default()
        };
        verify(
            &Trust::new(&rules, &Arc::default()).unwrap(),
            leaf,
            intermediates,
            &ServerName::try_from(name).unwrap(),
            UnixTime::now(),
        )
    }

    #[test]
    fn a_common_name_does_not_lead_around_what_its_authority_may_issue() {
        use rcgen::{BasicConstraints, CertifiedIssuer, GeneralSubtree, IsCa, NameConstraints};
        let issuer = |constrained: bool| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.name_constraints = constrained.then(|| NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
                excluded_subtrees: Vec::new(),
            });
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "mx.bank.example");
        let key = KeyPair::generate().unwrap();
        for (constrained, expected) in [(false, None), (true, Some(CertificateFault::NameConstraint))] {
            let issuer = issuer(constrained);
            let leaf = params.clone().signed_by(&key, &issuer).unwrap();
            let judged = judged(&issuer.pem(), leaf.der(), "mx.bank.example");
            assert_eq!(judged.err(), expected);
        }
    }

    #[test]
    fn what_its_key_usage_does_not_allow_a_certificate_may_not_do() {
        use KeyUsagePurpose::{ContentCommitment, DigitalSignature, KeyCertSign, KeyEncipherment};
        use rcgen::{BasicConstraints, CertifiedIssuer, IsCa, KeyUsagePurpose};
        let authority = |usages: &[KeyUsagePurpose]| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, format!("{usages:?}"));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = usages.into();
            params
        };
        let root = CertifiedIssuer::self_signed(authority(&[]), KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let judged = |intermediate: &[KeyUsagePurpose], server: &[KeyUsagePurpose]| {
            let issuer =
                CertifiedIssuer::signed_by(authority(intermediate), KeyPair::generate().unwrap(), &root)
                    .unwrap();
            let mut params = CertificateParams::new(vec!["mx.example.org".into()]).unwrap();
            params.key_usages = server.into();
            let leaf = params.signed_by(&key, &issuer).unwrap();
            judged_by(&root.pem(), leaf.der(), &[issuer.der().clone()], "mx.example.org").err()
        };
        for (intermediate, server, expected) in [
            (&[][..], &[][..], None),
            (&[KeyCertSign], &[DigitalSignature], None),
            (&[KeyCertSign, DigitalSignature], &[KeyEncipherment], None),
            (&[DigitalSignature], &[], Some(CertificateFault::ServerAsAuthority)),
            (&[], &[KeyCertSign], Some(CertificateFault::KeyUsage)),
            (&[], &[ContentCommitment], Some(CertificateFault::KeyUsage)),
        ] {
            assert_eq!(judged(intermediate, server), expected, "{intermediate:?} {server:?}");
        }
    }

    #[test]
    fn a_certificate_that_is_trusted_for_its_server_vouches_for_no_other() {
        use rcgen::{CertifiedIssuer, IsCa};
        let mut params = CertificateParams::new(vec!["mx1.example.org".into()]).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        let trusted = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        assert_eq!(judged(&trusted.pem(), trusted.der(), "mx1.example.org").map(|path| path.len()), Ok(1));
        let key = KeyPair::generate().unwrap();
        let forged = CertificateParams::new(vec!["mx2.example.org".into()]).unwrap();
        let forged = forged.signed_by(&key, &trusted).unwrap();
        assert!(judged(&trusted.pem(), forged.der(), "mx2.example.org").is_err());
    }

    #[test]
    fn a_certificate_that_fitted_vouches_for_no_other_of_the_same_names() {
        use rcgen::{BasicConstraints, CertifiedIssuer, IsCa};
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let [issuer, other] = [(); 2]
            .map(|()| CertifiedIssuer::self_signed(params.clone(), KeyPair::generate().unwrap()).unwrap());
        let [own, another] = [(); 2].map(|()| KeyPair::generate().unwrap());
        let of = |key| {
            CertificateParams::new(vec!["mx.example.org".into()]).unwrap().signed_by(key, &issuer).unwrap()
        };
        let (good, rekeyed) = (of(&own), of(&another));
        let mut damaged = good.der().to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        let judged = |der: &CertificateDer<'_>| judged(&issuer.pem(), der, "mx.example.org").is_ok();
        let forged =
            CertificateParams::new(vec!["mx.example.org".into()]).unwrap().signed_by(&own, &other).unwrap();
        // The key of the one, put into the other.
        let (place, key) = (rekeyed.der().to_vec(), own.public_key_raw());
        let at = place.windows(key.len()).position(|bytes| bytes == another.public_key_raw()).unwrap();
        let swapped = [&place[..at], key, &place[at + key.len()..]].concat();
        for _ in 0..2 {
            assert!(judged(good.der()) && judged(rekeyed.der()));
            assert!(
                !judged(forged.der()) && !judged(&damaged.clone().into()) && !judged(&swapped.clone().into())
            );
        }
    }
}
