//! The store's own values: sealed like rows, in the sums of the head, and all in memory.
//!
//! What it never does: write one without the head that vouches for it.

use std::collections::HashMap;
use std::sync::PoisonError;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::audit::link;
use super::statements::{delete_state, insert_audit, put_head, put_state};
use super::verify::STATE_BUCKET;
use super::writer::Writer;
use super::{Flags, StateChange, StoreError};
use crate::crypto::{Accumulators, Head, Keyring, RecordId, Sealed, Table, with_own_header};
use crate::sensitive::SecretBytes;

/// Key of the value that holds the compaction line.
pub const COMPACTED: &str = "compacted";
/// Key of the value that holds the last audit record that was removed.
pub const AUDIT_REMOVED: &str = "audit.removed";

/// One of the store's own values, as it is stored.
pub struct StateRow {
    /// The commit that wrote it.
    pub sequence: u64,
    /// The sealed value.
    pub sealed: Sealed,
}

/// The store's own values by key, sealed.
pub type StateRows = HashMap<String, StateRow>;

impl StateRow {
    /// What the sealed columns are bound to.
    pub fn record_id<'a>(&self, key: &'a str) -> RecordId<'a> {
        state_id(key, self.sequence)
    }

    /// Authenticates it.
    pub fn verify(&self, key: &str, keyring: &Keyring) -> Result<(), StoreError> {
        let id = self.record_id(key);
        keyring.verify(&id, &self.sealed).map_err(|error| {
            StoreError::of_opening(&error, || {
                let [meta, data] = [self.sealed.meta(), self.sealed.data()].map(with_own_header);
                keyring.verify(&id, &Sealed::from_stored(self.sealed.term(), meta, data)).is_ok()
            })
        })
    }

    /// Adds the row to the sums, or takes it out.
    pub fn toggle(&self, key: &str, accumulators: &mut Accumulators, keyring: &Keyring) {
        let id = self.record_id(key);
        accumulators.toggle(STATE_BUCKET, &keyring.accumulator_item(&id, &self.sealed));
    }
}

pub(super) fn state_id(key: &str, sequence: u64) -> RecordId<'_> {
    let flags = Flags::PUT.0;
    RecordId {
        table: Table::State,
        kind: STATE_KIND,
        namespace: "",
        name: key,
        uid: [0; 16],
        revision: sequence,
        flags,
    }
}

/// What the store's own values are called where objects have their kind. No stored name of a kind is like it.
const STATE_KIND: &str = "state";

/// Values of the store's own as a commit leaves them, by key; `None` is removed.
pub type StateOverlay = HashMap<String, Option<StateRow>>;

impl Writer {
    /// Writes values, together, with the audit record of it if there is one.
    pub(super) async fn write_state(
        &mut self,
        rows: Vec<StateChange>,
        audit: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        if let Some(why) = self.closed_for_writing {
            return Err(StoreError::ReadOnly(why));
        }
        let mut head = self.head.clone();
        head.sequence += 1;
        self.mark_time(&mut head);
        let made = self.replace_state(&mut head, &StateOverlay::new(), rows)?;
        let audit = audit
            .map(|line| link(&self.shared.keyring, &head, self.audit_sequence, line))
            .transpose()
            .map_err(|_| StoreError::Random)?;
        if let Some(record) = &audit {
            head.audit_chain_head = record.link;
        }
        let insert = async |transaction: &mut SqliteConnection| match &audit {
            Some(record) => insert_audit(transaction, record).await,
            None => Ok(()),
        };
        self.commit_state(head, made, insert).await?;
        self.audit_sequence += u64::from(audit.is_some());
        self.tell_audit_end();
        Ok(())
    }

    /// Commits values and the head as they are to be, with whatever else `work` does in the transaction. The caller has
    /// put into the head what becomes true with it.
    pub(super) async fn commit_state(
        &mut self,
        head: Head,
        made: StateOverlay,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<(), sqlx::Error>,
    ) -> Result<(), StoreError> {
        let sealed = self.shared.keyring.seal_head(&head.encode()).map_err(|_| StoreError::Random)?;
        self.reconnect_if_broken().await.map_err(StoreError::ReadOnly)?;
        let written = async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            work(&mut transaction).await?;
            write_overlay(&mut transaction, &made).await?;
            put_head(&mut transaction, sealed).await?;
            transaction.commit().await
        };
        let outcome = written.await;
        self.judge(outcome).map_err(StoreError::ReadOnly)?;
        self.head = head;
        self.keep_state(made);
        Ok(())
    }

    /// Seals values as of the commit that `head` is for, and puts them in the sums in place of the former ones, which
    /// are those of `before` where it has them.
    pub(super) fn replace_state(
        &self,
        head: &mut Head,
        before: &StateOverlay,
        changes: Vec<StateChange>,
    ) -> Result<StateOverlay, StoreError> {
        let keyring = &self.shared.keyring;
        let empty = SecretBytes::new(Vec::new());
        let stored = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut made = StateOverlay::new();
        for StateChange { key, value, expect } in changes {
            let former = match made.get(&key).or_else(|| before.get(&key)) {
                Some(former) => former.as_ref(),
                None => stored.get(&key),
            };
            if expect.is_some_and(|expected| former.map_or(0, |row| row.sequence) != expected) {
                return Err(StoreError::Superseded);
            }
            let row = match value {
                None => None,
                Some(value) => {
                    let id = state_id(&key, head.sequence);
                    let sealed = keyring.seal(&id, &empty, &value).map_err(|_| StoreError::Random)?;
                    Some(StateRow { sequence: head.sequence, sealed })
                }
            };
            for row in former.into_iter().chain(&row) {
                row.toggle(&key, &mut head.accumulators, keyring);
            }
            made.insert(key, row);
        }
        Ok(made)
    }

    /// What a commit has made of values is what is read from now on.
    pub(super) fn keep_state(&self, made: StateOverlay) {
        if made.is_empty() {
            return;
        }
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        for (key, row) in made {
            match row {
                Some(row) => drop(state.insert(key, row)),
                None => drop(state.remove(&key)),
            }
        }
    }
}

/// Writes and removes values of the store's own.
pub async fn write_overlay(connection: &mut SqliteConnection, made: &StateOverlay) -> Result<(), sqlx::Error> {
    for (key, row) in made {
        match row {
            Some(row) => put_state(connection, key, row.sequence, &row.sealed).await?,
            None => delete_state(connection, key).await?,
        }
    }
    Ok(())
}

/// Every value of the store's own, authenticated: without them nothing works, so one that does not open is an error.
pub async fn read_state(connection: &mut SqliteConnection, keyring: &Keyring) -> Result<StateRows, StoreError> {
    let unreadable = "the store's own values cannot be read";
    let rows = sqlx::query("SELECT key, sequence, term, meta, data FROM state")
        .fetch_all(connection)
        .await
        .map_err(StoreError::sqlite(unreadable))?;
    let mut state = HashMap::new();
    for row in rows {
        let key: String = row.try_get(0).map_err(StoreError::sqlite(unreadable))?;
        let sequence: i64 = row.try_get(1).map_err(StoreError::sqlite(unreadable))?;
        let term: i64 = row.try_get(2).map_err(StoreError::sqlite(unreadable))?;
        let meta: Vec<u8> = row.try_get(3).map_err(StoreError::sqlite(unreadable))?;
        let data: Vec<u8> = row.try_get(4).map_err(StoreError::sqlite(unreadable))?;
        let term = u32::try_from(term).map_err(|_| StoreError::Integrity("a term is no number".to_owned()))?;
        let row = StateRow { sequence: sequence.cast_unsigned(), sealed: Sealed::from_stored(term, meta, data) };
        row.verify(&key, keyring)?;
        state.insert(key, row);
    }
    Ok(state)
}
