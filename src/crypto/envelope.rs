//! Sealing and opening: the two columns of a row, the head of the store, continue tokens.
//!
//! Nonces are 24 random bytes, new for every sealing and never derived from content. The term in a row's header
//! names the one key that is tried. Nothing is decrypted before it is authenticated.

use std::fmt;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::aad::{Field, HAS_DATA, RecordAad, RecordId};
use super::bytes::{Reader, length_prefix};
use super::derive::{AAD_CURSOR, AAD_HEAD, make_array, make_random};
use super::errors::{OpenError, OpenFailure, ResealError, SealError};
use super::head::BUCKET_MASK;
use super::keyring::Keyring;
use crate::sensitive::SecretBytes;

/// Version of the formats in this file.
pub(super) const VERSION: u8 = 1;
/// XChaCha20-Poly1305.
pub(super) const ALGORITHM: u8 = 1;
pub(super) const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;

const ROW_HEADER_BYTES: usize = 2 + 4 + NONCE_BYTES;
const BLOB_HEADER_BYTES: usize = 2 + NONCE_BYTES;

pub(super) type Nonce = [u8; NONCE_BYTES];

/// The two sealed columns of one row, as they are stored. Only a [`Keyring`] makes new ones.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    term: u32,
    meta: Vec<u8>,
    data: Vec<u8>,
}

impl Sealed {
    /// What a row holds; nothing is checked before it is opened.
    pub fn from_stored(term: u32, meta: Vec<u8>, data: Vec<u8>) -> Self {
        Self { term, meta, data }
    }

    /// The data term whose key seals both columns.
    pub fn term(&self) -> u32 {
        self.term
    }

    /// The sealed `meta` column.
    pub fn meta(&self) -> &[u8] {
        &self.meta
    }

    /// The sealed `data` column; empty when the row has no data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    fn column(&self, field: Field) -> &[u8] {
        match field {
            Field::Meta => &self.meta,
            Field::Data => &self.data,
        }
    }
}

/// Sealed bytes with the version and algorithm that this release writes in place of theirs. Where they open like that and not
/// as they are, their first bytes were changed; otherwise another release may have written them.
pub fn with_own_header(sealed: &[u8]) -> Vec<u8> {
    let mut own = sealed.to_vec();
    for (byte, own) in own.iter_mut().zip([VERSION, ALGORITHM]) {
        *byte = own;
    }
    own
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed {{ term: {}, meta: {} bytes, data: {} bytes }}", self.term, self.meta.len(), self.data.len())
    }
}

impl Keyring {
    /// Seals a row with the active term. Empty `data` leaves the `data` column empty, and `meta` says so.
    #[expect(clippy::disallowed_methods, reason = "the plaintext is read to be encrypted")]
    pub fn seal(&self, id: &RecordId<'_>, meta: &SecretBytes, data: &SecretBytes) -> Result<Sealed, SealError> {
        let mut nonces = [[0; NONCE_BYTES]; 2];
        make_random(nonces.as_flattened_mut())?;
        self.seal_with(id, meta.expose(), data.expose(), &nonces)
    }

    pub(super) fn seal_with(
        &self,
        id: &RecordId<'_>,
        meta: &[u8],
        data: &[u8],
        [meta_nonce, data_nonce]: &[Nonce; 2],
    ) -> Result<Sealed, SealError> {
        if id.flags & HAS_DATA != 0 {
            return Err(SealError::ReservedFlag);
        }
        let term = self.active_term();
        let mut aad = RecordAad::new(self.store_id_bytes(), id, term.id(), !data.is_empty());
        let mut column = |field, nonce: &Nonce, plain: &[u8]| {
            let mut sealed = Vec::with_capacity(ROW_HEADER_BYTES + plain.len() + TAG_BYTES);
            sealed.extend_from_slice(&[VERSION, ALGORITHM]);
            sealed.extend_from_slice(&term.id().to_be_bytes());
            sealed.extend_from_slice(nonce);
            encrypt_onto(&mut sealed, term.cipher(), nonce, aad.column(field), plain)?;
            Ok::<_, SealError>(sealed)
        };
        let meta = column(Field::Meta, meta_nonce, meta)?;
        let data = if data.is_empty() { Vec::new() } else { column(Field::Data, data_nonce, data)? };
        Ok(Sealed { term: term.id(), meta, data })
    }

    /// Opens the `meta` column.
    pub fn open_meta(&self, id: &RecordId<'_>, sealed: &Sealed) -> Result<SecretBytes, OpenError> {
        self.open(id, Field::Meta, sealed)
    }

    /// Opens the `data` column. Of a row without data it authenticates `meta`, which says that there is none.
    pub fn open_data(&self, id: &RecordId<'_>, sealed: &Sealed) -> Result<SecretBytes, OpenError> {
        self.open(id, Field::Data, sealed)
    }

    fn open(&self, id: &RecordId<'_>, field: Field, sealed: &Sealed) -> Result<SecretBytes, OpenError> {
        let mut plain = Zeroizing::default();
        self.open_into(id, field, sealed, &mut plain)?;
        Ok(SecretBytes::new(std::mem::take(&mut *plain)))
    }

    /// Opens one column into `plain`, whose memory is used again when it is large enough. What was there before
    /// is gone afterwards; after an error `plain` is empty.
    pub fn open_into(
        &self,
        id: &RecordId<'_>,
        field: Field,
        sealed: &Sealed,
        plain: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), OpenError> {
        let mut aad = RecordAad::new(self.store_id_bytes(), id, sealed.term, !sealed.data.is_empty());
        if field == Field::Data && sealed.data.is_empty() {
            let authentic = self.open_column(id, Field::Meta, sealed, &mut aad, plain);
            plain.clear();
            return authentic;
        }
        self.open_column(id, field, sealed, &mut aad, plain)
    }

    /// Authenticates both columns and forgets what they hold.
    pub fn verify(&self, id: &RecordId<'_>, sealed: &Sealed) -> Result<(), OpenError> {
        self.verify_in(id, sealed, &mut Zeroizing::default())
    }

    /// As [`Keyring::verify`], for scans: `scratch` is used again from row to row, and wiped when dropped.
    pub fn verify_in(
        &self,
        id: &RecordId<'_>,
        sealed: &Sealed,
        scratch: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), OpenError> {
        let mut aad = RecordAad::new(self.store_id_bytes(), id, sealed.term, !sealed.data.is_empty());
        self.open_column(id, Field::Meta, sealed, &mut aad, scratch)?;
        if !sealed.data.is_empty() {
            self.open_column(id, Field::Data, sealed, &mut aad, scratch)?;
        }
        scratch.clear();
        Ok(())
    }

    /// Seals with the active term what another one sealed. The row stays what it was: of the same revision, with the same
    /// content.
    pub fn reseal(&self, id: &RecordId<'_>, sealed: &Sealed) -> Result<Sealed, ResealError> {
        let (mut meta, mut data) = (Zeroizing::default(), Zeroizing::default());
        self.open_into(id, Field::Meta, sealed, &mut meta).map_err(ResealError::Open)?;
        self.open_into(id, Field::Data, sealed, &mut data).map_err(ResealError::Open)?;
        let mut nonces = [[0; NONCE_BYTES]; 2];
        make_random(nonces.as_flattened_mut()).map_err(|error| ResealError::Seal(error.into()))?;
        self.seal_with(id, &meta, &data, &nonces).map_err(ResealError::Seal)
    }

    fn open_column(
        &self,
        id: &RecordId<'_>,
        field: Field,
        sealed: &Sealed,
        aad: &mut RecordAad,
        plain: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), OpenError> {
        plain.clear();
        self.try_open_column(id, sealed.term, sealed.column(field), aad.column(field), plain)
            .map_err(|failure| OpenError::of_record(failure, id, field))
    }

    fn try_open_column(
        &self,
        id: &RecordId<'_>,
        row_term: u32,
        column: &[u8],
        aad: &[u8],
        plain: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), OpenFailure> {
        if id.flags & HAS_DATA != 0 {
            return Err(OpenFailure::ReservedFlag);
        }
        let mut reader = versioned(column)?;
        let envelope_term = reader.u32().ok_or(OpenFailure::Truncated)?;
        if envelope_term != row_term {
            return Err(OpenFailure::TermMismatch { row: row_term, envelope: envelope_term });
        }
        let nonce = reader.array().ok_or(OpenFailure::Truncated)?;
        let term = self.term(envelope_term).ok_or(OpenFailure::UnknownTerm(envelope_term))?;
        decrypt_into(plain, term.cipher(), nonce, aad, reader.rest())
    }

    /// What a row adds to the accumulator of its bucket:
    /// `HMAC(k_acc, AAD_meta ‖ tag_meta ‖ AAD_data ‖ tag_data)`, without the last where the row has no data.
    ///
    /// The tags stand for the whole row only once it has been sealed here or has passed [`Keyring::verify`].
    pub fn accumulator_item(&self, id: &RecordId<'_>, sealed: &Sealed) -> [u8; 32] {
        let has_data = !sealed.data.is_empty();
        let mut meta_aad = RecordAad::new(self.store_id_bytes(), id, sealed.term, has_data);
        let mut data_aad = RecordAad::new(self.store_id_bytes(), id, sealed.term, has_data);
        self.item_mac().of(&[
            meta_aad.column(Field::Meta),
            tag_of(&sealed.meta),
            data_aad.column(Field::Data),
            tag_of(&sealed.data),
        ])
    }

    /// The bucket (0 to 1,023) whose accumulator holds the rows of this object. It depends on `k_acc`, so the
    /// stored names do not tell which rows share one.
    pub fn bucket(&self, kind: &str, namespace: &str, name: &str) -> u16 {
        let [kind, namespace, name] = [kind.as_bytes(), namespace.as_bytes(), name.as_bytes()];
        let [high, low, ..] = self.bucket_mac().of(&[
            &length_prefix(kind),
            kind,
            &length_prefix(namespace),
            namespace,
            &length_prefix(name),
            name,
        ]);
        u16::from_be_bytes([high, low]) & BUCKET_MASK
    }

    /// Seals an encoded [`Head`](super::Head).
    pub fn seal_head(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_head_with(plain, &make_array()?)
    }

    pub(super) fn seal_head_with(&self, plain: &[u8], nonce: &Nonce) -> Result<Vec<u8>, SealError> {
        seal_blob(self.head_cipher(), nonce, &bound(AAD_HEAD, self.store_id_bytes()), plain)
    }

    /// Opens what [`Keyring::seal_head`] made.
    pub fn open_head(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open_blob(self.head_cipher(), &bound(AAD_HEAD, self.store_id_bytes()), sealed)
            .map_err(|failure| OpenError::of(failure, "head of the store"))
    }

    /// Seals the inside of a continue token.
    pub fn seal_cursor(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_cursor_with(plain, &make_array()?)
    }

    pub(super) fn seal_cursor_with(&self, plain: &[u8], nonce: &Nonce) -> Result<Vec<u8>, SealError> {
        seal_blob(self.cursor_cipher(), nonce, &bound(AAD_CURSOR, self.store_id_bytes()), plain)
    }

    /// Opens what [`Keyring::seal_cursor`] made.
    pub fn open_cursor(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        open_blob(self.cursor_cipher(), &bound(AAD_CURSOR, self.store_id_bytes()), sealed)
            .map_err(|failure| OpenError::of(failure, "continue token"))
    }
}

/// Appends `ciphertext ‖ tag`. The plaintext is read where it lies and is copied nowhere.
pub(super) fn encrypt_onto(
    out: &mut Vec<u8>,
    cipher: &XChaCha20Poly1305,
    nonce: &Nonce,
    aad: &[u8],
    plain: &[u8],
) -> Result<(), SealError> {
    let start = out.len();
    out.resize(start + plain.len(), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let buffer = InOutBuf::new(plain, room).map_err(|_| SealError::TooLarge)?;
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, buffer).map_err(|_| SealError::TooLarge)?;
    out.extend_from_slice(&tag);
    Ok(())
}

/// Authenticates `ciphertext ‖ tag` and leaves the plaintext in `plain`; after an error `plain` is empty.
pub(super) fn decrypt_into(
    plain: &mut Zeroizing<Vec<u8>>,
    cipher: &XChaCha20Poly1305,
    nonce: &Nonce,
    aad: &[u8],
    sealed: &[u8],
) -> Result<(), OpenFailure> {
    plain.clear();
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(OpenFailure::Truncated)?;
    if plain.capacity() < ciphertext.len() {
        // Growing in place would leave the old plaintext behind in freed memory; dropping it wipes it.
        *plain = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    }
    plain.resize(ciphertext.len(), 0);
    let opened =
        InOutBuf::new(ciphertext, plain.as_mut_slice()).map_err(|_| OpenFailure::Truncated).and_then(|buffer| {
            cipher.decrypt_inout_detached(nonce.into(), aad, buffer, tag.into()).map_err(|_| OpenFailure::NotAuthentic)
        });
    if opened.is_err() {
        plain.clear();
    }
    opened
}

/// A reader past the two bytes that every format begins with.
pub(super) fn versioned(sealed: &[u8]) -> Result<Reader<'_>, OpenFailure> {
    let mut reader = Reader::new(sealed);
    match reader.byte().ok_or(OpenFailure::Truncated)? {
        VERSION => {}
        version => return Err(OpenFailure::UnknownVersion(version)),
    }
    match reader.byte().ok_or(OpenFailure::Truncated)? {
        ALGORITHM => Ok(reader),
        algorithm => Err(OpenFailure::UnknownAlgorithm(algorithm)),
    }
}

pub(super) fn seal_blob(
    cipher: &XChaCha20Poly1305,
    nonce: &Nonce,
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    let mut sealed = Vec::with_capacity(BLOB_HEADER_BYTES + plain.len() + TAG_BYTES);
    sealed.extend_from_slice(&[VERSION, ALGORITHM]);
    sealed.extend_from_slice(nonce);
    encrypt_onto(&mut sealed, cipher, nonce, aad, plain)?;
    Ok(sealed)
}

pub(super) fn open_blob(
    cipher: &XChaCha20Poly1305,
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenFailure> {
    let mut reader = versioned(sealed)?;
    let nonce = reader.array().ok_or(OpenFailure::Truncated)?;
    let mut plain = Zeroizing::default();
    decrypt_into(&mut plain, cipher, nonce, aad, reader.rest())?;
    Ok(plain)
}

/// Associated data of what is bound to nothing but its purpose and its store.
fn bound(label: &[u8], store_id: &[u8; 16]) -> Vec<u8> {
    [label, store_id].concat()
}

fn tag_of(column: &[u8]) -> &[u8] {
    column.last_chunk::<TAG_BYTES>().map_or(column, |tag| tag)
}
