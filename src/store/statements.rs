//! The statements of a commit. Each inserts many rows at once: through sqlx every statement costs a hop to another
//! thread, which would be most of the time of a small insert.

use std::sync::{Arc, LazyLock};

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Sqlite, query::Query};

use super::SealedRow;

/// Rows of one statement, largest first. A few sizes only, so that every statement is prepared once and kept.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// `INSERT` texts of one table, by size.
struct Inserts([(usize, Arc<str>); SIZES.len()]);

impl Inserts {
    fn new(table: &str, columns: &[&str]) -> Self {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        Self(SIZES.map(|size| {
            let rows = vec![row.as_str(); size].join(", ");
            (size, Arc::from(format!("INSERT INTO {table} ({}) VALUES {rows}", columns.join(", "))))
        }))
    }
}

static VERSIONS: LazyLock<Inserts> = LazyLock::new(|| {
    let columns = ["revision", "kind", "namespace", "name", "uid", "flags", "created_at", "term", "meta", "data"];
    Inserts::new("versions", &columns)
});

static AUDIT: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("audit", &["sequence", "term", "record", "link"]));

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

async fn insert<T>(
    connection: &mut SqliteConnection,
    inserts: &Inserts,
    mut rows: &[T],
    bind: impl Fn(Bound, &T) -> Bound,
) -> Result<(), sqlx::Error> {
    for (size, text) in &inserts.0 {
        while let Some((some, rest)) = rows.split_at_checked(*size) {
            #[expect(clippy::disallowed_methods, reason = "the text has placeholders only, as many as there are rows")]
            let mut query = sqlx::query(AssertSqlSafe(Arc::clone(text)));
            for row in some {
                query = bind(query, row);
            }
            query.execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}

/// Appends versions.
pub async fn insert_versions(connection: &mut SqliteConnection, rows: &[NewVersion]) -> Result<(), sqlx::Error> {
    insert(connection, &VERSIONS, rows, |query, new| {
        let row = &new.row;
        query
            .bind(row.revision.cast_signed())
            .bind(row.record_id().kind.to_owned())
            .bind(row.namespace.to_string())
            .bind(row.name.to_string())
            .bind(row.uid.to_vec())
            .bind(i64::from(row.flags.0))
            .bind(new.created_at)
            .bind(i64::from(row.sealed.term()))
            .bind(row.sealed.meta().to_vec())
            .bind(row.sealed.data().to_vec())
    })
    .await
}

/// Appends audit records.
pub async fn insert_audit(connection: &mut SqliteConnection, rows: &[NewAudit]) -> Result<(), sqlx::Error> {
    insert(connection, &AUDIT, rows, |query, new| {
        query
            .bind(new.sequence.cast_signed())
            .bind(i64::from(new.term))
            .bind(new.record.clone())
            .bind(new.link.to_vec())
    })
    .await
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

/// Writes the sealed head.
pub async fn put_head(connection: &mut SqliteConnection, sealed: Vec<u8>) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE head SET sealed = ? WHERE id = 1").bind(sealed).execute(connection).await?;
    Ok(())
}
