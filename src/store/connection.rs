//! How SQLite is opened, and what schema it must have.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr as _};

use super::StoreError;
use crate::failpoint;

/// Every schema there was, and how to come from one to the next.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let of_release = sqlx::migrate!("./migrations");
    match failpoint::next_migration() {
        Some(statements) => with_next(&of_release, statements),
        None => of_release,
    }
});

#[expect(
    clippy::disallowed_methods,
    reason = "a migration is a text of its own; only tests have one that is no part of the build"
)]
fn with_next(of_release: &Migrator, statements: String) -> Migrator {
    let mut migrations: Vec<Migration> = of_release.iter().cloned().collect();
    let number = migrations.last().map_or(1, |last| last.version + 1);
    let statements = AssertSqlSafe(statements).into_sql_str();
    migrations.push(Migration::new(number, "next".into(), MigrationType::Simple, statements, false));
    Migrator::with_migrations(migrations)
}

/// A row of 1 KiB takes 1.7 KB: a page of 4 KiB would hold two of them and waste a quarter of itself.
const PAGE_BYTES: u32 = 16 * 1024;
/// Pages in the write-ahead log before a commit moves them into the database file: 64 MiB.
const CHECKPOINT_PAGES: u32 = 4096;
/// Kept of the database by the writer's connection, in KiB.
const WRITER_CACHE_KIB: u32 = 8 * 1024;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Before this, two connections could reset the write-ahead log at once and lose pages.
const SQLITE_MIN_VERSION: [u32; 3] = [3, 51, 3];

/// The connection that writes. `creating` makes the file, without a write-ahead log beside it.
pub async fn connect(path: &Path, creating: bool) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(creating)
        .page_size(PAGE_BYTES)
        .journal_mode(if creating { SqliteJournalMode::Delete } else { SqliteJournalMode::Wal })
        // An acknowledged write is on the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(192)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("mmap_size", "0")
        // What is removed is overwritten, and not only passed over.
        .pragma("secure_delete", "ON")
        // Statements are never logged, not even slow ones.
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(StoreError::sqlite("the database cannot be opened"))?;
    check_version(&mut connection).await?;
    Ok(connection)
}

async fn check_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(StoreError::sqlite("the database cannot be opened"))?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = [parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0)];
    if found >= SQLITE_MIN_VERSION { Ok(()) } else { Err(StoreError::SqliteTooOld(version)) }
}

/// Brings the schema to this release's; where the connection is in a transaction, as a part of that.
pub async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match MIGRATIONS.run(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(version)) => Err(StoreError::newer_migration(version)),
        Err(error) => {
            Err(StoreError::Sqlite { what: "the schema cannot be brought up to date", source: Box::new(error) })
        }
    }
}

/// The number of this release's newest migration.
pub fn newest_migration() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}
