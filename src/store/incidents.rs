//! What is found to have been changed in the file while the store is open: a row that does not open, or is not there, when
//! it is read; something foreign in the schema.
//!
//! Each is named once, in the log and to whoever asks. Beyond a number of them nothing more is written.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{ReadError, SealedRow, Shared, Store};
use crate::model::kinds::{self, Kind};

/// So many different rows are no accident of one page.
pub const ROWS_BEFORE_READ_ONLY: usize = 16;
/// So many are named: to find a name takes a search through everything.
const NAMED_MAX: usize = 256;

const ROWS: &str = "the store is read-only because rows were changed from outside while the server ran: see its log, \
                    stop it, and run `strongroom verify`";
const SCHEMA: &str = "the store is read-only because its database file was replaced, or got a trigger, view, index or table from \
                      outside while the server ran: see its log, stop it, and run `strongroom verify`";

/// Something that was changed from outside.
#[derive(Debug, Clone)]
pub enum Incident {
    /// A row of an object.
    Row {
        /// Kind of the object; `None` where not even that is known.
        kind: Option<&'static Kind>,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Revision of the row.
        revision: u64,
        /// It is gone; otherwise it does not pass authentication.
        is_missing: bool,
    },
    /// The schema: what is not ours in it.
    Schema(String),
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { kind, namespace, name, revision, is_missing } => {
                let kind = kind.map_or("", Kind::stored_name);
                let problem = if *is_missing { "is missing" } else { "does not pass authentication" };
                write!(
                    f,
                    "row of versions, kind {kind:?}, namespace {namespace:?}, name {name:?}, revision {revision}: {problem}"
                )
            }
            Self::Schema(what) => write!(f, "schema: {what}"),
        }
    }
}

/// See the module.
pub struct Incidents {
    found: Mutex<Found>,
    /// Rows that are about to be removed, or were just now.
    leaving: Mutex<HashSet<u64>>,
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Found {
    revisions: BTreeSet<u64>,
    schema: bool,
    named: Vec<Incident>,
}

impl Incidents {
    /// None yet.
    pub fn none() -> Self {
        Self { found: Mutex::default(), leaving: Mutex::default(), count: watch::Sender::new(0) }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leaving(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing more is written, if it is not.
    pub fn refusal(&self) -> Option<&'static str> {
        if *self.count.borrow() == 0 {
            return None;
        }
        let found = self.found();
        if found.schema {
            return Some(SCHEMA);
        }
        (found.revisions.len() >= ROWS_BEFORE_READ_ONLY).then_some(ROWS)
    }

    /// Something foreign is in the schema.
    pub fn tell_of_schema(&self, what: String) {
        let mut found = self.found();
        if std::mem::replace(&mut found.schema, true) {
            return;
        }
        tracing::error!(store.schema = what, "the database was changed from outside: nothing more is written");
        found.named.push(Incident::Schema(what));
        drop(found);
        self.count.send_modify(|count| *count += 1);
    }

    /// Says that rows are about to be removed, until what is returned is dropped. Who misses one meanwhile need not wonder.
    #[must_use]
    pub fn leave(self: &Arc<Self>, revisions: &[u64]) -> Leaving {
        self.leaving().extend(revisions);
        Leaving { incidents: Arc::clone(self), revisions: revisions.to_vec() }
    }

    fn is_known(&self, revision: u64) -> bool {
        *self.count.borrow() > 0 && self.found().revisions.contains(&revision)
    }

    fn add(&self, revision: u64, incident: impl FnOnce() -> Incident) {
        {
            let mut found = self.found();
            if !found.revisions.insert(revision) {
                return;
            }
            if found.named.len() < NAMED_MAX {
                let incident = incident();
                tracing::error!(store.row = %incident, "a stored row was changed from outside and is not served");
                found.named.push(incident);
            }
            if found.revisions.len() == ROWS_BEFORE_READ_ONLY {
                tracing::error!("too many rows were changed from outside: nothing more is written");
            }
        }
        self.count.send_modify(|count| *count += 1);
    }
}

/// See [`Incidents::leave`].
pub struct Leaving {
    incidents: Arc<Incidents>,
    revisions: Vec<u64>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut leaving = self.incidents.leaving();
        for revision in &self.revisions {
            leaving.remove(revision);
        }
    }
}

impl Shared {
    /// What a failed read of a row means: a row that the index has and the file has not is no row that was never there.
    pub(super) fn judge(&self, revision: u64, error: ReadError) -> ReadError {
        match error {
            ReadError::Unavailable => error,
            ReadError::NotFound { .. } if !self.is_missing(revision) => error,
            ReadError::NotFound { .. } => self.accuse(revision, true),
            ReadError::Integrity { .. } => self.accuse(revision, false),
        }
    }

    fn is_missing(&self, revision: u64) -> bool {
        // In this order: a row that was removed is on the list until the index has forgotten it.
        if self.incidents.leaving().contains(&revision) {
            return false;
        }
        // Once nothing is written any more, nothing is removed either, and there is no need to search.
        self.incidents.is_known(revision)
            || self.incidents.refusal().is_some()
            || self.index().holder(revision).is_some()
    }

    fn accuse(&self, revision: u64, is_missing: bool) -> ReadError {
        // What is wrong since the start was told then.
        if !self.findings.damaged.contains_key(&revision) {
            self.incidents.add(revision, || {
                let (kind_id, namespace, name) = self.index().holder(revision).unwrap_or_default();
                Incident::Row { kind: kinds::by_id(kind_id), namespace, name, revision, is_missing }
            });
        }
        ReadError::Integrity { revision }
    }
}

impl Store {
    /// The version that was written as `revision`.
    pub fn row(&self, revision: u64) -> Result<Arc<SealedRow>, ReadError> {
        self.shared.rows.row(revision).map_err(|error| self.shared.judge(revision, error))
    }

    /// As [`Store::row`], for a reader of many rows once: leaves the cache as it is.
    pub fn row_in_passing(&self, revision: u64) -> Result<Arc<SealedRow>, ReadError> {
        self.shared.rows.row_in_passing(revision).map_err(|error| self.shared.judge(revision, error))
    }

    /// A row that did not open, read from the file again: it may have been sealed anew since it was read. If what is there
    /// does not pass authentication either, it was changed from outside.
    pub fn reread(&self, row: &SealedRow) -> Result<Arc<SealedRow>, ReadError> {
        let revision = row.revision;
        self.shared.rows.forget(revision);
        let fresh = self.row_in_passing(revision)?;
        let is_same = (fresh.kind_id, &fresh.namespace, &fresh.name) == (row.kind_id, &row.namespace, &row.name);
        if is_same && self.shared.keyring.verify(&fresh.record_id(), &fresh.sealed).is_ok() {
            return Ok(fresh);
        }
        Err(self.shared.judge(revision, ReadError::Integrity { revision }))
    }

    /// Takes out of `revisions` what is not served because it does not pass authentication; how many those were.
    pub fn withhold(&self, revisions: &mut Vec<u64>) -> usize {
        let (findings, incidents) = (&self.shared.findings, &self.shared.incidents);
        let before = revisions.len();
        if *incidents.count.borrow() > 0 {
            let found = incidents.found();
            revisions.retain(|revision| !found.revisions.contains(revision));
        }
        if findings.withholds() {
            revisions.retain(|revision| {
                !findings.damaged.contains_key(revision)
                    && self.row_in_passing(*revision).is_ok_and(|row| {
                        !findings.refuses(&self.shared.keyring, row.kind_id, &row.namespace, &row.name)
                    })
            });
        }
        before - revisions.len()
    }

    /// Number of things that were found changed from outside since the store was opened. Changes with each.
    pub fn incidents(&self) -> watch::Receiver<usize> {
        self.shared.incidents.count.subscribe()
    }

    /// Those behind the first `known`, each once. Of very many not all are named.
    pub fn incidents_behind(&self, known: usize) -> Vec<Incident> {
        self.shared.incidents.found().named.get(known..).unwrap_or_default().to_vec()
    }

    /// Why nothing more is written since something was found changed from outside, and what to do about it.
    pub fn incident_refusal(&self) -> Option<&'static str> {
        self.shared.incidents.refusal()
    }
}

#[cfg(test)]
#[path = "incidents_tests.rs"]
mod tests;
