//! The keyring: every key of one store, and its wrapped form.
//!
//! It is never cloned, printed or serialised; [`Keyring::wrap`] is the only way out of memory. Wrapped, it is
//! `01 ver ‖ 01 alg ‖ nonce 24 ‖ commitment 32 ‖ ciphertext ‖ tag 16`. Inside stands a version byte and then
//! `tag u16 ‖ LP(value)` for each field, so that a later release can add fields. A field or version that this
//! release does not know is an error: rewriting the keyring without it would lose keys.

use std::collections::BTreeMap;

use chacha20poly1305::XChaCha20Poly1305;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::bytes::{Reader, length_prefix, put_prefixed};
use super::derive::{AAD_KEYRING, KEY_BYTES, KeyBytes, Mac, PurposeKeys, RootKey, TermSeed, make_array};
use super::envelope::{ALGORITHM, NONCE_BYTES, Nonce, TAG_BYTES, VERSION, decrypt_into, encrypt_onto};
use super::errors::{OpenFailure, RandomError, RingError, SealError, TermError};
use crate::sensitive::SecretBytes;

/// Version of what stands inside the wrapping.
const CONTENT_VERSION: u8 = 1;
const TAG_STORE_ID: u16 = 1;
const TAG_TERM: u16 = 2;
const STATE_ACTIVE: u8 = 1;
const STATE_DECRYPT_ONLY: u8 = 2;
/// `id u32 ‖ state u8 ‖ created i64 ‖ seed 32`
const TERM_BYTES: usize = 4 + 1 + 8 + KEY_BYTES;
/// `tag u16 ‖ length u32` before each value.
const FIELD_HEADER_BYTES: usize = 6;

/// What a data term is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermState {
    /// New rows are sealed with it. Exactly one term is active.
    Active,
    /// It opens the rows that it sealed.
    DecryptOnly,
}

/// A data term, without its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TermInfo {
    /// Its number, from 1; never used twice.
    pub id: u32,
    /// What it is used for.
    pub state: TermState,
    /// When it was made.
    pub created_unix_seconds: i64,
}

/// A data term with its key, ready for use.
pub(super) struct Term {
    id: u32,
    created_unix_seconds: i64,
    seed: TermSeed,
    cipher: Box<XChaCha20Poly1305>,
}

impl Term {
    fn new(id: u32, created_unix_seconds: i64, seed: TermSeed) -> Self {
        let cipher = Box::new(seed.derive_cipher());
        Self { id, created_unix_seconds, seed, cipher }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
    }

    fn info(&self, state: TermState) -> TermInfo {
        TermInfo { id: self.id, state, created_unix_seconds: self.created_unix_seconds }
    }
}

/// Every key of one store. Ciphers and MACs are made ready once, so that using one costs no key set-up.
pub struct Keyring {
    store_id: [u8; 16],
    active: Term,
    decrypt_only: Vec<Term>,
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
        Ok(Self::assemble(make_array()?, first, Vec::new(), PurposeKeys::make()?))
    }

    fn assemble(store_id: [u8; 16], active: Term, decrypt_only: Vec<Term>, purposes: PurposeKeys) -> Self {
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
        Self { store_id, active, decrypt_only, purposes, ready }
    }

    /// The store's identifier. It is no secret: slots and the wrapped keyring are stored beside it.
    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// Every data term, the active one first.
    pub fn terms(&self) -> impl Iterator<Item = TermInfo> + '_ {
        let older = self.decrypt_only.iter().map(|term| term.info(TermState::DecryptOnly));
        std::iter::once(self.active.info(TermState::Active)).chain(older)
    }

    /// Makes a new active term and returns its number. Commit the wrapped keyring before the first row uses it.
    pub fn rotate(&mut self, now_unix_seconds: i64) -> Result<u32, SealError> {
        // The active term always has the highest number, so a number is never used twice.
        let id = self.active.id.checked_add(1).ok_or(SealError::TermsExhausted)?;
        let previous = std::mem::replace(&mut self.active, Term::new(id, now_unix_seconds, TermSeed::make()?));
        self.decrypt_only.push(previous);
        Ok(id)
    }

    /// Forgets a term for good. Rows that it sealed can never be opened again: there must be none.
    pub fn destroy_term(&mut self, id: u32) -> Result<(), TermError> {
        if id == self.active.id {
            return Err(TermError::Active(id));
        }
        let place = self.decrypt_only.iter().position(|term| term.id == id).ok_or(TermError::Unknown(id))?;
        self.decrypt_only.remove(place);
        Ok(())
    }

    /// The keyring sealed under the root key, to be stored.
    pub fn wrap(&self, root: &RootKey) -> Result<Vec<u8>, SealError> {
        self.wrap_with(root, &make_array()?)
    }

    pub(super) fn wrap_with(&self, root: &RootKey, nonce: &Nonce) -> Result<Vec<u8>, SealError> {
        let aad = ring_aad(&self.store_id);
        let wrapping = root.derive_ring_key(nonce, &aad);
        let content = self.encode();
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
            version => return Err(RingError::UnknownVersion(version)),
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

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let term_count = 1 + self.decrypt_only.len();
        // Exact, because growing would leave a copy of the keys in freed memory.
        let length = 1
            + FIELD_HEADER_BYTES
            + self.store_id.len()
            + term_count * (FIELD_HEADER_BYTES + TERM_BYTES)
            + PurposeKeys::COUNT * (FIELD_HEADER_BYTES + KEY_BYTES);
        let mut content = Zeroizing::new(Vec::with_capacity(length));
        content.push(CONTENT_VERSION);
        content.extend_from_slice(&TAG_STORE_ID.to_be_bytes());
        put_prefixed(&mut content, &self.store_id);
        let older = self.decrypt_only.iter().map(|term| (term, STATE_DECRYPT_ONLY));
        for (term, state) in std::iter::once((&self.active, STATE_ACTIVE)).chain(older) {
            content.extend_from_slice(&TAG_TERM.to_be_bytes());
            content.extend_from_slice(&length_prefix(&[0; TERM_BYTES]));
            content.extend_from_slice(&term.id.to_be_bytes());
            content.push(state);
            content.extend_from_slice(&term.created_unix_seconds.to_be_bytes());
            content.extend_from_slice(term.seed.key().bytes());
        }
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
        let mut active = None;
        let mut decrypt_only: Vec<Term> = Vec::new();
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
                TAG_TERM => {
                    let (state, term) = decode_term(value).ok_or(RingError::Malformed("a data term is not one"))?;
                    match state {
                        TermState::DecryptOnly => decrypt_only.push(term),
                        TermState::Active if active.is_none() => active = Some(term),
                        TermState::Active => return Err(RingError::Malformed("two data terms are active")),
                    }
                }
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
        let active = active.ok_or(RingError::Malformed("no data term is active"))?;
        let ascending = decrypt_only.iter().chain([&active]).is_sorted_by(|a, b| a.id < b.id);
        if !ascending || decrypt_only.first().unwrap_or(&active).id == 0 {
            return Err(RingError::Malformed("its data terms are out of order"));
        }
        let purposes = PurposeKeys::from_tagged(|tag| keys.remove(&tag))?;
        match keys.first_key_value() {
            Some((tag, _)) => Err(RingError::UnknownField(*tag)),
            None => Ok(Self::assemble(store_id, active, decrypt_only, purposes)),
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

    pub(super) fn active_term(&self) -> &Term {
        &self.active
    }

    pub(super) fn term(&self, id: u32) -> Option<&Term> {
        if self.active.id == id { Some(&self.active) } else { self.decrypt_only.iter().find(|term| term.id == id) }
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

    pub(super) fn derive_audit_signing_seed(&self) -> KeyBytes {
        self.purposes.audit.derive_signing_seed()
    }
}

fn ring_aad(store_id: &[u8; 16]) -> Vec<u8> {
    [AAD_KEYRING, store_id, &[VERSION]].concat()
}

fn decode_term(value: &[u8]) -> Option<(TermState, Term)> {
    let mut reader = Reader::new(value);
    let id = reader.u32()?;
    let state = match reader.byte()? {
        STATE_ACTIVE => TermState::Active,
        STATE_DECRYPT_ONLY => TermState::DecryptOnly,
        _ => return None,
    };
    let created_unix_seconds = reader.i64()?;
    let seed = TermSeed::from_key(KeyBytes::copied_from(reader.rest())?);
    Some((state, Term::new(id, created_unix_seconds, seed)))
}
