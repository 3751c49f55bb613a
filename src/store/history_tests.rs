//! Versions that are kept, over real files.

use crate::model::kinds::SECRET;
use crate::store::tests::{Home, commit, mutation};
use crate::store::{Destruction, Expect, Flags, Mutation, RecordId, Store};

fn keeping(flags: Flags) -> Flags {
    flags.with(Flags::KEEPS_PREVIOUS, true)
}

async fn write(store: &Store, expect: Expect, flags: Flags, value: &'static [u8]) -> u64 {
    let mutation = Mutation { namespace: "default".to_owned(), ..mutation("a", expect, flags, value) };
    commit(store, vec![mutation]).await.unwrap()[0]
}

async fn namespace(store: &Store) {
    let mut made = mutation("default", Expect::Absent, Flags::PUT, b"");
    (made.kind_id, made.namespace) = (crate::model::kinds::NAMESPACE.id, String::new());
    commit(store, vec![made]).await.unwrap();
}

fn kept(store: &Store) -> Vec<u64> {
    let versions = store.versions(SECRET.id, "default", "a");
    versions.iter().filter(|one| one.is_kept && !one.flags.is_tombstone()).map(|one| one.revision).collect()
}

fn destruction(revisions: Vec<u64>) -> Destruction {
    let (namespace, name) = ("default".to_owned(), "a".to_owned());
    Destruction { kind_id: SECRET.id, namespace, name, revisions, audit: Some(b"{}".to_vec()) }
}

/// Pieces of the sealed data of this revision, which nothing else holds: short ones, for pages part it.
fn sealed_pieces(store: &Store, revision: u64) -> Vec<Vec<u8>> {
    const PIECE_BYTES: usize = 24;
    let row = store.row(revision).unwrap();
    // Behind version, algorithm and term, which others have too.
    let sealed = &row.sealed.data()[6..];
    let last = sealed.len() - PIECE_BYTES;
    [0, last / 3, last / 2, last].map(|from| sealed[from..from + PIECE_BYTES].to_vec()).to_vec()
}

/// How many of the pieces the database and its write-ahead log hold.
fn held(home: &Home, pieces: &[Vec<u8>]) -> usize {
    let wal = std::path::PathBuf::from(format!("{}-wal", home.path().display()));
    let files: Vec<Vec<u8>> = [home.path(), wal].iter().filter_map(|file| std::fs::read(file).ok()).collect();
    let holds = |piece: &&Vec<u8>| {
        files.iter().any(|bytes| bytes.windows(piece.len()).any(|window| window == piece.as_slice()))
    };
    pieces.iter().filter(holds).count()
}

#[tokio::test]
async fn a_kept_version_outlives_compaction_and_a_restart_and_goes_when_it_is_let_go_of() {
    let home = Home::make().await;
    let store = home.open().await;
    namespace(&store).await;
    let one = write(&store, Expect::Absent, Flags::PUT, b"one").await;
    let two = write(&store, Expect::Revision(one), keeping(Flags::PUT), b"two").await;
    let three = write(&store, Expect::Revision(two), Flags::PUT, b"three").await;
    store.compact(three).await.unwrap();
    assert_eq!((kept(&store), store.row(two).is_err()), (vec![one], true));
    store.close().await.unwrap();

    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!(kept(&store), [one]);
    assert_eq!(store.find(SECRET.id, "default", "a").unwrap().unwrap().revision, three);
    store.release(SECRET.id, "default", "a", &[one]);
    assert_eq!(kept(&store), Vec::<u64>::new());
    store.compact(three).await.unwrap();
    assert!(store.row(one).is_err());
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!(store.versions(SECRET.id, "default", "a").len(), 1);
}

#[tokio::test]
async fn a_deleted_object_stays_deleted_while_versions_of_it_are_kept() {
    let home = Home::make().await;
    let store = home.open().await;
    namespace(&store).await;
    let one = write(&store, Expect::Absent, Flags::PUT, b"one").await;
    let end = write(&store, Expect::Revision(one), keeping(Flags::TOMBSTONE), b"").await;
    store.compact(end).await.unwrap();
    store.close().await.unwrap();
    let store = home.open().await;
    assert_eq!((store.find(SECRET.id, "default", "a"), kept(&store)), (Ok(None), vec![one]));
    assert_eq!(store.destroy(destruction(vec![one])).await.unwrap().rows, 1);
    store.compact(end).await.unwrap();
    assert!(store.versions(SECRET.id, "default", "a").is_empty());
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert!(store.versions(SECRET.id, "default", "a").is_empty());
}

#[tokio::test]
async fn nothing_of_a_destroyed_version_is_left_in_the_files() {
    let home = Home::make().await;
    let store = home.open().await;
    namespace(&store).await;
    // Small ones share a page, the large one has pages of its own.
    let large: &'static [u8] = vec![7; 40_000].leak();
    let mut revisions = vec![write(&store, Expect::Absent, Flags::PUT, b"a value of no great length").await];
    for at in 0..20 {
        let value: &'static [u8] = if at % 9 == 4 { large } else { b"a value of no great length" };
        let last = *revisions.last().unwrap();
        revisions.push(write(&store, Expect::Revision(last), keeping(Flags::PUT), value).await);
    }
    let latest = revisions.pop().unwrap();
    let sealed: Vec<Vec<Vec<u8>>> = revisions.iter().map(|revision| sealed_pieces(&store, *revision)).collect();
    assert!(sealed.iter().all(|pieces| held(&home, pieces) >= 3), "what is looked for is there before");
    for (at, revision) in revisions.iter().enumerate().step_by(2) {
        let destroyed = store.destroy(destruction(vec![*revision])).await.unwrap();
        assert_eq!((destroyed.rows, destroyed.log_emptied), (1, true));
        assert_eq!(held(&home, &sealed[at]), 0, "revision {revision}");
        assert!(store.row(*revision).is_err());
    }
    assert_eq!(store.destroy(destruction(vec![latest, revisions[0], 9_999])).await.unwrap().rows, 0);
    let others: Vec<u64> = revisions.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(kept(&store), others);
    assert!(matches!(
        store.snapshot(SECRET.id, &crate::store::Range { at: Some(revisions[1]), ..Default::default() }),
        Err(crate::store::SnapshotError::Compacted { .. })
    ));
    store.close().await.unwrap();
    let store = home.open().await;
    assert!(store.findings().is_empty());
    assert_eq!(kept(&store), others);
}

#[tokio::test]
async fn a_kept_version_that_is_taken_away_or_put_back_shows_at_the_next_start() {
    let home = Home::make().await;
    let store = home.open().await;
    namespace(&store).await;
    let one = write(&store, Expect::Absent, Flags::PUT, b"one").await;
    let two = write(&store, Expect::Revision(one), keeping(Flags::PUT), b"two").await;
    let three = write(&store, Expect::Revision(two), keeping(Flags::PUT), b"three").await;
    store.compact(three).await.unwrap();
    store.close().await.unwrap();
    home.sql("CREATE TABLE aside AS SELECT * FROM versions");
    home.sql(&format!("DELETE FROM versions WHERE revision = {one}"));
    home.sql("DROP TABLE aside");
    let store = home.open().await;
    assert!(store.findings().forbids_writes(), "one was taken away");
    assert!(store.find(SECRET.id, "default", "a").is_err());
}

#[tokio::test]
async fn a_destroyed_version_that_is_put_back_shows_at_the_next_start() {
    let home = Home::make().await;
    let store = home.open().await;
    namespace(&store).await;
    let one = write(&store, Expect::Absent, Flags::PUT, b"one").await;
    write(&store, Expect::Revision(one), keeping(Flags::PUT), b"two").await;
    let row = store.row(one).unwrap();
    assert_eq!(store.destroy(destruction(vec![one])).await.unwrap().rows, 1);
    store.close().await.unwrap();
    let id: RecordId<'_> = row.record_id();
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    connection
        .execute(
            "INSERT INTO versions (revision, kind, namespace, name, uid, flags, created_at, term, meta, data) \
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 7, ?6, ?7, ?8)",
            rusqlite::params![
                one.cast_signed(),
                id.kind,
                id.namespace,
                id.name,
                id.uid,
                row.sealed.term(),
                row.sealed.meta(),
                row.sealed.data()
            ],
        )
        .unwrap();
    drop(connection);
    assert!(home.open().await.findings().forbids_writes());
}
