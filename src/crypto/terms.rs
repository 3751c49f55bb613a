//! Data terms: the keys that rows are sealed with, one after the other, and what becomes of them.
//!
//! A term is active, then opens what it sealed until nothing of that is left, and is destroyed. The terms of a keyring are
//! never changed in place: the next set is made, stored, and only then taken for use.

use std::sync::Arc;

use chacha20poly1305::XChaCha20Poly1305;

use super::bytes::{Reader, length_prefix};
use super::derive::{KEY_BYTES, KeyBytes, TermSeed};
use super::errors::{RingError, SealError, TermError};

const STATE_ACTIVE: u8 = 1;
const STATE_DECRYPT_ONLY: u8 = 2;
/// `id u32 ‖ state u8 ‖ created i64 ‖ seed 32`
pub(super) const TERM_BYTES: usize = 4 + 1 + 8 + KEY_BYTES;

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
    pub(super) fn new(id: u32, created_unix_seconds: i64, seed: TermSeed) -> Self {
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

/// The terms of a keyring at one time.
#[derive(Clone)]
pub(super) struct Terms {
    active: Arc<Term>,
    /// Ascending.
    decrypt_only: Vec<Arc<Term>>,
    /// Destroyed, and still used by readers that hold a row from before it was sealed anew.
    retired: Vec<Arc<Term>>,
}

/// The terms of a keyring as they are to be once they are stored.
pub struct NextTerms(pub(super) Terms);

impl NextTerms {
    /// Number of the term that new rows will be sealed with.
    pub fn active(&self) -> u32 {
        self.0.active.id
    }
}

impl Terms {
    pub(super) fn of_first(term: Term) -> Self {
        Self { active: Arc::new(term), decrypt_only: Vec::new(), retired: Vec::new() }
    }

    pub(super) fn active(&self) -> &Arc<Term> {
        &self.active
    }

    pub(super) fn find(&self, id: u32) -> Option<&Arc<Term>> {
        let all = std::iter::once(&self.active).chain(&self.decrypt_only).chain(&self.retired);
        all.into_iter().find(|term| term.id == id)
    }

    /// Every term that is stored, the active one first.
    pub(super) fn infos(&self) -> Vec<TermInfo> {
        let older = self.decrypt_only.iter().map(|term| term.info(TermState::DecryptOnly));
        std::iter::once(self.active.info(TermState::Active)).chain(older).collect()
    }

    /// These, and a new active one.
    pub(super) fn with_new(&self, now_unix_seconds: i64) -> Result<Self, SealError> {
        // The active term always has the highest number, so a number is never used twice.
        let id = self.active.id.checked_add(1).ok_or(SealError::TermsExhausted)?;
        let active = Arc::new(Term::new(id, now_unix_seconds, TermSeed::make()?));
        let decrypt_only = self.decrypt_only.iter().chain([&self.active]).cloned().collect();
        Ok(Self { active, decrypt_only, retired: self.retired.clone() })
    }

    /// These without one.
    pub(super) fn without(&self, id: u32) -> Result<Self, TermError> {
        if id == self.active.id {
            return Err(TermError::Active(id));
        }
        let (gone, kept): (Vec<_>, Vec<_>) = self.decrypt_only.iter().cloned().partition(|term| term.id == id);
        if gone.is_empty() {
            return Err(TermError::Unknown(id));
        }
        let retired = self.retired.iter().cloned().chain(gone).collect();
        Ok(Self { active: Arc::clone(&self.active), decrypt_only: kept, retired })
    }

    pub(super) fn forget_retired(&mut self) {
        self.retired.clear();
    }

    /// Number of terms that are stored.
    pub(super) fn count(&self) -> usize {
        1 + self.decrypt_only.len()
    }

    /// The value of each term's field in the keyring, handed to `put`.
    pub(super) fn encode(&self, mut put: impl FnMut(&[&[u8]])) {
        let older = self.decrypt_only.iter().map(|term| (term, STATE_DECRYPT_ONLY));
        for (term, state) in std::iter::once((&self.active, STATE_ACTIVE)).chain(older) {
            put(&[
                &length_prefix(&[0; TERM_BYTES]),
                &term.id.to_be_bytes(),
                &[state],
                &term.created_unix_seconds.to_be_bytes(),
                term.seed.key().bytes(),
            ]);
        }
    }
}

/// Terms as they are read, one after the other.
#[derive(Default)]
pub(super) struct TermsRead {
    active: Option<Arc<Term>>,
    decrypt_only: Vec<Arc<Term>>,
}

impl TermsRead {
    pub(super) fn add(&mut self, value: &[u8]) -> Result<(), RingError> {
        let (state, term) = decode(value).ok_or(RingError::Malformed("a data term is not one"))?;
        match state {
            TermState::DecryptOnly => self.decrypt_only.push(Arc::new(term)),
            TermState::Active if self.active.is_none() => self.active = Some(Arc::new(term)),
            TermState::Active => return Err(RingError::Malformed("two data terms are active")),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Terms, RingError> {
        let active = self.active.ok_or(RingError::Malformed("no data term is active"))?;
        let ascending = self.decrypt_only.iter().chain([&active]).is_sorted_by(|a, b| a.id < b.id);
        if !ascending || self.decrypt_only.first().unwrap_or(&active).id == 0 {
            return Err(RingError::Malformed("its data terms are out of order"));
        }
        Ok(Terms { active, decrypt_only: self.decrypt_only, retired: Vec::new() })
    }
}

fn decode(value: &[u8]) -> Option<(TermState, Term)> {
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
