//! Compaction: versions that only old snapshots show are removed, a few at a time, between commits.
//!
//! The window: changes of the last five minutes can be replayed and listed as of then, or the last 100,000
//! changes where there were more.

use std::collections::VecDeque;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;

use super::state::{COMPACTED, StateOverlay};
use super::statements::delete_versions;
use super::verify::toggle;
use super::writer::Writer;
use super::{SealedRow, StateChange, StoreError};
use crate::failpoint;
use crate::sensitive::SecretBytes;

/// How long a revision can be listed and watched from.
const WINDOW_MILLIS: i64 = 5 * 60 * 1000;
/// The most changes that are kept for that.
const WINDOW_CHANGES: usize = 100_000;
/// Versions that one transaction removes.
pub const CLEANED_ROWS: usize = 256;

/// Which revision was the latest at which time.
pub struct Marks(VecDeque<(i64, u64)>);

impl Marks {
    /// The first mark.
    pub fn new(now_unix_millis: i64, revision: u64) -> Self {
        Self(VecDeque::from([(now_unix_millis, revision)]))
    }

    /// Sets a mark and says where the compaction line is to be now; `None`: where it was.
    /// `logged_before(n)` is the revision of the change that has `n` newer ones.
    pub fn line(
        &mut self,
        now_unix_millis: i64,
        revision: u64,
        logged_before: impl Fn(usize) -> Option<u64>,
    ) -> Option<u64> {
        self.0.push_back((now_unix_millis, revision));
        let mut by_age = None;
        while let Some((_, marked)) = self.0.pop_front_if(|(at, _)| *at + WINDOW_MILLIS <= now_unix_millis) {
            by_age = Some(marked);
        }
        by_age.max(logged_before(WINDOW_CHANGES))
    }
}

/// What is stored of the compaction line, and of how far it was cleaned up.
pub fn line_value(line: u64, cleaned: u64) -> SecretBytes {
    SecretBytes::new([line.to_be_bytes(), cleaned.to_be_bytes()].concat())
}

/// Reads [`line_value`], or what it was before anything was kept: the line alone.
#[expect(clippy::disallowed_methods, reason = "revisions are no secret")]
pub fn read_line(value: &SecretBytes) -> Option<(u64, u64)> {
    let (line, rest) = value.expose().split_first_chunk::<8>()?;
    let cleaned = if rest.is_empty() { [0; 8] } else { rest.try_into().ok()? };
    Some((u64::from_be_bytes(*line), u64::from_be_bytes(cleaned)))
}

impl Writer {
    pub(super) fn has_superseded(&self) -> bool {
        self.closed_for_writing.is_none() && !self.shared.index().superseded(1).is_empty()
    }

    /// Removes some of what lies below the line. A failure (a full disk) leaves it for after the next tick: at once,
    /// it would be tried again and again.
    pub(super) async fn clean_up(&mut self) {
        if let Err(error) = self.remove_some().await {
            self.cleaning_paused = true;
            tracing::warn!(%error, "old versions could not be removed yet");
        }
    }

    /// Draws the line and removes everything below it.
    pub(super) async fn compact_to(&mut self, line: u64) -> Result<(), StoreError> {
        self.shared.index_mut().draw_line(line);
        while self.has_superseded() {
            self.remove_some().await?;
        }
        Ok(())
    }

    async fn remove_some(&mut self) -> Result<(), StoreError> {
        let (superseded, line, cleaned) = {
            let index = self.shared.index();
            let superseded = index.superseded(CLEANED_ROWS);
            let cleaned = index.cleaned_with(&superseded);
            (superseded, index.compacted(), cleaned)
        };
        let mut removed: Vec<Arc<SealedRow>> = Vec::with_capacity(superseded.revisions.len());
        let mut head = self.head.clone();
        for revision in &superseded.revisions {
            // A row that is gone or damaged cannot be taken out of the sums: it stays for `verify` to judge.
            let read = self.shared.rows.row_in_passing(*revision);
            let Ok(row) = read.map_err(|error| self.shared.judge(*revision, error)) else { continue };
            if let Err(error) = self.shared.keyring.verify(&row.record_id(), &row.sealed) {
                tracing::error!(%error, "an old version does not pass authentication and is kept");
                continue;
            }
            toggle(&mut head.accumulators, &self.shared.keyring, &row);
            removed.push(row);
        }
        let gone: Vec<u64> = removed.iter().map(|row| row.revision).collect();
        let _leaving = self.shared.incidents.leave(&gone);
        if !removed.is_empty() {
            head.sequence += 1;
            let line = StateChange::put(COMPACTED, line_value(line, cleaned));
            let state = self.replace_state(&mut head, &StateOverlay::new(), vec![line])?;
            let delete = async |transaction: &mut SqliteConnection| {
                delete_versions(transaction, &gone).await?;
                failpoint::reached("compact.before-commit");
                Ok(())
            };
            self.commit_state(head, state, delete).await?;
            failpoint::reached("compact.after-commit");
        }
        let keys = removed.iter().map(|row| (row.kind_id, &*row.namespace, &*row.name, row.revision));
        self.shared.index_mut().forget(keys, &superseded);
        for row in &removed {
            self.shared.rows.forget(row.revision);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_stored_before_anything_was_kept_and_since() {
        let bytes = |bytes: &[u8]| SecretBytes::new(bytes.to_vec());
        assert_eq!(read_line(&line_value(7, 5)), Some((7, 5)));
        assert_eq!(read_line(&bytes(&7_u64.to_be_bytes())), Some((7, 0)));
        for wrong in [&[0; 7][..], &[0; 9], &[0; 17], &[]] {
            assert_eq!(read_line(&bytes(wrong)), None);
        }
    }

    #[test]
    fn the_line_follows_five_minutes_behind() {
        let mut marks = Marks::new(0, 10);
        assert_eq!(marks.line(100_000, 20, |_| None), None);
        assert_eq!(marks.line(299_999, 30, |_| None), None);
        assert_eq!(marks.line(300_000, 40, |_| None), Some(10));
        assert_eq!(marks.line(600_000, 50, |_| None), Some(40));
    }

    #[test]
    fn under_many_changes_the_window_is_counted_and_not_timed() {
        let mut marks = Marks::new(0, 0);
        assert_eq!(marks.line(1, 150_000, |newer| Some(150_000 - newer as u64)), Some(50_000));
    }
}
