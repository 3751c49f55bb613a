//! Signatures under the audit log: whoever has the public key can check them, and can make none.
//!
//! Ed25519 (RFC 8032) over `"strongroom/audit-signature/v1\0" ‖ message`. The seed is derived from `k_audit`, so
//! that the key needs no place of its own. It never signs anything but what the audit log says of itself.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::derive::{AUDIT_SIGNED, KEY_BYTES};
use super::keyring::Keyring;

/// `SubjectPublicKeyInfo` of an Ed25519 key up to the key itself (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// The key that signs checkpoints of the audit log. The library that holds it wipes it.
pub struct AuditSigner(Ed25519KeyPair);

impl Keyring {
    /// The key that signs checkpoints of this store's audit log.
    pub fn derive_audit_signer(&self) -> AuditSigner {
        AuditSigner(key_pair(self.derive_audit_signing_seed().bytes()))
    }
}

impl AuditSigner {
    /// What checks its signatures.
    pub fn public_key(&self) -> AuditPublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        AuditPublicKey(key)
    }

    /// The signature over `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(&[AUDIT_SIGNED, message].concat()).as_ref());
        signature
    }
}

/// What checks the signatures of one store's audit log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditPublicKey([u8; 32]);

impl AuditPublicKey {
    /// Whether the owner of the key has signed `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&[AUDIT_SIGNED, message].concat(), signature).is_ok()
    }

    /// As `openssl pkey -pubin` reads it.
    pub fn to_pem(self) -> String {
        let der = [SPKI_PREFIX.as_slice(), &self.0].concat();
        format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(der))
    }

    /// What [`AuditPublicKey::to_pem`] wrote; `None` where it is anything else.
    pub fn from_pem(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
        let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(body).ok()?;
        Some(Self(der.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?))
    }
}

#[expect(clippy::expect_used, reason = "a seed is refused for its length only, and this one has 32 bytes")]
fn key_pair(seed: &[u8; KEY_BYTES]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes")
}

impl fmt::Debug for AuditPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditPublicKey({})", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_and_its_key_only() {
        let (one, two) = (Keyring::make(0).unwrap().derive_audit_signer(), Keyring::make(0).unwrap());
        let two = two.derive_audit_signer();
        let signature = one.sign(b"message");
        assert!(one.public_key().verifies(b"message", &signature));
        assert!(!one.public_key().verifies(b"messagf", &signature));
        assert!(!two.public_key().verifies(b"message", &signature));
        let mut other = signature;
        other[63] ^= 1;
        assert!(!one.public_key().verifies(b"message", &other));
        assert!(!one.public_key().verifies(b"message", &signature[..63]));
    }

    #[test]
    fn a_public_key_is_read_as_it_was_written_and_nothing_else_is() {
        let key = Keyring::make(0).unwrap().derive_audit_signer().public_key();
        let pem = key.to_pem();
        assert_eq!(AuditPublicKey::from_pem(&pem), Some(key));
        assert_eq!(AuditPublicKey::from_pem(&pem.replace('\n', "\r\n")), Some(key));
        for wrong in ["", "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", &pem.replace("MCow", "MCox")] {
            assert_eq!(AuditPublicKey::from_pem(wrong), None, "{wrong}");
        }
    }
}
