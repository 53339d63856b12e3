//! Keys and signatures: a certificate's key, a message and its signature in; whether they fit out. Refuses RSA keys below
//! 2048 bits and the kinds of key that the provider cannot compute with.

use std::sync::OnceLock;

use aws_lc_rs::signature::{
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey,
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{
        AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
        alg_id,
    },
};
use webpki::RawPublicKeyEntity;
use x509_parser::{
    asn1_rs::{Any, FromDer},
    public_key::RSAPublicKey,
    x509::SubjectPublicKeyInfo,
};

use super::{
    algorithm::{RSA, RSA_PSS, algorithm_name},
    certificate::CertificateFault,
    fitted::remembering,
    provider::provider,
};

/// The fewest bits of an RSA key that is trusted.
const RSA_BITS: usize = 2048;
/// The most bits of an RSA key that the provider computes with.
const MOST_RSA_BITS: usize = 8192;

/// A signature by a key that is for RSA-PSS only (RFC 4055); the provider's table knows just those for all of RSA.
#[derive(Debug)]
struct PssOnly {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verification: &'static RsaParameters,
}

impl SignatureVerificationAlgorithm for PssOnly {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.verification, key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }
}

/// `rsassaPss` without parameters: the key is for every hash.
const ANY_PSS: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a]);

const fn pss(
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verification: &'static RsaParameters,
) -> PssOnly {
    PssOnly { key, signature, verification }
}

static PSS_SHA256: PssOnly = pss(ANY_PSS, alg_id::RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256);
static PSS_SHA384: PssOnly = pss(ANY_PSS, alg_id::RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384);
static PSS_SHA512: PssOnly = pss(ANY_PSS, alg_id::RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512);
static ONLY_SHA256: PssOnly = pss(alg_id::RSA_PSS_SHA256, alg_id::RSA_PSS_SHA256, &RSA_PSS_2048_8192_SHA256);
static ONLY_SHA384: PssOnly = pss(alg_id::RSA_PSS_SHA384, alg_id::RSA_PSS_SHA384, &RSA_PSS_2048_8192_SHA384);
static ONLY_SHA512: PssOnly = pss(alg_id::RSA_PSS_SHA512, alg_id::RSA_PSS_SHA512, &RSA_PSS_2048_8192_SHA512);

/// Schemes of keys that are for RSA-PSS only: they have numbers, but no names in rustls.
static PSS_SCHEMES: [(SignatureScheme, [&PssOnly; 2]); 3] = [
    (SignatureScheme::Unknown(0x0809), [&PSS_SHA256, &ONLY_SHA256]),
    (SignatureScheme::Unknown(0x080a), [&PSS_SHA384, &ONLY_SHA384]),
    (SignatureScheme::Unknown(0x080b), [&PSS_SHA512, &ONLY_SHA512]),
];

/// Schemes that cannot be computed here: Ed448, and the Brainpool curves in TLS 1.3. A server that has only such a key
/// shows its certificate all the same, and the line says what it is.
const SHOWN: [SignatureScheme; 4] = [
    SignatureScheme::ED448,
    SignatureScheme::Unknown(0x081a),
    SignatureScheme::Unknown(0x081b),
    SignatureScheme::Unknown(0x081c),
];
/// Schemes by SHA-1, too weak to be asked for where the signature counts.
const WEAK: [SignatureScheme; 2] = [SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ECDSA_SHA1_Legacy];

/// Schemes that may sign certificates, but not a handshake of TLS 1.3 (RFC 8446 section 4.4.3).
const NOT_IN_TLS13: [SignatureScheme; 5] = [
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

fn provided() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Every algorithm that a certificate may be signed with; each remembers what fitted.
pub(super) fn algorithms() -> &'static [&'static dyn SignatureVerificationAlgorithm] {
    static ALL: OnceLock<Vec<&dyn SignatureVerificationAlgorithm>> = OnceLock::new();
    ALL.get_or_init(|| {
        let pss = PSS_SCHEMES.iter().flat_map(|(_, pair)| *pair);
        let pss = pss.map(|one| one as &dyn SignatureVerificationAlgorithm);
        provided().all.iter().copied().chain(pss).map(remembering).collect()
    })
}

/// What the server may sign the handshake with; `counts`: its signature must fit.
pub(super) fn schemes(counts: bool) -> Vec<SignatureScheme> {
    let mut schemes = provided().supported_schemes();
    schemes.extend(PSS_SCHEMES.iter().map(|(scheme, _)| *scheme));
    schemes.extend(SHOWN);
    if !counts {
        schemes.extend(WEAK);
    }
    schemes
}

/// Checks that the handshake is signed by a key, its certificate's. In TLS 1.3 a scheme stands for one algorithm, before that
/// for each of the same hash.
pub(super) fn verify_handshake(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signed: &DigitallySignedStruct,
    tls13: bool,
) -> Result<(), CertificateFault> {
    if tls13 && NOT_IN_TLS13.contains(&signed.scheme) {
        return Err(CertificateFault::Handshake);
    }
    let mut algorithms: Vec<&dyn SignatureVerificationAlgorithm> = Vec::new();
    for (scheme, known) in provided().mapping {
        if *scheme == signed.scheme {
            algorithms.extend(known.iter().take(if tls13 { 1 } else { known.len() }));
        }
    }
    for (scheme, pair) in &PSS_SCHEMES {
        if *scheme == signed.scheme {
            algorithms.extend(pair.iter().map(|one| *one as &dyn SignatureVerificationAlgorithm));
        }
    }
    let fits = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        is_signed(key, *algorithm, message, signed.signature())
    };
    if algorithms.iter().any(fits) { Ok(()) } else { Err(CertificateFault::Handshake) }
}

/// The key's owner signed the message in this way.
pub(super) fn is_signed(
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithm: &dyn SignatureVerificationAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> bool {
    RawPublicKeyEntity::try_from(key)
        .is_ok_and(|key| key.verify_signature(algorithm, message, signature).is_ok())
}

/// Refuses a key that cannot be trusted, or that cannot be computed with.
pub(super) fn judge(key: &SubjectPublicKeyInfo<'_>) -> Result<(), CertificateFault> {
    match rsa_bits(key) {
        Some(bits) if bits < RSA_BITS => return Err(CertificateFault::ShortKey(bits)),
        Some(bits) if bits > MOST_RSA_BITS => {
            return Err(CertificateFault::Key(format!("RSA of {bits} bits")));
        }
        _ => {}
    }
    let identifier = value(key.raw).and_then(|(inside, _)| value(inside)).map(|(identifier, _)| identifier);
    let known = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        Some(algorithm.public_key_alg_id().as_ref()) == identifier
    };
    if algorithms().iter().any(known) {
        return Ok(());
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let oid = curve.unwrap_or_else(|| key.algorithm.algorithm.clone());
    Err(CertificateFault::Key(algorithm_name(oid.as_bytes())))
}

fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    if ![RSA, RSA_PSS].contains(&key.algorithm.algorithm.as_bytes()) {
        return None;
    }
    let (_, key) = RSAPublicKey::from_der(&key.subject_public_key.data).ok()?;
    let modulus = key.modulus.iter().skip_while(|byte| **byte == 0);
    let leading = modulus.clone().next().map_or(0, |byte| byte.leading_zeros());
    (modulus.count() * 8).checked_sub(usize::try_from(leading).ok()?)
}

/// The bytes inside an element of DER, and those behind it.
pub(super) fn value(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, element) = Any::from_der(der).ok()?;
    Some((element.data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_schemes_are_asked_for_only_where_the_signature_does_not_count() {
        assert!(!schemes(true).contains(&SignatureScheme::RSA_PKCS1_SHA1));
        assert!(schemes(false).contains(&SignatureScheme::RSA_PKCS1_SHA1));
        assert!(schemes(true).contains(&SignatureScheme::ECDSA_NISTP521_SHA512));
    }
}
