//! What is found changed while the store is open, and what is no change.

use super::super::tests::{Home, commit, mutation};
use super::super::{CommitError, Destruction, Expect, Flags, Group, Range, ReadError, Store};
use super::{Incident, ROWS_BEFORE_READ_ONLY};
use crate::model::kinds::SECRET;

/// A store whose cache is empty, with `count` objects.
async fn filled(home: &Home, count: usize) -> Store {
    let store = home.open().await;
    for number in 0..count {
        let made = mutation(&format!("s{number:02}"), Expect::Absent, Flags::PUT, b"value");
        commit(&store, vec![made]).await.unwrap();
    }
    store.close().await.unwrap();
    home.open().await
}

fn listed(store: &Store) -> (usize, usize) {
    let mut rows = store.snapshot(SECRET.id, &Range::default()).unwrap().revisions;
    let withheld = store.withhold(&mut rows);
    (rows.len(), withheld)
}

#[tokio::test]
async fn a_row_that_is_gone_is_no_row_that_never_was() {
    let home = Home::make().await;
    let store = filled(&home, 3).await;
    let mut changes = store.incidents();
    home.sql("DELETE FROM versions WHERE revision = 2");
    assert_eq!(store.row(2), Err(ReadError::Integrity { revision: 2 }));
    assert_eq!(store.row_in_passing(2), Err(ReadError::Integrity { revision: 2 }));
    assert_eq!(store.row(9), Err(ReadError::NotFound { revision: 9 }));
    assert!(store.row(1).is_ok());
    assert_eq!(listed(&store), (2, 1));
    changes.changed().await.unwrap();
    let found = store.incidents_behind(0);
    assert!(
        matches!(&*found, [Incident::Row { name, revision: 2, is_missing: true, .. }] if name == "s01"),
        "{found:?}"
    );
    assert_eq!(store.incident_refusal(), None);
}

#[tokio::test]
async fn a_row_that_was_sealed_anew_is_read_again_and_is_no_incident() {
    let home = Home::make().await;
    let store = filled(&home, 2).await;
    let good = store.row(1).unwrap();
    // What a cache has, and does not open any more.
    let mut stale = (*good).clone();
    stale.sealed = crate::crypto::Sealed::from_stored(9, good.sealed.meta().to_vec(), good.sealed.data().to_vec());
    assert_eq!(store.reread(&stale).unwrap(), good);
    assert_eq!(*store.incidents().borrow(), 0);
    home.sql("UPDATE versions SET term = 9 WHERE revision = 1");
    assert_eq!(store.reread(&stale), Err(ReadError::Integrity { revision: 1 }));
    assert_eq!(*store.incidents().borrow(), 1);
}

#[tokio::test]
async fn what_is_destroyed_or_compacted_under_a_reader_is_no_incident() {
    let home = Home::make().await;
    let store = home.open().await;
    let mut revision = commit(&store, vec![mutation("a", Expect::Absent, Flags::PUT, b"x")]).await.unwrap()[0];
    let reader = {
        let store = store.clone();
        std::thread::spawn(move || {
            while *store.incidents().borrow() == 0 && store.read_state("end").unwrap().is_none() {
                for revision in 1..=store.revision() {
                    let read = store.row_in_passing(revision);
                    assert!(!matches!(read, Err(ReadError::Integrity { .. })), "{read:?}");
                }
            }
        })
    };
    for round in 0..60 {
        let flags = Flags::PUT.with(Flags::KEEPS_PREVIOUS, round % 2 == 0);
        let next = commit(&store, vec![mutation("a", Expect::Revision(revision), flags, b"y")]).await.unwrap()[0];
        if round % 2 == 0 {
            let (namespace, name) = ("n".to_owned(), "a".to_owned());
            let destruction =
                Destruction { kind_id: SECRET.id, namespace, name, revisions: vec![revision], audit: None };
            assert_eq!(store.destroy(destruction).await.unwrap().rows, 1);
        } else {
            store.compact(next).await.unwrap();
        }
        revision = next;
    }
    let end = super::super::StateChange::put("end", crate::sensitive::SecretBytes::new(vec![1]));
    store.write_state(vec![end], None).await.unwrap();
    reader.join().unwrap();
    assert_eq!(*store.incidents().borrow(), 0);
}

#[tokio::test]
async fn so_many_rows_make_the_store_read_only() {
    let home = Home::make().await;
    let store = filled(&home, ROWS_BEFORE_READ_ONLY + 1).await;
    home.sql("DELETE FROM versions WHERE revision > 1");
    for revision in 2..=ROWS_BEFORE_READ_ONLY as u64 {
        assert!(store.row(revision).is_err());
        assert_eq!(store.incident_refusal(), None);
    }
    commit(&store, vec![mutation("more", Expect::Absent, Flags::PUT, b"x")]).await.unwrap();
    assert!(store.row(ROWS_BEFORE_READ_ONLY as u64 + 1).is_err());
    let group =
        Group { mutations: vec![mutation("other", Expect::Absent, Flags::PUT, b"x")], state: Vec::new(), audit: None };
    let refused = store.commit(group).await.unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable(why) if why.contains("strongroom verify")), "{refused}");
    assert!(store.row(1).is_ok());
}

#[tokio::test]
async fn a_foreign_trigger_never_does_its_work() {
    let home = Home::make().await;
    let store = filled(&home, 1).await;
    home.sql("CREATE TRIGGER evil AFTER INSERT ON versions BEGIN DELETE FROM versions; END");
    let refused = commit(&store, vec![mutation("b", Expect::Absent, Flags::PUT, b"x")]).await.unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable(_)), "{refused}");
    assert!(store.compact(1).await.is_ok());
    assert!(store.row_in_passing(1).is_ok());
    let found = store.incidents_behind(0);
    assert!(matches!(&*found, [Incident::Schema(what)] if what.contains("trigger \"evil\"")), "{found:?}");
}
