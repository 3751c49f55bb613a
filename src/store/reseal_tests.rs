//! Rows under a new term: all of them, the same ones, and whatever happens in between.

use crate::store::tests::{Home, commit, mutation};
use crate::store::{Expect, Flags, KeyChange, Store};

use super::*;
use crate::crypto::TermState;
use crate::model::kinds::SECRET;
use crate::sensitive::SecretBytes;
use crate::store::StateChange;

/// More than one transaction seals anew.
const MANY: usize = ROWS + ROWS / 2;

async fn rotate(home: &Home, store: &Store) -> u32 {
    let next = home.keyring().next_term(5).unwrap();
    let (keyring, term) = (vec![9], next.active());
    let change = KeyChange { keyring, terms: Some(next), slots: None, audit: b"{}".to_vec() };
    assert!(store.change_keys(change).await.unwrap(), "the log was emptied");
    term
}

async fn write(store: &Store, prefix: &str, count: usize) {
    let name = |number| format!("{prefix}-{number}");
    let mutations = (0..count).map(|number| mutation(&name(number), Expect::Absent, Flags::PUT, b"value")).collect();
    commit(store, mutations).await.unwrap();
}

/// As the audit log does once it has the records.
async fn take_over_audit(store: &Store) {
    while let Some(end) = store.removable_audit(u64::MAX, 1_000).unwrap() {
        store.remove_audit(end).await.unwrap();
    }
}

fn rows_of(home: &Home, term: u32) -> i64 {
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    let text = "SELECT (SELECT COUNT(*) FROM versions WHERE term = ?1) + (SELECT COUNT(*) FROM state WHERE term = ?1)";
    connection.query_row(text, [term], |row| row.get(0)).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test compares what it wrote")]
fn value(home: &Home, store: &Store, revision: u64) -> Vec<u8> {
    let row = store.row(revision).unwrap();
    home.keyring().open_data(&row.record_id(), &row.sealed).unwrap().expose().to_vec()
}

#[tokio::test]
async fn every_row_is_sealed_anew_and_nobody_sees_it() {
    let home = Home::make().await;
    let (store, mut feed) = home.try_open().await.unwrap();
    store.resealed().await;
    write(&store, "a", MANY).await;
    // A former version, a deletion, and a value of the store's own.
    commit(&store, vec![mutation("a-0", Expect::Revision(1), Flags::PUT, b"newer")]).await.unwrap();
    commit(&store, vec![mutation("a-1", Expect::Revision(2), Flags::TOMBSTONE, b"")]).await.unwrap();
    store.write_state(vec![StateChange::put("k", SecretBytes::new(b"v".to_vec()))], None).await.unwrap();
    let version = store.state_version("k");
    let (before, revision) = (store.row(3).unwrap(), store.revision());
    while feed.try_recv().is_ok() {}

    assert_eq!(rotate(&home, &store).await, 2);
    assert!(!store.resealing().is_finished);
    take_over_audit(&store).await;
    store.resealed().await;
    assert!(!store.is_term_in_use(1).unwrap());
    assert_eq!((rows_of(&home, 1), store.resealing().damaged), (0, 0));
    let told = store.resealing();
    assert_eq!(told.done, told.total);
    // The same revisions with the same content, and no event.
    assert_eq!((store.revision(), store.state_version("k")), (revision, version));
    assert!(feed.try_recv().is_err());
    assert_eq!(value(&home, &store, MANY as u64 + 1), b"newer");
    assert_eq!(value(&home, &store, 1), b"value", "the former version");
    assert_eq!(store.row(3).unwrap().sealed.term(), 2, "also where it was kept in memory");

    // Whoever read a row before opens it until the key is forgotten; then what is stored still opens.
    home.keyring().adopt(home.keyring().without_term(1).unwrap());
    home.keyring().verify(&before.record_id(), &before.sealed).unwrap();
    store.forget_retired_terms();
    assert!(home.keyring().verify(&before.record_id(), &before.sealed).is_err());
    assert_eq!(value(&home, &store, 3), b"value");
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty(), "the sums are those of the rows as they are now");
    assert!(store.resealing().is_finished);
    assert_eq!(value(&home, &store, 3), b"value");
}

#[tokio::test]
async fn what_a_stop_has_left_is_sealed_anew_at_the_next_start() {
    let home = Home::make().await;
    let store = home.open().await;
    write(&store, "a", MANY).await;
    rotate(&home, &store).await;
    store.close().await.unwrap();
    let left = rows_of(&home, 1);
    assert!(left > 0, "it was done before it was stopped");
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!(store.resealing().total, u64::try_from(left).unwrap());
    take_over_audit(&store).await;
    store.resealed().await;
    assert_eq!(rows_of(&home, 1), 0);
}

#[tokio::test]
async fn writes_and_another_rotation_go_on_meanwhile() {
    let home = Home::make().await;
    let store = home.open().await;
    write(&store, "a", MANY).await;
    rotate(&home, &store).await;
    write(&store, "b", 10).await;
    assert_eq!(rotate(&home, &store).await, 3);
    write(&store, "c", 10).await;
    take_over_audit(&store).await;
    store.resealed().await;
    assert_eq!((rows_of(&home, 1), rows_of(&home, 2), rows_of(&home, 3)), (0, 0, i64::try_from(MANY + 21).unwrap()));
    let terms: Vec<_> = home.keyring().terms().iter().map(|term| term.state).collect();
    assert_eq!(terms, [TermState::Active, TermState::DecryptOnly, TermState::DecryptOnly]);
}

#[tokio::test]
async fn a_record_that_the_audit_log_does_not_have_yet_keeps_its_term() {
    let home = Home::make().await;
    let store = home.open().await;
    write(&store, "a", 1).await;
    rotate(&home, &store).await;
    while store.resealing().done < store.resealing().total {
        tokio::task::yield_now().await;
    }
    assert!(store.is_term_in_use(1).unwrap() && !store.resealing().is_finished);
    take_over_audit(&store).await;
    store.resealed().await;
    assert!(!store.is_term_in_use(1).unwrap());
}

#[tokio::test]
async fn a_row_that_does_not_open_is_left_and_keeps_its_term() {
    let home = Home::make().await;
    let store = home.open().await;
    write(&store, "a", 3).await;
    store.close().await.unwrap();
    home.sql(
        "UPDATE versions SET data = CAST(substr(data, 1, 30) || \
         iif(substr(data, 31, 1) = x'00', x'01', x'00') || substr(data, 32) AS BLOB) WHERE revision = 2",
    );
    let store = home.open().await;
    rotate(&home, &store).await;
    take_over_audit(&store).await;
    store.resealed().await;
    assert_eq!((store.resealing().damaged, rows_of(&home, 1)), (1, 1));
    assert!(store.is_term_in_use(1).unwrap());
    assert_eq!(store.count(SECRET.id), 3);
    store.close().await.unwrap();
    assert_eq!(home.open().await.findings().damaged.len(), 1);
}

#[tokio::test]
async fn slots_and_keyring_change_together_and_nothing_of_them_stays_behind() {
    let home = Home::make().await;
    let store = home.open().await;
    let change = |slots| KeyChange { keyring: vec![7; 40], terms: None, slots, audit: b"{}".to_vec() };
    store.change_keys(change(Some(vec![vec![0x5A; 60], vec![0x6B; 60]]))).await.unwrap();
    store.change_keys(change(Some(vec![vec![0x6B; 60]]))).await.unwrap();
    store.change_keys(change(None)).await.unwrap();
    let material = crate::store::keys::read_key_material(&home.path()).await.unwrap().unwrap();
    assert_eq!((material.keyring, material.slots), (vec![7; 40], vec![vec![0x6B; 60]]));
    let log = home.path().with_file_name("db-wal");
    let files = [std::fs::read(home.path()).unwrap(), std::fs::read(log).unwrap_or_default()].concat();
    assert!(!files.windows(60).any(|window| window == [0x5A; 60]), "the removed slot is still there");
    assert_eq!(store.audit_end().sequence, 3);
}
