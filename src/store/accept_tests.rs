//! What is accepted is what was found, and nothing besides.

use super::super::examine::{Examination, examine, examine_to_accept};
use super::super::tamper_tests::written;
use super::super::tests::Home;
use super::{Acceptance, StoreError, accept};

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
