//! The store: sealed versions of objects in SQLite, one writer, snapshots, and the feed of changes.
//!
//! ```text
//! commit ──► writer task ──► one transaction for all that wait: versions, audit records, sealed head
//!                │                    │
//!                ▼                    ▼
//!            change feed        index in memory ──► find, snapshot, replay
//!                                     │ revision
//!                                     ▼
//!                       cache of sealed rows ──► readers (SQLite)
//! ```
//!
//! Every version of an object is a row of its own, keyed by its revision, as in etcd. Which revision is the latest
//! of which name stands in memory only; it is rebuilt at a start, when every row is authenticated anyway.
//!
//! What it never does: see a plaintext (rows go in and out sealed), answer from a row that the index did not
//! lead to, acknowledge what is not on the disk, or write once the disk has failed it.

mod accept;
mod audit;
pub mod backup;
mod compaction;
mod connection;
mod error;
mod examine;
mod fingerprint;
mod history;
mod incidents;
mod index;
mod key_change;
pub mod keys;
mod open;
mod own_rows;
mod reader;
mod reseal;
mod restart;
mod schema;
mod sentry;
mod spans;
mod state;
mod statements;
mod verify;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot, watch};

pub use self::accept::{Acceptance, accept};
pub use self::audit::{AUDIT_CHAIN, AuditReadError, AuditRow};
pub use self::error::{CommitError, ReadError, ReplayError, SnapshotError, StoreError};
pub use self::examine::{Effect, Examination, Finding, examine, examine_to_accept};
pub use self::history::{Destroyed, Destruction};
use self::incidents::Incidents;
pub use self::incidents::{Incident, ROWS_BEFORE_READ_ONLY};
use self::index::Index;
pub use self::index::Kept;
pub use self::key_change::KeyChange;
use self::reader::Rows;
pub use self::reseal::Resealing;
pub use self::restart::Restart;
use self::state::StateRows;
pub use self::verify::Findings;
use self::writer::Command;
use crate::clock::SharedClock;
use crate::crypto::{ChainEnd, Keyring, RecordId, SealError, Sealed, Table};
use crate::model::kinds;
use crate::sensitive::SecretBytes;

/// Names that a snapshot looks at before it lets go of the index for a moment.
const PART_NAMES: usize = 8192;

/// What a version is: bits that are authenticated with the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// An object.
    pub const PUT: Self = Self(1);
    /// The end of an object.
    pub const TOMBSTONE: Self = Self(2);
    /// The object is being deleted and waits for its finalizers.
    pub const TERMINATING: Self = Self(4);
    /// The object names owners.
    pub const OWNED: Self = Self(8);
    /// What this supersedes is kept beyond compaction.
    pub const KEEPS_PREVIOUS: Self = Self(16);

    /// These and those.
    #[must_use]
    pub fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }

    /// Whether all of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether this is the end of an object.
    pub fn is_tombstone(self) -> bool {
        self.has(Self::TOMBSTONE)
    }
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Creates or replaces.
    Put,
    /// Deletes.
    Delete,
}

/// What must hold for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There is no object of this name.
    Absent,
    /// The object's latest version is this one.
    Revision(u64),
}

/// Seals a change once the writer has given it its revision.
pub type Seal = Box<dyn FnOnce(&Keyring, &RecordId<'_>) -> Result<Sealed, SealError> + Send>;

/// One change to one object.
pub struct Mutation {
    /// Its kind.
    pub kind_id: u8,
    /// Its namespace, or `""`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub uid: [u8; 16],
    /// When the object was created, seconds since the epoch.
    pub created_at: i64,
    /// What the new version is.
    pub flags: Flags,
    /// What must hold.
    pub expect: Expect,
    /// The namespace must exist and not be terminating.
    pub namespace_must_be_active: bool,
    /// Makes the row.
    pub seal: Seal,
}

/// One of the store's own values, as it shall be.
pub struct StateChange {
    /// Its key.
    pub key: String,
    /// The value; `None` removes it.
    pub value: Option<SecretBytes>,
    /// The [version](Store::state_version) that must be in place for the change to be made, 0 for none.
    pub expect: Option<u64>,
}

impl StateChange {
    /// Sets a value.
    pub fn put(key: impl Into<String>, value: SecretBytes) -> Self {
        Self { key: key.into(), value: Some(value), expect: None }
    }

    /// Removes a value, if there is one.
    pub fn remove(key: impl Into<String>) -> Self {
        Self { key: key.into(), value: None, expect: None }
    }

    /// The same change, if `version` is the one in place.
    #[must_use]
    pub fn over(self, version: u64) -> Self {
        Self { expect: Some(version), ..self }
    }
}

/// Changes that are made together or not at all, with the record of them.
pub struct Group {
    /// The changes, in order; at least one.
    pub mutations: Vec<Mutation>,
    /// Values of the store's own that change with them, each key once.
    pub state: Vec<StateChange>,
    /// One line for the audit chain.
    pub audit: Option<Vec<u8>>,
}

/// What a commit has made.
#[derive(Debug)]
pub struct Committed {
    /// The versions of the group's changes, in order.
    pub rows: Vec<Arc<SealedRow>>,
}

/// The latest version of an object, as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its revision.
    pub revision: u64,
    /// What it is.
    pub flags: Flags,
}

/// A version as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Kind of the object.
    pub kind_id: u8,
    /// Its namespace, or `""`.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its UUID.
    pub uid: [u8; 16],
    /// Revision of this version.
    pub revision: u64,
    /// What the version is.
    pub flags: Flags,
    /// The sealed columns.
    pub sealed: Sealed,
}

impl SealedRow {
    /// What the sealed columns are bound to.
    pub fn record_id(&self) -> RecordId<'_> {
        RecordId {
            table: Table::Versions,
            kind: kinds::by_id(self.kind_id).map_or("", kinds::Kind::stored_name),
            namespace: &self.namespace,
            name: &self.name,
            uid: self.uid,
            revision: self.revision,
            flags: self.flags.0,
        }
    }

    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        const OVERHEAD: usize = 256;
        OVERHEAD + self.name.len() + self.sealed.meta().len() + self.sealed.data().len()
    }
}

/// A change as the feed tells it, after it is on the disk.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its revision.
    pub revision: u64,
    /// Kind of the object.
    pub kind_id: u8,
    /// What it did.
    pub op: Operation,
    /// Revision of the version it succeeded.
    pub previous: Option<u64>,
    /// The version.
    pub row: Arc<SealedRow>,
}

/// A change of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedChange {
    /// Its revision.
    pub revision: u64,
    /// What it did.
    pub op: Operation,
    /// Revision of the version it succeeded.
    pub previous: Option<u64>,
}

/// Some of the objects that existed at one revision, in the order of namespace and name.
#[derive(Debug)]
pub struct Snapshot {
    /// The revision.
    pub revision: u64,
    /// Revisions of the objects' versions.
    pub revisions: Vec<u64>,
    /// How many objects follow these, where that was to be counted.
    pub remaining: Option<u64>,
    /// Namespace and name behind which what follows begins; `None` where nothing does.
    pub reached: Option<(Arc<str>, Box<str>)>,
}

/// What a snapshot is asked for.
#[derive(Debug, Default, Clone, Copy)]
pub struct Range<'a> {
    /// Only this namespace.
    pub namespace: Option<&'a str>,
    /// At this revision; `None` is the latest.
    pub at: Option<u64>,
    /// Only this name.
    pub name: Option<&'a str>,
    /// Only what comes behind this namespace and name.
    pub after: index::After<'a>,
    /// At most so many.
    pub limit: Option<usize>,
    /// How many objects there are from here on, where that is known already.
    pub remaining: Option<u64>,
}

/// What a store is opened with.
pub struct OpenOptions {
    /// The database file.
    pub path: PathBuf,
    /// Its keys.
    pub keyring: Arc<Keyring>,
    /// The time.
    pub clock: SharedClock,
    /// Memory for sealed rows, in bytes.
    pub cache_bytes: usize,
}

/// An open store. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// Seconds since the Unix epoch.
pub type TimeMark = Box<dyn Fn() -> i64 + Send + Sync>;

struct Shared {
    keyring: Arc<Keyring>,
    index: RwLock<Index>,
    rows: Rows,
    state: RwLock<StateRows>,
    findings: Findings,
    incidents: Arc<Incidents>,
    /// The end of the chain of audit records, as the head that was committed last has it.
    audit_end: Mutex<ChainEnd>,
    /// See [`Store::audit_removed`].
    audit_removed: Mutex<ChainEnd>,
    /// Why the last commit failed, where it did.
    refusal: Mutex<Option<&'static str>>,
    /// See [`Store::access_revision`].
    access_revision: AtomicU64,
    /// See [`Store::restore_epoch`].
    restore_epoch: u64,
    /// See [`Store::time_high_water`].
    time_high_water: i64,
    /// See [`Store::mark_time`].
    time_mark: OnceLock<TimeMark>,
    /// See [`Store::resealing`].
    resealing: watch::Sender<Resealing>,
}

impl Shared {
    fn index(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Opens a home's database, authenticates every row of it, and starts the writer.
    ///
    /// The receiver gets every change in order, from now on, until the store is closed.
    pub async fn open(options: OpenOptions) -> Result<(Self, mpsc::UnboundedReceiver<Arc<[Change]>>), StoreError> {
        open::open(options).await
    }

    /// What was found wrong with the stored rows when the store was opened.
    pub fn findings(&self) -> &Findings {
        &self.shared.findings
    }

    /// Why nothing can be written now, and what to do about it.
    pub fn refusal(&self) -> Option<&'static str> {
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest revision.
    pub fn revision(&self) -> u64 {
        self.shared.index().revision()
    }

    /// Revision of the last change to an object that decides who may do what ([`kinds::ACCESS_KINDS`]). It moves
    /// before the change is acknowledged.
    pub fn access_revision(&self) -> u64 {
        self.shared.access_revision.load(Ordering::Acquire)
    }

    /// The revision before which the store cannot be shown any more.
    pub fn compacted(&self) -> u64 {
        self.shared.index().compacted()
    }

    /// Number of objects of a kind.
    pub fn count(&self, kind_id: u8) -> usize {
        self.shared.index().count(kind_id, None)
    }

    /// The latest version of the object of this name, if there is one.
    pub fn find(&self, kind_id: u8, namespace: &str, name: &str) -> Result<Option<Entry>, ReadError> {
        if self.shared.findings.refuses(&self.shared.keyring, kind_id, namespace, name) {
            return Err(ReadError::Integrity { revision: 0 });
        }
        Ok(self.shared.index().find(kind_id, namespace, name))
    }

    /// Every object of a kind that exists now.
    pub fn live(&self, kind_id: u8) -> Vec<Entry> {
        self.shared.index().live(kind_id).collect()
    }

    /// Objects of one kind at one revision, in order.
    pub fn snapshot(&self, kind_id: u8, range: &Range<'_>) -> Result<Snapshot, SnapshotError> {
        let limit = range.limit.unwrap_or(usize::MAX);
        let mut revisions = Vec::new();
        let mut reached: Option<(Arc<str>, Box<str>)> = None;
        let mut at = range.at;
        let count;
        loop {
            let index = self.shared.index();
            let now = index.revision();
            let at = *at.get_or_insert(now);
            let after = match &reached {
                None => range.after,
                Some((namespace, name)) => Some((namespace.as_ref(), name.as_ref())),
            };
            if let Some(name) = range.name {
                revisions = index.named(kind_id, range.namespace, at, range.after, name)?;
                count = None;
                break;
            }
            let most = PART_NAMES.min((limit - revisions.len()).max(1));
            let part = index.part(kind_id, range.namespace, at, after, most)?;
            let first = reached.is_none() && range.after.is_none();
            revisions.extend(part.revisions);
            reached = part.reached;
            if reached.is_none() || revisions.len() >= limit {
                // The live count is that of `now`; the length of a whole list is known anyway.
                count = (first && at == now).then(|| index.count(kind_id, range.namespace));
                break;
            }
        }
        let revision = at.unwrap_or_default();
        let taken = revisions.len() as u64;
        let remaining = match (range.limit, &reached) {
            (None, _) | (_, None) => None,
            (Some(_), Some((namespace, name))) => Some(match (range.remaining, count) {
                (Some(known), _) => known.saturating_sub(taken),
                (None, Some(count)) => (count as u64).saturating_sub(taken),
                (None, None) => self.count_behind(kind_id, range.namespace, revision, (namespace, name))?,
            }),
        };
        Ok(Snapshot { revision, revisions, remaining, reached })
    }

    fn count_behind(
        &self,
        kind_id: u8,
        namespace: Option<&str>,
        at: u64,
        after: (&str, &str),
    ) -> Result<u64, SnapshotError> {
        let range = Range { namespace, at: Some(at), after: Some(after), ..Range::default() };
        Ok(self.snapshot(kind_id, &range)?.revisions.len() as u64)
    }

    /// The changes of a kind (in a namespace) after revision `after`, in order.
    pub fn replay(&self, kind_id: u8, namespace: Option<&str>, after: u64) -> Result<Vec<LoggedChange>, ReplayError> {
        self.shared.index().replay(kind_id, namespace, after)
    }

    /// Makes the changes of a group. When this returns, they are on the disk.
    ///
    /// The work goes on if the caller goes away: a change is never half told.
    pub async fn commit(&self, group: Group) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Commit { group, reply }).await.map_err(|_| CommitError::CLOSED)?;
        answer.await.unwrap_or(Err(CommitError::CLOSED))
    }

    /// A value of the store's own.
    pub fn read_state(&self, key: &str) -> Result<Option<SecretBytes>, StoreError> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = state.get(key) else { return Ok(None) };
        let opened = self.shared.keyring.open_data(&row.record_id(key), &row.sealed);
        opened.map(Some).map_err(|error| StoreError::Integrity(error.to_string()))
    }

    /// Which writing of a value is in place: a number that no other one of this key has, and never 0.
    pub fn state_version(&self, key: &str) -> Option<u64> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        state.get(key).map(|row| row.sequence)
    }

    /// Rises with every restore of a backup; what was issued in an earlier epoch is void.
    pub fn restore_epoch(&self) -> u64 {
        self.shared.restore_epoch
    }

    /// The latest time that the head told of at the opening, in seconds since the Unix epoch; 0 where it did not.
    pub fn time_high_water(&self) -> i64 {
        self.shared.time_high_water
    }

    /// From now on each commit of changes and of values notes the time that `mark` tells of. The first call counts.
    pub fn mark_time(&self, mark: TimeMark) {
        let _ = self.shared.time_mark.set(mark);
    }

    /// Keys of the store's own values that begin with `prefix`, in order.
    pub fn state_keys(&self, prefix: &str) -> Vec<String> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<String> = state.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Writes values of the store's own, together, with the audit record of it if there is one.
    pub async fn write_state(&self, rows: Vec<StateChange>, audit: Option<Vec<u8>>) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::State { rows, audit, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Cleans up after everything that only revisions before `line` show. For tests and for the timer.
    pub async fn compact(&self, line: u64) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Compact { line, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Ends the writer. What was acknowledged is in the one database file then.
    pub async fn close(self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Close { reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

#[cfg(test)]
mod tamper_tests;
#[cfg(test)]
mod tests;
