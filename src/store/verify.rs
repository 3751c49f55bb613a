//! The full scan at a start: every row is authenticated, and all rows together are compared with the sealed head.
//!
//! A row that does not open is named. A row that was taken away, added or rolled back shows in the accumulator of
//! its bucket: then the bucket is refused and the rows left in it are named. Nothing is repaired here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use zeroize::Zeroizing;

use super::index::Known;
use super::reader::{COLUMNS, connect_at_rest, row_of};
use super::{Flags, SealedRow, StoreError, spans};
use crate::crypto::{Accumulators, Head, Keyring};
use crate::model::kinds;

/// Rows of one thread, at least: a small store is not worth a second one.
const ROWS_PER_THREAD: u64 = 4096;
/// Names of rows told of one refused bucket.
const TOLD_ROWS: usize = 16;

/// What a scan found wrong.
#[derive(Debug, Default)]
pub struct Findings {
    /// Rows that do not pass authentication, by revision, each named.
    pub damaged: BTreeMap<u64, String>,
    /// Buckets whose rows together are not what was sealed.
    refused: BTreeSet<u16>,
    /// The rows left in the refused buckets, named, a bounded number of each.
    pub in_refused: Vec<String>,
    /// The audit chain does not end where the head says.
    pub audit_broken: bool,
}

impl Findings {
    /// Whether everything is as it was written.
    pub fn is_empty(&self) -> bool {
        self.damaged.is_empty() && self.refused.is_empty() && !self.audit_broken
    }

    /// Whether rows are missing, rolled back or added: then nothing more is written.
    pub fn forbids_writes(&self) -> bool {
        !self.refused.is_empty() || self.audit_broken
    }

    /// Number of refused buckets.
    pub fn refused_buckets(&self) -> usize {
        self.refused.len()
    }

    /// The refused buckets of objects, with the rows left in each.
    pub(super) fn refused_and_left(&self) -> Vec<(u16, Vec<&str>)> {
        let objects = self.refused.iter().filter(|bucket| **bucket != STATE_BUCKET);
        let left = |bucket: &u16| {
            let prefix = of_bucket(*bucket);
            self.in_refused.iter().filter_map(move |row| row.strip_prefix(&*prefix)).collect()
        };
        objects.map(|bucket| (*bucket, left(bucket))).collect()
    }

    /// Whether the store's own values together are not what was sealed.
    pub(super) fn refuses_state(&self) -> bool {
        self.refused.contains(&STATE_BUCKET)
    }

    /// Whether some rows are kept from those who ask.
    pub(super) fn withholds(&self) -> bool {
        !self.damaged.is_empty() || !self.refused.is_empty()
    }

    /// Whether the object of this name lies in a refused bucket.
    pub fn refuses(&self, keyring: &Keyring, kind_id: u8, namespace: &str, name: &str) -> bool {
        if self.refused.is_empty() {
            return false;
        }
        let kind = kinds::by_id(kind_id).map_or("", kinds::Kind::stored_name);
        self.refused.contains(&bucket(keyring, kind, namespace, name))
    }
}

/// The versions of a store, in order, and what is wrong with them.
pub struct Scan {
    /// Every version whose clear columns make sense.
    pub known: Vec<Known>,
    /// The sums over all rows.
    pub accumulators: Accumulators,
    /// Rows that did not open, by revision, each named.
    pub damaged: BTreeMap<u64, String>,
    /// Number of rows that another term than the active one has sealed.
    pub foreign: u64,
}

impl Scan {
    fn empty() -> Self {
        Self { known: Vec::new(), accumulators: Accumulators::empty(), damaged: BTreeMap::new(), foreign: 0 }
    }
}

/// Reads and authenticates every version.
pub fn scan(path: &Path, keyring: &Arc<Keyring>, threads: usize) -> Result<Scan, StoreError> {
    let unreadable = "the rows cannot be read";
    let connection = connect_at_rest(path)?;
    let (low, high): (i64, i64) = connection
        .query_row("SELECT COALESCE(MIN(revision), 0), COALESCE(MAX(revision), 0) FROM versions", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(StoreError::sqlite(unreadable))?;
    let mut whole = Scan { damaged: foreign(&connection)?, ..Scan::empty() };
    let (low, high) = (low.max(0).cast_unsigned(), high.max(0).cast_unsigned());
    let spans = spans::dense(&connection, (low, high)).map_err(StoreError::sqlite(unreadable))?;
    drop(connection);
    let ranges = spans::divided(&spans, threads as u64, ROWS_PER_THREAD);
    let parts: Vec<Result<Scan, StoreError>> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            ranges.iter().map(|(from, until)| scope.spawn(move || scan_range(path, keyring, *from, *until))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(Err(StoreError::Incomplete("a part of its rows"))))
            .collect()
    });
    for part in parts {
        let part = part?;
        whole.known.extend(part.known);
        whole.accumulators.merge(&part.accumulators);
        whole.damaged.extend(part.damaged);
        whole.foreign += part.foreign;
    }
    Ok(whole)
}

/// Rows with revisions that none of ours has.
fn foreign(connection: &Connection) -> Result<BTreeMap<u64, String>, StoreError> {
    let unreadable = "the rows cannot be read";
    let mut statement = connection
        .prepare("SELECT revision FROM versions WHERE revision < 0 ORDER BY revision LIMIT 4096")
        .map_err(StoreError::sqlite(unreadable))?;
    let revisions = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(StoreError::sqlite(unreadable))?;
    let mut found = BTreeMap::new();
    for revision in revisions {
        let revision = revision.map_err(StoreError::sqlite(unreadable))?;
        let text = format!("row of versions, revision {revision}: no row of ours has such a revision");
        found.insert(revision.cast_unsigned(), text);
    }
    Ok(found)
}

fn scan_range(path: &Path, keyring: &Keyring, from: u64, until: u64) -> Result<Scan, StoreError> {
    scan_over(&connect_at_rest(path)?, keyring, from, until)
}

/// Reads and authenticates the versions in a range of revisions, both ends in it.
pub fn scan_over(connection: &Connection, keyring: &Keyring, from: u64, until: u64) -> Result<Scan, StoreError> {
    let unreadable = "the rows cannot be read";
    let mut statement = connection
        .prepare(&format!("SELECT {COLUMNS} FROM versions WHERE revision BETWEEN ?1 AND ?2 ORDER BY revision"))
        .map_err(StoreError::sqlite(unreadable))?;
    let mut rows =
        statement.query([from.cast_signed(), until.cast_signed()]).map_err(StoreError::sqlite(unreadable))?;
    let active = keyring.active();
    let mut part = Scan::empty();
    let mut namespaces: HashMap<Box<str>, Arc<str>> = HashMap::new();
    let mut intern = |text: &str| {
        if let Some(known) = namespaces.get(text) {
            Arc::clone(known)
        } else {
            let shared: Arc<str> = Arc::from(text);
            namespaces.insert(text.into(), Arc::clone(&shared));
            shared
        }
    };
    let mut scratch = Zeroizing::default();
    while let Some(row) = rows.next().map_err(StoreError::sqlite(unreadable))? {
        let Some(row) = row_of(row, &mut intern) else {
            let revision: i64 = row.get(0).unwrap_or_default();
            let text = format!("row of versions, revision {revision}: a clear column is not what it must be");
            part.damaged.insert(revision.cast_unsigned(), text);
            continue;
        };
        if let Err(error) = keyring.verify_in(&row.record_id(), &row.sealed, &mut scratch) {
            part.damaged.insert(row.revision, error.to_string());
        }
        toggle(&mut part.accumulators, keyring, &row);
        part.foreign += u64::from(row.sealed.term() != active);
        part.known.push(Known {
            revision: row.revision,
            kind_id: row.kind_id,
            flags: row.flags,
            namespace: Arc::clone(&row.namespace),
            name: Box::from(&*row.name),
        });
    }
    Ok(part)
}

/// The bucket of the store's own values, which no object shares: where it differs, nothing works.
pub const STATE_BUCKET: u16 = 0;

/// The bucket of an object.
fn bucket(keyring: &Keyring, kind: &str, namespace: &str, name: &str) -> u16 {
    keyring.bucket(kind, namespace, name).max(STATE_BUCKET + 1)
}

/// Adds a version to the sums, or takes it out.
pub fn toggle(accumulators: &mut Accumulators, keyring: &Keyring, row: &SealedRow) {
    let id = row.record_id();
    accumulators.toggle(bucket(keyring, id.kind, id.namespace, id.name), &keyring.accumulator_item(&id, &row.sealed));
}

fn of_bucket(bucket: u16) -> String {
    format!("bucket {bucket}: ")
}

/// What the sums say: which buckets differ, and which rows are left in them.
pub fn compare(scan: &Scan, accumulators: &Accumulators, head: &Head, keyring: &Keyring) -> Findings {
    let refused: BTreeSet<u16> = head.accumulators.differing(accumulators).into_iter().collect();
    let mut left: HashMap<u16, usize> = HashMap::new();
    let mut in_refused = Vec::new();
    if !refused.is_empty() {
        let mut latest: HashMap<(u8, &str, &str), Flags> = HashMap::new();
        for known in &scan.known {
            latest.insert((known.kind_id, &known.namespace, &known.name), known.flags);
        }
        let mut names: Vec<_> = latest.into_iter().filter(|(_, flags)| !flags.is_tombstone()).collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        for ((kind_id, namespace, name), _) in names {
            let kind = kinds::by_id(kind_id).map_or("", kinds::Kind::stored_name);
            let bucket = bucket(keyring, kind, namespace, name);
            let told = left.entry(bucket).or_default();
            if refused.contains(&bucket) && *told < TOLD_ROWS {
                *told += 1;
                let of_bucket = of_bucket(bucket);
                in_refused.push(format!("{of_bucket}kind {kind:?}, namespace {namespace:?}, name {name:?}"));
            }
        }
    }
    Findings { damaged: scan.damaged.clone(), refused, in_refused, audit_broken: false }
}
