//! What is left becomes the truth: damaged rows go, what is foreign in the schema goes, and the sums, the counts and the end of the
//! audit chain are made anew over the rest. One transaction, with the record of it.
//!
//! What it never does: touch a row that passes authentication (audit records behind a break are sealed anew, with the same
//! text), or go on where a table of ours is not what it must be.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::audit::{AUDIT_CHAIN, audit_id, link};
use super::compaction::line_value;
use super::examine::{Examination, Facts, each_audit, read_state};
use super::schema::{self, Difference, SchemaObject};
use super::state::{AUDIT_REMOVED, COMPACTED, state_id};
use super::statements::NewAudit;
use super::verify::{Scan, scan_over};
use super::{Flags, StoreError, fingerprint};
use crate::crypto::{ChainEnd, Head, Keyring};
use crate::model::kinds::{self, Kind};
use crate::sensitive::SecretBytes;

const FAILED: &str = "what is left was not made the truth, and nothing was changed";
/// Where the head is lost or an older one, revisions and commits that were made and are not known any more are left out by so much.
const UNKNOWN_REVISIONS: u64 = 1 << 20;
const UNKNOWN_COMMITS: u64 = 1 << 32;

/// What is to be accepted, by whom nobody serves the database.
pub struct Acceptance<'a> {
    /// The database file.
    pub path: &'a Path,
    /// Its keys.
    pub keyring: &'a Keyring,
    /// What was found, of [`super::examine_to_accept`]. Where the database has changed since, nothing is accepted.
    pub examination: &'a Examination,
    /// The last audit record that the audit log has a copy of.
    pub copied: u64,
    /// The last audit record that the audit log names: no other one gets its number.
    pub named: u64,
    /// The time.
    pub now_unix_seconds: i64,
    /// The audit record of it.
    pub record: Vec<u8>,
}

/// Accepts. Returns the number before that of the first audit record that is kept, where the records were sealed anew: those
/// behind `copied` up to it are lost.
pub fn accept(acceptance: &Acceptance<'_>) -> Result<Option<u64>, StoreError> {
    if !acceptance.examination.is_acceptable() {
        return Err(StoreError::Integrity("not everything that is wrong can be left behind".to_owned()));
    }
    let mut connection = connect(acceptance.path)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let lost = accept_in(&transaction, acceptance)?;
    transaction.commit().map_err(failed)?;
    // The last connection that closes moves the write-ahead log into the database file.
    connection.close().map_err(|(_, error)| failed(error))?;
    Ok(lost)
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::sqlite(FAILED)(error)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; \
             PRAGMA secure_delete=ON; PRAGMA foreign_keys=OFF; PRAGMA busy_timeout=5000;",
        )
        .map_err(failed)?;
    Ok(connection)
}

fn accept_in(transaction: &Transaction<'_>, acceptance: &Acceptance<'_>) -> Result<Option<u64>, StoreError> {
    let Acceptance { keyring, examination, .. } = acceptance;
    let facts = &examination.facts;
    // Nothing is made the truth that nobody was told of.
    let now = fingerprint::take(transaction, &facts.expected).map_err(failed)?;
    if facts.fingerprint != Some(now) {
        return Err(StoreError::ChangedSince);
    }
    // What is foreign would do its work with every statement below.
    let objects = put_schema_right(transaction, facts)?;
    let (of_nobody, damaged): (Vec<u64>, Vec<u64>) =
        facts.damaged.iter().copied().partition(|revision| revision.cast_signed() < 0);
    if !of_nobody.is_empty() {
        // Not by their numbers: only so many are looked at.
        transaction.execute("DELETE FROM versions WHERE revision < 0", []).map_err(failed)?;
    }
    for revision in damaged {
        transaction.execute("DELETE FROM versions WHERE revision = ?1", [revision.cast_signed()]).map_err(failed)?;
    }
    for key in &facts.damaged_state {
        transaction.execute("DELETE FROM state WHERE key = ?1", [key]).map_err(failed)?;
    }
    for id in &facts.damaged_slots {
        transaction.execute("DELETE FROM slots WHERE id = ?1", [id]).map_err(failed)?;
    }
    let mut head = next_head(transaction, acceptance, schema::hash(&objects))?;

    let (last, lost) = if let Some(end) = facts.last_audit.filter(|_| !facts.is_audit_broken) {
        // An older head has the link of an older record.
        head.audit_chain_head = end.link;
        (end.sequence, None)
    } else {
        let base = acceptance.copied.max(acceptance.named).max(facts.audit_removed.map_or(0, |end| end.sequence));
        (seal_records_anew(transaction, keyring, &mut head, base, acceptance.copied)?, Some(base))
    };
    let record = link(keyring, &head, last, acceptance.record.clone()).map_err(|_| StoreError::Random)?;
    head.audit_chain_head = record.link;
    insert_audit(transaction, &record)?;

    // Whoever watches or pages through what was there before is to begin anew.
    let cleaned = facts.line.map_or(head.revision, |(_, cleaned)| cleaned);
    put_state(transaction, keyring, &head, COMPACTED, &line_value(head.revision, cleaned))?;
    let kept = scan_over(transaction, keyring, 0, i64::MAX.cast_unsigned())?;
    if !kept.damaged.is_empty() {
        return Err(StoreError::ChangedSince);
    }
    head.counts = counts(&kept);
    head.accumulators = kept.accumulators;
    for (key, row) in read_state(transaction).map_err(failed)? {
        row.toggle(&key, &mut head.accumulators, keyring);
    }
    let sealed = keyring.seal_head(&head.encode()).map_err(|_| StoreError::Random)?;
    transaction.execute("INSERT OR REPLACE INTO head (id, sealed) VALUES (1, ?1)", [sealed]).map_err(failed)?;
    Ok(lost)
}

/// Drops what is not ours, and makes anew what of ours holds no rows. What the schema is then.
fn put_schema_right(transaction: &Transaction<'_>, facts: &Facts) -> Result<Vec<SchemaObject>, StoreError> {
    let Facts { differences, expected, .. } = facts;
    // Triggers before what they are on, views before tables.
    for kind in ["trigger", "view", "index", "table"] {
        for difference in differences {
            let (Difference::Foreign(object) | Difference::Changed(object)) = difference else { continue };
            if object.kind == kind
                && let Some(removal) = object.removal()
            {
                transaction.execute_batch(&removal).map_err(failed)?;
            }
        }
    }
    if let Some(migration) = facts.migration_to_write {
        schema::rewrite_migrations(transaction, expected, migration).map_err(failed)?;
    }
    // With a view its triggers go as well: whatever is not there is made.
    for kind in ["view", "trigger"] {
        let there = schema::read_now(transaction).map_err(failed)?;
        for difference in schema::differences(&there, expected) {
            if let Difference::Missing(object) = difference
                && object.kind == kind
            {
                transaction.execute_batch(&object.sql).map_err(failed)?;
            }
        }
    }
    let objects = schema::read_now(transaction).map_err(failed)?;
    match schema::differences(&objects, expected).as_slice() {
        [] => Ok(objects),
        left => Err(StoreError::ForeignSchema(schema::describe(left))),
    }
}

/// The head of the commit that this is, but for what is over all rows.
fn next_head(
    transaction: &Transaction<'_>,
    acceptance: &Acceptance<'_>,
    schema_hash: [u8; 32],
) -> Result<Head, StoreError> {
    let facts = &acceptance.examination.facts;
    let now = acceptance.now_unix_seconds;
    let mut head = match &facts.head {
        Some(head) if !facts.is_head_older => Head { policy_generation: head.policy_generation + 1, ..head.clone() },
        // What was issued before is void: a number that no restore has come to.
        older => {
            let start = acceptance.keyring.audit_start(AUDIT_CHAIN);
            let older = older.clone().unwrap_or_else(|| Head::empty(schema_hash, start));
            let unknown = now.max(0).cast_unsigned();
            let states = read_state(transaction).map_err(failed)?;
            let sequence = states.values().map(|row| row.sequence).fold(older.sequence, u64::max) + UNKNOWN_COMMITS;
            let revision = facts.last_revision.max(older.revision) + UNKNOWN_REVISIONS;
            let policy_generation = unknown.max(older.policy_generation + 1);
            let restore_epoch = unknown.max(older.restore_epoch + 1);
            Head { sequence, revision, policy_generation, restore_epoch, ..older }
        }
    };
    head.sequence += 1;
    head.revision = head.revision.max(facts.last_revision) + 1;
    head.schema_hash = schema_hash;
    Ok(head)
}

/// Records that pass authentication and are not copied yet begin a chain of their own behind number `base`. The number of
/// the last.
fn seal_records_anew(
    transaction: &Transaction<'_>,
    keyring: &Keyring,
    head: &mut Head,
    base: u64,
    copied: u64,
) -> Result<u64, StoreError> {
    let mut texts = Vec::new();
    each_audit(transaction, |row| {
        let Ok(row) = row else { return };
        if row.sequence > copied
            && let Ok(text) = keyring.open_meta(&audit_id(row.sequence), &row.sealed)
        {
            texts.push(text);
        }
    })
    .map_err(failed)?;
    transaction.execute("DELETE FROM audit", []).map_err(failed)?;
    let removed = ChainEnd { sequence: base, link: keyring.audit_start(AUDIT_CHAIN) };
    head.audit_chain_head = removed.link;
    let mut last = base;
    for text in texts {
        let record = link(keyring, head, last, exposed(&text)).map_err(|_| StoreError::Random)?;
        head.audit_chain_head = record.link;
        insert_audit(transaction, &record)?;
        last = record.sequence;
    }
    put_state(transaction, keyring, head, AUDIT_REMOVED, &SecretBytes::new(removed.to_bytes()))?;
    Ok(last)
}

#[expect(clippy::disallowed_methods, reason = "the text of a record is sealed again, and holds no secret")]
fn exposed(text: &SecretBytes) -> Vec<u8> {
    text.expose().to_vec()
}

fn insert_audit(transaction: &Transaction<'_>, new: &NewAudit) -> Result<(), StoreError> {
    let statement = "INSERT INTO audit (sequence, term, record, link) VALUES (?1, ?2, ?3, ?4)";
    transaction
        .execute(statement, params![new.sequence.cast_signed(), new.term, new.record, new.link])
        .map(|_| ())
        .map_err(failed)
}

fn put_state(
    transaction: &Transaction<'_>,
    keyring: &Keyring,
    head: &Head,
    key: &str,
    value: &SecretBytes,
) -> Result<(), StoreError> {
    let empty = SecretBytes::new(Vec::new());
    let sealed = keyring.seal(&state_id(key, head.sequence), &empty, value).map_err(|_| StoreError::Random)?;
    let statement = "INSERT OR REPLACE INTO state (key, sequence, term, meta, data) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction
        .execute(statement, params![key, head.sequence.cast_signed(), sealed.term(), sealed.meta(), sealed.data()])
        .map(|_| ())
        .map_err(failed)
}

fn counts(kept: &Scan) -> BTreeMap<String, u64> {
    let mut latest: BTreeMap<(u8, &str, &str), Flags> = BTreeMap::new();
    for known in &kept.known {
        latest.insert((known.kind_id, &known.namespace, &known.name), known.flags);
    }
    let mut counts = BTreeMap::new();
    for ((kind_id, ..), flags) in latest {
        let kind = kinds::by_id(kind_id).map_or("", Kind::stored_name);
        *counts.entry(kind.to_owned()).or_default() += u64::from(!flags.is_tombstone());
    }
    counts
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
