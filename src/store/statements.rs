//! The statements of a commit. Through sqlx every statement costs a hop to another thread and back, which would be
//! most of the time of a small insert: a commit is one statement, over the view `commits`.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Sqlite, query::Query};

use super::SealedRow;

/// Columns of the view that stands for a commit.
const COLUMNS: [&str; 14] = [
    "revision",
    "kind",
    "namespace",
    "name",
    "uid",
    "flags",
    "created_at",
    "term",
    "meta",
    "data",
    "sequence",
    "record",
    "link",
    "head",
];

/// Texts of commits, by the number of their versions. Each is prepared once and kept by the connection.
#[derive(Default)]
pub struct Commits(HashMap<usize, Arc<str>>);

impl Commits {
    fn text(&mut self, versions: usize) -> Arc<str> {
        let text = self.0.entry(versions).or_insert_with(|| {
            let row = format!("({})", vec!["?"; COLUMNS.len()].join(", "));
            let rows = vec![row.as_str(); versions].join(", ");
            Arc::from(format!("INSERT INTO commits ({}) VALUES {rows}", COLUMNS.join(", ")))
        });
        Arc::clone(text)
    }
}

/// A version that is about to be written.
pub struct NewVersion {
    /// The row.
    pub row: Arc<SealedRow>,
    /// When the object was created.
    pub created_at: i64,
}

/// An audit record that is about to be written.
pub struct NewAudit {
    /// Its number in the chain.
    pub sequence: u64,
    /// Term of the key that sealed it.
    pub term: u32,
    /// The sealed record.
    pub record: Vec<u8>,
    /// Its link.
    pub link: [u8; 32],
}

type Bound = Query<'static, Sqlite, SqliteArguments>;

/// Appends versions, the audit records of some of them, and writes the head, all or nothing. There are at most as
/// many records as versions, and at least one version.
pub async fn commit(
    connection: &mut SqliteConnection,
    commits: &mut Commits,
    versions: &[NewVersion],
    audit: &[NewAudit],
    head: Vec<u8>,
) -> Result<(), sqlx::Error> {
    #[expect(clippy::disallowed_methods, reason = "the text has placeholders only, as many as there are rows")]
    let mut query = sqlx::query(AssertSqlSafe(commits.text(versions.len())));
    let mut head = Some(head);
    let mut records = audit.iter();
    for (at, version) in versions.iter().enumerate() {
        let head = if at + 1 == versions.len() { head.take() } else { None };
        query = bind(query, version, records.next(), head);
    }
    query.execute(connection).await.map(|_| ())
}

fn bind(query: Bound, version: &NewVersion, audit: Option<&NewAudit>, head: Option<Vec<u8>>) -> Bound {
    let row = &version.row;
    query
        .bind(row.revision.cast_signed())
        .bind(row.record_id().kind)
        .bind(row.namespace.to_string())
        .bind(row.name.to_string())
        .bind(row.uid.to_vec())
        .bind(i64::from(row.flags.0))
        .bind(version.created_at)
        .bind(i64::from(row.sealed.term()))
        .bind(row.sealed.meta().to_vec())
        .bind(row.sealed.data().to_vec())
        .bind(audit.map(|record| record.sequence.cast_signed()))
        .bind(audit.map(|record| record.record.clone()))
        .bind(audit.map(|record| record.link.to_vec()))
        .bind(head)
}

/// Appends an audit record of what is no object.
pub async fn insert_audit(connection: &mut SqliteConnection, new: &NewAudit) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO audit (sequence, term, record, link) VALUES (?, ?, ?, ?)")
        .bind(new.sequence.cast_signed())
        .bind(i64::from(new.term))
        .bind(new.record.clone())
        .bind(new.link.to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes audit records up to a number.
pub async fn delete_audit(connection: &mut SqliteConnection, until: u64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM audit WHERE sequence <= ?").bind(until.cast_signed()).execute(connection).await?;
    Ok(())
}

/// Removes versions.
pub async fn delete_versions(connection: &mut SqliteConnection, revisions: &[u64]) -> Result<(), sqlx::Error> {
    // One text for every number of rows: a JSON array is a table to SQLite.
    let list = serde_json::Value::from(revisions.to_vec()).to_string();
    sqlx::query("DELETE FROM versions WHERE revision IN (SELECT value FROM json_each(?))")
        .bind(list)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes one value of the store's own.
pub async fn put_state(
    connection: &mut SqliteConnection,
    key: &str,
    sequence: u64,
    sealed: &crate::crypto::Sealed,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO state (key, sequence, term, meta, data) VALUES (?, ?, ?, ?, ?)")
        .bind(key.to_owned())
        .bind(sequence.cast_signed())
        .bind(i64::from(sealed.term()))
        .bind(sealed.meta().to_vec())
        .bind(sealed.data().to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes one value of the store's own.
pub async fn delete_state(connection: &mut SqliteConnection, key: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM state WHERE key = ?").bind(key.to_owned()).execute(connection).await?;
    Ok(())
}

/// Writes the sealed head, also where somebody has taken it away.
pub async fn put_head(connection: &mut SqliteConnection, sealed: Vec<u8>) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO head (id, sealed) VALUES (1, ?)").bind(sealed).execute(connection).await?;
    Ok(())
}
