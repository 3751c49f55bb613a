//! That a Secret was deleted which a SecretSync may have written into clusters: recorded in the deletion's own
//! transaction, until nobody needs to know.
//!
//! A change needs no such record: whoever comes late compares what is there with what shall be. A deletion leaves nothing
//! to compare with, and that a Secret is not found is no reason to delete it elsewhere.

use serde_json::{Value, json};

use super::{Error, Objects};
use crate::model::kinds::{Kind, SECRET, SECRET_SYNC};
use crate::sensitive::SecretBytes;
use crate::store::{Expect, Range, StateChange, StoreError};

const PREFIX: &str = "sync.deleted/";
/// A record that nobody has asked for in this time goes.
const KEPT_SECONDS: i64 = 90 * 24 * 60 * 60;

/// A Secret that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedSource {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When, seconds since the epoch.
    pub unix_seconds: i64,
    version: u64,
}

impl Objects {
    /// What a change of a Secret means for these records.
    pub(super) fn record_of_deletion(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        expect: Expect,
        is_deletion: bool,
    ) -> Option<StateChange> {
        if kind.id != SECRET.id {
            return None;
        }
        let key = key(namespace, name);
        if is_deletion && self.has_syncs(namespace) {
            let at = json!({"at": self.clock.unix_seconds()}).to_string();
            return Some(StateChange::put(key, SecretBytes::new(at.into_bytes())));
        }
        // A Secret of this name is there again.
        let is_outdated = matches!(expect, Expect::Absent) && self.store.state_version(&key).is_some();
        is_outdated.then(|| StateChange::remove(key))
    }

    /// The Secrets of a namespace whose deletion is recorded.
    pub fn deleted_sources(&self, namespace: &str) -> Vec<DeletedSource> {
        let keys = self.store.state_keys(&format!("{PREFIX}{namespace}/"));
        keys.iter().filter_map(|key| self.deleted_source(key)).collect()
    }

    /// Removes a record that has served: if it still is the one that was read.
    pub async fn forget_deleted_source(&self, deleted: &DeletedSource) -> Result<(), Error> {
        let change = StateChange::remove(key(&deleted.namespace, &deleted.name)).over(deleted.version);
        match self.store.write_state(vec![change], None).await {
            Ok(()) | Err(StoreError::Superseded) => Ok(()),
            Err(_) => Err(Error::Unavailable("the store cannot be written: see the server's log")),
        }
    }

    /// Removes records of namespaces that no SecretSync is in, and those that are old.
    pub async fn forget_old_deleted_sources(&self) -> Result<(), Error> {
        let old = self.clock.unix_seconds() - KEPT_SECONDS;
        let records = self.store.state_keys(PREFIX);
        for deleted in records.iter().filter_map(|key| self.deleted_source(key)) {
            if deleted.unix_seconds < old || !self.has_syncs(&deleted.namespace) {
                self.forget_deleted_source(&deleted).await?;
            }
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a time is no secret")]
    fn deleted_source(&self, key: &str) -> Option<DeletedSource> {
        let (namespace, name) = key.strip_prefix(PREFIX)?.split_once('/')?;
        // Before the value: a record that is written anew in between is then not removed by this version.
        let version = self.store.state_version(key)?;
        let record = self.store.read_state(key).ok()??;
        let record: Value = serde_json::from_slice(record.expose()).ok()?;
        let unix_seconds = record.get("at").and_then(Value::as_i64).unwrap_or_default();
        Some(DeletedSource { namespace: namespace.to_owned(), name: name.to_owned(), unix_seconds, version })
    }

    fn has_syncs(&self, namespace: &str) -> bool {
        let range = Range { namespace: Some(namespace), limit: Some(1), ..Range::default() };
        self.store.snapshot(SECRET_SYNC.id, &range).is_ok_and(|snapshot| !snapshot.revisions.is_empty())
    }
}

fn key(namespace: &str, name: &str) -> String {
    format!("{PREFIX}{namespace}/{name}")
}
