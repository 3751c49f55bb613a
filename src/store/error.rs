//! What can go wrong. No text here holds content; each says what to do.

use crate::crypto::OpenError;

/// Why a home's database was not opened, or a value of the store's own not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite refused.
    #[error("{what}: {source}{}", advice(source.as_ref()))]
    Sqlite {
        /// What was tried.
        what: &'static str,
        /// SQLite's words; never values.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQLite is too old to be trusted with a write-ahead log.
    #[error("SQLite {0} has a defect that can corrupt the database: build with SQLite 3.51.3 or newer")]
    SqliteTooOld(String),
    /// Written by a newer release.
    #[error("the database was written by a newer release ({0}): use that release, or a newer one")]
    Newer(String),
    /// The schema is not the one that was sealed: something was added to or taken from the database.
    #[error(
        "the database was changed from outside ({0}): `strongroom verify` says more; restore a backup, or have it put right with `strongroom verify --accept`"
    )]
    ForeignSchema(String),
    /// Something that everything depends on does not pass authentication.
    #[error(
        "the database was changed from outside ({0}): `strongroom verify` says more; restore a backup, or accept what is left with `strongroom verify --accept`"
    )]
    Integrity(String),
    /// The database lacks what every home has.
    #[error(
        "the database is no home: {0} is missing; `strongroom verify` says whether something can be done, or restore a backup"
    )]
    Incomplete(&'static str),
    /// Another process wrote to the database between its examination and the change that was to follow from it.
    #[error("the database was changed since it was examined, and nothing was accepted: run `strongroom verify` again")]
    ChangedSince,
    /// There is a database already.
    #[error("there is a database already")]
    Exists,
    /// A folder or file could not be made.
    #[error("the database file: {0}")]
    Io(#[from] std::io::Error),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Random,
    /// A value of the store's own is another one by now than the change expects.
    #[error("the value was changed by somebody else")]
    Superseded,
    /// The store refuses writes; what to do about it.
    #[error("{0}")]
    ReadOnly(&'static str),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn newer_migration(version: i64) -> Self {
        Self::Newer(format!("its migration {version} is unknown here"))
    }

    /// Of sealed bytes of the store's own that did not open: a newer release's, or changed. `opens_with_own_header` says
    /// whether they open once their first bytes say what this release writes.
    pub(super) fn of_opening(error: &OpenError, opens_with_own_header: impl Fn() -> bool) -> Self {
        match error.failure() {
            failure if failure.may_be_newer() && !opens_with_own_header() => Self::Newer(error.to_string()),
            _ => Self::Integrity(error.to_string()),
        }
    }

    pub(super) fn sqlite<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Sqlite { what, source: Box::new(source) }
    }
}

/// Why a row was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The row, or the bucket it lies in, does not pass authentication.
    #[error("the stored row of revision {revision} does not pass authentication")]
    Integrity {
        /// The revision that was asked for; 0 where a name was.
        revision: u64,
    },
    /// There is no such row, or none any more.
    #[error("there is no revision {revision}")]
    NotFound {
        /// The revision that was asked for.
        revision: u64,
    },
    /// SQLite could not read.
    #[error("the store cannot be read")]
    Unavailable,
}

/// Why a change was not made. Nothing of its group was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The name is taken.
    #[error("the name is taken")]
    AlreadyExists {
        /// By an object that is being deleted.
        terminating: bool,
    },
    /// The object has another version by now.
    #[error("the object was changed")]
    Conflict,
    /// There is no such object.
    #[error("there is no such object")]
    NotFound,
    /// There is no such namespace.
    #[error("there is no such namespace")]
    NamespaceNotFound,
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// The object lies where rows do not pass authentication.
    #[error("the stored row does not pass authentication")]
    Integrity,
    /// Nothing can be written now; what to do about it.
    #[error("{0}")]
    Unavailable(&'static str),
}

impl CommitError {
    pub(super) const CLOSED: Self = Self::Unavailable("the server is stopping");
}

/// Why there is no such snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The revision is below the compaction line.
    #[error("the revision is too old: the store can be shown from revision {line} on")]
    Compacted {
        /// The oldest revision there is.
        line: u64,
    },
    /// The revision does not exist yet.
    #[error("revision {asked} is ahead of the store, which is at {current}")]
    FutureRevision {
        /// What was asked for.
        asked: u64,
        /// What there is.
        current: u64,
    },
}

/// Why changes cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// They begin below the compaction line.
    #[error("the revision is too old: changes can be replayed from revision {line} on")]
    Compacted {
        /// The oldest revision there is.
        line: u64,
    },
}

/// What to do about a refusal of SQLite's, where its own words do not say it.
fn advice(source: &(dyn std::error::Error + 'static)) -> &'static str {
    const DAMAGED: &str = " (the file is damaged: restore a backup)";
    let chain = || std::iter::successors(Some(source), |error| error.source());
    if chain().any(is_of_decoding) {
        return DAMAGED;
    }
    // The low byte of SQLite's code says of which sort it is: SQLITE_READONLY, SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_FULL,
    // SQLITE_NOTADB.
    match chain().find_map(sqlite_code).map(|code| code & 0xff) {
        Some(8) => " (the file or its disk is read-only: make it writable)",
        Some(10) => " (see whether the disk is full or broken)",
        Some(11 | 26) => DAMAGED,
        Some(13) => " (free disk space)",
        _ => "",
    }
}

/// Whether a column holds what nobody has written there.
fn is_of_decoding(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_rusqlite = matches!(
        error.downcast_ref(),
        Some(rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..))
    );
    of_rusqlite || matches!(error.downcast_ref(), Some(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)))
}

fn sqlite_code(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(rusqlite::Error::SqliteFailure(failure, _)) = error.downcast_ref() {
        return Some(failure.extended_code);
    }
    let error: &sqlx::Error = error.downcast_ref()?;
    error.as_database_error()?.code()?.parse().ok()
}
