//! A store that goes on from a backup: what was issued after the backup must not be taken for the store's own.
//!
//! In one transaction the epoch rises, revisions jump past every one that may have been told of, and the compaction line is
//! drawn there: what asks for a revision of before is told that it is gone (410), as after etcd's
//! `--bump-revision --mark-compacted`.

use std::sync::atomic::Ordering;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::audit::link;
use super::compaction::line_value;
use super::index::Superseded;
use super::state::{COMPACTED, StateOverlay};
use super::statements::insert_audit;
use super::writer::{Command, Writer};
use super::{StateChange, Store, StoreError};

/// How a store goes on.
pub struct Restart {
    /// Its restore epoch from the next opening on; must be higher than the present one.
    pub epoch: u64,
    /// The revision that it goes on behind; must be higher than the present one.
    pub revision: u64,
    /// The number of the commit is higher than this one.
    pub sequence: u64,
    /// Values of the store's own that change with it.
    pub state: Vec<StateChange>,
    /// One line for the audit chain.
    pub audit: Vec<u8>,
}

impl Store {
    /// Has the store go on in another epoch. What is open already goes by the former one: close the store behind it.
    pub async fn restart(&self, restart: Restart) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let restart = Box::new(restart);
        self.commands.send(Command::Restart { restart, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Writer {
    pub(super) async fn restart(&mut self, restart: Restart) -> Result<(), StoreError> {
        if let Some(why) = self.closed_for_writing {
            return Err(StoreError::ReadOnly(why));
        }
        let Restart { epoch, revision, sequence, mut state, audit } = restart;
        let mut head = self.head.clone();
        if epoch <= head.restore_epoch || revision <= head.revision {
            return Err(StoreError::Superseded);
        }
        head.sequence = head.sequence.max(sequence) + 1;
        head.restore_epoch = epoch;
        head.revision = revision;
        head.policy_generation += 1;
        let cleaned = self.shared.index().cleaned_with(&Superseded::default());
        state.push(StateChange::put(COMPACTED, line_value(revision, cleaned)));
        let made = self.replace_state(&mut head, &StateOverlay::new(), state)?;
        let record = link(&self.shared.keyring, &head, self.audit_sequence, audit).map_err(|_| StoreError::Random)?;
        head.audit_chain_head = record.link;
        let insert = async |transaction: &mut SqliteConnection| insert_audit(transaction, &record).await;
        self.commit_state(head, made, insert).await?;
        self.audit_sequence += 1;
        self.tell_audit_end();
        self.shared.access_revision.store(revision, Ordering::Release);
        let mut index = self.shared.index_mut();
        index.advance(revision);
        index.draw_line(revision);
        Ok(())
    }
}
