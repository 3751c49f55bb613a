//! The keys that are lent to clusters: the terms of one KMSKey, and what is encrypted with them.
//!
//! ```text
//! stored      01 ver ‖ count u32 ‖ (term u32 ‖ created i64 ‖ seed 32)…        the last term is the current one
//! ciphertext  01 ver ‖ 01 alg ‖ term u32 ‖ nonce 24 ‖ ciphertext ‖ tag 16
//! ```
//!
//! A term's key is `HKDF(seed, "strongroom/v1/kms")`. Its tag is the first 8 bytes of `HKDF(seed, "strongroom/v1/kms-tag")`: it
//! stands in the key id, so that two terms that were given one number, after a restore say, have different key ids. The associated data of a ciphertext is `"strongroom/kms/v1\0" ‖
//! 01 ver ‖ 01 alg ‖ LP(store id) ‖ LP(uid of the KMSKey) ‖ LP(key id) ‖ term u32`: it opens for no other store, key or
//! key id.

use chacha20poly1305::XChaCha20Poly1305;

use super::bytes::{Reader, put_prefixed};
use super::derive::{AAD_KMS, KEY_BYTES, KeyBytes, LABEL_KMS, LABEL_KMS_TAG, derive_key, derive_tag, make_array};
use super::envelope::{ALGORITHM, NONCE_BYTES, Nonce, TAG_BYTES, VERSION, decrypt_into, encrypt_onto, versioned};
use super::errors::{OpenError, OpenFailure, RandomError, SealError, TermError};
use crate::sensitive::SecretBytes;

/// Bytes of a ciphertext besides those of the plaintext.
pub const KMS_OVERHEAD_BYTES: usize = 2 + 4 + NONCE_BYTES + TAG_BYTES;

/// Terms of one KMSKey at a time.
pub const KMS_TERMS_MAX: usize = 256;

const SUBJECT: &str = "what a KMSKey encrypted";
/// Bytes of what tells a term from any other of its number.
pub const KMS_TAG_BYTES: usize = 8;
/// `term u32 ‖ created i64 ‖ seed 32`
const TERM_BYTES: usize = 4 + 8 + KEY_BYTES;

/// A term as others may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KmsTermInfo {
    /// Its number, from 1.
    pub number: u32,
    /// What tells it from any other of that number.
    pub tag: [u8; KMS_TAG_BYTES],
    /// When it was made.
    pub created_unix_seconds: i64,
}

/// What a ciphertext is bound to besides its term.
#[derive(Debug, Clone, Copy)]
pub struct KmsBinding<'a> {
    /// The store's identifier.
    pub store_id: [u8; 16],
    /// `metadata.uid` of the KMSKey.
    pub uid: &'a [u8; 16],
    /// The key id that the cluster keeps beside the ciphertext.
    pub key_id: &'a str,
}

struct KmsTerm {
    info: KmsTermInfo,
    seed: KeyBytes,
    cipher: Box<XChaCha20Poly1305>,
}

impl KmsTerm {
    fn new(number: u32, created_unix_seconds: i64, seed: KeyBytes) -> Self {
        let cipher = Box::new(derive_key(seed.bytes(), &[], &[LABEL_KMS]).cipher());
        let tag = derive_tag(seed.bytes(), &[LABEL_KMS_TAG]);
        Self { info: KmsTermInfo { number, tag, created_unix_seconds }, seed, cipher }
    }
}

/// The terms of one KMSKey. It is never cloned, printed or serialised; [`KmsRing::encode`] is what is stored, sealed.
pub struct KmsRing {
    older: Vec<KmsTerm>,
    current: KmsTerm,
}

impl KmsRing {
    /// The ring of a new KMSKey: one term.
    pub fn make(now_unix_seconds: i64) -> Result<Self, RandomError> {
        Ok(Self { older: Vec::new(), current: KmsTerm::new(1, now_unix_seconds, KeyBytes::make()?) })
    }

    /// The term that encrypts.
    pub fn current(&self) -> KmsTermInfo {
        self.current.info
    }

    /// Every term, oldest first; the last is the current one.
    pub fn terms(&self) -> impl Iterator<Item = KmsTermInfo> + '_ {
        self.older.iter().chain([&self.current]).map(|term| term.info)
    }

    /// Makes a new term, which encrypts from now on, and returns its number.
    pub fn rotate(&mut self, now_unix_seconds: i64) -> Result<u32, SealError> {
        if self.older.len() + 1 >= KMS_TERMS_MAX {
            return Err(SealError::TermsExhausted);
        }
        let number = self.current.info.number.checked_add(1).ok_or(SealError::TermsExhausted)?;
        let next = KmsTerm::new(number, now_unix_seconds, KeyBytes::make()?);
        self.older.push(std::mem::replace(&mut self.current, next));
        Ok(number)
    }

    /// Forgets a term for good: what it encrypted can never be read again.
    pub fn forget(&mut self, number: u32) -> Result<(), TermError> {
        if number == self.current.info.number {
            return Err(TermError::Active(number));
        }
        let place = self.older.iter().position(|term| term.info.number == number).ok_or(TermError::Unknown(number))?;
        self.older.remove(place);
        Ok(())
    }

    /// As it is stored.
    pub fn encode(&self) -> SecretBytes {
        let count = self.older.len() + 1;
        // In one piece, because growing would leave a copy of the keys in freed memory.
        let mut content = Vec::with_capacity(1 + 4 + count * TERM_BYTES);
        content.push(VERSION);
        content.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        for term in self.older.iter().chain([&self.current]) {
            content.extend_from_slice(&term.info.number.to_be_bytes());
            content.extend_from_slice(&term.info.created_unix_seconds.to_be_bytes());
            content.extend_from_slice(term.seed.bytes());
        }
        SecretBytes::new(content)
    }

    /// Reads what [`KmsRing::encode`] wrote; `None` of anything else.
    #[expect(clippy::disallowed_methods, reason = "the stored seeds become keys")]
    pub fn decode(stored: &SecretBytes) -> Option<Self> {
        let mut reader = Reader::new(stored.expose());
        if reader.byte()? != VERSION {
            return None;
        }
        let count = reader.u32()?;
        let mut terms: Vec<KmsTerm> = Vec::new();
        for _ in 0..count {
            let (number, created, seed) = (reader.u32()?, reader.i64()?, reader.array::<KEY_BYTES>()?);
            if terms.last().map_or(0, |before| before.info.number) >= number {
                return None;
            }
            terms.push(KmsTerm::new(number, created, KeyBytes::copied_from(seed)?));
        }
        let current = terms.pop().filter(|_| reader.is_empty())?;
        Some(Self { older: terms, current })
    }

    /// Encrypts with the current term. `binding.key_id` is the key id of that term.
    #[expect(clippy::disallowed_methods, reason = "the plaintext is read to be encrypted")]
    pub fn seal(&self, binding: &KmsBinding<'_>, plain: &SecretBytes) -> Result<Vec<u8>, SealError> {
        self.seal_with(binding, plain.expose(), &make_array()?)
    }

    pub(super) fn seal_with(
        &self,
        binding: &KmsBinding<'_>,
        plain: &[u8],
        nonce: &Nonce,
    ) -> Result<Vec<u8>, SealError> {
        let term = &self.current;
        let mut sealed = Vec::with_capacity(KMS_OVERHEAD_BYTES + plain.len());
        sealed.extend_from_slice(&[VERSION, ALGORITHM]);
        sealed.extend_from_slice(&term.info.number.to_be_bytes());
        sealed.extend_from_slice(nonce);
        encrypt_onto(&mut sealed, &term.cipher, nonce, &associated(binding, term.info.number), plain)?;
        Ok(sealed)
    }

    /// Decrypts what `term` encrypted under this key id. The term in the ciphertext's header must be the same.
    pub fn open(&self, binding: &KmsBinding<'_>, term: u32, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        self.try_open(binding, term, sealed).map_err(|failure| OpenError::of(failure, SUBJECT))
    }

    fn try_open(&self, binding: &KmsBinding<'_>, number: u32, sealed: &[u8]) -> Result<SecretBytes, OpenFailure> {
        let mut reader = versioned(sealed)?;
        let envelope = reader.u32().ok_or(OpenFailure::Truncated)?;
        if envelope != number {
            return Err(OpenFailure::TermMismatch { row: number, envelope });
        }
        let nonce = reader.array().ok_or(OpenFailure::Truncated)?;
        let term = self.older.iter().chain([&self.current]).find(|term| term.info.number == number);
        let term = term.ok_or(OpenFailure::UnknownTerm(number))?;
        let mut plain = zeroize::Zeroizing::default();
        decrypt_into(&mut plain, &term.cipher, nonce, &associated(binding, number), reader.rest())?;
        Ok(SecretBytes::new(std::mem::take(&mut *plain)))
    }
}

fn associated(binding: &KmsBinding<'_>, term: u32) -> Vec<u8> {
    let mut associated = Vec::with_capacity(AAD_KMS.len() + 2 + 3 * 4 + 16 + 16 + binding.key_id.len() + 4);
    associated.extend_from_slice(AAD_KMS);
    associated.extend_from_slice(&[VERSION, ALGORITHM]);
    put_prefixed(&mut associated, &binding.store_id);
    put_prefixed(&mut associated, binding.uid);
    put_prefixed(&mut associated, binding.key_id.as_bytes());
    associated.extend_from_slice(&term.to_be_bytes());
    associated
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: [u8; 16] = [7; 16];

    fn bound(key_id: &str) -> KmsBinding<'_> {
        KmsBinding { store_id: [1; 16], uid: &UID, key_id }
    }

    fn secret(bytes: &[u8]) -> SecretBytes {
        SecretBytes::new(bytes.to_vec())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at what it encrypted")]
    fn every_term_decrypts_its_own_until_it_is_forgotten() {
        let mut ring = KmsRing::make(10).unwrap();
        let first = ring.seal(&bound("one"), &secret(b"seed")).unwrap();
        assert_ne!(first, ring.seal(&bound("one"), &secret(b"seed")).unwrap(), "a nonce was used twice");
        assert_eq!(ring.rotate(20), Ok(2));
        let second = ring.seal(&bound("two"), &secret(b"seed")).unwrap();
        let mut ring = KmsRing::decode(&ring.encode()).unwrap();
        let terms: Vec<_> = ring.terms().map(|term| (term.number, term.created_unix_seconds)).collect();
        assert_eq!((terms, ring.current().number), (vec![(1, 10), (2, 20)], 2));
        assert_eq!(ring.open(&bound("one"), 1, &first).unwrap().expose(), b"seed");
        assert_eq!(ring.open(&bound("two"), 2, &second).unwrap().expose(), b"seed");
        assert_eq!(ring.forget(2), Err(TermError::Active(2)));
        assert_eq!(ring.forget(3), Err(TermError::Unknown(3)));
        ring.forget(1).unwrap();
        let failure = ring.open(&bound("one"), 1, &first).err().unwrap().failure();
        assert_eq!(failure, OpenFailure::UnknownTerm(1));
        // A number is never used twice.
        assert_eq!(ring.rotate(30), Ok(3));
    }

    #[test]
    fn terms_of_one_number_have_different_tags() {
        let mut ring = KmsRing::make(0).unwrap();
        let mut restored = KmsRing::decode(&ring.encode()).unwrap();
        assert_eq!(ring.current(), restored.current());
        assert_eq!((ring.rotate(1), restored.rotate(1)), (Ok(2), Ok(2)));
        assert_ne!(ring.current().tag, restored.current().tag);
        assert_eq!(KmsRing::decode(&ring.encode()).unwrap().current(), ring.current());
    }

    #[test]
    fn a_key_has_so_many_terms_until_some_are_forgotten() {
        let mut ring = KmsRing::make(0).unwrap();
        for _ in 1..KMS_TERMS_MAX {
            ring.rotate(1).unwrap();
        }
        assert_eq!(ring.rotate(2), Err(SealError::TermsExhausted));
        assert_eq!(KmsRing::decode(&ring.encode()).unwrap().terms().count(), KMS_TERMS_MAX);
        ring.forget(1).unwrap();
        assert_eq!(ring.rotate(2), Ok(257));
    }

    #[test]
    fn a_ciphertext_opens_for_nothing_else() {
        let mut ring = KmsRing::make(0).unwrap();
        ring.rotate(1).unwrap();
        let sealed = ring.seal(&bound("id"), &secret(b"seed")).unwrap();
        assert_eq!(sealed.len(), 4 + KMS_OVERHEAD_BYTES);
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert!(ring.open(&bound("id"), 2, &other).is_err(), "{at}");
            assert!(ring.open(&bound("id"), 2, &sealed[..at]).is_err(), "{at}");
        }
        let mismatch = ring.open(&bound("id"), 1, &sealed).err().unwrap().failure();
        assert_eq!(mismatch, OpenFailure::TermMismatch { row: 1, envelope: 2 });
        let (other_uid, id) = ([8; 16], bound("id"));
        for wrong in [bound("ie"), KmsBinding { store_id: [2; 16], ..id }, KmsBinding { uid: &other_uid, ..id }] {
            assert_eq!(ring.open(&wrong, 2, &sealed).err().unwrap().failure(), OpenFailure::NotAuthentic);
        }
        assert!(KmsRing::make(0).unwrap().open(&bound("id"), 2, &sealed).is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test cuts what is stored")]
    fn what_is_stored_is_read_as_a_whole_or_not_at_all() {
        let mut ring = KmsRing::make(0).unwrap();
        ring.rotate(1).unwrap();
        let stored = ring.encode();
        let stored = stored.expose();
        for end in 0..stored.len() {
            assert!(KmsRing::decode(&secret(&stored[..end])).is_none(), "{end}");
        }
        assert!(KmsRing::decode(&secret(&[stored, &[0]].concat())).is_none());
        let mut other = stored.to_vec();
        other[0] = 2;
        assert!(KmsRing::decode(&secret(&other)).is_none());
        // Two terms of one number.
        let mut twice = stored.to_vec();
        twice[5..9].copy_from_slice(&2_u32.to_be_bytes());
        assert!(KmsRing::decode(&secret(&twice)).is_none());
        assert!(KmsRing::decode(&secret(&[1, 0, 0, 0, 0])).is_none());
    }
}
