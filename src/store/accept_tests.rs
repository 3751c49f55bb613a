//! What is accepted is what was found, and nothing besides.

use super::super::examine::{Effect, Examination, examine, examine_to_accept};
use super::super::tamper_tests::written;
use super::super::tests::{Home, put};
use super::super::{Expect, StateChange, schema};
use super::{Acceptance, StoreError, accept};
use crate::crypto::Head;
use crate::model::kinds::SECRET;
use crate::sensitive::SecretBytes;

fn accepted(home: &Home, examination: &Examination) -> Result<Option<u64>, StoreError> {
    let path = home.path();
    let (keyring, record) = (&*home.keyring, b"{}".to_vec());
    accept(&Acceptance { path: &path, keyring, examination, copied: 0, named: 0, now_unix_seconds: 1_000, record })
}

#[tokio::test]
async fn what_changed_since_the_examination_is_not_accepted() {
    for change in [
        "DELETE FROM versions WHERE revision = 3",
        "DELETE FROM versions WHERE revision = 4",
        "UPDATE versions SET created_at = created_at + 1 WHERE revision = 2",
        "DELETE FROM state WHERE key = 'k'",
        "UPDATE state SET data = CAST('' AS BLOB) WHERE key = 'k'",
        "DELETE FROM audit",
        "DELETE FROM slots WHERE id = 1",
        "UPDATE head SET sealed = zeroblob(length(sealed))",
        "CREATE TABLE more (a)",
        "CREATE TRIGGER t AFTER DELETE ON slots BEGIN DELETE FROM versions; END",
        "DELETE FROM _sqlx_migrations",
    ] {
        let home = written().await;
        home.sql("DELETE FROM versions WHERE revision = 1");
        let found = examine_to_accept(&home.path(), &home.keyring).await.unwrap();
        assert!(found.is_acceptable(), "{:?}", found.findings);
        home.sql_batch(change);
        let before = std::fs::read(home.path()).unwrap();
        let refused = accepted(&home, &found).unwrap_err();
        assert!(matches!(refused, StoreError::ChangedSince), "{change}: {refused}");
        assert!(before == std::fs::read(home.path()).unwrap(), "{change}: nothing is changed");
    }
}

#[tokio::test]
async fn what_was_found_and_did_not_change_is_accepted() {
    let home = written().await;
    home.sql("DELETE FROM versions WHERE revision = 1");
    let found = examine_to_accept(&home.path(), &home.keyring).await.unwrap();
    accepted(&home, &found).unwrap();
    assert!(examine(&home.path(), &home.keyring).await.unwrap().is_intact());
    // Of a mere look nothing follows.
    let looked = examine(&home.path(), &home.keyring).await.unwrap();
    assert!(matches!(accepted(&home, &looked), Err(StoreError::ChangedSince)));
}

fn sealed_head(home: &Home) -> Vec<u8> {
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection.query_row("SELECT sealed FROM head", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn an_older_head_takes_no_newer_row_with_it() {
    let home = written().await;
    let older = sealed_head(&home);
    let store = home.open().await;
    for name in ["d", "e", "f"] {
        put(&store, name, Expect::Absent).await.unwrap();
    }
    let value = SecretBytes::new(b"v2".to_vec());
    store.write_state(vec![StateChange::put("k", value)], Some(b"{}".to_vec())).await.unwrap();
    store.close().await.unwrap();
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection.execute("UPDATE head SET sealed = ?1", [older]).unwrap();
    drop(connection);

    let found = examine_to_accept(&home.path(), &home.keyring).await.unwrap();
    let said = |area: &str| {
        let of_area = found.findings.iter().filter(|finding| finding.area == area);
        of_area.map(|finding| &*finding.problem).collect::<Vec<_>>().join("; ")
    };
    assert!(said("head").contains("is an older one") && said("head").contains("3 rows and 1"), "{}", said("head"));
    assert!(said("audit").contains("is an older one"), "{}", said("audit"));
    assert_eq!((said("versions"), found.consequences()), (String::new(), &[][..]));
    assert_eq!(accepted(&home, &found).unwrap(), None, "no audit record is lost");
    assert!(examine(&home.path(), &home.keyring).await.unwrap().is_intact());
    let store = home.open().await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        assert!(store.find(SECRET.id, "n", name).unwrap().is_some(), "{name}");
    }
    assert!(put(&store, "g", Expect::Absent).await.is_ok());
}

/// The start is refused, what is wrong is accepted, and then everything is well.
async fn is_put_right(home: &Home, change: &str) -> String {
    let refused = home.try_open().await.err().unwrap();
    assert!(refused.to_string().contains("strongroom verify"), "{change}: {refused}");
    let found = examine_to_accept(&home.path(), &home.keyring).await.unwrap();
    assert!(found.is_acceptable() && found.effect() == Effect::NoStart, "{change}: {:?}", found.findings);
    accepted(home, &found).unwrap();
    let left = examine(&home.path(), &home.keyring).await.unwrap();
    assert!(left.is_intact(), "{change}: {:?}", left.findings);
    let store = home.open().await;
    for name in ["a", "b", "c"] {
        assert!(store.find(SECRET.id, "n", name).unwrap().is_some(), "{change}: {name}");
    }
    found.findings.into_iter().map(|finding| finding.problem).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn a_table_of_migrations_that_keeps_from_starting_is_named_and_made_anew() {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (99, 'x', TRUE, x'00', 0)";
    for (change, said) in [
        ("UPDATE _sqlx_migrations SET checksum = x'00'", "migration 1 is another one"),
        ("UPDATE _sqlx_migrations SET success = 0", "migration 1 is not marked as done"),
        ("DELETE FROM _sqlx_migrations", "migration 1 is missing"),
        (newer, "migration 99 is none of this database's"),
        ("DROP TABLE _sqlx_migrations", "\"_sqlx_migrations\" is missing"),
    ] {
        let home = written().await;
        home.sql_batch(change);
        let found = is_put_right(&home, change).await;
        assert!(found.contains(said), "{change}: {found}");
    }
    // Where a schema was sealed that is none of ours, a newer release made it.
    let home = written().await;
    home.sql_batch(newer);
    home.sql_batch("CREATE TABLE next (id INTEGER)");
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    let mut head = Head::decode(&home.keyring.open_head(&sealed_head(&home)).unwrap()).unwrap();
    head.schema_hash = schema::hash(&schema::read_now(&connection).unwrap());
    let sealed = home.keyring.seal_head(&head.encode()).unwrap();
    connection.execute("UPDATE head SET sealed = ?1", [sealed]).unwrap();
    assert!(matches!(home.try_open().await, Err(StoreError::Newer(_))));
    assert!(matches!(examine(&home.path(), &home.keyring).await, Err(StoreError::Newer(_))));
}

#[tokio::test]
async fn what_sqlite_makes_for_foreign_tables_goes_with_them() {
    for change in [
        "CREATE TABLE evil (a TEXT PRIMARY KEY, b UNIQUE)",
        "CREATE TABLE x (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO x VALUES (7)",
        "CREATE TABLE x (a INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO x VALUES (7); DROP TABLE x;
         INSERT INTO sqlite_sequence VALUES ('x', 1)",
        "ANALYZE",
    ] {
        let home = written().await;
        home.sql_batch(change);
        is_put_right(&home, change).await;
    }
    // Nobody can drop what is left of this.
    let home = written().await;
    home.sql_batch("CREATE TABLE x (a INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE x");
    let looked = examine(&home.path(), &home.keyring).await.unwrap();
    // Slots are made up in these tests.
    assert!(looked.findings.iter().all(|finding| finding.area == "slots"), "{:?}", looked.findings);
    home.open().await;
}

#[tokio::test]
async fn a_name_that_is_no_text_is_named() {
    let home = written().await;
    home.sql_batch("CREATE VIEW v AS SELECT 1");
    home.sql_batch(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET name = CAST(x'76ff' AS TEXT), tbl_name = CAST(x'76ff' AS TEXT),
         sql = 'CREATE VIEW ' || CAST(x'76ff' AS TEXT) || ' AS SELECT 1' WHERE name = 'v'",
    );
    let refused = home.try_open().await.err().unwrap().to_string();
    assert!(refused.contains("view \"v\u{fffd}\""), "{refused}");
    let found = examine(&home.path(), &home.keyring).await.unwrap();
    let said = |text: &str| found.findings.iter().any(|finding| finding.problem.contains(text));
    assert!(said("is no text: drop it") && !found.is_acceptable(), "{:?}", found.findings);
}

#[tokio::test]
async fn zeros_are_damage_and_no_newer_release() {
    for change in [
        "UPDATE head SET sealed = zeroblob(length(sealed))",
        "UPDATE state SET data = zeroblob(length(data)) WHERE key = 'k'",
        "UPDATE state SET data = CAST(x'0100' || substr(data, 3) AS BLOB) WHERE key = 'k'",
    ] {
        let home = written().await;
        home.sql(change);
        let refused = home.try_open().await.err().unwrap();
        assert!(matches!(refused, StoreError::Integrity(_)), "{change}: {refused}");
        is_put_right(&home, change).await;
    }
}

#[tokio::test]
async fn every_row_with_a_revision_that_none_of_ours_has_is_removed() {
    let home = written().await;
    let copies = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO versions SELECT -i, kind, namespace, name, uid, flags, created_at, term, meta, data
        FROM versions, n WHERE revision = 1";
    assert_eq!(home.sql(copies), 5000);
    let found = examine_to_accept(&home.path(), &home.keyring).await.unwrap();
    assert!(found.findings.len() > 1);
    accepted(&home, &found).unwrap();
    assert!(examine(&home.path(), &home.keyring).await.unwrap().is_intact());
}
