//! Versions that are kept when they are superseded: which ones there are, and how they go.
//!
//! They go in one of two ways. What is released is removed as compaction removes everything else, in the background. What is
//! destroyed is gone when the caller hears of it: the row, what the write-ahead log had of it, and the bytes in freed pages.
//!
//! What it never does: touch the latest version of an object.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::audit::link;
use super::index::Superseded;
use super::state::{COMPACTED, StateOverlay};
use super::statements::{delete_versions, insert_audit};
use super::verify::toggle;
use super::writer::{Command, Writer};
use super::{Kept, SealedRow, StateChange, Store, StoreError, compaction, index};
use crate::failpoint;

/// Superseded versions of one name that are to be gone.
pub struct Destruction {
    /// Kind of the object.
    pub kind_id: u8,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The revisions. Those that are not there, or are the latest, are passed over.
    pub revisions: Vec<u64>,
    /// One line for the audit chain.
    pub audit: Option<Vec<u8>>,
}

/// What a destruction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// Rows that are gone.
    pub rows: usize,
    /// The write-ahead log was emptied. A reader that takes long can hold it; then it is with a later checkpoint.
    pub log_emptied: bool,
}

impl Store {
    /// Every version of a name that is in the store, oldest first, the latest last.
    pub fn versions(&self, kind_id: u8, namespace: &str, name: &str) -> Vec<Kept> {
        self.shared.index().versions(kind_id, namespace, name)
    }

    /// Namespaces and names of objects that exist or of which versions are kept, in order, behind `after`, at most `most`.
    pub fn names(
        &self,
        kind_id: u8,
        namespace: Option<&str>,
        after: index::After<'_>,
        most: usize,
    ) -> Vec<(String, String)> {
        self.shared.index().names(kind_id, namespace, after, most, false)
    }

    /// As [`Store::names`], of what has kept versions only.
    pub fn names_with_kept(
        &self,
        kind_id: u8,
        namespace: Option<&str>,
        after: index::After<'_>,
        most: usize,
    ) -> Vec<(String, String)> {
        self.shared.index().names(kind_id, namespace, after, most, true)
    }

    /// Keeps no more than so many versions of a name, the newest ones: others are let go of, as by [`Store::release`].
    pub fn release_beyond(&self, kind_id: u8, namespace: &str, name: &str, limit: usize) {
        loop {
            let beyond = self.shared.index().beyond(kind_id, namespace, name, limit);
            let Some(revision) = beyond else { return };
            self.release(kind_id, namespace, name, &[revision]);
        }
    }

    /// Keeps these versions no longer: they are not shown from now on, and removed with the next that is removed.
    pub fn release(&self, kind_id: u8, namespace: &str, name: &str, revisions: &[u64]) {
        self.shared.index_mut().release(kind_id, namespace, name, revisions);
    }

    /// Removes superseded versions for good, with the record of it.
    ///
    /// The store as it was while one of them was the latest cannot be shown any more.
    pub async fn destroy(&self, destruction: Destruction) -> Result<Destroyed, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Destroy { destruction, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Writer {
    pub(super) async fn destroy(&mut self, destruction: Destruction) -> Result<Destroyed, StoreError> {
        let Destruction { kind_id, namespace, name, revisions, audit } = destruction;
        if let Some(why) = self.closed_for_writing {
            return Err(StoreError::ReadOnly(why));
        }
        let (versions, compacted) = {
            let index = self.shared.index();
            (index.versions(kind_id, &namespace, &name), index.compacted())
        };
        let (mut rows, mut line): (Vec<Arc<SealedRow>>, u64) = (Vec::new(), compacted);
        let mut head = self.head.clone();
        for version in versions {
            let Some(successor) = version.successor.filter(|_| revisions.contains(&version.revision)) else { continue };
            if version.flags.is_tombstone() {
                continue;
            }
            let unreadable = |_| StoreError::Integrity("a version that was to be destroyed".to_owned());
            let row = self.shared.rows.row_in_passing(version.revision).map_err(unreadable)?;
            self.shared
                .keyring
                .verify(&row.record_id(), &row.sealed)
                .map_err(|error| StoreError::Integrity(error.to_string()))?;
            toggle(&mut head.accumulators, &self.shared.keyring, &row);
            line = line.max(successor);
            rows.push(row);
        }
        if !rows.is_empty() {
            head.sequence += 1;
            // Older snapshots would show what lies before these, as if it had been the latest.
            let value = compaction::line_value(line, self.shared.index().cleaned_with(&Superseded::default()));
            let state =
                self.replace_state(&mut head, &StateOverlay::new(), vec![StateChange::put(COMPACTED, value)])?;
            let audit = audit
                .map(|text| link(&self.shared.keyring, &head, self.audit_sequence, text))
                .transpose()
                .map_err(|_| StoreError::Random)?;
            if let Some(record) = &audit {
                head.audit_chain_head = record.link;
            }
            let gone: Vec<u64> = rows.iter().map(|row| row.revision).collect();
            let _leaving = self.shared.incidents.leave(&gone);
            let work = async |transaction: &mut SqliteConnection| {
                delete_versions(transaction, &gone).await?;
                match &audit {
                    Some(record) => insert_audit(transaction, record).await,
                    None => Ok(()),
                }
            };
            self.commit_state(head, state, work).await?;
            self.audit_sequence += u64::from(audit.is_some());
            self.tell_audit_end();
            {
                let mut index = self.shared.index_mut();
                index.draw_line(line);
                let keys = rows.iter().map(|row| (row.kind_id, &*row.namespace, &*row.name, row.revision));
                index.forget(keys, &Superseded::default());
            }
            for row in &rows {
                self.shared.rows.forget(row.revision);
            }
        }
        Ok(Destroyed { rows: rows.len(), log_emptied: self.empty_log().await })
    }

    /// Moves the write-ahead log into the database file and cuts it to nothing.
    pub(super) async fn empty_log(&mut self) -> bool {
        failpoint::reached("checkpoint.before");
        let busy: Result<i64, sqlx::Error> =
            sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut self.connection).await;
        failpoint::reached("checkpoint.after");
        match busy {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be emptied");
                false
            }
        }
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
