//! What the database is made of: tables, indices, triggers and views, ours and those of others, by name.

use std::fmt;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};

use super::StoreError;
use super::connection::{MIGRATIONS, newest_migration};

const UNREADABLE: &str = "the schema cannot be read";
const LISTING: &str = "SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_schema ORDER BY type, name";
/// Kept by the library that migrates; its text is not ours to hold against it.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
/// A name is told up to this length.
const SHOWN_CHARS: usize = 64;

/// A table, an index, a trigger or a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaObject {
    /// `table`, `index`, `trigger` or `view`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table that it is on; its own name for tables and views.
    pub table: String,
    /// The statement that made it; empty for what SQLite makes by itself.
    pub sql: String,
}

impl SchemaObject {
    fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.name == other.name
    }

    /// Whether it can be made anew without touching a row.
    pub fn holds_no_rows(&self) -> bool {
        matches!(self.kind.as_str(), "trigger" | "view")
    }
}

impl fmt::Display for SchemaObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
        write!(f, "{} {:?}", shown(&self.kind), shown(&self.name))?;
        if self.table == self.name { Ok(()) } else { write!(f, " on {:?}", shown(&self.table)) }
    }
}

/// One way in which a schema is not the one that it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Not ours.
    Foreign(SchemaObject),
    /// Ours, and not there.
    Missing(SchemaObject),
    /// Ours, and made by another statement: as it must be.
    Changed(SchemaObject),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(object) => write!(f, "{object} was not made by Strongroom"),
            Self::Missing(object) => write!(f, "{object} is missing"),
            Self::Changed(object) => write!(f, "{object} was changed"),
        }
    }
}

/// What `found` has and `expected` has not, and the other way round.
pub fn differences(found: &[SchemaObject], expected: &[SchemaObject]) -> Vec<Difference> {
    let of_expected = expected.iter().filter_map(|wanted| match found.iter().find(|object| object.is_same(wanted)) {
        None => Some(Difference::Missing(wanted.clone())),
        Some(object) if object != wanted && wanted.name != MIGRATIONS_TABLE => {
            Some(Difference::Changed(wanted.clone()))
        }
        Some(_) => None,
    });
    let foreign = found
        .iter()
        .filter(|object| !expected.iter().any(|wanted| wanted.is_same(object)))
        .map(|object| Difference::Foreign(object.clone()));
    foreign.chain(of_expected).collect()
}

/// Differences in one line.
pub fn describe(differences: &[Difference]) -> String {
    let told: Vec<String> = differences.iter().map(ToString::to_string).collect();
    if told.is_empty() { "its schema is another one than was sealed".to_owned() } else { told.join("; ") }
}

/// What the sealed head holds of a schema: SHA-256 over the lengths and texts of every object.
pub fn hash(objects: &[SchemaObject]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for object in objects {
        for text in [&object.kind, &object.name, &object.table, &object.sql] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
    }
    hash.finalize().into()
}

/// The schema of an open database.
pub async fn read(connection: &mut SqliteConnection) -> Result<Vec<SchemaObject>, StoreError> {
    let rows = sqlx::query(LISTING).fetch_all(connection).await.map_err(StoreError::sqlite(UNREADABLE))?;
    let object = |row: &sqlx::sqlite::SqliteRow| {
        Ok(SchemaObject { kind: row.try_get(0)?, name: row.try_get(1)?, table: row.try_get(2)?, sql: row.try_get(3)? })
    };
    rows.iter().map(object).collect::<Result<_, sqlx::Error>>().map_err(StoreError::sqlite(UNREADABLE))
}

/// As [`read`], over a connection of the other library.
pub fn read_now(connection: &Connection) -> Result<Vec<SchemaObject>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(LISTING)?;
    let rows = statement.query_map([], |row| {
        Ok(SchemaObject { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
    })?;
    rows.collect()
}

/// The migration that a database has come to; `None` where it does not say.
pub fn applied_now(connection: &Connection) -> Option<i64> {
    let newest = "SELECT MAX(version) FROM _sqlx_migrations";
    connection.query_row(newest, [], |row| row.get(0)).ok().flatten()
}

/// The schema that this release gives a database by its migration `applied`, or by the newest.
pub async fn of_release(applied: Option<i64>) -> Result<Vec<SchemaObject>, StoreError> {
    let target = match applied {
        Some(applied) if MIGRATIONS.version_exists(applied) => applied,
        Some(applied) if applied > newest_migration() => return Err(StoreError::newer_migration(applied)),
        Some(_) | None => newest_migration(),
    };
    let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(StoreError::sqlite(UNREADABLE))?;
    MIGRATIONS.run_to(target, &mut connection).await.map_err(StoreError::sqlite(UNREADABLE))?;
    read(&mut connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, table: &str, sql: &str) -> SchemaObject {
        let [kind, name, table, sql] = [kind, name, table, sql].map(str::to_owned);
        SchemaObject { kind, name, table, sql }
    }

    #[test]
    fn what_is_foreign_missing_or_changed_is_named() {
        let table = object("table", "a", "a", "CREATE TABLE a (x)");
        let view = object("view", "v", "v", "CREATE VIEW v AS SELECT 1");
        let trigger = object("trigger", "t\u{1b}", "a", "CREATE TRIGGER …");
        let changed = SchemaObject { sql: "CREATE TABLE a (x, y)".to_owned(), ..table.clone() };
        let found = differences(&[changed, trigger], &[table.clone(), view.clone()]);
        assert_eq!(
            describe(&found),
            "trigger \"t\\u{1b}\" on \"a\" was not made by Strongroom; table \"a\" was changed; view \"v\" is missing"
        );
        assert_eq!(differences(&[table.clone(), view.clone()], &[table, view]), []);
    }

    #[tokio::test]
    async fn a_release_knows_its_own_schema() {
        let own = of_release(None).await.unwrap();
        for (kind, name) in [("table", "versions"), ("view", "commits"), ("trigger", "commits_insert")] {
            assert!(own.iter().any(|object| object.kind == kind && object.name == name), "{kind} {name}");
        }
        assert!(matches!(of_release(Some(i64::MAX)).await, Err(StoreError::Newer(_))));
    }
}
