//! Point reads: a bounded cache of sealed rows over a few read-only connections.
//!
//! A read through sqlx costs three times as much as one here, because it hops to another thread and back.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Row};

use super::{Flags, ReadError, SealedRow, StoreError};
use crate::crypto::Sealed;
use crate::model::kinds;

/// Rows of this size are what the cache is dimensioned for.
const USUAL_ROW_BYTES: usize = 2048;
/// Kept of the database by each reading connection, in KiB: the cache above it holds what is asked for again.
const READER_CACHE_KIB: u32 = 512;

const UNOPENED: &str = "the database cannot be opened for reading";

/// The columns of a version, in the order that [`row_of`] reads.
pub const COLUMNS: &str = "revision, kind, namespace, name, uid, flags, term, meta, data";

#[derive(Clone)]
struct ByBytes;

impl Weighter<u64, Arc<SealedRow>> for ByBytes {
    fn weight(&self, _: &u64, row: &Arc<SealedRow>) -> u64 {
        row.bytes() as u64
    }
}

/// Sealed rows by revision.
pub struct Rows {
    cache: Cache<u64, Arc<SealedRow>, ByBytes>,
    path: PathBuf,
    readers: Vec<Mutex<Option<Connection>>>,
    next: AtomicUsize,
    /// The term that rows are sealed with now.
    term: AtomicU32,
}

impl Rows {
    /// Reads from the database at `path`, over at most `readers` connections.
    pub fn new(path: &Path, cache_bytes: usize, readers: usize, term: u32) -> Self {
        let items = (cache_bytes / USUAL_ROW_BYTES).max(16);
        Self {
            cache: Cache::with_weighter(items, cache_bytes as u64, ByBytes),
            path: path.to_owned(),
            readers: (0..readers.max(1)).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
            term: AtomicU32::new(term),
        }
    }

    /// The version of this revision; kept for the next one who asks.
    pub fn row(&self, revision: u64) -> Result<Arc<SealedRow>, ReadError> {
        if let Some(row) = self.cache.get(&revision) {
            return Ok(row);
        }
        let row = self.read(revision)?;
        // One that is about to be sealed anew is not worth keeping, and must not be kept beyond the life of its key.
        if row.sealed.term() == self.term.load(Ordering::Acquire) {
            self.cache.insert(revision, Arc::clone(&row));
        }
        Ok(row)
    }

    /// From now on rows are sealed with this term.
    pub fn set_term(&self, term: u32) {
        self.term.store(term, Ordering::Release);
    }

    /// A row that was sealed anew, if the former form of it is kept.
    pub fn replace(&self, row: &Arc<SealedRow>) {
        if self.cache.contains_key(&row.revision) {
            self.keep(row);
        }
    }

    /// Keeps no row any more that another term than the present one has sealed.
    pub fn forget_former_terms(&self) {
        let term = self.term.load(Ordering::Acquire);
        self.cache.retain(|_, row| row.sealed.term() == term);
    }

    /// The version of this revision, from the cache if it is there.
    pub fn row_in_passing(&self, revision: u64) -> Result<Arc<SealedRow>, ReadError> {
        match self.cache.get(&revision) {
            Some(row) => Ok(row),
            None => self.read(revision),
        }
    }

    /// A row that was just written.
    pub fn keep(&self, row: &Arc<SealedRow>) {
        self.cache.insert(row.revision, Arc::clone(row));
    }

    /// Drops a row that was removed.
    pub fn forget(&self, revision: u64) {
        self.cache.remove(&revision);
    }

    /// Closes the connections.
    pub fn close(&self) {
        for reader in &self.readers {
            drop(reader.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    fn read(&self, revision: u64) -> Result<Arc<SealedRow>, ReadError> {
        match self.with_connection(|connection| read_row(connection, revision))? {
            Ok(Some(row)) => Ok(Arc::new(row)),
            Ok(None) => Err(ReadError::NotFound { revision }),
            Err(ReadFailure::Sqlite) => Err(ReadError::Unavailable),
            // A page that is no page any more: the row on it is lost, not the store.
            Err(ReadFailure::Corrupt | ReadFailure::Shape) => Err(ReadError::Integrity { revision }),
        }
    }

    /// Reads over one of the connections.
    pub fn with_connection<T>(&self, read: impl FnOnce(&Connection) -> T) -> Result<T, ReadError> {
        let reader = self.reader().ok_or(ReadError::Unavailable)?;
        let mut slot = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match slot.take() {
            Some(open) => open,
            None => connect(&self.path).map_err(|_| ReadError::Unavailable)?,
        };
        let read = read(&connection);
        *slot = Some(connection);
        Ok(read)
    }

    /// A connection that nobody uses, or the one whose turn it is.
    fn reader(&self) -> Option<&Mutex<Option<Connection>>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let order = || (0..self.readers.len()).filter_map(|step| self.readers.get((turn + step) % self.readers.len()));
        order().find(|reader| reader.try_lock().is_ok()).or_else(|| order().next())
    }
}

enum ReadFailure {
    Sqlite,
    Corrupt,
    Shape,
}

fn read_row(connection: &Connection, revision: u64) -> Result<Option<SealedRow>, ReadFailure> {
    const BY_REVISION: &str =
        "SELECT revision, kind, namespace, name, uid, flags, term, meta, data FROM versions WHERE revision = ?1";
    let mut statement = connection.prepare_cached(BY_REVISION).map_err(|_| ReadFailure::Sqlite)?;
    let row = statement
        .query_row([revision.cast_signed()], |row| Ok(row_of(row, &mut |text| Arc::from(text))))
        .optional()
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt) => ReadFailure::Corrupt,
            _ => ReadFailure::Sqlite,
        })?;
    match row {
        None => Ok(None),
        Some(Some(row)) => Ok(Some(row)),
        Some(None) => Err(ReadFailure::Shape),
    }
}

/// A version out of [`COLUMNS`]; `None` where a column is not of its type or the kind is unknown. Nothing is
/// authenticated yet.
pub fn row_of(row: &Row<'_>, intern: &mut dyn FnMut(&str) -> Arc<str>) -> Option<SealedRow> {
    let number = |column: usize| row.get_ref(column).ok()?.as_i64().ok();
    let text = |column: usize| row.get_ref(column).ok()?.as_str().ok();
    let bytes = |column: usize| row.get_ref(column).ok()?.as_blob().ok();
    Some(SealedRow {
        revision: number(0)?.cast_unsigned(),
        kind_id: kinds::by_stored_name(text(1)?)?.id,
        namespace: intern(text(2)?),
        name: Arc::from(text(3)?),
        uid: bytes(4)?.try_into().ok()?,
        flags: Flags(u8::try_from(number(5)?).ok()?),
        sealed: Sealed::from_stored(u32::try_from(number(6)?).ok()?, bytes(7)?.to_vec(), bytes(8)?.to_vec()),
    })
}

/// A read-only connection to a database that nobody writes to. Where no write-ahead log was left, it makes none.
pub fn connect_at_rest(path: &Path) -> Result<Connection, StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return connect(path);
    }
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).map_err(StoreError::sqlite(UNOPENED))?;
    prepare(&connection)?;
    Ok(connection)
}

/// A read-only connection.
pub fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(StoreError::sqlite(UNOPENED))?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection
        .execute_batch(&format!(
            "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; \
             PRAGMA busy_timeout=5000; PRAGMA cache_size=-{READER_CACHE_KIB};"
        ))
        .map_err(StoreError::sqlite(UNOPENED))
}
