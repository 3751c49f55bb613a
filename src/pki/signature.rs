//! Whether a key has signed a certificate or a certificate request.
//!
//! What it never does: judge dates, purposes or chains; that is for the TLS library.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use super::certificate::{CertificateFacts, EC_PUBLIC_KEY, ED25519, RSA_ENCRYPTION};
use super::der::{BIT_STRING, Elements, OBJECT_IDENTIFIER, SEQUENCE, only};

/// 1.2.840.10045.3.1.7
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.132.0.35
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// 1.2.840.10045.4.3.2
pub(super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// 1.2.840.10045.4.3.3
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// 1.2.840.10045.4.3.4
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];
/// 1.2.840.113549.1.1.11
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// 1.2.840.113549.1.1.12
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
/// 1.2.840.113549.1.1.13
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];

/// What certificates and certificate requests have in common: content, algorithm, signature.
pub(super) struct Signed<'a> {
    /// The signed element with its header.
    pub whole: &'a [u8],
    /// What it holds.
    pub content: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes one DER certificate or request apart.
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut parts = Elements::of(only(der, SEQUENCE)?);
        let signed = parts.expect(SEQUENCE)?;
        let algorithm = Elements::of(parts.expect(SEQUENCE)?.content).expect(OBJECT_IDENTIFIER)?.content;
        let signature = parts.expect(BIT_STRING)?.content.strip_prefix(&[0])?;
        parts.is_empty().then_some(Self { whole: signed.whole, content: signed.content, algorithm, signature })
    }

    /// Whether the key of this `subjectPublicKeyInfo` has signed it.
    pub fn is_signed_by(&self, key_info: &[u8]) -> bool {
        self.check(key_info).is_some()
    }

    fn check(&self, key_info: &[u8]) -> Option<()> {
        let mut key_info = Elements::of(only(key_info, SEQUENCE)?);
        let mut algorithm = Elements::of(key_info.expect(SEQUENCE)?.content);
        let kind = algorithm.expect(OBJECT_IDENTIFIER)?.content;
        let key = key_info.expect(BIT_STRING)?.content.strip_prefix(&[0])?;
        let curve = if kind == EC_PUBLIC_KEY { algorithm.expect(OBJECT_IDENTIFIER)?.content } else { &[] };
        let verification = verification(kind, curve, self.algorithm)?;
        let is_whole = key_info.is_empty() && (kind == RSA_ENCRYPTION || algorithm.is_empty());
        is_whole.then(|| UnparsedPublicKey::new(verification, key).verify(self.whole, self.signature).ok())?
    }
}

/// Whether the key of `authority` has signed `certificate`, which names it as its issuer. Says nothing of dates.
pub(super) fn is_issued_by(certificate: &[u8], authority: &[u8]) -> bool {
    let (Ok(facts), Ok(issuer)) = (CertificateFacts::read(certificate), CertificateFacts::read(authority)) else {
        return false;
    };
    facts.issuer == issuer.subject
        && Signed::read(certificate).is_some_and(|signed| signed.is_signed_by(issuer.public_key_info))
}

/// Pairs of key and signature that belong together. RSA keys are of 2,048 to 8,192 bits.
fn verification(key: &[u8], curve: &[u8], signature: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (key, curve, signature) {
        (EC_PUBLIC_KEY, P256, ECDSA_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (EC_PUBLIC_KEY, P256, ECDSA_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
        (EC_PUBLIC_KEY, P256, ECDSA_SHA512) => &signature::ECDSA_P256_SHA512_ASN1,
        (EC_PUBLIC_KEY, P384, ECDSA_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
        (EC_PUBLIC_KEY, P384, ECDSA_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        (EC_PUBLIC_KEY, P384, ECDSA_SHA512) => &signature::ECDSA_P384_SHA512_ASN1,
        (EC_PUBLIC_KEY, P521, ECDSA_SHA256) => &signature::ECDSA_P521_SHA256_ASN1,
        (EC_PUBLIC_KEY, P521, ECDSA_SHA384) => &signature::ECDSA_P521_SHA384_ASN1,
        (EC_PUBLIC_KEY, P521, ECDSA_SHA512) => &signature::ECDSA_P521_SHA512_ASN1,
        (ED25519, _, ED25519) => &signature::ED25519,
        (RSA_ENCRYPTION, _, RSA_SHA256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (RSA_ENCRYPTION, _, RSA_SHA384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (RSA_ENCRYPTION, _, RSA_SHA512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Names, make_authority, make_leaf};
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_certificate_is_known_by_the_key_that_signed_it_and_not_by_the_name_it_gives() {
        let (ours, other) = (make_authority(NOW).unwrap(), make_authority(NOW).unwrap());
        let leaf = make_leaf(&ours, &Names::local(), NOW).unwrap().certificate;
        assert!(is_issued_by(&leaf, &ours.certificate));
        assert!(!is_issued_by(&leaf, &other.certificate));
        // Another authority that has taken our name.
        let name = |der: &[u8]| CertificateFacts::read(der).unwrap().subject.to_vec();
        let (mine, theirs) = (name(&ours.certificate), name(&other.certificate));
        assert_eq!(mine.len(), theirs.len());
        let mut forged = make_leaf(&other, &Names::local(), NOW).unwrap().certificate;
        let at = forged.windows(theirs.len()).position(|window| window == theirs).unwrap();
        forged.splice(at..at + theirs.len(), mine);
        assert!(!is_issued_by(&forged, &ours.certificate));
        assert!(!is_issued_by(b"junk", &ours.certificate) && !is_issued_by(&leaf, b"junk"));
    }

    #[test]
    fn one_changed_bit_undoes_a_signature() {
        let ours = make_authority(NOW).unwrap();
        let leaf = make_leaf(&ours, &Names::local(), NOW).unwrap().certificate;
        for index in 0..leaf.len() {
            let mut changed = leaf.clone();
            changed[index] ^= 1;
            assert!(!is_issued_by(&changed, &ours.certificate), "byte {index}");
        }
    }
}
