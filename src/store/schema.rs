//! What the database is made of: tables, indices, triggers and views, ours and those of others, by name.

use std::fmt;

use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Row as _};

use super::StoreError;
use super::connection::{MIGRATIONS, newest_migration};

const UNREADABLE: &str = "the schema cannot be read";
/// As bytes: a name that is no text must not keep it from being named.
const LISTING: &str = "SELECT CAST(COALESCE(type, '') AS BLOB), CAST(COALESCE(name, '') AS BLOB), \
     CAST(COALESCE(tbl_name, '') AS BLOB), CAST(COALESCE(sql, '') AS BLOB) FROM sqlite_schema ORDER BY type, name";
/// SQLite makes this table for somebody's AUTOINCREMENT, and lets nobody drop it. None of ours needs it.
const SEQUENCE_TABLE: &str = "sqlite_sequence";
const SEQUENCE_SQL: &str = "CREATE TABLE sqlite_sequence(name,seq)";
const IS_SEQUENCE_USED: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_sequence)";
/// Kept by the library that migrates; its text is not ours to hold against it.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
/// Rows of it that are looked at.
const LISTED_MIGRATIONS: u32 = 1024;
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

    /// The table that SQLite counts for AUTOINCREMENT in.
    fn is_sequence(&self) -> bool {
        self.kind == "table" && self.name == SEQUENCE_TABLE && self.sql == SEQUENCE_SQL
    }

    /// Whether its name is text, so that a statement can have it.
    pub fn can_be_named(&self) -> bool {
        !self.name.contains(char::REPLACEMENT_CHARACTER)
    }

    /// The statement that takes it away; none for what goes with its table.
    pub fn removal(&self) -> Option<String> {
        if self.kind == "index" && self.sql.is_empty() {
            return None;
        }
        if self.is_sequence() {
            return Some(format!("DELETE FROM {SEQUENCE_TABLE}"));
        }
        Some(format!("DROP {} IF EXISTS \"{}\"", self.kind, self.name.replace('"', "\"\"")))
    }

    /// Whether it can be made anew without touching a row of ours.
    pub fn holds_no_rows(&self) -> bool {
        matches!(self.kind.as_str(), "trigger" | "view") || self.table == MIGRATIONS_TABLE
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

/// The schema of an open database, without what SQLite has left of a foreign one and nobody can drop.
pub async fn read(connection: &mut SqliteConnection) -> Result<Vec<SchemaObject>, StoreError> {
    let rows = sqlx::query(LISTING).fetch_all(&mut *connection).await.map_err(StoreError::sqlite(UNREADABLE))?;
    let object = |row: &sqlx::sqlite::SqliteRow| {
        let text = |column: usize| row.try_get::<Vec<u8>, _>(column).map(|bytes| lossy(&bytes));
        Ok(SchemaObject { kind: text(0)?, name: text(1)?, table: text(2)?, sql: text(3)? })
    };
    let mut objects: Vec<SchemaObject> =
        rows.iter().map(object).collect::<Result<_, sqlx::Error>>().map_err(StoreError::sqlite(UNREADABLE))?;
    if objects.iter().any(SchemaObject::is_sequence) {
        let is_used: bool =
            sqlx::query_scalar(IS_SEQUENCE_USED).fetch_one(connection).await.map_err(StoreError::sqlite(UNREADABLE))?;
        objects.retain(|object| is_used || !object.is_sequence());
    }
    Ok(objects)
}

/// As [`read`], over a connection of the other library.
pub fn read_now(connection: &Connection) -> Result<Vec<SchemaObject>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(LISTING)?;
    let rows = statement.query_map([], |row| {
        let text = |column: usize| row.get::<_, Vec<u8>>(column).map(|bytes| lossy(&bytes));
        Ok(SchemaObject { kind: text(0)?, name: text(1)?, table: text(2)?, sql: text(3)? })
    })?;
    let mut objects: Vec<SchemaObject> = rows.collect::<Result<_, _>>()?;
    if objects.iter().any(SchemaObject::is_sequence) {
        let is_used: bool = connection.query_row(IS_SEQUENCE_USED, [], |row| row.get(0))?;
        objects.retain(|object| is_used || !object.is_sequence());
    }
    Ok(objects)
}

/// What is no text in it is replaced, by what none of ours has.
fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The migration that a database has come to; `None` where it does not say.
pub fn applied_now(connection: &Connection) -> Option<i64> {
    let newest = "SELECT MAX(version) FROM _sqlx_migrations";
    connection.query_row(newest, [], |row| row.get(0)).ok().flatten()
}

/// The migration of ours that a database has come to which says that it is `applied`; the newest where it says nothing.
pub fn known_migration(applied: Option<i64>) -> Result<i64, StoreError> {
    match applied {
        Some(applied) if MIGRATIONS.version_exists(applied) => Ok(applied),
        Some(applied) if applied > newest_migration() => Err(StoreError::newer_migration(applied)),
        Some(_) | None => Ok(newest_migration()),
    }
}

/// The migration of ours that makes the schema which was sealed as `sealed`, whatever the table of migrations says. So every
/// migration must change the schema: one that changes rows alone would be taken for damage by releases before it.
pub async fn migration_of(sealed: [u8; 32], found: &[SchemaObject]) -> Result<Option<i64>, StoreError> {
    let is_table = |object: &&SchemaObject| object.kind == "table" && object.name == MIGRATIONS_TABLE;
    let table = found.iter().find(is_table);
    let mut versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    versions.sort_unstable();
    for version in versions.into_iter().rev() {
        let mut objects = of_release(Some(version)).await?;
        if hash(&objects) == sealed {
            return Ok(Some(version));
        }
        // Another version of the library that migrates has words of its own for its table.
        if let (Some(own), Some(table)) = (objects.iter_mut().find(|object| is_table(&&**object)), table) {
            *own = table.clone();
        }
        if hash(&objects) == sealed {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// What is wrong with the table of migrations of a database that has come to `migration`: what would keep it from starting.
pub fn wrong_migrations(connection: &Connection, migration: i64) -> Vec<String> {
    let listing = format!("SELECT version, success, checksum FROM {MIGRATIONS_TABLE} LIMIT {LISTED_MIGRATIONS}");
    let rows = connection.prepare(&listing).and_then(|mut statement| {
        // A column of another type is not what it must be either.
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0).ok(), row.get::<_, i64>(1).ok(), row.get::<_, Vec<u8>>(2).ok()))
        };
        statement.query_map([], row)?.collect::<Result<Vec<_>, _>>()
    });
    let Ok(rows) = rows else { return vec![format!("table {MIGRATIONS_TABLE:?} cannot be read")] };
    let mut wrong = Vec::new();
    let own = || MIGRATIONS.iter().filter(|own| own.version <= migration);
    for own in own() {
        let row = rows.iter().find(|(version, ..)| *version == Some(own.version));
        let problem = match row {
            None => "is missing",
            Some((_, success, _)) if *success != Some(1) => "is not marked as done",
            Some((_, _, checksum)) if checksum.as_deref() != Some(&*own.checksum) => "is another one",
            Some(_) => continue,
        };
        wrong.push(format!("table {MIGRATIONS_TABLE:?}: migration {} {problem}", own.version));
    }
    for (version, ..) in &rows {
        if !own().any(|own| *version == Some(own.version)) {
            let version = version.map_or_else(|| "without a number".to_owned(), |version| version.to_string());
            wrong.push(format!("table {MIGRATIONS_TABLE:?}: migration {version} is none of this database's"));
        }
    }
    wrong
}

/// Makes the table of migrations anew, for a database that has come to `migration`.
pub fn rewrite_migrations(
    connection: &Connection,
    expected: &[SchemaObject],
    migration: i64,
) -> Result<(), rusqlite::Error> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {MIGRATIONS_TABLE}"))?;
    for object in expected.iter().filter(|object| object.table == MIGRATIONS_TABLE && !object.sql.is_empty()) {
        connection.execute_batch(&object.sql)?;
    }
    let insert = format!(
        "INSERT INTO {MIGRATIONS_TABLE} (version, description, success, checksum, execution_time) \
         VALUES (?1, ?2, TRUE, ?3, 0)"
    );
    for own in MIGRATIONS.iter().filter(|own| own.version <= migration) {
        connection.execute(&insert, rusqlite::params![own.version, &*own.description, &*own.checksum])?;
    }
    Ok(())
}

/// The schema that this release gives a database by its migration `applied`, or by the newest.
pub async fn of_release(applied: Option<i64>) -> Result<Vec<SchemaObject>, StoreError> {
    let target = known_migration(applied)?;
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
