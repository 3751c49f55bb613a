//! What a database holds, in one number: whether it is still what was looked at.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use sha2::{Digest as _, Sha256};

use super::schema::SchemaObject;

/// SHA-256 over the schema and every row of the `expected` tables. Tables of others are in it by name alone: what they
/// hold is nobody's truth.
pub(super) fn take(connection: &Connection, expected: &[SchemaObject]) -> Result<[u8; 32], rusqlite::Error> {
    let mut hash = Sha256::new();
    add_rows(
        &mut hash,
        connection.prepare("SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")?,
    )?;
    for object in expected.iter().filter(|object| object.kind == "table") {
        // A view in the place of a table would have us work for its maker without end.
        let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
        if connection.query_row(is_there, [&object.name], |row| row.get(0))? {
            let name = object.name.replace('"', "\"\"");
            // Not by way of an index, which may be another's.
            add_rows(&mut hash, connection.prepare(&format!("SELECT * FROM \"{name}\" NOT INDEXED"))?)?;
        }
    }
    Ok(hash.finalize().into())
}

/// Adds every row, in the order of its key; each value with its type and length, and each row with how many it has.
fn add_rows(hash: &mut Sha256, mut statement: Statement<'_>) -> Result<(), rusqlite::Error> {
    let columns = statement.column_count();
    hash.update((columns as u64).to_be_bytes());
    let mut rows = statement.query([])?;
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null => hash.update([0]),
                ValueRef::Integer(number) => add(hash, 1, &number.to_be_bytes()),
                ValueRef::Real(number) => add(hash, 2, &number.to_bits().to_be_bytes()),
                ValueRef::Text(text) => add(hash, 3, text),
                ValueRef::Blob(bytes) => add(hash, 4, bytes),
            }
        }
    }
    hash.update([u8::MAX]);
    hash.update(count.to_be_bytes());
    Ok(())
}

fn add(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
