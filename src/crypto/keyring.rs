//! The keyring: every key of one store, and its wrapped form.
//!
//! It is never cloned, printed or serialised; [`Keyring::wrap`] is the only way out of memory. Wrapped, it is
//! `01 ver ‖ 01 alg ‖ nonce 24 ‖ commitment 32 ‖ ciphertext ‖ tag 16`. Inside stands a version byte and then
//! `tag u16 ‖ LP(value)` for each field, so that a later release can add fields. A field or version that this
//! release does not know is an error: rewriting the keyring without it would lose keys.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use chacha20poly1305::XChaCha20Poly1305;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::bytes::{Reader, length_prefix, put_prefixed};
use super::derive::{AAD_KEYRING, KEY_BYTES, KeyBytes, Mac, PurposeKeys, RootKey, TermSeed, make_array};
use super::envelope::{ALGORITHM, NONCE_BYTES, Nonce, TAG_BYTES, VERSION, decrypt_into, encrypt_onto};
use super::errors::{OpenFailure, RandomError, RingError, SealError, TermError};
use super::terms::{NextTerms, TERM_BYTES, Term, TermInfo, Terms, TermsRead};
use crate::sensitive::SecretBytes;

/// Version of what stands inside the wrapping.
const CONTENT_VERSION: u8 = 1;
const TAG_STORE_ID: u16 = 1;
const TAG_TERM: u16 = 2;
/// `tag u16 ‖ length u32` before each value.
const FIELD_HEADER_BYTES: usize = 6;

/// Every key of one store. Ciphers and MACs are made ready once, so that using one costs no key set-up.
pub struct Keyring {
    store_id: [u8; 16],
    terms: RwLock<Terms>,
    purposes: PurposeKeys,
    ready: Box<Ready>,
}

struct Ready {
    head: XChaCha20Poly1305,
    cursor: XChaCha20Poly1305,
    item: Mac,
    bucket: Mac,
    audit: Mac,
    lookup: Mac,
    sync: Mac,
    scan: Mac,
}

impl Keyring {
    /// The keyring of a new store: a random store id, one data term, a key for each purpose.
    pub fn make(now_unix_seconds: i64) -> Result<Self, RandomError> {
        let first = Term::new(1, now_unix_seconds, TermSeed::make()?);
        Ok(Self::assemble(make_array()?, Terms::of_first(first), PurposeKeys::make()?))
    }

    fn assemble(store_id: [u8; 16], terms: Terms, purposes: PurposeKeys) -> Self {
        let ready = Box::new(Ready {
            head: purposes.head.cipher(),
            cursor: purposes.cursor.cipher(),
            item: purposes.accumulator.item_mac(),
            bucket: purposes.accumulator.derive_bucket_mac(),
            audit: purposes.audit.mac(),
            lookup: purposes.lookup.mac(),
            sync: purposes.sync_mac.mac(),
            scan: purposes.scan.mac(),
        });
        Self { store_id, terms: RwLock::new(terms), purposes, ready }
    }

    /// The store's identifier. It is no secret: slots and the wrapped keyring are stored beside it.
    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// Every data term, the active one first.
    pub fn terms(&self) -> Vec<TermInfo> {
        self.read_terms().infos()
    }

    /// Number of the term that new rows are sealed with.
    pub fn active(&self) -> u32 {
        self.read_terms().active().id()
    }

    /// The terms with a new active one. Nothing is sealed with it before [`Keyring::adopt`].
    pub fn next_term(&self, now_unix_seconds: i64) -> Result<NextTerms, SealError> {
        self.read_terms().with_new(now_unix_seconds).map(NextTerms)
    }

    /// The terms without one. Rows that it sealed can never be opened again once this is stored: there must be none.
    pub fn without_term(&self, id: u32) -> Result<NextTerms, TermError> {
        self.read_terms().without(id).map(NextTerms)
    }

    /// Uses terms from now on. They must be stored, wrapped, by then, or rows would outlive their key.
    ///
    /// What is no longer among them goes on opening rows until [`Keyring::forget_retired`].
    pub fn adopt(&self, next: NextTerms) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = next.0;
    }

    /// Wipes terms that are destroyed, for when nobody holds a row any more that they sealed.
    pub fn forget_retired(&self) {
        self.terms.write().unwrap_or_else(PoisonError::into_inner).forget_retired();
    }

    /// The keyring sealed under the root key, to be stored.
    pub fn wrap(&self, root: &RootKey) -> Result<Vec<u8>, SealError> {
        self.wrap_with(root, &self.read_terms(), &make_array()?)
    }

    /// The keyring as it is to be with other terms, sealed under the root key.
    pub fn wrap_next(&self, root: &RootKey, next: &NextTerms) -> Result<Vec<u8>, SealError> {
        self.wrap_with(root, &next.0, &make_array()?)
    }

    pub(super) fn wrap_with(&self, root: &RootKey, terms: &Terms, nonce: &Nonce) -> Result<Vec<u8>, SealError> {
        let aad = ring_aad(&self.store_id);
        let wrapping = root.derive_ring_key(nonce, &aad);
        let content = self.encode(terms);
        let mut blob = Vec::with_capacity(2 + NONCE_BYTES + KEY_BYTES + content.len() + TAG_BYTES);
        blob.extend_from_slice(&[VERSION, ALGORITHM]);
        blob.extend_from_slice(nonce);
        blob.extend_from_slice(&wrapping.commitment);
        encrypt_onto(&mut blob, &wrapping.key.cipher(), nonce, &aad, &content)?;
        Ok(blob)
    }

    /// Opens what [`Keyring::wrap`] made for the store with this identifier.
    pub fn unwrap(root: &RootKey, store_id: [u8; 16], blob: &[u8]) -> Result<Self, RingError> {
        let mut reader = Reader::new(blob);
        match reader.byte().ok_or(RingError::Truncated)? {
            VERSION => {}
            version if version > VERSION => return Err(RingError::UnknownVersion(version)),
            _ => return Err(RingError::Damaged),
        }
        match reader.byte().ok_or(RingError::Truncated)? {
            ALGORITHM => {}
            algorithm => return Err(RingError::UnknownAlgorithm(algorithm)),
        }
        let nonce: &Nonce = reader.array().ok_or(RingError::Truncated)?;
        let commitment: &[u8; KEY_BYTES] = reader.array().ok_or(RingError::Truncated)?;
        let aad = ring_aad(&store_id);
        let wrapping = root.derive_ring_key(nonce, &aad);
        if !bool::from(wrapping.commitment.ct_eq(commitment)) {
            return Err(RingError::WrongRootKey);
        }
        let mut content = Zeroizing::default();
        decrypt_into(&mut content, &wrapping.key.cipher(), nonce, &aad, reader.rest()).map_err(
            |failure| match failure {
                OpenFailure::Truncated => RingError::Truncated,
                _ => RingError::Damaged,
            },
        )?;
        Self::decode(store_id, &content)
    }

    pub(super) fn encode(&self, terms: &Terms) -> Zeroizing<Vec<u8>> {
        // Exact, because growing would leave a copy of the keys in freed memory.
        let length = 1
            + FIELD_HEADER_BYTES
            + self.store_id.len()
            + terms.count() * (FIELD_HEADER_BYTES + TERM_BYTES)
            + PurposeKeys::COUNT * (FIELD_HEADER_BYTES + KEY_BYTES);
        let mut content = Zeroizing::new(Vec::with_capacity(length));
        content.push(CONTENT_VERSION);
        content.extend_from_slice(&TAG_STORE_ID.to_be_bytes());
        put_prefixed(&mut content, &self.store_id);
        terms.encode(|parts| {
            content.extend_from_slice(&TAG_TERM.to_be_bytes());
            for part in parts {
                content.extend_from_slice(part);
            }
        });
        for (tag, key) in self.purposes.tagged() {
            content.extend_from_slice(&tag.to_be_bytes());
            put_prefixed(&mut content, key.bytes());
        }
        content
    }

    pub(super) fn decode(store_id: [u8; 16], content: &[u8]) -> Result<Self, RingError> {
        let mut reader = Reader::new(content);
        match reader.byte() {
            Some(CONTENT_VERSION) => {}
            Some(version) => return Err(RingError::UnknownVersion(version)),
            None => return Err(RingError::Malformed("it is empty")),
        }
        let mut has_store_id = false;
        let mut terms = TermsRead::default();
        let mut keys = BTreeMap::new();
        while !reader.is_empty() {
            let (Some(tag), Some(value)) = (reader.u16(), reader.prefixed()) else {
                return Err(RingError::Malformed("a field is cut off"));
            };
            match tag {
                TAG_STORE_ID if has_store_id || value != store_id => {
                    return Err(RingError::Malformed("it belongs to another store"));
                }
                TAG_STORE_ID => has_store_id = true,
                TAG_TERM => terms.add(value)?,
                _ => {
                    let key = KeyBytes::copied_from(value).ok_or(RingError::UnknownField(tag))?;
                    if keys.insert(tag, key).is_some() {
                        return Err(RingError::Malformed("a key occurs twice"));
                    }
                }
            }
        }
        if !has_store_id {
            return Err(RingError::Malformed("it lacks the store's identifier"));
        }
        let terms = terms.finish()?;
        let purposes = PurposeKeys::from_tagged(|tag| keys.remove(&tag))?;
        match keys.first_key_value() {
            Some((tag, _)) => Err(RingError::UnknownField(*tag)),
            None => Ok(Self::assemble(store_id, terms, purposes)),
        }
    }

    /// The stored form of an opaque token: `HMAC(k_lookup, LP(purpose) ‖ LP(token))`. Whoever reads it from the
    /// database can neither use it nor guess at it.
    pub fn lookup_hash(&self, purpose: &str, token: &[u8]) -> [u8; 32] {
        let purpose = purpose.as_bytes();
        self.ready.lookup.of(&[&length_prefix(purpose), purpose, &length_prefix(token), token])
    }

    /// The mark by which an object in a cluster is known to be ours: `HMAC(k_sync_mac, LP(part) ‖ …)`.
    pub fn sync_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.ready.sync.of_prefixed(parts)
    }

    /// The key of the fingerprints in exported SealedSecrets. It is not stored: the same one is derived each time.
    #[must_use]
    pub fn sealed_fingerprint_key(&self) -> SecretBytes {
        SecretBytes::new(self.purposes.sync_mac.derive_fingerprint_key().bytes().to_vec())
    }

    pub(super) fn scan_mac(&self) -> &Mac {
        &self.ready.scan
    }

    pub(super) fn store_id_bytes(&self) -> &[u8; 16] {
        &self.store_id
    }

    pub(super) fn read_terms(&self) -> RwLockReadGuard<'_, Terms> {
        self.terms.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn active_term(&self) -> Arc<Term> {
        Arc::clone(self.read_terms().active())
    }

    pub(super) fn term(&self, id: u32) -> Option<Arc<Term>> {
        self.read_terms().find(id).cloned()
    }

    pub(super) fn head_cipher(&self) -> &XChaCha20Poly1305 {
        &self.ready.head
    }

    pub(super) fn cursor_cipher(&self) -> &XChaCha20Poly1305 {
        &self.ready.cursor
    }

    pub(super) fn item_mac(&self) -> &Mac {
        &self.ready.item
    }

    pub(super) fn bucket_mac(&self) -> &Mac {
        &self.ready.bucket
    }

    pub(super) fn audit_mac(&self) -> &Mac {
        &self.ready.audit
    }

    pub(super) fn derive_backup_mac(&self) -> Mac {
        self.purposes.head.derive_backup_mac()
    }

    pub(super) fn derive_audit_signing_seed(&self) -> KeyBytes {
        self.purposes.audit.derive_signing_seed()
    }
}

fn ring_aad(store_id: &[u8; 16]) -> Vec<u8> {
    [AAD_KEYRING, store_id, &[VERSION]].concat()
}
