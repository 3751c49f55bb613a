//! The store over real files: what is acknowledged is there, what is tampered with is found.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::model::kinds::{NAMESPACE, ROLE, SECRET};

/// A database with its keys, and SQLite's own view of it.
pub(super) struct Home {
    folder: TempDir,
    pub(super) keyring: Arc<Keyring>,
}

impl Home {
    pub(super) async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::make(0).unwrap());
        let material =
            keys::KeyMaterial { store_id: keyring.store_id(), keyring: vec![1], slots: vec![vec![2], vec![3]] };
        keys::create(&folder.path().join("db"), &material, &keyring).await.unwrap();
        Self { folder, keyring }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("db")
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(super) async fn try_open(&self) -> Result<(Store, mpsc::UnboundedReceiver<Arc<[Change]>>), StoreError> {
        let clock = Arc::new(ManualClock::new(1_000));
        Store::open(OpenOptions { path: self.path(), keyring: Arc::clone(&self.keyring), clock, cache_bytes: 1 << 20 })
            .await
    }

    pub(super) async fn open(&self) -> Store {
        self.try_open().await.unwrap().0
    }

    pub(super) fn sql_batch(&self, text: &str) {
        rusqlite::Connection::open(self.path()).unwrap().execute_batch(text).unwrap();
    }

    pub(super) fn sql(&self, text: &str) -> usize {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.execute(text, []).unwrap()
    }
}

static UIDS: AtomicU32 = AtomicU32::new(1);

pub(super) fn mutation(name: &str, expect: Expect, flags: Flags, value: &'static [u8]) -> Mutation {
    let mut uid = [0; 16];
    uid[..4].copy_from_slice(&UIDS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Mutation {
        kind_id: SECRET.id,
        namespace: "n".to_owned(),
        name: name.to_owned(),
        uid,
        created_at: 7,
        flags,
        expect,
        namespace_must_be_active: false,
        seal: Box::new(move |keyring, id| {
            keyring.seal(id, &SecretBytes::new(b"meta".to_vec()), &SecretBytes::new(value.to_vec()))
        }),
    }
}

pub(super) async fn commit(store: &Store, mutations: Vec<Mutation>) -> Result<Vec<u64>, CommitError> {
    let committed = store.commit(Group { mutations, state: Vec::new(), audit: Some(b"{}".to_vec()) }).await?;
    Ok(committed.rows.iter().map(|row| row.revision).collect())
}

pub(super) async fn put(store: &Store, name: &str, expect: Expect) -> Result<u64, CommitError> {
    Ok(commit(store, vec![mutation(name, expect, Flags::PUT, b"value")]).await?[0])
}

async fn delete(store: &Store, name: &str, revision: u64) -> u64 {
    commit(store, vec![mutation(name, Expect::Revision(revision), Flags::TOMBSTONE, b"")]).await.unwrap()[0]
}

pub(super) fn listed(store: &Store, at: Option<u64>) -> Vec<u64> {
    store.snapshot(SECRET.id, &Range { at, ..Range::default() }).unwrap().revisions
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart() {
    let home = Home::make().await;
    let (store, mut feed) = home.try_open().await.unwrap();
    assert_eq!(put(&store, "a", Expect::Absent).await, Ok(1));
    assert_eq!(put(&store, "a", Expect::Revision(1)).await, Ok(2));
    let changes: Vec<Option<u64>> = [feed.recv().await.unwrap(), feed.recv().await.unwrap()]
        .iter()
        .flat_map(|batch| batch.iter().map(|change| change.previous))
        .collect();
    assert_eq!(changes, [None, Some(1)]);
    store
        .write_state(vec![StateChange::put("k", SecretBytes::new(b"v1".to_vec()))], Some(b"{}".to_vec()))
        .await
        .unwrap();
    store
        .write_state(vec![StateChange::put("k", SecretBytes::new(b"v2".to_vec()))], Some(b"{}".to_vec()))
        .await
        .unwrap();
    store.close().await.unwrap();
    assert!(!Path::new(&format!("{}-wal", home.path().display())).exists(), "the file stands alone");

    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!((store.revision(), store.count(SECRET.id)), (2, 1));
    let entry = store.find(SECRET.id, "n", "a").unwrap().unwrap();
    let row = store.row(entry.revision).unwrap();
    let opened = home.keyring.open_data(&row.record_id(), &row.sealed).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test compares what it wrote")]
    {
        assert_eq!(opened.expose(), b"value");
        assert_eq!(store.read_state("k").unwrap().unwrap().expose(), b"v2");
    }
    assert!(store.read_state("none").unwrap().is_none());
    assert_eq!(listed(&store, Some(1)), [1]);
    let material = keys::read_key_material(&home.path()).await.unwrap().unwrap();
    assert_eq!((material.keyring, material.slots), (vec![1], vec![vec![2], vec![3]]));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test compares what it wrote")]
async fn values_change_with_the_objects_of_their_group_or_not_at_all() {
    let home = Home::make().await;
    let store = home.open().await;
    let value = |text: &str| SecretBytes::new(text.as_bytes().to_vec());
    let group = |name: &str, expect, state| Group {
        mutations: vec![mutation(name, expect, Flags::PUT, b"v")],
        state,
        audit: Some(b"{}".to_vec()),
    };
    let read = |store: &Store, key: &str| store.read_state(key).unwrap().map(|value| value.expose().to_vec());
    // Groups that share a transaction build on each other's values.
    let both = vec![StateChange::put("s/a", value("1")), StateChange::put("s/b", value("1"))];
    let one = store.commit(group("a", Expect::Absent, both));
    let two = store.commit(group("b", Expect::Absent, vec![StateChange::put("s/a", value("2"))]));
    let three =
        store.commit(group("c", Expect::Absent, vec![StateChange::remove("s/b"), StateChange::put("s/c", value("3"))]));
    let (one, two, three) = tokio::join!(one, two, three);
    one.and(two).and(three).unwrap();
    let refused = store.commit(group("a", Expect::Absent, vec![StateChange::put("s/a", value("9"))])).await;
    assert_eq!(refused.err(), Some(CommitError::AlreadyExists { terminating: false }));
    let check = |store: &Store| {
        assert_eq!(store.state_keys("s/"), ["s/a", "s/c"]);
        assert_eq!((read(store, "s/a"), read(store, "s/b")), (Some(b"2".to_vec()), None));
    };
    check(&store);
    store.write_state(vec![StateChange::remove("s/c"), StateChange::remove("s/none")], None).await.unwrap();
    store.write_state(vec![StateChange::put("s/c", value("4"))], None).await.unwrap();
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty(), "the sums are those of what is stored");
    check(&store);
    assert_eq!(read(&store, "s/c"), Some(b"4".to_vec()));
}

#[tokio::test]
async fn a_value_is_replaced_only_by_who_has_seen_it() {
    let home = Home::make().await;
    let store = home.open().await;
    let put = |text: &str| StateChange::put("k", SecretBytes::new(text.as_bytes().to_vec()));
    store.write_state(vec![put("1").over(0)], None).await.unwrap();
    let version = store.state_version("k").unwrap();
    assert!(matches!(store.write_state(vec![put("2").over(0)], None).await, Err(StoreError::Superseded)));
    assert_eq!(store.state_version("k"), Some(version));
    store.write_state(vec![put("2").over(version)], None).await.unwrap();
    assert_ne!(store.state_version("k"), Some(version));
    let group = Group {
        mutations: vec![mutation("a", Expect::Absent, Flags::PUT, b"v")],
        state: vec![put("3").over(version)],
        audit: None,
    };
    assert_eq!(store.commit(group).await.err(), Some(CommitError::Conflict));
    assert_eq!(store.count(SECRET.id), 0);
    assert_eq!((store.state_version("none"), store.restore_epoch()), (None, 0));
}

#[tokio::test]
async fn a_change_of_what_decides_access_is_known_before_it_is_acknowledged() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    let before = store.access_revision();
    let role = Mutation { kind_id: ROLE.id, ..mutation("r", Expect::Absent, Flags::PUT, b"v") };
    let made = commit(&store, vec![role]).await.unwrap()[0];
    assert!(before < made && store.access_revision() == made);
    put(&store, "b", Expect::Absent).await.unwrap();
    assert_eq!(store.access_revision(), made);
}

#[tokio::test]
async fn expectations_that_do_not_hold_change_nothing() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    assert_eq!(put(&store, "a", Expect::Absent).await, Err(CommitError::AlreadyExists { terminating: false }));
    assert_eq!(put(&store, "a", Expect::Revision(9)).await, Err(CommitError::Conflict));
    assert_eq!(put(&store, "b", Expect::Revision(1)).await, Err(CommitError::NotFound));
    let nowhere = Mutation { namespace_must_be_active: true, ..mutation("c", Expect::Absent, Flags::PUT, b"") };
    assert_eq!(commit(&store, vec![nowhere]).await, Err(CommitError::NamespaceNotFound));
    // The second change of a group fails: the first is not made either.
    let group = vec![mutation("c", Expect::Absent, Flags::PUT, b"v"), mutation("a", Expect::Absent, Flags::PUT, b"v")];
    assert!(commit(&store, group).await.is_err());
    assert_eq!(store.find(SECRET.id, "n", "c").unwrap(), None);
    // The changes of a group see each other.
    let namespace =
        Mutation { kind_id: NAMESPACE.id, namespace: String::new(), ..mutation("n", Expect::Absent, Flags::PUT, b"") };
    let inside = Mutation { namespace_must_be_active: true, ..mutation("d", Expect::Absent, Flags::PUT, b"v") };
    assert_eq!(commit(&store, vec![namespace, inside]).await, Ok(vec![2, 3]));
    assert_eq!(store.revision(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_writers_wins_each_name_and_every_revision_is_used_once() {
    let home = Home::make().await;
    let store = home.open().await;
    let tasks: Vec<_> = (0..64)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, &format!("s{}", at % 16), Expect::Absent).await })
        })
        .collect();
    let mut revisions = Vec::new();
    for task in tasks {
        revisions.extend(task.await.unwrap().ok());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=16).collect::<Vec<_>>());
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!(store.count(SECRET.id), 16);
}

#[tokio::test]
async fn pages_show_one_revision_and_count_what_follows() {
    let home = Home::make().await;
    let store = home.open().await;
    for name in ["a", "b", "c", "d"] {
        put(&store, name, Expect::Absent).await.unwrap();
    }
    let first = store.snapshot(SECRET.id, &Range { limit: Some(3), ..Range::default() }).unwrap();
    assert_eq!((first.revision, &*first.revisions, first.remaining), (4, &[1, 2, 3][..], Some(1)));
    put(&store, "cc", Expect::Absent).await.unwrap();
    let after = Some(("n", "c"));
    let next = Range { at: Some(4), after, limit: Some(3), remaining: Some(1), ..Range::default() };
    assert_eq!(store.snapshot(SECRET.id, &next).unwrap().revisions, [4]);
    // Without a known number what follows is counted, at the revision of the page.
    let second = Range { at: Some(4), after: Some(("n", "a")), limit: Some(1), ..Range::default() };
    assert_eq!(store.snapshot(SECRET.id, &second).unwrap().remaining, Some(2));
    let all = store.snapshot(SECRET.id, &Range { limit: Some(5), ..Range::default() }).unwrap();
    assert_eq!((all.revisions.len(), all.remaining.unwrap_or(0)), (5, 0));
}

#[tokio::test]
async fn compaction_leaves_the_latest_and_what_the_window_shows() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    put(&store, "a", Expect::Revision(1)).await.unwrap();
    put(&store, "b", Expect::Absent).await.unwrap();
    delete(&store, "b", 3).await;
    put(&store, "a", Expect::Revision(2)).await.unwrap();
    store.compact(4).await.unwrap();
    assert_eq!((listed(&store, Some(4)), listed(&store, None)), (vec![2], vec![5]));
    assert!(matches!(store.row(1), Err(ReadError::NotFound { .. })));
    assert_eq!(store.replay(SECRET.id, None, 3), Err(ReplayError::Compacted { line: 4 }));
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!((store.compacted(), store.revision()), (4, 5));
    assert_eq!(listed(&store, Some(4)), [2]);
    // A line drawn before a crash is cleaned up behind after it.
    store.compact(5).await.unwrap();
    assert!(matches!(store.row(2), Err(ReadError::NotFound { .. })));
    // A revision whose row is gone is not given again.
    let gone = delete(&store, "a", 5).await;
    store.compact(gone).await.unwrap();
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!(put(&store, "z", Expect::Absent).await, Ok(gone + 1));
}

#[tokio::test]
async fn a_database_is_made_once_and_whole() {
    let home = Home::make().await;
    let material = keys::KeyMaterial { store_id: [0; 16], keyring: vec![], slots: vec![] };
    assert!(matches!(keys::create(&home.path(), &material, &home.keyring).await, Err(StoreError::Exists)));
    // What a start left that was cut off is made anew.
    let other = home.folder.path().join("other");
    std::fs::write(home.folder.path().join("other.new"), b"half").unwrap();
    keys::create(&other, &material, &home.keyring).await.unwrap();
    assert!(other.exists() && !home.folder.path().join("other.new").exists());
    assert!(keys::read_key_material(&home.folder.path().join("nowhere")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_changes_nothing_and_closes_the_store_for_writing() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    // The number of the next row is taken.
    home.sql(
        "INSERT INTO versions SELECT 2, kind, namespace, name, uid, flags, created_at, term, meta, data FROM versions",
    );
    let tasks: Vec<_> = (0..64)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, &format!("s{at}"), Expect::Absent).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Err(CommitError::Unavailable(_))));
    }
    assert!(store.refusal().unwrap().contains("none of ours is in the way"));
    assert_eq!((store.revision(), store.count(SECRET.id)), (1, 1));
    assert!(matches!(put(&store, "z", Expect::Absent).await, Err(CommitError::Unavailable(_))));
}

#[tokio::test]
async fn whoever_is_refused_for_a_change_finds_it_made() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    // Both wait together, so that one transaction takes them.
    let loser = async {
        let refused = put(&store, "a", Expect::Revision(1)).await;
        (refused, store.find(SECRET.id, "n", "a").unwrap().unwrap().revision)
    };
    let (won, lost) = tokio::join!(put(&store, "a", Expect::Revision(1)), loser);
    assert_eq!((won, lost), (Ok(2), (Err(CommitError::Conflict), 2)));
}

#[tokio::test]
async fn nobody_is_refused_for_a_change_that_failed() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    home.sql("DROP TABLE versions");
    let (first, second) = tokio::join!(put(&store, "b", Expect::Absent), put(&store, "b", Expect::Absent));
    assert!(matches!((first, second), (Err(CommitError::Unavailable(_)), Err(CommitError::Unavailable(_)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_name_follow_each_other_and_lose_nothing() {
    let home = Home::make().await;
    let store = home.open().await;
    put(&store, "a", Expect::Absent).await.unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut won = 0_u32;
                while won < 8 {
                    let revision = store.find(SECRET.id, "n", "a").unwrap().unwrap().revision;
                    match put(&store, "a", Expect::Revision(revision)).await {
                        Ok(_) => won += 1,
                        Err(CommitError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // Every write that was acknowledged has a revision, and there are no others.
    assert_eq!(store.revision(), 1 + 32 * 8);
    assert_eq!(store.replay(SECRET.id, None, 0).unwrap().len(), 1 + 32 * 8);
    store.close().await.unwrap();
    assert!(home.open().await.findings().is_empty());
}

#[tokio::test]
async fn old_versions_go_while_writes_go_on() {
    let home = Home::make().await;
    let store = home.open().await;
    let mut revision = put(&store, "a", Expect::Absent).await.unwrap();
    for _ in 0..600 {
        revision = put(&store, "a", Expect::Revision(revision)).await.unwrap();
    }
    store.shared.index_mut().draw_line(revision);
    for _ in 0..300 {
        revision = put(&store, "a", Expect::Revision(revision)).await.unwrap();
    }
    assert!(matches!(store.row(1), Err(ReadError::NotFound { .. })));
    store.close().await.unwrap();
    assert!(home.open().await.findings().is_empty());
}

#[tokio::test]
async fn cleaning_up_that_fails_does_not_close_the_store_for_writing() {
    let home = Home::make().await;
    let store = home.open().await;
    let first = put(&store, "a", Expect::Absent).await.unwrap();
    let second = put(&store, "a", Expect::Revision(first)).await.unwrap();
    // A reader of SQLite's own holds the place of the writer: cleaning waits, gives up, and may be tried again.
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(store.compact(second).await.is_err());
    connection.execute_batch("ROLLBACK").unwrap();
    assert!(put(&store, "b", Expect::Absent).await.is_ok());
    assert_eq!(store.refusal(), None);
    store.compact(second).await.unwrap();
    assert!(matches!(store.row(first), Err(ReadError::NotFound { .. })));
}

#[tokio::test]
async fn audit_records_are_read_back_in_either_direction_and_their_end_is_known() {
    let home = Home::make().await;
    let store = home.open().await;
    assert_eq!(store.audit_end(), ChainEnd { sequence: 0, link: home.keyring.audit_start(AUDIT_CHAIN) });
    for name in ["a", "b", "c"] {
        let mutations = vec![mutation(name, Expect::Absent, Flags::PUT, b"value")];
        store.commit(Group { mutations, state: Vec::new(), audit: Some(name.as_bytes().to_vec()) }).await.unwrap();
    }
    store.write_state(vec![StateChange::put("k", SecretBytes::new(vec![1]))], Some(b"d".to_vec())).await.unwrap();
    store.write_state(vec![StateChange::put("k", SecretBytes::new(vec![2]))], None).await.unwrap();
    let read = |records: Result<Vec<(u64, SecretBytes)>, AuditReadError>| -> Vec<(u64, String)> {
        records.unwrap().iter().map(|(number, text)| (*number, text_of(text))).collect()
    };
    let pairs = |expected: &[(u64, &str)]| -> Vec<(u64, String)> {
        expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    };
    assert_eq!(read(store.audit_records(0, 10)), pairs(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]));
    assert_eq!(read(store.audit_records(2, 1)), pairs(&[(3, "c")]));
    assert_eq!(read(store.audit_records_before(u64::MAX, 2)), pairs(&[(4, "d"), (3, "c")]));
    assert_eq!(read(store.audit_records_before(2, 9)), pairs(&[(1, "a")]));
    let rows = store.audit_rows(0, 10).unwrap();
    assert_eq!(store.audit_end(), ChainEnd { sequence: 4, link: rows[3].link });
    store.close().await.unwrap();

    home.sql("UPDATE audit SET record = (SELECT record FROM audit WHERE sequence = 1) WHERE sequence = 2");
    let store = home.open().await;
    assert_eq!(store.audit_end().sequence, 4);
    assert_eq!(store.audit_records(0, 10).err(), Some(AuditReadError::Integrity { sequence: 2 }));
    assert_eq!(store.audit_rows(0, 10).unwrap().len(), 4);
}

#[tokio::test]
async fn audit_records_that_are_kept_elsewhere_go_and_the_chain_goes_on_from_the_last_of_them() {
    let home = Home::make().await;
    let store = home.open().await;
    let write = async |store: &Store, names: &[&str]| {
        for name in names {
            let mutations = vec![mutation(name, Expect::Absent, Flags::PUT, b"value")];
            store.commit(Group { mutations, state: Vec::new(), audit: Some(name.as_bytes().to_vec()) }).await.unwrap();
        }
    };
    assert_eq!(store.removable_audit(9, 9), Ok(None));
    write(&store, &["a", "b", "c", "d"]).await;
    let rows = store.audit_rows(0, 10).unwrap();
    let end = |number: usize| ChainEnd { sequence: number as u64, link: rows[number - 1].link };
    assert_eq!(store.removable_audit(0, 9), Ok(None));
    assert_eq!(store.removable_audit(9, 2), Ok(Some(end(2))));
    assert_eq!(store.removable_audit(3, 9), Ok(Some(end(3))));
    store.remove_audit(end(3)).await.unwrap();
    assert_eq!((store.audit_removed(), store.audit_end()), (end(3), end(4)));
    assert_eq!(store.audit_rows(0, 10).unwrap(), rows[3..]);
    store.close().await.unwrap();

    let store = home.open().await;
    assert_eq!((store.audit_removed(), store.audit_end()), (end(3), end(4)));
    store.remove_audit(store.removable_audit(9, 9).unwrap().unwrap()).await.unwrap();
    store.close().await.unwrap();

    // With none left, numbers and links go on all the same.
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!((store.audit_removed(), store.audit_end()), (end(4), end(4)));
    write(&store, &["e"]).await;
    assert_eq!(store.audit_rows(0, 10).unwrap()[0].sequence, 5);
    assert_eq!(store.removable_audit(9, 9), Ok(Some(store.audit_end())));
    store.close().await.unwrap();

    // Whoever takes rows away from outside is found: the head knows the end of the chain.
    home.sql("DELETE FROM audit");
    assert!(home.open().await.findings().audit_broken);
}

#[tokio::test]
async fn an_audit_record_that_is_not_the_one_that_was_linked_there_stays() {
    for deed in [
        "UPDATE audit SET record = (SELECT record FROM audit WHERE sequence = 1) WHERE sequence = 2",
        "UPDATE audit SET link = (SELECT link FROM audit WHERE sequence = 1) WHERE sequence = 2",
        "DELETE FROM audit WHERE sequence = 2",
    ] {
        let home = Home::make().await;
        let store = home.open().await;
        for key in ["a", "b", "c"] {
            let change = StateChange::put(key, SecretBytes::new(vec![1]));
            store.write_state(vec![change], Some(key.as_bytes().to_vec())).await.unwrap();
        }
        store.close().await.unwrap();
        home.sql(deed);
        let store = home.open().await;
        let found = store.removable_audit(3, 9);
        assert!(matches!(found, Err(AuditReadError::Integrity { sequence: 2 | 3 })), "{deed}: {found:?}");
        assert_eq!(store.removable_audit(1, 9).unwrap().map(|end| end.sequence), Some(1));
        store.close().await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "tests compare what was opened")]
fn text_of(text: &SecretBytes) -> String {
    String::from_utf8(text.expose().to_vec()).unwrap()
}
