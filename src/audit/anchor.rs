//! The last checkpoint of the log, noted in the store, whose sealed head keeps it from being rolled back alone.
//!
//! What it never does: note a checkpoint that is not on the disk yet.

use super::{Anchor, AuditLog};
use crate::crypto::ChainEnd;
use crate::sensitive::SecretBytes;
use crate::store::{StateChange, Store, StoreError};

/// The value that it is noted in.
pub const STATE_KEY: &str = "audit.log.checkpoint";

/// What was noted last.
#[expect(clippy::disallowed_methods, reason = "the number and link of a line are no secret")]
pub fn stored(store: &Store) -> Result<Option<ChainEnd>, StoreError> {
    let Some(value) = store.read_state(STATE_KEY)? else { return Ok(None) };
    ChainEnd::from_bytes(value.expose())
        .map(Some)
        .ok_or_else(|| StoreError::Integrity("the noted checkpoint of the audit log".to_owned()))
}

/// Notes the last checkpoint that is on the disk, unless it was noted already. Returns the number of the last record
/// of mutations that is copied before the noted one.
pub async fn note(store: &Store, log: &AuditLog) -> Result<u64, StoreError> {
    let Anchor { end: Some(end), copied } = log.anchor() else { return Ok(0) };
    if stored(store)? != Some(end) {
        let value = SecretBytes::new(end.to_bytes());
        store.write_state(vec![StateChange::put(STATE_KEY, value)], None).await?;
    }
    Ok(copied)
}
