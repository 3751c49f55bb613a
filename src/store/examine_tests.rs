//! What an examination finds that a start does not look for, and what it leaves as it is.

use std::sync::Arc;

use super::super::StoreError;
use super::super::tamper_tests::written;
use super::super::tests::Home;
use super::{Effect, Examination, examine};

async fn examined(home: &Home) -> Examination {
    examine(&home.path(), &home.keyring).await.unwrap()
}

fn with_head(home: &Home, change: impl FnOnce(&mut [u8])) {
    let connection = rusqlite::Connection::open(home.path()).unwrap();
    let sealed: Vec<u8> = connection.query_row("SELECT sealed FROM head", [], |row| row.get(0)).unwrap();
    let mut plain = home.keyring.open_head(&sealed).unwrap();
    change(&mut plain);
    let sealed = home.keyring.seal_head(&plain).unwrap();
    connection.execute("UPDATE head SET sealed = ?1", [sealed]).unwrap();
}

#[tokio::test]
async fn a_count_that_is_another_one_than_was_sealed_is_found() {
    let home = written().await;
    // Slots are made up in these tests.
    let intact = examined(&home).await;
    assert!(intact.findings.iter().all(|finding| finding.area == "slots"), "{:?}", intact.findings);
    with_head(&home, |plain| {
        // The last byte of the first kind's count: its name lies before it.
        let name = plain.windows(7).position(|bytes| bytes == b"/Secret").unwrap();
        plain[name + 7 + 7] += 1;
    });
    let found = examined(&home).await;
    let counts: Vec<_> = found.findings.iter().filter(|finding| finding.area == "counts").collect();
    assert!(matches!(&*counts, [one] if one.problem.contains("/Secret") && one.effect == Effect::Served), "{counts:?}");
    assert!(home.try_open().await.is_ok());
}

#[tokio::test]
async fn a_head_of_a_newer_release_is_refused_in_clear_words() {
    let home = written().await;
    with_head(&home, |plain| plain[0] = 2);
    let started = home.try_open().await.err().unwrap();
    let examined = examine(&home.path(), &Arc::clone(&home.keyring)).await.err().unwrap();
    for error in [started, examined] {
        assert!(matches!(error, StoreError::Newer(_)), "{error}");
        assert!(error.to_string().contains("a newer release (the head of the store has format version 2"), "{error}");
    }
}
