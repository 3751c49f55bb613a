//! The keys and what they are used for: sealing rows, wrapping keys, authenticating sets, links and tokens.
//!
//! ```text
//! unlock secret ──► Slot ──► RootKey ──► Keyring ─┬─ data terms    rows: Sealed { meta, data }
//!                                                 ├─ k_head        the sealed head of the store; what backups say of themselves
//!                                                 ├─ k_acc         accumulator items, buckets
//!                                                 ├─ k_audit       links of the audit chains; signatures under checkpoints
//!                                                 ├─ k_cursor      continue tokens
//!                                                 ├─ k_lookup      stored forms of opaque tokens
//!                                                 ├─ k_sync_mac    marks of synced objects; the key of fingerprints in SealedSecrets
//!                                                 └─ k_index, k_scan
//!
//! terms of a KMSKey ──► what a cluster's API server has encrypted; stored as a sealed value of the store
//! offline key of a machine ──► what it keeps of Secrets, and the names of those files; the server knows none
//! ```
//!
//! What it never does: hand out a key, let a key be cloned, printed or serialised, try a second key where the
//! first one failed, or accept a format it does not know. Every format opens with its version and has a file of
//! known answers in `tests/it/crypto/`, which an independent implementation made.
//!
//! | format | bytes |
//! |---|---|
//! | column of a row, what a KMSKey encrypts | `01 ver ‖ 01 alg ‖ term u32 ‖ nonce 24 ‖ ciphertext ‖ tag 16` |
//! | head, cursor, what a machine keeps offline | `01 ver ‖ 01 alg ‖ nonce 24 ‖ ciphertext ‖ tag 16` |
//! | wrapped keyring | `01 ver ‖ 01 alg ‖ nonce 24 ‖ commitment 32 ‖ ciphertext ‖ tag 16` |
//! | slot | `01 ver ‖ 01 alg ‖ kind ‖ kdf ‖ id u32 ‖ m u32 ‖ t u32 ‖ p u32 ‖ LP(salt) ‖ nonce 24 ‖ commitment 32 ‖ ciphertext 32 ‖ tag 16 ‖ check 8` |
//!
//! `alg` 1 is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03); integers are big-endian; `LP(x)` is the length of
//! `x` as u32, then `x`. MACs are HMAC-SHA-256, derivation is HKDF-SHA-256 (RFC 5869), passphrases go through
//! Argon2id (RFC 9106), and so do users' passwords, whose hashes are PHC strings; the audit log's signatures are Ed25519
//! (RFC 8032).

mod aad;
mod audit_chain;
mod backup;
mod bytes;
mod derive;
mod envelope;
mod ephemeral;
mod errors;
mod head;
mod keyring;
mod kms;
mod offline;
mod password;
mod scan;
mod signing;
mod signing_key;
mod slots;
mod terms;
mod tokens;
mod unlock_text;

#[cfg(test)]
mod tests;

pub use aad::{Field, RecordId, Table};
pub use audit_chain::{ChainBreak, ChainEnd, ChainWalk};
pub use derive::RootKey;
pub use envelope::{Sealed, with_own_header};
pub use ephemeral::EphemeralMac;
pub use errors::{OpenError, OpenFailure, RandomError, ResealError, RingError, SealError, TermError, UnlockError};
pub use head::{Accumulators, BUCKETS, Head, HeadFormatError};
pub use keyring::Keyring;
pub use kms::{KMS_OVERHEAD_BYTES, KMS_TAG_BYTES, KMS_TERMS_MAX, KmsBinding, KmsRing, KmsTermInfo};
pub use offline::OfflineKey;
pub use password::{PasswordError, Verified, hash_of_nothing, hash_password, password_limits, verify_password};
pub use scan::{SCAN_WINDOW, SCAN_WINDOW_BITS, ScanKey};
pub use signing::{AuditPublicKey, AuditSigner};
pub use signing_key::{SigningAlgorithm, SigningKey};
pub use slots::{Argon2Cost, Slot, SlotKind, SlotLimits, UnlockSecret};
pub use terms::{NextTerms, TermInfo, TermState};
pub use tokens::{RecoveryTextError, make_token, make_unlock_key, parse_recovery_text, recovery_text};
pub use unlock_text::{UnlockText, parse_unlock_key, parse_unlock_text, unlock_key_text};
