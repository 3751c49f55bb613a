//! Changes of what a home stores of its keys, and the end of those that are replaced.
//!
//! What it never does: use a key before it is stored, or store a change without the record of it.

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{oneshot, watch};

use super::audit::link;
use super::keys::KeyMaterial;
use super::own_rows::put_keys;
use super::state::StateOverlay;
use super::statements::insert_audit;
use super::writer::{Command, Writer};
use super::{ReadError, Resealing, Store, StoreError};
use crate::crypto::NextTerms;
use crate::failpoint;

/// What a home stores of its keys, as it is to be. All of it is wrapped.
pub struct KeyChange {
    /// The keyring, wrapped.
    pub keyring: Vec<u8>,
    /// Its terms, where they are others than before.
    pub terms: Option<NextTerms>,
    /// All slots, encoded, where they are others than before.
    pub slots: Option<Vec<Vec<u8>>>,
    /// One line for the audit chain.
    pub audit: Vec<u8>,
}

impl Store {
    /// Replaces what is stored of the keys. When this returns it is on the disk, and rows are sealed with the new terms.
    ///
    /// The answer says whether the write-ahead log holds nothing of the former keys any more. A reader that takes long can hold
    /// it; then it is with a later checkpoint.
    pub async fn change_keys(&self, change: KeyChange) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Keys { change, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// How far the rows are sealed with the active term.
    pub fn resealing(&self) -> Resealing {
        *self.shared.resealing.borrow()
    }

    /// Tells of [`Store::resealing`] from now on.
    pub fn resealing_changes(&self) -> watch::Receiver<Resealing> {
        self.shared.resealing.subscribe()
    }

    /// Waits until all rows that open are sealed with the active term. At once, where they are.
    pub async fn resealed(&self) {
        let mut told = self.shared.resealing.subscribe();
        // An error means that the store is gone, and nobody waits for it any more.
        let _ = told.wait_for(|resealing| resealing.is_finished).await;
    }

    /// Whether some row is sealed with this term.
    pub fn is_term_in_use(&self, term: u32) -> Result<bool, ReadError> {
        const ANY: &str = "SELECT EXISTS(SELECT 1 FROM versions WHERE term = ?1) \
                           OR EXISTS(SELECT 1 FROM audit WHERE term = ?1) OR EXISTS(SELECT 1 FROM state WHERE term = ?1)";
        let found =
            self.shared.rows.with_connection(|connection| connection.query_row(ANY, [term], |row| row.get(0)))?;
        found.map_err(|_| ReadError::Unavailable)
    }

    /// Wipes destroyed terms from memory: for when nobody holds a row any more that was read before it was sealed anew.
    pub fn forget_retired_terms(&self) {
        self.shared.rows.forget_former_terms();
        self.shared.keyring.forget_retired();
    }
}

impl Writer {
    pub(super) async fn change_keys(&mut self, change: KeyChange) -> Result<bool, StoreError> {
        if let Some(why) = self.closed_for_writing {
            return Err(StoreError::ReadOnly(why));
        }
        let KeyChange { keyring, terms, slots, audit } = change;
        let mut head = self.head.clone();
        head.sequence += 1;
        let record = link(&self.shared.keyring, &head, self.audit_sequence, audit).map_err(|_| StoreError::Random)?;
        head.audit_chain_head = record.link;
        let KeyMaterial { store_id, slots: former, .. } = &self.kept;
        let next = KeyMaterial { store_id: *store_id, keyring, slots: slots.unwrap_or_else(|| former.clone()) };
        let work = async |transaction: &mut SqliteConnection| {
            // Not an update: a row that somebody took away would not be missed, and the keys be nowhere.
            put_keys(transaction, &next).await?;
            insert_audit(transaction, &record).await?;
            failpoint::reached("keys.before-commit");
            Ok(())
        };
        self.commit_state(head, StateOverlay::new(), work).await?;
        failpoint::reached("keys.after-commit");
        self.kept = next;
        self.audit_sequence += 1;
        self.tell_audit_end();
        if let Some(terms) = terms {
            self.shared.rows.set_term(terms.active());
            self.shared.keyring.adopt(terms);
            let rows = self.shared.index().rows();
            self.begin_resealing(rows);
        }
        Ok(self.empty_log().await)
    }
}
