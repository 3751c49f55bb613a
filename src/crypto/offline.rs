//! What a machine keeps of Secrets for when the server does not answer: sealed with a key of that machine, of which no server
//! knows.

use chacha20poly1305::XChaCha20Poly1305;

use super::bytes::put_prefixed;
use super::derive::{
    AAD_OFFLINE, KEY_BYTES, KeyBytes, LABEL_OFFLINE_NAME, LABEL_OFFLINE_SEAL, Mac, derive_key, make_array,
};
use super::envelope::{Nonce, open_blob, seal_blob};
use super::errors::{OpenError, OpenFailure, RandomError, SealError};
use crate::sensitive::SecretBytes;

/// Seals, opens and names what one machine keeps.
pub struct OfflineKey {
    cipher: XChaCha20Poly1305,
    names: Mac,
}

impl OfflineKey {
    /// The 32 bytes of a new key.
    pub fn make_bytes() -> Result<SecretBytes, RandomError> {
        KeyBytes::make().map(|key| SecretBytes::new(key.bytes().to_vec()))
    }

    /// Of 32 bytes; `None` of any other number.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the key becomes keys")]
    pub fn from_bytes(key: &SecretBytes) -> Option<Self> {
        let key = key.expose();
        if key.len() != KEY_BYTES {
            return None;
        }
        let derived = |label| derive_key(key, &[], &[label]);
        Some(Self { cipher: derived(LABEL_OFFLINE_SEAL).cipher(), names: Mac::new(&derived(LABEL_OFFLINE_NAME)) })
    }

    /// A name that tells nothing to who does not have the key: `HMAC(HKDF(key, "…/offline-name"), LP(part) ‖ …)`.
    #[must_use]
    pub fn name(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.names.of_prefixed(parts)
    }

    /// Seals `plain`, bound to `parts`: the associated data is `"strongroom/offline/v1\0" ‖ LP(part) ‖ …`.
    #[expect(clippy::disallowed_methods, reason = "the plaintext is read to be encrypted")]
    pub fn seal(&self, parts: &[&[u8]], plain: &SecretBytes) -> Result<Vec<u8>, SealError> {
        self.seal_with(parts, plain.expose(), &make_array()?)
    }

    pub(super) fn seal_with(&self, parts: &[&[u8]], plain: &[u8], nonce: &Nonce) -> Result<Vec<u8>, SealError> {
        seal_blob(&self.cipher, nonce, &associated(parts), plain)
    }

    /// Opens what [`OfflineKey::seal`] made with the same parts.
    pub fn open(&self, parts: &[&[u8]], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let opened: Result<_, OpenFailure> = open_blob(&self.cipher, &associated(parts), sealed);
        let mut plain = opened.map_err(|failure| OpenError::of(failure, "what is kept offline"))?;
        Ok(SecretBytes::new(std::mem::take(&mut *plain)))
    }
}

fn associated(parts: &[&[u8]]) -> Vec<u8> {
    let mut associated = AAD_OFFLINE.to_vec();
    for part in parts {
        put_prefixed(&mut associated, part);
    }
    associated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it sealed")]
    fn what_is_sealed_opens_with_its_key_and_its_parts_alone() {
        let key = |byte: u8| OfflineKey::from_bytes(&SecretBytes::new(vec![byte; 32])).unwrap();
        let plain = SecretBytes::new(b"value".to_vec());
        let parts: [&[u8]; 2] = [b"a", b"bc"];
        let sealed = key(1).seal(&parts, &plain).unwrap();
        assert_ne!(sealed, key(1).seal(&parts, &plain).unwrap(), "a nonce was used twice");
        assert_eq!(key(1).open(&parts, &sealed).unwrap().expose(), b"value");
        assert!(key(2).open(&parts, &sealed).is_err());
        for other in [&[&b"ab"[..], b"c"][..], &[b"a"], &[b"a", b"bc", b""], &[b"bc", b"a"]] {
            assert!(key(1).open(other, &sealed).is_err());
        }
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(key(1).open(&parts, &other).is_err(), "{at}");
            assert!(key(1).open(&parts, &sealed[..at]).is_err(), "{at}");
        }
        for length in [0, 31, 33] {
            assert!(OfflineKey::from_bytes(&SecretBytes::new(vec![1; length])).is_none());
        }
        assert_eq!(OfflineKey::make_bytes().unwrap().len(), 32);
    }
}
