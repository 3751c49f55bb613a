//! What can go wrong, by class. No text here ever holds a byte of a key, a plaintext or a ciphertext.

use std::error::Error;
use std::fmt;

use super::aad::{Field, RecordId};
use super::envelope::{ALGORITHM, VERSION};
use super::slots::SlotKind;

/// Names come from clear columns, which a tampered file controls: longer ones are cut in error texts.
const SHOWN_NAME_CHARS: usize = 253;

/// The operating system gave no randomness. Nothing was made, and nothing may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomError;

impl fmt::Display for RandomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no randomness")
    }
}

impl Error for RandomError {}

/// Why something was not sealed. Nothing half sealed exists afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The operating system gave no randomness.
    Random,
    /// The plaintext is longer than the cipher allows (256 GiB).
    TooLarge,
    /// [`RecordId::flags`] uses the bit that is reserved for the presence of data.
    ReservedFlag,
    /// Every term number has been used.
    TermsExhausted,
}

impl From<RandomError> for SealError {
    fn from(_: RandomError) -> Self {
        Self::Random
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "the operating system gave no randomness",
            Self::TooLarge => "the plaintext is longer than the cipher allows",
            Self::ReservedFlag => "the row's flags use the bit reserved for the presence of data",
            Self::TermsExhausted => "every term number has been used",
        })
    }
}

impl Error for SealError {}

/// Why sealed bytes did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenFailure {
    /// Shorter than its header and tag.
    Truncated,
    /// Written by another version of the format.
    UnknownVersion(u8),
    /// Sealed with an algorithm that this program does not have.
    UnknownAlgorithm(u8),
    /// The keyring has no such term.
    UnknownTerm(u32),
    /// The row's column says one term, its sealed bytes another.
    TermMismatch {
        /// The term in the row's clear column.
        row: u32,
        /// The term in the header of the sealed bytes.
        envelope: u32,
    },
    /// [`RecordId::flags`] uses the bit that is reserved for the presence of data.
    ReservedFlag,
    /// The bytes, or what they are bound to, are not what was sealed.
    NotAuthentic,
}

impl OpenFailure {
    /// Whether a newer release may have written it. No release has written a number below ours: that is damage.
    pub fn may_be_newer(self) -> bool {
        match self {
            Self::UnknownVersion(version) => version > VERSION,
            Self::UnknownAlgorithm(algorithm) => algorithm > ALGORITHM,
            _ => false,
        }
    }
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("shorter than a sealed value can be"),
            Self::UnknownVersion(version) => write!(f, "unknown format version {version}"),
            Self::UnknownAlgorithm(algorithm) => write!(f, "unknown algorithm {algorithm}"),
            Self::UnknownTerm(term) => write!(f, "the keyring has no term {term}"),
            Self::TermMismatch { row, envelope } => {
                write!(f, "the row says term {row}, its sealed bytes say term {envelope}")
            }
            Self::ReservedFlag => f.write_str("its flags use the bit reserved for the presence of data"),
            Self::NotAuthentic => f.write_str("not authentic: it was changed, moved or replaced after it was sealed"),
        }
    }
}

/// What did not open, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenError {
    failure: OpenFailure,
    subject: Box<str>,
}

impl OpenError {
    pub(super) fn of_record(failure: OpenFailure, id: &RecordId<'_>, field: Field) -> Self {
        let shown = |name: &str| name.chars().take(SHOWN_NAME_CHARS).collect::<String>();
        let subject = format!(
            "row of {}, kind {:?}, namespace {:?}, name {:?}, revision {}, column {}",
            id.table.name(),
            shown(id.kind),
            shown(id.namespace),
            shown(id.name),
            id.revision,
            field.name(),
        );
        Self { failure, subject: subject.into() }
    }

    pub(super) fn of(failure: OpenFailure, subject: &str) -> Self {
        Self { failure, subject: subject.into() }
    }

    /// The class of the failure.
    pub fn failure(&self) -> OpenFailure {
        self.failure
    }

    /// What did not open: names only, quoted and cut to a bounded length.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.failure)
    }
}

impl Error for OpenError {}

/// Why a row was not sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResealError {
    /// It does not open.
    Open(OpenError),
    /// It opened and was not sealed.
    Seal(SealError),
}

impl fmt::Display for ResealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Seal(error) => error.fmt(f),
        }
    }
}

impl Error for ResealError {}

/// Why a wrapped keyring did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingError {
    /// Shorter than its header and tag.
    Truncated,
    /// Written by another version of the format.
    UnknownVersion(u8),
    /// Wrapped with an algorithm that this program does not have.
    UnknownAlgorithm(u8),
    /// Not wrapped with this root key for this store (or its header was changed).
    WrongRootKey,
    /// The root key is the right one, the wrapped bytes are damaged.
    Damaged,
    /// Opened, but does not have the shape of a keyring: what is wrong.
    Malformed(&'static str),
    /// Holds a field that this version does not know. Going on would lose it at the next write.
    UnknownField(u16),
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the wrapped keyring is shorter than one can be"),
            Self::UnknownVersion(version) => write!(f, "the keyring has format version {version}: use a newer release"),
            Self::UnknownAlgorithm(algorithm) => {
                write!(f, "the keyring is wrapped with unknown algorithm {algorithm}: use a newer release")
            }
            Self::WrongRootKey => f.write_str("the keyring was not wrapped with this root key for this store"),
            Self::Damaged => f.write_str("the wrapped keyring is damaged: restore it from a backup"),
            Self::Malformed(what) => write!(f, "the keyring is malformed: {what}"),
            Self::UnknownField(tag) => write!(f, "the keyring holds unknown field {tag}: use a newer release"),
        }
    }
}

impl Error for RingError {}

/// Why a term was not destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermError {
    /// New rows are sealed with it: rotate first.
    Active(u32),
    /// There is no such term.
    Unknown(u32),
}

impl fmt::Display for TermError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active(term) => write!(f, "term {term} is the active one: rotate the data key first"),
            Self::Unknown(term) => write!(f, "the keyring has no term {term}"),
        }
    }
}

impl Error for TermError {}

/// Why a slot was not made, read or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnlockError {
    /// The secret does not belong to this slot of this store.
    WrongSecret,
    /// A passphrase was given to a slot that takes a key, or a key to one that takes a passphrase.
    WrongMaterial(SlotKind),
    /// The secret is empty, too long, or (a key) not 32 bytes.
    SecretLength,
    /// The cost of Argon2id is outside the configured limits; nothing was computed.
    CostOutOfRange {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// The memory that the slot's cost asks for could not be had.
    OutOfMemory,
    /// The operating system gave no randomness.
    Random,
    /// The slot's bytes are damaged; the secret may be right.
    Damaged,
    /// Written by another version of the format.
    UnknownVersion(u8),
    /// Wrapped with an algorithm that this program does not have.
    UnknownAlgorithm(u8),
    /// A kind of slot that this program does not have.
    UnknownKind(u8),
    /// A key derivation that this program does not have.
    UnknownKdf(u8),
}

impl From<RandomError> for UnlockError {
    fn from(_: RandomError) -> Self {
        Self::Random
    }
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongSecret => f.write_str("the unlock secret does not open this slot"),
            Self::WrongMaterial(kind) => write!(f, "a {kind} slot does not take this form of secret"),
            Self::SecretLength => f.write_str("a passphrase has 1 to 1024 bytes, a key exactly 32"),
            Self::CostOutOfRange { memory_kib, passes, lanes } => {
                write!(f, "the slot's Argon2id cost (m={memory_kib} KiB, t={passes}, p={lanes}) is outside the limits")
            }
            Self::OutOfMemory => f.write_str("there is not enough memory for the slot's Argon2id cost"),
            Self::Random => f.write_str("the operating system gave no randomness"),
            Self::Damaged => f.write_str("the slot is damaged: use another slot or a backup"),
            Self::UnknownVersion(version) => write!(f, "the slot has format version {version}: use a newer release"),
            Self::UnknownAlgorithm(algorithm) => {
                write!(f, "the slot is wrapped with unknown algorithm {algorithm}: use a newer release")
            }
            Self::UnknownKind(kind) => write!(f, "unknown kind of slot {kind}: use a newer release"),
            Self::UnknownKdf(kdf) => write!(f, "unknown key derivation {kdf}: use a newer release"),
        }
    }
}

impl Error for UnlockError {}
