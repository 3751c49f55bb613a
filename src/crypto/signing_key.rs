//! Key pairs that sign tokens: made here, used by `auth`.
//!
//! The private key leaves as [`SecretBytes`], for the caller to seal. Nothing here signs or verifies.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::errors::RandomError;
use crate::sensitive::SecretBytes;

/// What a key pair is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8032), `EdDSA` in JOSE (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 with SHA-256, `ES256` in JOSE (RFC 7518).
    Es256,
}

/// A key pair.
pub struct SigningKey {
    /// PKCS #8 (RFC 5958, version 1), DER.
    pub private: SecretBytes,
    /// Ed25519: the 32 bytes of RFC 8032. P-256: `04 ‖ x ‖ y` (SEC 1, uncompressed).
    pub public: Vec<u8>,
}

impl SigningKey {
    /// A new random one.
    pub fn make(algorithm: SigningAlgorithm) -> Result<Self, RandomError> {
        let (private, public) = match algorithm {
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(|_| RandomError)?;
                (pair.to_pkcs8v1().map_err(|_| RandomError)?, pair.public_key().as_ref().to_vec())
            }
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| RandomError)?;
                (pair.to_pkcs8v1().map_err(|_| RandomError)?, pair.public_key().as_ref().to_vec())
            }
        };
        Ok(Self { private: SecretBytes::new(private.as_ref().to_vec()), public })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was made")]
mod tests {
    use super::*;

    #[test]
    fn the_private_half_belongs_to_the_public_one() {
        let key = SigningKey::make(SigningAlgorithm::EdDsa).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(key.private.expose()).unwrap();
        assert_eq!((pair.public_key().as_ref(), key.public.len()), (key.public.as_slice(), 32));
        let key = SigningKey::make(SigningAlgorithm::Es256).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.private.expose()).unwrap();
        assert_eq!((pair.public_key().as_ref(), key.public.first()), (key.public.as_slice(), Some(&4)));
        assert_eq!(key.public.len(), 65);
    }
}
