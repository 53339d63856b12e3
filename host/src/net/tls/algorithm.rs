//! What people call the algorithms of certificates: the bytes of an object identifier in; a name, or else its numbers, out.

use x509_parser::asn1_rs::Oid;

pub(super) const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
pub(super) const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];

/// What people call the algorithms that are met in certificates and not supported here.
const NAMES: [(&[u8], &str); 16] = [
    (RSA, "RSA"),
    (RSA_PSS, "RSA-PSS with other than the usual parameters"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4], "MD5 with RSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5], "SHA-1 with RSA"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14], "SHA-224 with RSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], "SHA-1 with ECDSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1], "SHA-224 with ECDSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], "DSA"),
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3], "SHA-1 with DSA"),
    (&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 2], "SHA-256 with DSA"),
    (&[0x2b, 0x65, 0x71], "Ed448"),
    (&[0x2b, 0x81, 4, 0, 10], "the curve secp256k1"),
    (&[0x2b, 0x81, 4, 0, 33], "the curve secp224r1"),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7], "the curve brainpoolP256r1"),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 11], "the curve brainpoolP384r1"),
    (&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 13], "the curve brainpoolP512r1"),
];

/// In words, or else in numbers: the bytes of an object identifier.
pub(super) fn algorithm_name(oid: &[u8]) -> String {
    let known = NAMES.iter().find(|(known, _)| *known == oid);
    known.map_or_else(|| Oid::new(oid.into()).to_id_string(), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_has_a_name_or_at_least_its_number() {
        assert_eq!(algorithm_name(&[0x2b, 0x65, 0x71]), "Ed448");
        assert_eq!(algorithm_name(&[0x2b, 0x65, 0x70]), "1.3.101.112");
    }
}
