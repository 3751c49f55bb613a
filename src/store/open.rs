//! Opening: the schema and the sealed head are checked, every row is authenticated, the index is built.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};
use tokio::sync::{mpsc, watch};

use super::audit::AUDIT_CHAIN;
use super::compaction::read_line;
use super::connection::{connect, migrate};
use super::examine::each_audit;
use super::incidents::Incidents;
use super::index::Index;
use super::keys::read_key_material;
use super::reader::{Rows, connect_at_rest};
use super::schema::SchemaObject;
use super::sentry::Sentry;
use super::state::{AUDIT_REMOVED, COMPACTED, StateRows, read_state};
use super::verify::{compare, scan};
use super::writer::Writer;
use super::{Change, OpenOptions, Shared, Store, StoreError, schema, statements};
use crate::crypto::{ChainEnd, Head, HeadFormatError, Keyring, with_own_header};
use crate::failpoint;

/// Commands that may wait for the writer; further ones wait to be let in.
const QUEUE_COMMANDS: usize = 4096;
/// Connections besides one for each processor: a list and a point read need not wait for each other.
const MORE_READERS: usize = 2;

type Feed = mpsc::UnboundedReceiver<Arc<[Change]>>;

pub(super) async fn open(options: OpenOptions) -> Result<(Store, Feed), StoreError> {
    let OpenOptions { path, keyring, clock, cache_bytes } = options;
    if !path.exists() {
        return Err(StoreError::Incomplete("the database file"));
    }
    let mut connection = connect(&path, false).await?;
    let mut head = read_head(&mut connection, &keyring).await?;
    let found = schema::read(&mut connection).await?;
    if schema::hash(&found) != head.schema_hash {
        let expected = match schema::migration_of(head.schema_hash, &found).await? {
            Some(migration) => schema::of_release(Some(migration)).await?,
            None => schema::of_release(applied(&mut connection).await).await?,
        };
        return Err(StoreError::ForeignSchema(schema::describe(&schema::differences(&found, &expected))));
    }
    let sealed_schema = head.schema_hash;
    let migrated = match bring_up(&mut connection, &mut head, &keyring).await {
        Ok(migrated) => migrated,
        Err(error) => return Err(why_not_brought_up(&path, sealed_schema, &found, error).await),
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let sentry = Sentry::post(&path, migrated)?;
    let mut scanned = {
        let (path, keyring) = (path.clone(), Arc::clone(&keyring));
        let scanning = move || {
            failpoint::hold();
            scan(&path, &keyring, processors)
        };
        tokio::task::spawn_blocking(scanning).await.map_err(|_| StoreError::Incomplete("a part of its rows"))??
    };
    let kept = read_key_material(&path).await?.ok_or(StoreError::Incomplete("its keyring"))?;
    let state = read_state(&mut connection, &keyring).await?;
    let mut accumulators = scanned.accumulators.clone();
    for (key, row) in &state {
        row.toggle(key, &mut accumulators, &keyring);
    }
    let mut findings = compare(&scanned, &accumulators, &head, &keyring);
    // Everything depends on these: an older value of one (a token that was replaced) must not come back.
    if findings.refuses_state() {
        return Err(StoreError::Integrity("one of the store's own values is missing or an older one".to_owned()));
    }
    // What is behind the head is none of ours; the sums have told, and no revision is taken from it.
    scanned.known.retain(|known| known.revision <= head.revision);
    let audit_removed = audit_removed(&state, &keyring)?;
    let last = last_audit(&mut connection).await?.unwrap_or(audit_removed);
    findings.audit_broken = last.link != head.audit_chain_head;

    // Where something is wrong with the chain, a number that stands behind the break is nobody's.
    let last_sequence =
        if findings.audit_broken { intact_end(&path, &keyring, audit_removed)?.sequence } else { last.sequence };
    let audit_end = ChainEnd { sequence: last_sequence, link: head.audit_chain_head };
    let (line, cleaned) = compacted(&state, &keyring)?;
    let mut index = Index::new(line, cleaned);
    for known in scanned.known {
        index.add(known);
    }
    index.settle();
    // Revisions that a removed row had are never given again.
    index.advance(head.revision);
    let (feed, changes) = mpsc::unbounded_channel();
    let active = keyring.active();
    let (commands, queue) = mpsc::channel(QUEUE_COMMANDS);
    let shared = Arc::new(Shared {
        keyring,
        index: RwLock::new(index),
        rows: Rows::new(&path, cache_bytes, processors + MORE_READERS, active),
        state: RwLock::new(state),
        findings,
        incidents: Arc::new(Incidents::none()),
        audit_end: Mutex::new(audit_end),
        audit_removed: Mutex::new(audit_removed),
        refusal: Mutex::default(),
        access_revision: AtomicU64::new(head.revision),
        restore_epoch: head.restore_epoch,
        time_high_water: head.time_high_water_unix_seconds,
        time_mark: OnceLock::new(),
        resealing: watch::Sender::default(),
    });
    let of_writer = Arc::clone(&shared);
    let mut writer = Writer::new((connection, path), (head, kept), sentry, of_writer, last_sequence, clock, feed);
    writer.begin_resealing(scanned.foreign);
    // A thread of its own: among the tasks of a shared runtime each commit would wake several threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || runtime.block_on(writer.run(queue)))?;
    Ok((Store { shared, commands }, changes))
}

/// Brings the schema to this release's and has the head know it. One transaction: a schema that the head does not know would be
/// taken for somebody else's at the next start.
async fn bring_up(
    connection: &mut SqliteConnection,
    head: &mut Head,
    keyring: &Keyring,
) -> Result<Vec<SchemaObject>, StoreError> {
    let failed = "the schema cannot be brought up to date";
    let mut transaction = connection.begin().await.map_err(StoreError::sqlite(failed))?;
    migrate(&mut transaction).await?;
    let migrated = schema::read(&mut transaction).await?;
    let hash = schema::hash(&migrated);
    if hash != head.schema_hash {
        head.schema_hash = hash;
        let sealed = keyring.seal_head(&head.encode()).map_err(|_| StoreError::Random)?;
        statements::put_head(&mut transaction, sealed)
            .await
            .map_err(StoreError::sqlite("the head cannot be written"))?;
    }
    failpoint::reached("migrate.before-commit");
    transaction.commit().await.map_err(StoreError::sqlite(failed))?;
    failpoint::reached("migrate.after-commit");
    Ok(migrated)
}

/// With a schema of ours it was the table of migrations that kept it from being brought up, if something is wrong there.
async fn why_not_brought_up(path: &Path, sealed: [u8; 32], found: &[SchemaObject], error: StoreError) -> StoreError {
    let Ok(Some(migration)) = schema::migration_of(sealed, found).await else { return error };
    let wrong = connect_at_rest(path).map(|connection| schema::wrong_migrations(&connection, migration));
    match wrong {
        Ok(wrong) if !wrong.is_empty() => StoreError::Integrity(wrong.join("; ")),
        _ => error,
    }
}

async fn read_head(connection: &mut SqliteConnection, keyring: &Keyring) -> Result<Head, StoreError> {
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM head WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(StoreError::sqlite("the head cannot be read"))?
        .ok_or(StoreError::Incomplete("its head"))?;
    open_head(&sealed, keyring)
}

/// The head out of its sealed bytes.
pub(super) fn open_head(sealed: &[u8], keyring: &Keyring) -> Result<Head, StoreError> {
    let with_own_header = || keyring.open_head(&with_own_header(sealed)).is_ok();
    let plain = keyring.open_head(sealed).map_err(|error| StoreError::of_opening(&error, with_own_header))?;
    Head::decode(&plain).map_err(|error| match error {
        HeadFormatError::UnknownVersion(_) => StoreError::Newer(error.to_string()),
        HeadFormatError::Malformed => StoreError::Integrity(error.to_string()),
    })
}

/// The migration that the database has come to.
async fn applied(connection: &mut SqliteConnection) -> Option<i64> {
    sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await.ok()
}

/// The compaction line, and how far it was cleaned up.
pub(super) fn compacted(state: &StateRows, keyring: &Keyring) -> Result<(u64, u64), StoreError> {
    let Some(row) = state.get(COMPACTED) else { return Ok((0, 0)) };
    let plain = keyring
        .open_data(&row.record_id(COMPACTED), &row.sealed)
        .map_err(|error| StoreError::Integrity(error.to_string()))?;
    read_line(&plain).ok_or_else(|| StoreError::Integrity("the compaction line".to_owned()))
}

/// Where the audit records that are kept go on from.
#[expect(clippy::disallowed_methods, reason = "the number and link of a record are no secret")]
pub(super) fn audit_removed(state: &StateRows, keyring: &Keyring) -> Result<ChainEnd, StoreError> {
    let Some(row) = state.get(AUDIT_REMOVED) else {
        return Ok(ChainEnd { sequence: 0, link: keyring.audit_start(AUDIT_CHAIN) });
    };
    let plain = keyring
        .open_data(&row.record_id(AUDIT_REMOVED), &row.sealed)
        .map_err(|error| StoreError::Integrity(error.to_string()))?;
    ChainEnd::from_bytes(plain.expose())
        .ok_or_else(|| StoreError::Integrity("the last audit record that was removed".to_owned()))
}

/// The last record that is linked, record by record, to what was removed.
fn intact_end(path: &Path, keyring: &Keyring, removed: ChainEnd) -> Result<ChainEnd, StoreError> {
    let mut end = removed;
    let mut is_whole = true;
    let walked = each_audit(&connect_at_rest(path)?, |row| {
        let next = row.ok().filter(|row| {
            is_whole
                && end.sequence.checked_add(1) == Some(row.sequence)
                && keyring.audit_link(&end.link, row.sealed.meta()) == row.link
        });
        match next {
            Some(row) => end = ChainEnd { sequence: row.sequence, link: row.link },
            None => is_whole = false,
        }
    });
    walked.map_err(StoreError::sqlite("the audit chain cannot be read"))?;
    Ok(end)
}

/// Number and link of the last audit record that is kept.
async fn last_audit(connection: &mut SqliteConnection) -> Result<Option<ChainEnd>, StoreError> {
    let unreadable = "the audit chain cannot be read";
    let last = sqlx::query("SELECT sequence, link FROM audit ORDER BY sequence DESC LIMIT 1")
        .fetch_optional(connection)
        .await
        .map_err(StoreError::sqlite(unreadable))?;
    let Some(last) = last else { return Ok(None) };
    let sequence: i64 = last.try_get(0).map_err(StoreError::sqlite(unreadable))?;
    let link: Vec<u8> = last.try_get(1).map_err(StoreError::sqlite(unreadable))?;
    Ok(Some(ChainEnd { sequence: sequence.cast_unsigned(), link: link.try_into().unwrap_or([0; 32]) }))
}
