//! The audit records of changes, read back, and removed once they are kept elsewhere. They were written with the
//! changes they tell of.
//!
//! What it never does: change one, or remove one that is not the one that was linked there.

use std::sync::PoisonError;

use rusqlite::{Connection, Row, params};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::state::{AUDIT_REMOVED, StateOverlay};
use super::statements::{NewAudit, delete_audit};
use super::writer::{Command, Writer};
use super::{Flags, StateChange, Store, StoreError};
use crate::crypto::{ChainEnd, ChainWalk, Head, Keyring, RecordId, SealError, Sealed, Table};
use crate::sensitive::SecretBytes;

/// The chain that they are linked in.
pub const AUDIT_CHAIN: &str = "mutations";

/// An audit record as it is stored; nothing is authenticated yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number in the chain, from 1.
    pub sequence: u64,
    /// The sealed record. What was linked is its `meta` column.
    pub sealed: Sealed,
    /// Its link.
    pub link: [u8; 32],
}

/// Why audit records were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditReadError {
    /// A record does not pass authentication.
    #[error("audit record {sequence} does not pass authentication")]
    Integrity {
        /// Its number.
        sequence: u64,
    },
    /// SQLite could not read.
    #[error("the store cannot be read")]
    Unavailable,
}

impl AuditRow {
    /// What the sealed record is bound to.
    pub fn record_id(&self) -> RecordId<'static> {
        audit_id(self.sequence)
    }
}

impl Store {
    /// The end of the chain of audit records, as the sealed head has it.
    pub fn audit_end(&self) -> ChainEnd {
        *self.shared.audit_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last record that was removed; where none was, what the first one is linked to.
    pub fn audit_removed(&self) -> ChainEnd {
        *self.shared.audit_removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last of the next `limit` records, up to number `until`, that may be removed: `None` where there is none.
    /// Each was checked as [`crate::audit::verify`] would: what is wrong stays, to be looked at.
    pub fn removable_audit(&self, until: u64, limit: usize) -> Result<Option<ChainEnd>, AuditReadError> {
        let removed = self.audit_removed();
        let mut walk = ChainWalk::behind(&self.shared.keyring, removed.link);
        let mut last = None;
        for row in self.audit_rows(removed.sequence, limit)?.into_iter().take_while(|row| row.sequence <= until) {
            let AuditRow { sequence, sealed, link } = &row;
            let is_next = *sequence == last.map_or(removed.sequence, |end: ChainEnd| end.sequence) + 1;
            let is_intact = is_next
                && walk.step(sealed.meta(), link).is_ok()
                && self.shared.keyring.verify(&row.record_id(), sealed).is_ok();
            if !is_intact {
                return Err(AuditReadError::Integrity { sequence: *sequence });
            }
            last = Some(ChainEnd { sequence: *sequence, link: *link });
        }
        Ok(last)
    }

    /// Removes the records up to `end`, which [`Store::removable_audit`] has given.
    pub async fn remove_audit(&self, end: ChainEnd) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::RemoveAudit { end, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// At most `limit` stored records behind number `after`, in order.
    pub fn audit_rows(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, AuditReadError> {
        const AFTER: &str =
            "SELECT sequence, term, record, link FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
        self.read_audit(AFTER, after, limit)
    }

    /// At most `limit` records behind number `after`, in order: number and text.
    pub fn audit_records(&self, after: u64, limit: usize) -> Result<Vec<(u64, SecretBytes)>, AuditReadError> {
        self.open_audit(self.audit_rows(after, limit)?)
    }

    /// At most `limit` records before number `before`, newest first: number and text.
    pub fn audit_records_before(&self, before: u64, limit: usize) -> Result<Vec<(u64, SecretBytes)>, AuditReadError> {
        const BEFORE: &str =
            "SELECT sequence, term, record, link FROM audit WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2";
        self.open_audit(self.read_audit(BEFORE, before, limit)?)
    }

    fn open_audit(&self, rows: Vec<AuditRow>) -> Result<Vec<(u64, SecretBytes)>, AuditReadError> {
        rows.into_iter()
            .map(|row| {
                let opened = self.shared.keyring.open_meta(&row.record_id(), &row.sealed);
                opened
                    .map(|text| (row.sequence, text))
                    .map_err(|_| AuditReadError::Integrity { sequence: row.sequence })
            })
            .collect()
    }

    fn read_audit(&self, statement: &'static str, from: u64, limit: usize) -> Result<Vec<AuditRow>, AuditReadError> {
        let read = self.shared.rows.with_connection(|connection| read(connection, statement, from, limit));
        read.map_err(|_| AuditReadError::Unavailable)?
    }
}

impl Writer {
    /// Removes the audit records up to `end`. That they are gone is committed with it.
    pub(super) async fn remove_audit(&mut self, end: ChainEnd) -> Result<(), StoreError> {
        if let Some(why) = self.closed_for_writing {
            return Err(StoreError::ReadOnly(why));
        }
        let mut head = self.head.clone();
        head.sequence += 1;
        let removed = StateChange::put(AUDIT_REMOVED, SecretBytes::new(end.to_bytes()));
        let state = self.replace_state(&mut head, &StateOverlay::new(), vec![removed])?;
        let delete = async |transaction: &mut SqliteConnection| delete_audit(transaction, end.sequence).await;
        self.commit_state(head, state, delete).await?;
        *self.shared.audit_removed.lock().unwrap_or_else(PoisonError::into_inner) = end;
        Ok(())
    }
}

/// Seals a record and links it to the one that `head` ends with, which is number `last`.
pub fn link(keyring: &Keyring, head: &Head, last: u64, line: Vec<u8>) -> Result<NewAudit, SealError> {
    let sequence = last + 1;
    let id = audit_id(sequence);
    let sealed = keyring.seal(&id, &SecretBytes::new(line), &SecretBytes::new(Vec::new()))?;
    let link = keyring.audit_link(&head.audit_chain_head, sealed.meta());
    Ok(NewAudit { sequence, term: sealed.term(), record: sealed.meta().to_vec(), link })
}

/// What an audit record is bound to.
pub fn audit_id(sequence: u64) -> RecordId<'static> {
    let flags = Flags::PUT.0;
    RecordId { table: Table::Audit, kind: "Event", namespace: "", name: "", uid: [0; 16], revision: sequence, flags }
}

fn read(connection: &Connection, statement: &str, from: u64, limit: usize) -> Result<Vec<AuditRow>, AuditReadError> {
    // SQLite's numbers end where those of the chain never get to.
    let (from, limit) = (i64::try_from(from).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
    let unavailable = |_| AuditReadError::Unavailable;
    let mut statement = connection.prepare_cached(statement).map_err(unavailable)?;
    let mut rows = statement.query(params![from, limit]).map_err(unavailable)?;
    let mut read = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        let sequence = row.get::<_, i64>(0).map_err(unavailable)?.cast_unsigned();
        read.push(row_of(row, sequence).ok_or(AuditReadError::Integrity { sequence })?);
    }
    Ok(read)
}

/// `None` where a column is not of its type.
pub fn row_of(row: &Row<'_>, sequence: u64) -> Option<AuditRow> {
    let bytes = |column: usize| row.get_ref(column).ok()?.as_blob().ok();
    let term = u32::try_from(row.get_ref(1).ok()?.as_i64().ok()?).ok()?;
    let sealed = Sealed::from_stored(term, bytes(2)?.to_vec(), Vec::new());
    Some(AuditRow { sequence, sealed, link: bytes(3)?.try_into().ok()? })
}
