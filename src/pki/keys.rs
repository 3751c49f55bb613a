//! Keys of every kind that is made here, and self-signed certificates, as PEM.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, RsaKeySize, SignatureAlgorithm};
use zeroize::Zeroizing;

use super::authority::{add_names, common_name, make_serial, params};
use super::{Names, PkiError, encode_certificate, encode_private_key};
use crate::sensitive::SecretBytes;

const COMMON_NAME_MAX: usize = 64;

/// What kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, of so many bits.
    Rsa2048,
    /// RSA, of so many bits.
    Rsa3072,
    /// RSA, of so many bits.
    Rsa4096,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// A key pair.
pub struct KeyPairPem {
    /// PKCS #8, PEM.
    pub private: SecretBytes,
    /// SubjectPublicKeyInfo, PEM.
    pub public: String,
}

/// A certificate and its key.
pub struct CertificatePem {
    /// PEM.
    pub certificate: String,
    /// PKCS #8, PEM.
    pub key: SecretBytes,
}

/// A new key pair. RSA takes its time.
pub fn make_key_pair(kind: KeyKind) -> Result<KeyPairPem, PkiError> {
    let pair = make_key(kind)?;
    Ok(KeyPairPem {
        private: encode_private_key(&SecretBytes::new(pair.serialize_der())),
        public: pair.public_key_pem().replace('\r', ""),
    })
}

/// A certificate for a server of these names that is signed by its own key, valid from now for so long. It signs nothing
/// else.
pub fn make_self_signed(
    kind: KeyKind,
    names: &Names,
    now_unix_seconds: i64,
    valid_seconds: i64,
) -> Result<CertificatePem, PkiError> {
    let pair = make_key(kind)?;
    let mut params = params(&make_serial()?, now_unix_seconds, valid_seconds)?;
    let first = names.dns.first().cloned().or_else(|| names.addresses.first().map(ToString::to_string));
    // A common name has no more room (X.520); who checks a name looks at the others.
    let first = first.ok_or(PkiError::Name)?;
    params.distinguished_name = common_name(if first.len() > COMMON_NAME_MAX { "self-signed" } else { &first });
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if matches!(kind, KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096) {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    add_names(&mut params, &names.dns, &names.addresses)?;
    let certificate = params.self_signed(&*pair).map_err(|_| PkiError::Make)?;
    Ok(CertificatePem {
        certificate: encode_certificate(certificate.der()),
        key: encode_private_key(&SecretBytes::new(pair.serialize_der())),
    })
}

/// A new key. RSA takes its time.
pub(super) fn make_key(kind: KeyKind) -> Result<Zeroizing<KeyPair>, PkiError> {
    let ecdsa = |algorithm: &'static SignatureAlgorithm| KeyPair::generate_for(algorithm);
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
    let pair = match kind {
        KeyKind::P256 => ecdsa(&rcgen::PKCS_ECDSA_P256_SHA256),
        KeyKind::P384 => ecdsa(&rcgen::PKCS_ECDSA_P384_SHA384),
        KeyKind::P521 => ecdsa(&rcgen::PKCS_ECDSA_P521_SHA512),
        KeyKind::Ed25519 => return make_ed25519(),
        KeyKind::Rsa2048 => rsa(RsaKeySize::_2048),
        KeyKind::Rsa3072 => rsa(RsaKeySize::_3072),
        KeyKind::Rsa4096 => rsa(RsaKeySize::_4096),
    };
    pair.map(Zeroizing::new).map_err(|_| PkiError::Make)
}

/// In the first version of PKCS #8: rcgen writes the second, which OpenSSL does not read.
fn make_ed25519() -> Result<Zeroizing<KeyPair>, PkiError> {
    let made = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| PkiError::Random)?;
    KeyPair::try_from(made.as_ref()).map(Zeroizing::new).map_err(|_| PkiError::Make)
}

#[cfg(test)]
mod tests {
    use super::super::{CertificateFacts, pair_warning, read_blocks};
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it made")]
    fn a_self_signed_certificate_belongs_to_its_key_and_its_names() {
        let mut names = Names::default();
        names.add("db.example");
        names.add("10.0.0.1");
        for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048] {
            let made = make_self_signed(kind, &names, NOW, 86_400).unwrap();
            assert_eq!(pair_warning(made.certificate.as_bytes(), made.key.expose()), None);
            let der = read_blocks(made.certificate.as_bytes()).remove(0).bytes;
            let facts = CertificateFacts::read(der.expose()).unwrap();
            assert_eq!((facts.not_after, &facts.names), (NOW + 86_400, &names));
            assert!(facts.is_self_issued());
        }
        assert_eq!(make_self_signed(KeyKind::P256, &Names::default(), NOW, 1).err(), Some(PkiError::Name));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it made")]
    fn a_key_pair_is_two_pem_blocks() {
        let pair = make_key_pair(KeyKind::P256).unwrap();
        assert_eq!(read_blocks(pair.private.expose())[0].label, "PRIVATE KEY");
        assert_eq!(read_blocks(pair.public.as_bytes())[0].label, "PUBLIC KEY");
    }
}
