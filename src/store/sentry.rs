//! Looks before every commit whether the schema is still ours: a trigger that somebody else makes while the store is open
//! would do its work in our transactions.
//!
//! SQLite counts changes of a schema. Where the number is another one (`VACUUM` changes it too), the schema is compared.

use std::path::Path;

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
}

impl Sentry {
    /// Over a connection of its own.
    pub fn post(path: &Path, sealed: Vec<SchemaObject>) -> Result<Self, StoreError> {
        Ok(Self { connection: connect(path)?, sealed, seen: None })
    }

    /// What is foreign in the schema, if anything is.
    pub fn look(&mut self) -> Option<String> {
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

fn is_passing(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
    )
}
