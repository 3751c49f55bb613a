//! Sealing anew, with the active term, what former terms have sealed: some rows at a time, between commits.
//!
//! A row keeps its revision and its content, so nobody who reads or watches sees it. Where it stopped need not be noted: a row
//! says itself which term sealed it, and after a crash everything that is not yet sealed anew is found again.
//!
//! Audit records are not sealed anew, because the chain links their sealed bytes. They leave the store when the log has them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::time::Instant;

use super::reader::{COLUMNS, row_of};
use super::state::{StateOverlay, StateRow};
use super::verify::toggle;
use super::writer::Writer;
use super::{ReadError, SealedRow, StoreError};
use crate::crypto::{ResealError, TermState};
use crate::failpoint;

/// Rows that one transaction seals anew, at most.
const ROWS: usize = 256;
/// Sealed bytes after which a transaction takes no further row.
const BYTES: usize = 4 * 1024 * 1024;
/// Until it is looked again whether the audit log has taken over what is left, or whether the disk takes writes again.
const WAIT: Duration = Duration::from_secs(1);
/// Names of rows that cannot be sealed anew, told in the log.
const TOLD_ROWS: u64 = 16;

/// How far the rows are sealed with the active term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resealing {
    /// Rows that are to be sealed anew.
    pub total: u64,
    /// Those that are.
    pub done: u64,
    /// Those that do not open, and keep their term from being destroyed.
    pub damaged: u64,
    /// Nothing is left but audit records, which go when the audit log has them.
    pub awaits_audit: bool,
    /// There is nothing left to be done.
    pub is_finished: bool,
}

/// Where a pass over the rows is.
pub struct Pass {
    /// Everything up to this revision is done.
    cursor: u64,
    /// Keys of the store's own values that are left.
    state: BTreeSet<String>,
    /// When the next rows are due.
    due: Instant,
}

/// A row of another term: its revision, and what it is; `None` if it makes no sense.
type Foreign = (u64, Option<Arc<SealedRow>>);

impl Writer {
    /// Begins a pass over everything, if there is a term but the active one. `rows` is how many that may concern.
    pub(super) fn begin_resealing(&mut self, rows: u64) {
        let keyring = &self.shared.keyring;
        let is_alone = keyring.terms().iter().all(|term| term.state == TermState::Active);
        if is_alone {
            self.resealing = None;
            self.shared.resealing.send_replace(Resealing { is_finished: true, ..Resealing::default() });
            return;
        }
        let active = keyring.active();
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let left: BTreeSet<String> =
            state.iter().filter(|(_, row)| row.sealed.term() != active).map(|(key, _)| key.clone()).collect();
        drop(state);
        let total = rows + left.len() as u64;
        self.shared.resealing.send_replace(Resealing { total, ..Resealing::default() });
        self.resealing = Some(Pass { cursor: 0, state: left, due: Instant::now() });
    }

    /// When the next rows are to be sealed anew, if any are.
    pub(super) fn resealing_due(&self) -> Option<Instant> {
        self.resealing.as_ref().filter(|_| self.closed_for_writing.is_none()).map(|pass| pass.due)
    }

    /// Seals some rows anew. Afterwards the disk and the processors are left to others for as long as that took.
    pub(super) async fn reseal(&mut self) {
        if self.closed_for_writing.is_some() {
            return;
        }
        let Some(mut pass) = self.resealing.take() else { return };
        let begun = Instant::now();
        match self.reseal_some(&mut pass).await {
            Ok(true) => pass.due = Instant::now() + begun.elapsed(),
            Ok(false) => {
                let active = self.shared.keyring.active();
                match self.has_foreign_audit(active) {
                    Ok(false) => {
                        self.shared.resealing.send_modify(|told| {
                            told.is_finished = true;
                            told.awaits_audit = false;
                        });
                        return;
                    }
                    Ok(true) => {
                        self.shared.resealing.send_if_modified(|told| !std::mem::replace(&mut told.awaits_audit, true));
                        pass.due = Instant::now() + WAIT;
                    }
                    Err(_) => pass.due = Instant::now() + WAIT,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "rows could not be sealed anew yet");
                pass.due = Instant::now() + WAIT;
            }
        }
        self.resealing = Some(pass);
    }

    /// Whether there was anything to be sealed anew.
    async fn reseal_some(&mut self, pass: &mut Pass) -> Result<bool, StoreError> {
        if !pass.state.is_empty() {
            self.reseal_state(pass).await?;
            return Ok(true);
        }
        let rows = self.read_foreign(pass.cursor).map_err(|_| StoreError::Closed)?;
        let Some(&(last, _)) = rows.last() else { return Ok(false) };
        let mut head = self.head.clone();
        let mut made: Vec<Arc<SealedRow>> = Vec::with_capacity(rows.len());
        let mut damaged = 0;
        for (revision, row) in &rows {
            let Some(row) = row else {
                damaged += 1;
                self.tell_damaged(damaged, &format!("row of versions, revision {revision}"));
                continue;
            };
            match self.shared.keyring.reseal(&row.record_id(), &row.sealed) {
                Ok(sealed) => {
                    let new = SealedRow { sealed, ..SealedRow::clone(row) };
                    toggle(&mut head.accumulators, &self.shared.keyring, row);
                    toggle(&mut head.accumulators, &self.shared.keyring, &new);
                    made.push(Arc::new(new));
                }
                Err(ResealError::Seal(_)) => return Err(StoreError::Random),
                Err(ResealError::Open(error)) => {
                    damaged += 1;
                    self.tell_damaged(damaged, &error.to_string());
                }
            }
        }
        if !made.is_empty() {
            head.sequence += 1;
            failpoint::reached("reseal.before-commit");
            let work = async |transaction: &mut SqliteConnection| {
                for row in &made {
                    update_version(transaction, row).await?;
                }
                Ok(())
            };
            self.commit_state(head, StateOverlay::new(), work).await?;
            failpoint::reached("reseal.after-commit");
            for row in &made {
                self.shared.rows.replace(row);
            }
        }
        pass.cursor = last;
        self.shared.resealing.send_modify(|told| {
            told.done += made.len() as u64;
            told.damaged += damaged;
        });
        Ok(true)
    }

    /// The store's own values keep their number too: whoever waits to replace one is not held up.
    async fn reseal_state(&mut self, pass: &mut Pass) -> Result<(), StoreError> {
        let keyring = Arc::clone(&self.shared.keyring);
        let mut head = self.head.clone();
        let mut made = StateOverlay::new();
        let some: Vec<String> = pass.state.iter().take(ROWS).cloned().collect();
        {
            let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
            for key in &some {
                let Some(row) = state.get(key).filter(|row| row.sealed.term() != keyring.active()) else { continue };
                let sealed = keyring.reseal(&row.record_id(key), &row.sealed).map_err(|error| match error {
                    ResealError::Seal(_) => StoreError::Random,
                    ResealError::Open(error) => StoreError::Integrity(error.to_string()),
                })?;
                let new = StateRow { sequence: row.sequence, sealed };
                row.toggle(key, &mut head.accumulators, &keyring);
                new.toggle(key, &mut head.accumulators, &keyring);
                made.insert(key.clone(), Some(new));
            }
        }
        let count = made.len() as u64;
        if count > 0 {
            head.sequence += 1;
            self.commit_state(head, made, async |_: &mut SqliteConnection| Ok(())).await?;
        }
        for key in &some {
            pass.state.remove(key);
        }
        self.shared.resealing.send_modify(|told| told.done += count);
        Ok(())
    }

    /// The next rows behind a revision that another term than the active one has sealed.
    fn read_foreign(&self, after: u64) -> Result<Vec<Foreign>, ReadError> {
        let text =
            format!("SELECT {COLUMNS} FROM versions WHERE revision > ?1 AND term <> ?2 ORDER BY revision LIMIT ?3");
        let active = self.shared.keyring.active();
        let read = self.shared.rows.with_connection(|connection| {
            let mut statement = connection.prepare_cached(&text)?;
            let mut rows = statement.query((after.cast_signed(), active, i64::try_from(ROWS).unwrap_or(i64::MAX)))?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let revision: i64 = row.get(0)?;
                let row = row_of(row, &mut |text| Arc::from(text)).map(Arc::new);
                bytes += row.as_ref().map_or(0, |row| row.bytes());
                found.push((revision.cast_unsigned(), row));
                if bytes >= BYTES {
                    break;
                }
            }
            Ok::<_, rusqlite::Error>(found)
        })?;
        read.map_err(|_| ReadError::Unavailable)
    }

    fn has_foreign_audit(&self, active: u32) -> Result<bool, ReadError> {
        const ANY: &str = "SELECT EXISTS(SELECT 1 FROM audit WHERE term <> ?1)";
        let found =
            self.shared.rows.with_connection(|connection| connection.query_row(ANY, [active], |row| row.get(0)))?;
        found.map_err(|_| ReadError::Unavailable)
    }

    fn tell_damaged(&self, number: u64, row: &str) {
        if self.shared.resealing.borrow().damaged + number <= TOLD_ROWS {
            tracing::error!(
                store.row = row,
                "a stored row does not open and keeps its former key from being destroyed"
            );
        }
    }
}

async fn update_version(connection: &mut SqliteConnection, row: &SealedRow) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE versions SET term = ?, meta = ?, data = ? WHERE revision = ?")
        .bind(i64::from(row.sealed.term()))
        .bind(row.sealed.meta().to_vec())
        .bind(row.sealed.data().to_vec())
        .bind(row.revision.cast_signed())
        .execute(connection)
        .await
        .map(drop)
}

#[cfg(test)]
#[path = "reseal_tests.rs"]
mod tests;
