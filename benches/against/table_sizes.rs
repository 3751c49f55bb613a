//! What a stopped server's database file consists of.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::failure::Outcome;
use crate::figures::number;

/// Bytes of each table and index, the largest first.
pub fn of(database: &Path) -> Outcome<Vec<(String, f64)>> {
    // Immutable: nothing is written beside the file. The server is stopped.
    let address = format!("file:{}?immutable=1", database.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(address, flags)?;
    let mut query = connection.prepare("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC")?;
    let rows = query.query_map([], |row| {
        let bytes: i64 = row.get(1)?;
        Ok((row.get::<_, String>(0)?, number(u64::try_from(bytes).unwrap_or(0))))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
