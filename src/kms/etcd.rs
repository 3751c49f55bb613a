//! How the objects of a cluster are stored, by a snapshot of its etcd: the latest of each, and whether older ones that are
//! still there are in clear text.

use std::collections::BTreeMap;
use std::path::Path;

use super::bolt::{Bolt, BoltError};
use super::stored::{Stored, field};

/// The bucket that holds every revision of every key.
const REVISIONS: &[u8] = b"key";
/// `revision u64 ‖ _ ‖ part u64`, big-endian; a deletion has a `t` behind it.
const REVISION_BYTES: usize = 17;
/// `key` and `value` of `mvccpb.KeyValue`.
const KEY_FIELD: u64 = 1;
const VALUE_FIELD: u64 = 5;

/// What was found under a prefix.
#[derive(Debug, Default)]
pub struct Found {
    /// The latest of each key.
    pub latest: BTreeMap<String, Stored>,
    /// Revisions before them, and of keys that were deleted, that are in clear text.
    pub older_in_clear_text: u64,
}

impl Found {
    /// Takes in a value, which is later than all before it; `None` is a deletion.
    fn take(&mut self, key: &str, stored: Option<Stored>) {
        let before = match stored {
            Some(stored) => self.latest.insert(key.to_owned(), stored),
            None => self.latest.remove(key),
        };
        if before.is_some_and(|before| !before.is_encrypted()) {
            self.older_in_clear_text += 1;
        }
    }
}

/// Reads a snapshot, or the database of an etcd that does not run.
pub fn read_snapshot(path: &Path, prefix: &str) -> Result<Found, BoltError> {
    let mut found = Found::default();
    let is_there = Bolt::open(path)?.each(REVISIONS, &mut |revision, row| {
        let is_deletion = match revision.len() {
            REVISION_BYTES => false,
            length if length == REVISION_BYTES + 1 && revision.ends_with(b"t") => true,
            _ => return Err(BoltError::Damaged("a revision is none of etcd's")),
        };
        let key = field(row, KEY_FIELD).ok_or(BoltError::Damaged("a row is none of etcd's"))?;
        if let Some(key) = std::str::from_utf8(key).ok().filter(|key| key.starts_with(prefix)) {
            let stored = (!is_deletion).then(|| Stored::of(field(row, VALUE_FIELD).unwrap_or_default()));
            found.take(key, stored);
        }
        Ok(())
    })?;
    if is_there { Ok(found) } else { Err(BoltError::Damaged("it is none of etcd's: it has no revisions")) }
}
