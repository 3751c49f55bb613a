//! The certificate of a sealed-secrets controller, and what is encrypted to its key.
//!
//! `kubeseal` takes the first certificate of a file and refuses it when it has expired. A file with the certificates of
//! several renewals is common, so the newest one that is valid is taken here.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};

use super::primitives::{Key, gcm_seal_once};
use crate::pki::{CertificateFacts, KeyAlgorithm, read_blocks};

/// Why there is no certificate to seal with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No PEM block that is a certificate.
    #[error("no certificate in PEM form was found; get the controller's with: kubeseal --fetch-cert")]
    None,
    /// None of them has a key that can seal.
    #[error("no certificate has an RSA key of 2048 to 8192 bits, which is what sealed-secrets encrypts to")]
    NoRsaKey,
    /// All have expired.
    #[error("the certificate has expired; get the controller's current one with: kubeseal --fetch-cert")]
    Expired,
    /// None is valid yet.
    #[error("the certificate is not valid yet; is the clock right?")]
    NotYet,
}

/// A controller's public key.
pub struct SealingCertificate {
    key: OaepPublicEncryptingKey,
    fingerprint: [u8; 32],
}

impl SealingCertificate {
    /// Of the certificates in `pem`, the newest (by `notBefore`) that is valid at `now_seconds`, or with `allow_expired`
    /// the newest that has begun.
    #[expect(clippy::disallowed_methods, reason = "a certificate is public")]
    pub fn choose(pem: &[u8], now_seconds: i64, allow_expired: bool) -> Result<Self, CertificateError> {
        let blocks = read_blocks(pem);
        let certificates: Vec<_> = blocks
            .iter()
            .filter(|block| block.label == "CERTIFICATE")
            .filter_map(|block| CertificateFacts::read(block.bytes.expose()).ok())
            .collect();
        if certificates.is_empty() {
            return Err(CertificateError::None);
        }
        let mut sealing: Vec<_> = certificates
            .iter()
            .filter(|facts| facts.key_algorithm == KeyAlgorithm::Rsa)
            .filter_map(|facts| Some((facts, encrypting_key(facts.public_key_info)?)))
            .collect();
        if sealing.is_empty() {
            return Err(CertificateError::NoRsaKey);
        }
        sealing.retain(|(facts, _)| facts.not_before <= now_seconds);
        if sealing.is_empty() {
            return Err(CertificateError::NotYet);
        }
        sealing.retain(|(facts, _)| allow_expired || now_seconds <= facts.not_after);
        let (facts, key) =
            sealing.into_iter().max_by_key(|(facts, _)| facts.not_before).ok_or(CertificateError::Expired)?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, facts.public_key_info).as_ref());
        Ok(Self { key, fingerprint })
    }

    /// SHA-256 of its `subjectPublicKeyInfo`.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// `u16be length ‖ RSA-OAEP(session key, label) ‖ AES-256-GCM(session key, value)`. The session key is used once.
    pub(super) fn seal(&self, session_key: &Key, label: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        let mut wrapped = vec![0; self.key.ciphertext_size()];
        // An empty label and none are the same.
        let wrapped =
            self.key.encrypt(&OAEP_SHA256_MGF1SHA256, session_key.as_ref(), &mut wrapped, Some(label)).ok()?;
        let mut out = u16::try_from(wrapped.len()).ok()?.to_be_bytes().to_vec();
        out.extend_from_slice(wrapped);
        out.extend_from_slice(&gcm_seal_once(session_key, value)?);
        Some(out)
    }
}

fn encrypting_key(public_key_info: &[u8]) -> Option<OaepPublicEncryptingKey> {
    OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public_key_info).ok()?).ok()
}
