//! Sessions by themselves: how many there are, and what is left of them on the disk.

use super::*;
use crate::auth::Authenticator;
use crate::auth::test_home::{Home, START, close};

fn rows(auth: &Authenticator) -> usize {
    auth.store.state_keys(ROW_PREFIX).len()
}

async fn begin(auth: &Authenticator, uid: &str, now: i64) -> Grant {
    auth.sessions.begin(("alice", uid, 5), now, Vec::new(), |_| Vec::new()).await.unwrap()
}

/// Waits for what was removed without anybody waiting for it: the writer takes one after the other.
async fn settled(auth: &Authenticator, count: usize) {
    while rows(auth) != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_user_has_a_hundred_sessions_and_the_one_unused_for_longest_makes_room() {
    let home = Home::make().await;
    let auth = home.open().await;
    let oldest = begin(&auth, "u-1", START).await;
    let used = begin(&auth, "u-1", START + 1).await;
    for at in 2..i64::try_from(PER_USER_MAX).unwrap() {
        begin(&auth, "u-1", START + at).await;
    }
    let other = begin(&auth, "u-2", START).await;
    let token = used.refresh_token;
    auth.sessions.refresh(&token, START + 500, |_| true, |_| Vec::new()).await.unwrap();
    let newest = begin(&auth, "u-1", START + 600).await;
    let live = |grant: &Grant| auth.sessions.is_live(grant.id, &grant.session.uid, 5, START + 600);
    assert!(live(&newest) && live(&other) && !live(&oldest));
    assert!(auth.sessions.is_live(used.id, "u-1", 5, START + 600));
    assert_eq!(auth.session_count(), PER_USER_MAX + 1);
    settled(&auth, PER_USER_MAX + 1).await;
}

#[tokio::test]
async fn a_session_is_live_for_its_own_user_and_password_alone() {
    let home = Home::make().await;
    let auth = home.open().await;
    let grant = begin(&auth, "u-1", START).await;
    for (uid, generation, at, is_live) in [
        ("u-1", 5, START, true),
        ("u-1", 5, START + IDLE_SECONDS - 1, true),
        ("u-1", 5, START + IDLE_SECONDS, false),
        ("u-1", 6, START, false),
        ("u-2", 5, START, false),
    ] {
        assert_eq!(auth.sessions.is_live(grant.id, uid, generation, at), is_live, "{uid} {generation} {at}");
    }
    assert!(!auth.sessions.is_live(SessionId([0; 16]), "u-1", 5, START));
}

#[tokio::test]
async fn cleaning_removes_what_is_over_from_memory_and_disk() {
    let home = Home::make().await;
    let auth = home.open().await;
    begin(&auth, "u-1", START).await;
    begin(&auth, "u-2", START + 10).await;
    let kept = begin(&auth, "u-3", START + 10).await;
    auth.sessions.clean(START + IDLE_SECONDS, |session| session.uid != "u-2").await.unwrap();
    assert_eq!((auth.session_count(), rows(&auth)), (1, 1));
    assert!(auth.sessions.is_live(kept.id, "u-3", 5, START + 10));
}

#[tokio::test]
async fn every_session_of_a_user_but_one_is_ended() {
    let home = Home::make().await;
    let auth = home.open().await;
    let (kept, _, other) =
        (begin(&auth, "u-1", START).await, begin(&auth, "u-1", START).await, begin(&auth, "u-2", START).await);
    assert_eq!(auth.sessions.end_all("u-1", Some(kept.id), None).await.unwrap(), 1);
    assert!(auth.sessions.is_live(kept.id, "u-1", 5, START) && auth.sessions.is_live(other.id, "u-2", 5, START));
    assert_eq!(rows(&auth), 2);
    assert_eq!(auth.end_sessions("u-1", Some(b"{}".to_vec())).await, Ok(1));
    assert_eq!(auth.end_sessions("u-9", None).await, Ok(0));
}

#[tokio::test]
async fn sessions_of_another_epoch_and_rows_that_are_none_are_cleaned_away() {
    let home = Home::make().await;
    let auth = home.open().await;
    let grant = begin(&auth, "u-1", START).await;
    let restored = Session { epoch: 1, ..grant.session.clone() };
    let junk = StateChange::put(SessionId([1; 16]).row_key(), SecretBytes::new(b"junk".to_vec()));
    auth.store.write_state(vec![restored.row(SessionId([2; 16])), junk], None).await.unwrap();
    close(auth).await;
    let auth = home.open().await;
    assert_eq!((auth.session_count(), rows(&auth)), (1, 3));
    auth.sessions.clean(START, |_| true).await.unwrap();
    assert_eq!((auth.session_count(), rows(&auth)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refresh_token_used_by_many_at_once_has_one_successor() {
    let home = Home::make().await;
    let auth = home.open().await;
    let token = Arc::new(begin(&auth, "u-1", START).await.refresh_token);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (sessions, token) = (Arc::clone(&auth.sessions), Arc::clone(&token));
            tokio::spawn(
                async move { sessions.refresh(&token, START, |_| true, |_| Vec::new()).await.unwrap().session },
            )
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().number, 1);
    }
}

#[tokio::test]
async fn a_session_that_ends_while_it_is_refreshed_does_not_come_back() {
    let home = Home::make().await;
    let auth = home.open().await;
    let grant = begin(&auth, "u-1", START).await;
    // The refresh holds the session's turn when it is ended from within.
    let ended = Arc::new(Mutex::new(None));
    let (sessions, handle) = (Arc::clone(&auth.sessions), Arc::clone(&ended));
    let may_go_on = move |_: &Session| {
        let sessions = Arc::clone(&sessions);
        let id = grant.id;
        sessions.tables_mut().remove(id);
        *handle.lock().unwrap() = Some(sessions.remove_rows(vec![id], None));
        true
    };
    auth.sessions.refresh(&grant.refresh_token, START, may_go_on, |_| Vec::new()).await.unwrap();
    let removing = ended.lock().unwrap().take().unwrap();
    removing.await.unwrap().unwrap();
    assert_eq!((auth.session_count(), rows(&auth)), (0, 0));
}
