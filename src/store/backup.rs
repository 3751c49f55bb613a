//! A copy of the database as it was at one moment, made while writes go on; and what a copy holds.
//!
//! What it never does: write to the database that is copied, or open a sealed row.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::StoreError;
use super::open::open_head;
use super::reader::connect_at_rest;
use crate::crypto::{Head, Keyring};

/// Memory for pages of what is copied, in KiB.
const CACHE_KIB: u32 = 8 * 1024;

/// Copies the database into a new file (0600). It is read in one transaction of a connection of its own, so that the copy is
/// what was committed at one moment; who writes meanwhile does not wait, but the write-ahead log grows until the copy is made.
///
/// Blocks. What is left after an error is for the caller to remove.
pub fn copy(database: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = "the database cannot be copied";
    // SQLite takes an empty file for none; so the copy is closed to others from the first byte on.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let target = to.to_str().ok_or_else(|| std::io::Error::other("the folder's name is no UTF-8"))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(StoreError::sqlite(failed))?;
    connection
        .execute_batch(&format!(
            "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA busy_timeout=5000; \
             PRAGMA cache_size=-{CACHE_KIB};"
        ))
        .map_err(StoreError::sqlite(failed))?;
    connection.execute("VACUUM INTO ?1", [target]).map_err(StoreError::sqlite(failed))?;
    drop(connection);
    File::open(to)?.sync_all()?;
    Ok(())
}

/// Removes slots from a copy, and overwrites the bytes that they were.
pub fn remove_slots(copy: &Path, slots: &[&[u8]]) -> Result<(), StoreError> {
    if slots.is_empty() {
        return Ok(());
    }
    let failed = "slots cannot be taken out of the copy";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(copy, flags).map_err(StoreError::sqlite(failed))?;
    // Nobody else has the copy yet: no journal, in which the bytes would stand once more.
    connection
        .execute_batch("PRAGMA trusted_schema=OFF; PRAGMA secure_delete=ON; PRAGMA journal_mode=OFF;")
        .map_err(StoreError::sqlite(failed))?;
    for slot in slots {
        let removed = connection.execute("DELETE FROM slots WHERE slot = ?1", [slot]);
        if removed.map_err(StoreError::sqlite(failed))? == 0 {
            return Err(StoreError::Incomplete("a slot that was to be taken out"));
        }
    }
    drop(connection);
    File::open(copy)?.sync_all()?;
    Ok(())
}

/// The head of a database that nobody writes to. Nothing but the head is authenticated.
pub fn read_head(database: &Path, keyring: &Keyring) -> Result<Head, StoreError> {
    let connection = connect_at_rest(database)?;
    let sealed: Option<Vec<u8>> = connection
        .query_row("SELECT sealed FROM head WHERE id = 1", [], |row| row.get(0))
        .optional()
        .map_err(StoreError::sqlite("the head cannot be read"))?;
    let sealed = sealed.ok_or(StoreError::Incomplete("its head"))?;
    open_head(&sealed, keyring)
}
