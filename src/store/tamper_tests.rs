//! What is changed behind the store's back is found at the opening, named, and not served.

use super::tests::{Home, listed, put};
use super::*;
use crate::model::kinds::SECRET;

/// A store with three objects, of which `b` has two versions; closed.
pub(super) async fn written() -> Home {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    put(&store, "b", Expect::Absent).await.unwrap();
    put(&store, "b", Expect::Revision(2)).await.unwrap();
    put(&store, "c", Expect::Absent).await.unwrap();
    store
        .write_state(vec![StateChange::put("k", SecretBytes::new(b"v1".to_vec()))], Some(b"{}".to_vec()))
        .await
        .unwrap();
    store.close().await.unwrap();
    home
}

#[tokio::test]
async fn an_edited_row_is_named_and_not_served_and_the_rest_goes_on() {
    let home = written().await;
    // The first byte of the ciphertext, behind the header of 30 bytes.
    let edit = "UPDATE versions SET data = CAST(substr(data, 1, 30) || iif(substr(data, 31, 1) = x'00', x'01', x'00') || substr(data, 32) AS BLOB) WHERE revision = 1";
    assert_eq!(home.sql(edit), 1);
    let store = home.open().await;
    let findings = store.findings();
    assert!(findings.damaged[&1].contains("name \"a\""), "{findings:?}");
    assert!(!findings.forbids_writes());
    let mut listed = listed(&store, None);
    assert_eq!((store.withhold(&mut listed), listed), (1, vec![3, 4]));
    let row = store.row(1).unwrap();
    assert!(home.keyring.open_data(&row.record_id(), &row.sealed).is_err());
    assert!(put(&store, "d", Expect::Absent).await.is_ok());
}

#[tokio::test]
async fn rows_deleted_rolled_back_swapped_or_added_are_found_and_their_buckets_refused() {
    for (tampering, name) in [
        ("DELETE FROM versions WHERE revision = 1", "a"),
        // The older value comes back as the latest.
        ("DELETE FROM versions WHERE revision = 3", "b"),
        (
            "INSERT INTO versions SELECT 9, kind, namespace, 'd', uid, flags, created_at, term, meta, data FROM versions WHERE revision = 1",
            "d",
        ),
        ("UPDATE versions SET name = 'e' WHERE revision = 4", "e"),
    ] {
        let home = written().await;
        assert_eq!(home.sql(tampering), 1);
        let store = home.open().await;
        assert!(store.findings().forbids_writes(), "{tampering}");
        assert!(matches!(store.find(SECRET.id, "n", name), Err(ReadError::Integrity { .. })), "{tampering}");
        let refused = put(&store, "z", Expect::Absent).await;
        assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{tampering}");
        // Of many other names all but a few in a thousand are served.
        let served = (0..100).filter(|number| store.find(SECRET.id, "n", &format!("o{number}")).is_ok()).count();
        assert!(served >= 95, "{tampering}: {served}");
    }
}

#[tokio::test]
async fn rows_that_changed_places_do_not_open() {
    let home = written().await;
    // Both columns of `a` get the bytes of `c`.
    home.sql(
        "UPDATE versions SET (meta, data) = (SELECT meta, data FROM versions WHERE revision = 4) WHERE revision = 1",
    );
    let store = home.open().await;
    assert!(store.findings().damaged[&1].contains("name \"a\""), "{:?}", store.findings());
    assert!(store.find(SECRET.id, "n", "a").is_err());
}

#[tokio::test]
async fn what_everything_depends_on_must_be_whole() {
    for tampering in [
        "UPDATE head SET sealed = zeroblob(length(sealed))",
        "DELETE FROM head",
        "UPDATE state SET data = zeroblob(length(data))",
        "DELETE FROM state",
        "CREATE TRIGGER t AFTER INSERT ON versions BEGIN DELETE FROM versions WHERE revision = NEW.revision; END",
        "CREATE INDEX i ON versions (name)",
    ] {
        let home = written().await;
        home.sql(tampering);
        assert!(home.try_open().await.is_err(), "{tampering}");
    }
    // An older value of the store's own, which was right once.
    let home = written().await;
    let keep = "CREATE TABLE kept AS SELECT * FROM state";
    home.sql(keep);
    home.sql("DROP TABLE kept");
    let old: Vec<u8> = {
        let connection = rusqlite::Connection::open(home.path()).unwrap();
        connection.query_row("SELECT data FROM state WHERE key = 'k'", [], |row| row.get(0)).unwrap()
    };
    let store = home.open().await;
    store
        .write_state(vec![StateChange::put("k", SecretBytes::new(b"v2".to_vec()))], Some(b"{}".to_vec()))
        .await
        .unwrap();
    store.close().await.unwrap();
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection.execute("UPDATE state SET data = ?1, sequence = 5 WHERE key = 'k'", [old]).unwrap();
    drop(connection);
    assert!(home.try_open().await.is_err());
}

#[tokio::test]
async fn a_missing_audit_record_makes_the_store_read_only() {
    let home = written().await;
    home.sql("DELETE FROM audit WHERE sequence = 5");
    let store = home.open().await;
    assert!(store.findings().audit_broken && store.findings().forbids_writes());
}

#[tokio::test]
async fn a_row_with_an_impossible_revision_is_told_in_words_and_takes_no_revision_away() {
    let home = written().await;
    home.sql("UPDATE versions SET revision = -1 WHERE revision = 1");
    let store = home.open().await;
    assert!(store.findings().damaged.values().any(|row| row.contains("revision -1")), "{:?}", store.findings());
    assert!(store.findings().forbids_writes());
    let revision = store.revision();
    store.close().await.unwrap();
    home.sql("UPDATE versions SET revision = 9000000000000000000 WHERE revision = -1");
    let store = home.open().await;
    assert!(store.findings().forbids_writes());
    assert_eq!(store.revision(), revision);
}

#[tokio::test]
async fn tables_of_keys_that_compute_what_is_read_from_them_are_not_read() {
    let endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)";
    for tampering in [
        format!("DROP TABLE slots; CREATE VIEW slots AS {endless} SELECT n AS id, zeroblob(50000000) AS slot FROM r"),
        format!("DROP TABLE keys; CREATE VIEW keys AS {endless} SELECT 1 AS id, n AS store_id, n AS keyring FROM r"),
        "DROP TABLE slots; CREATE TABLE slots (id INTEGER PRIMARY KEY, slot AS (zeroblob(900000000))); \
         INSERT INTO slots (id) VALUES (1)"
            .to_owned(),
        "ALTER TABLE keys ADD COLUMN more TEXT".to_owned(),
    ] {
        let home = written().await;
        home.sql_batch(&tampering);
        let Err(error) = keys::read_key_material(&home.path()).await else { panic!("{tampering}") };
        assert!(matches!(error, StoreError::ForeignSchema(_)), "{error}");
    }
}

#[tokio::test]
async fn what_everything_hangs_on_is_put_back_where_it_was_taken_away_under_an_open_store() {
    for tampering in ["DELETE FROM head", "DELETE FROM keys", "DELETE FROM slots", "UPDATE slots SET slot = x'07'"] {
        let home = Home::make().await;
        let before = keys::read_key_material(&home.path()).await.unwrap().unwrap();
        let store = home.open().await;
        put(&store, "a", Expect::Absent).await.unwrap();
        home.sql(tampering);
        put(&store, "b", Expect::Absent).await.unwrap();
        store.close().await.unwrap();
        let after = keys::read_key_material(&home.path()).await.unwrap().unwrap();
        assert!(before.keyring == after.keyring && before.slots == after.slots, "{tampering}");
        let store = home.open().await;
        assert_eq!(listed(&store, None), [1, 2], "{tampering}");
        assert!(!store.findings().forbids_writes(), "{tampering}");
    }
}

#[tokio::test]
async fn an_older_head_does_not_outlive_the_store_that_knows_the_newer_one() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    let older: Vec<u8> = connection.query_row("SELECT sealed FROM head", [], |row| row.get(0)).unwrap();
    put(&store, "b", Expect::Absent).await.unwrap();
    connection.execute("UPDATE head SET sealed = ?1", [older]).unwrap();
    drop(connection);
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(listed(&store, None), [1, 2]);
    assert!(!store.findings().forbids_writes());
}

#[tokio::test]
async fn nothing_is_acknowledged_that_goes_into_a_file_without_a_name() {
    for replace in [false, true] {
        let home = written().await;
        let store = home.open().await;
        let aside = home.path().with_extension("aside");
        std::fs::rename(home.path(), &aside).unwrap();
        if replace {
            std::fs::copy(&aside, home.path()).unwrap();
        }
        let refused = put(&store, "z", Expect::Absent).await;
        assert!(
            matches!(refused, Err(CommitError::Unavailable(why)) if why.contains("file was replaced")),
            "{replace}"
        );
    }
}

#[tokio::test]
async fn a_row_in_the_way_of_the_next_one_is_told_as_what_it_is() {
    let home = written().await;
    let store = home.open().await;
    let copied =
        "SELECT 5, kind, namespace, 'd', uid, flags, created_at, term, meta, data FROM versions WHERE revision = 1";
    assert_eq!(home.sql(&format!("INSERT INTO versions {copied}")), 1);
    let refused = put(&store, "z", Expect::Absent).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(why)) if why.contains("none of ours")), "{refused:?}");
    let again = put(&store, "y", Expect::Absent).await;
    assert!(matches!(again, Err(CommitError::Unavailable(why)) if why.contains("strongroom verify")), "{again:?}");
}

#[tokio::test]
async fn nothing_is_put_back_where_something_foreign_would_do_its_work_with_it() {
    let home = Home::make().await;
    let store = home.open().await;
    home.sql_batch(
        "CREATE TABLE seen (slot BLOB); CREATE TRIGGER t AFTER INSERT ON slots BEGIN INSERT INTO seen VALUES (NEW.slot); END;
         DELETE FROM keys",
    );
    store.close().await.unwrap();
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    assert_eq!(connection.query_row("SELECT COUNT(*) FROM seen", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}
