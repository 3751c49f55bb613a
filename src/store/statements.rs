//! The statements of a commit. Each inserts many rows at once: through sqlx every statement costs a hop to another
//! thread, which would be most of the time of a small insert.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Sqlite, query::Query};

use super::SealedRow;

/// Rows of one statement, largest first. A few sizes only, so that every statement is prepared once and kept.
const SIZES: [usize; 4] = [64, 16, 4, 1];

const VERSION_COLUMNS: [&str; 10] =
    ["revision", "kind", "namespace", "name", "uid", "flags", "created_at", "term", "meta", "data"];
const AUDIT_COLUMNS: [&str; 4] = ["sequence", "term", "record", "link"];
const PUT_HEAD: &str = "UPDATE head SET sealed = ? WHERE id = 1";

fn insert_text(table: &str, columns: &[&str], rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), vec![row.as_str(); rows].join(", "))
}

/// `INSERT` texts of one table, by size.
struct Inserts([(usize, Arc<str>); SIZES.len()]);

impl Inserts {
    fn new(table: &str, columns: &[&str]) -> Self {
        Self(SIZES.map(|size| (size, Arc::from(insert_text(table, columns, size)))))
    }
}

static VERSIONS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("versions", &VERSION_COLUMNS));
static AUDIT: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("audit", &AUDIT_COLUMNS));

/// Whole transactions as one text, by the number of their versions and audit records: one hop instead of five.
#[derive(Default)]
pub struct Transactions(HashMap<(usize, usize), Arc<str>>);

/// Versions and audit records that fit one text.
const WHOLE_ROWS: usize = 64;

impl Transactions {
    /// The text for so many rows; `None` where they are too many for one.
    fn text(&mut self, versions: usize, audit: usize) -> Option<Arc<str>> {
        if versions == 0 || versions > WHOLE_ROWS || audit > WHOLE_ROWS {
            return None;
        }
        let text = self.0.entry((versions, audit)).or_insert_with(|| {
            let mut parts = vec!["BEGIN IMMEDIATE".to_owned(), insert_text("versions", &VERSION_COLUMNS, versions)];
            if audit > 0 {
                parts.push(insert_text("audit", &AUDIT_COLUMNS, audit));
            }
            parts.extend([PUT_HEAD.to_owned(), "COMMIT".to_owned()]);
            Arc::from(parts.join("; "))
        });
        Some(Arc::clone(text))
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

fn bind_version(query: Bound, new: &NewVersion) -> Bound {
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
}

fn bind_audit(query: Bound, new: &NewAudit) -> Bound {
    query.bind(new.sequence.cast_signed()).bind(i64::from(new.term)).bind(new.record.clone()).bind(new.link.to_vec())
}

/// Appends versions and audit records and writes the head, all or nothing.
pub async fn commit(
    connection: &mut SqliteConnection,
    transactions: &mut Transactions,
    versions: &[NewVersion],
    audit: &[NewAudit],
    head: Vec<u8>,
) -> Result<(), sqlx::Error> {
    let Some(text) = transactions.text(versions.len(), audit.len()) else {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, &VERSIONS, versions, bind_version).await?;
        insert_audit(&mut transaction, audit).await?;
        put_head(&mut transaction, head).await?;
        return transaction.commit().await;
    };
    #[expect(clippy::disallowed_methods, reason = "the text has placeholders only, as many as there are rows")]
    let mut query = sqlx::query(AssertSqlSafe(text));
    for version in versions {
        query = bind_version(query, version);
    }
    for record in audit {
        query = bind_audit(query, record);
    }
    let done = query.bind(head).execute(&mut *connection).await;
    if done.is_err() {
        // Where SQLite has rolled back by itself, this finds nothing to do and says so.
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    done.map(|_| ())
}

/// Appends audit records.
pub async fn insert_audit(connection: &mut SqliteConnection, rows: &[NewAudit]) -> Result<(), sqlx::Error> {
    insert(connection, &AUDIT, rows, bind_audit).await
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
    sqlx::query(PUT_HEAD).bind(sealed).execute(connection).await?;
    Ok(())
}
