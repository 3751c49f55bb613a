//! Looks before every commit whether the schema is still ours: a trigger that somebody else makes while the store is open
//! would do its work in our transactions.
//!
//! SQLite counts changes of a schema. Where the number is another one (`VACUUM` changes it too), the schema is compared.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::StoreError;
use super::reader::connect;
use super::schema::{self, SchemaObject, describe, differences};

/// See the module.
pub struct Sentry {
    connection: Connection,
    /// The schema as it was sealed.
    sealed: Vec<SchemaObject>,
    /// The number that SQLite had when it was that.
    seen: Option<i64>,
    path: PathBuf,
    /// Device and inode of the file that is open.
    file: (u64, u64),
}

impl Sentry {
    /// Over a connection of its own.
    pub fn post(path: &Path, sealed: Vec<SchemaObject>) -> Result<Self, StoreError> {
        let file = identity(path)?;
        Ok(Self { connection: connect(path)?, sealed, seen: None, path: path.to_owned(), file })
    }

    /// What is foreign in the schema, if anything is; or that the file is another one.
    pub fn look(&mut self) -> Option<String> {
        // Whoever has it open goes on writing into the one that was there, of which nothing would be left.
        match identity(&self.path) {
            Ok(now) if now != self.file => return Some("the database file was replaced".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some("the database file was taken away".to_owned());
            }
            _ => {}
        }
        match self.compare() {
            Ok(found) => found,
            // Whether it can be written the commit itself will find.
            Err(error) if is_passing(&error) => None,
            Err(error) => Some(format!("its schema cannot be read: {error}")),
        }
    }

    fn compare(&mut self) -> Result<Option<String>, rusqlite::Error> {
        let number: i64 = self.connection.prepare_cached("PRAGMA schema_version")?.query_row([], |row| row.get(0))?;
        if self.seen == Some(number) {
            return Ok(None);
        }
        let found = schema::read_now(&self.connection)?;
        if found == self.sealed {
            self.seen = Some(number);
            return Ok(None);
        }
        Ok(Some(describe(&differences(&found, &self.sealed))))
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Everything else is somebody's doing: a name, say, that is no text.
fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
        )
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::Home;
    use super::*;

    #[tokio::test]
    async fn a_trigger_whose_name_is_no_text_is_foreign_like_any_other() {
        let home = Home::make().await;
        let own = schema::read_now(&Connection::open(home.path()).unwrap()).unwrap();
        let mut sentry = Sentry::post(&home.path(), own).unwrap();
        assert_eq!(sentry.look(), None);
        home.sql_batch(
            "CREATE TRIGGER t AFTER INSERT ON versions BEGIN DELETE FROM versions WHERE revision = NEW.revision; END;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET name = CAST(x'74ff' AS TEXT) WHERE name = 't';
             PRAGMA writable_schema = OFF;",
        );
        assert!(sentry.look().is_some());
    }
}
