//! Signatures of certificates that fitted: an algorithm in; one out that computes only what it did not find to fit before. A
//! server shows the same certificates in each session, and that they are signed stays true; what may have changed – dates, names,
//! revocation – is judged each time. Signatures of handshakes are not remembered: no two are the same.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest::{Context, Digest, SHA256};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

/// Signatures that are remembered, at most; with more, all are forgotten. Two megabytes, for the chains of ten thousand servers.
const REMEMBERED: usize = 32_768;

/// Of each, its digest with all that it depends on.
static FITTED: Mutex<Option<HashSet<[u8; 32]>>> = Mutex::new(None);

/// The same algorithm; for the rest of the program's life.
pub(super) fn remembering(
    algorithm: &'static dyn SignatureVerificationAlgorithm,
) -> &'static dyn SignatureVerificationAlgorithm {
    Box::leak(Box::new(Remembering(algorithm)))
}

#[derive(Debug)]
struct Remembering(&'static dyn SignatureVerificationAlgorithm);

impl SignatureVerificationAlgorithm for Remembering {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.0.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.0.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.0.fips()
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let (of_key, of_signature) = (self.public_key_alg_id(), self.signature_alg_id());
        let case = digest(&[of_key.as_ref(), of_signature.as_ref(), key, message, signature]);
        let case = case.as_ref().try_into().ok();
        if case.is_some_and(|case| fitted(|known| known.contains(&case))) {
            return Ok(());
        }
        self.0.verify_signature(key, message, signature)?;
        if let Some(case) = case {
            fitted(|known| {
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(case);
            });
        }
        Ok(())
    }
}

fn fitted<T>(at: impl FnOnce(&mut HashSet<[u8; 32]>) -> T) -> T {
    let mut known = FITTED.lock().unwrap_or_else(PoisonError::into_inner);
    at(known.get_or_insert_default())
}

/// Each part with its length before it: no two cases are the same bytes.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut digest = Context::new(&SHA256);
    for part in parts {
        digest.update(&part.len().to_be_bytes());
        digest.update(part);
    }
    digest.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::alg_id;

    use super::*;

    /// Fits where the signature is the message.
    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl SignatureVerificationAlgorithm for Counting {
        fn public_key_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ED25519
        }

        fn signature_alg_id(&self) -> AlgorithmIdentifier {
            alg_id::ED25519
        }

        fn verify_signature(
            &self,
            _key: &[u8],
            message: &[u8],
            signature: &[u8],
        ) -> Result<(), InvalidSignature> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if message == signature { Ok(()) } else { Err(InvalidSignature) }
        }
    }

    #[test]
    fn only_the_very_same_that_fitted_is_not_computed_again() {
        let counting: &Counting = Box::leak(Box::default());
        let algorithm = remembering(counting);
        let computed = |key: &[u8], message: &[u8], signature: &[u8]| {
            let before = counting.0.load(Ordering::Relaxed);
            let fits = algorithm.verify_signature(key, message, signature).is_ok();
            (fits, counting.0.load(Ordering::Relaxed) - before)
        };
        assert_eq!(computed(b"fitted key", b"message", b"message"), (true, 1));
        assert_eq!(computed(b"fitted key", b"message", b"message"), (true, 0));
        // Not another key, nor the same bytes parted otherwise, nor what did not fit.
        assert_eq!(computed(b"other key", b"message", b"message"), (true, 1));
        assert_eq!(computed(b"fitted keym", b"essage", b"message"), (false, 1));
        assert_eq!(computed(b"fitted key", b"message", b"massage"), (false, 1));
        assert_eq!(computed(b"fitted key", b"message", b"massage"), (false, 1));
    }
}
