//! What must be readable before there is a key: the wrapped keyring and the slots. And the making of a database.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension as _};
use sqlx::Connection as _;

use super::audit::AUDIT_CHAIN;
use super::connection::{MIGRATIONS, connect, migrate};
use super::schema::SchemaObject;
use super::{StoreError, reader, schema};
use crate::crypto::{Head, Keyring};
use crate::failpoint;

/// Slots that are looked at. There are five kinds of them, and one of each at most.
const SLOTS_MAX: u32 = 64;

/// What a home stores of its keys, none of it secret.
pub struct KeyMaterial {
    /// Random, one per home.
    pub store_id: [u8; 16],
    /// The keyring, wrapped under the root key.
    pub keyring: Vec<u8>,
    /// The slots, encoded.
    pub slots: Vec<Vec<u8>>,
}

/// The key material of a database; `None` if there is none at `path`. Changes nothing, not even a write-ahead log
/// that a crash has left.
pub async fn read_key_material(path: &Path) -> Result<Option<KeyMaterial>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_now(&path));
    read.await.map_err(|_| StoreError::Incomplete("its keyring"))?.map(Some)
}

/// As [`read_key_material`], of a database that is there. Blocks.
pub fn read_now(path: &Path) -> Result<KeyMaterial, StoreError> {
    let unreadable = "the keys cannot be read";
    let connection = reader::connect_at_rest(path)?;
    check_tables(&connection)?;
    let keys = connection
        .query_row("SELECT store_id, keyring FROM keys WHERE id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(StoreError::sqlite(unreadable))?;
    let (store_id, keyring): (Vec<u8>, Vec<u8>) = keys.ok_or(StoreError::Incomplete("its keyring"))?;
    let mut statement =
        connection.prepare("SELECT slot FROM slots ORDER BY id LIMIT ?1").map_err(StoreError::sqlite(unreadable))?;
    let slots = statement
        .query_map([SLOTS_MAX], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(StoreError::sqlite(unreadable))?;
    let store_id = store_id.try_into().map_err(|_| StoreError::Incomplete("its store id"))?;
    Ok(KeyMaterial { store_id, keyring, slots })
}

/// Who made the file is not known before its keys are. A view or a computed column in the place of these tables would have us
/// work for its maker without end.
fn check_tables(connection: &Connection) -> Result<(), StoreError> {
    static EXPECTED: LazyLock<Result<Vec<SchemaObject>, rusqlite::Error>> = LazyLock::new(|| {
        let own = Connection::open_in_memory()?;
        // One that fails is told of when it is tried on the home.
        let _ = MIGRATIONS.iter().try_for_each(|migration| own.execute_batch(migration.sql.as_str()));
        Ok(key_tables(schema::read_now(&own)?))
    });
    let unreadable = "the schema cannot be read";
    let found = key_tables(schema::read_now(connection).map_err(StoreError::sqlite(unreadable))?);
    let expected = EXPECTED.as_ref().map_err(|_| StoreError::Incomplete(unreadable))?;
    // Without either the file is something else, and the reading says so.
    if found.is_empty() || found == *expected {
        return Ok(());
    }
    Err(StoreError::ForeignSchema(schema::describe(&schema::differences(&found, expected))))
}

fn key_tables(objects: Vec<SchemaObject>) -> Vec<SchemaObject> {
    objects.into_iter().filter(|object| matches!(object.name.as_str(), "keys" | "slots")).collect()
}

/// Makes a database with its keys and an empty head. It appears whole or not at all: it is made beside its place,
/// synced and renamed.
pub async fn create(path: &Path, material: &KeyMaterial, keyring: &Keyring) -> Result<(), StoreError> {
    if path.exists() {
        return Err(StoreError::Exists);
    }
    let unwritable = "the database cannot be made";
    let making = beside(path);
    if making.exists() {
        // Left by a start that was cut off.
        std::fs::remove_file(&making)?;
    }
    let mut connection = connect(&making, true).await?;
    migrate(&mut connection).await?;
    failpoint::reached("create.after-migration");
    let schema_hash = schema::hash(&schema::read(&mut connection).await?);
    let head = Head::empty(schema_hash, keyring.audit_start(AUDIT_CHAIN));
    let sealed = keyring.seal_head(&head.encode()).map_err(|_| StoreError::Random)?;
    let mut transaction = connection.begin().await.map_err(StoreError::sqlite(unwritable))?;
    sqlx::query("INSERT INTO keys (id, store_id, keyring) VALUES (1, ?, ?)")
        .bind(material.store_id.as_slice())
        .bind(material.keyring.as_slice())
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::sqlite(unwritable))?;
    for slot in &material.slots {
        sqlx::query("INSERT INTO slots (slot) VALUES (?)")
            .bind(slot.as_slice())
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::sqlite(unwritable))?;
    }
    sqlx::query("INSERT INTO head (id, sealed) VALUES (1, ?)")
        .bind(sealed)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::sqlite(unwritable))?;
    transaction.commit().await.map_err(StoreError::sqlite(unwritable))?;
    connection.close().await.map_err(StoreError::sqlite(unwritable))?;
    std::fs::File::open(&making)?.sync_all()?;
    failpoint::reached("create.before-rename");
    std::fs::rename(&making, path)?;
    failpoint::reached("create.after-rename");
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
