//! The last checkpoint of the log, noted in the store, whose sealed head keeps it from being rolled back alone.
//!
//! What it never does: note a checkpoint that is not on the disk yet.

use super::AuditLog;
use crate::crypto::ChainEnd;
use crate::sensitive::SecretBytes;
use crate::store::{StateChange, Store, StoreError};

const STATE_KEY: &str = "audit.log.checkpoint";
const SEQUENCE_BYTES: usize = 8;

/// What was noted last.
#[expect(clippy::disallowed_methods, reason = "the number and link of a line are no secret")]
pub fn stored(store: &Store) -> Result<Option<ChainEnd>, StoreError> {
    let Some(value) = store.read_state(STATE_KEY)? else { return Ok(None) };
    let parts = value.expose().split_first_chunk::<SEQUENCE_BYTES>();
    let end = parts.and_then(|(sequence, link)| {
        Some(ChainEnd { sequence: u64::from_be_bytes(*sequence), link: link.try_into().ok()? })
    });
    end.map(Some).ok_or_else(|| StoreError::Integrity("the noted checkpoint of the audit log".to_owned()))
}

/// Notes the last checkpoint that is on the disk, unless it was noted already.
pub async fn note(store: &Store, log: &AuditLog) -> Result<(), StoreError> {
    let Some(end) = log.anchor() else { return Ok(()) };
    if stored(store)? == Some(end) {
        return Ok(());
    }
    let value = [end.sequence.to_be_bytes().as_slice(), &end.link].concat();
    store.write_state(vec![StateChange::put(STATE_KEY, SecretBytes::new(value))], None).await
}
