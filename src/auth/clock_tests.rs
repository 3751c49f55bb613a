//! Clocks that are wrong: before 1970, set back, far ahead. Nobody is let in twice, nothing panics, and once the clock
//! is right everything goes on.

use super::test_home::{Home, PASSWORD, START, close, text};
use super::*;

const DAY: i64 = 86_400;
const CENTURY: i64 = 36_525 * DAY;

fn pass(home: &Home, seconds: i64) {
    home.advance(seconds);
    home.passed_seconds.fetch_add(seconds.cast_unsigned(), Ordering::SeqCst);
}

fn robot(home: &Home) -> TokenRequest<'static> {
    home.people.set("ServiceAccount", "default", "robot", Some("u-r"));
    TokenRequest {
        namespace: "default",
        name: "robot",
        uid: "u-r",
        audiences: &[],
        expiration_seconds: 3600,
        secret: None,
    }
}

#[tokio::test]
async fn a_clock_before_1970_makes_nothing_that_counts_and_breaks_nothing() {
    let home = Home::make().await;
    home.advance(-(START + 10 * CENTURY));
    let auth = home.open().await;
    home.add_user(&auth, "alice", "u-1").await;
    auth.tick(&home.people).await;
    let made = home.login(&auth, "alice", PASSWORD).await;
    let minted = auth.mint(&robot(&home));
    for token in [made.ok().map(|made| text(&made.access_token)), minted.ok().map(|made| text(&made.token))] {
        assert!(token.is_none_or(|token| home.bearer(&auth, token.as_bytes()).is_err()));
    }
    for _ in 0..6 {
        assert!(home.login(&auth, "alice", "not the one at all").await.is_err());
    }
    auth.tick(&home.people).await;
    close(auth).await;
    // The next start has a clock that is right.
    home.advance(START + 10 * CENTURY);
    let auth = home.open().await;
    auth.tick(&home.people).await;
    let made = home.login(&auth, "alice", PASSWORD).await.unwrap();
    assert!(home.bearer(&auth, text(&made.access_token).as_bytes()).is_ok());
    let minted = auth.mint(&robot(&home)).ok().unwrap();
    assert!(home.bearer(&auth, text(&minted.token).as_bytes()).is_ok());
}

#[tokio::test]
async fn a_clock_that_is_set_back_brings_back_neither_session_nor_token_nor_attempts() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.add_user(&auth, "alice", "u-1").await;
    let made = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let minted = auth.mint(&robot(&home)).ok().unwrap();
    pass(&home, 8 * DAY);
    let refused = |token: &SecretBytes| home.bearer(&auth, text(token).as_bytes()).is_err();
    assert!(refused(&made.access_token) && refused(&minted.token));
    home.advance(-8 * DAY);
    assert!(refused(&made.access_token) && refused(&minted.token));
    assert!(home.refresh(&auth, &text(&made.refresh_token)).await.is_err());

    let guess = async || home.login(&auth, "alice", "not the one at all").await;
    let wait = loop {
        match guess().await {
            Err(LoginError::Throttled { retry_after_seconds }) => break retry_after_seconds,
            Err(LoginError::Invalid(_)) => {}
            _ => panic!("a wrong password is refused"),
        }
    };
    for back in [DAY, CENTURY, START] {
        home.advance(-back);
        let Err(LoginError::Throttled { retry_after_seconds }) = guess().await else { panic!("there is a wait") };
        assert_eq!(retry_after_seconds, wait);
    }
    home.advance(DAY + CENTURY + START + 9 * DAY);
    assert!(home.login(&auth, "alice", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn what_a_clock_far_ahead_has_made_ends_when_it_is_put_right() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.add_user(&auth, "alice", "u-1").await;
    let before = home.login(&auth, "alice", PASSWORD).await.unwrap();
    home.advance(CENTURY);
    auth.tick(&home.people).await;
    assert!(home.bearer(&auth, text(&before.access_token).as_bytes()).is_err());
    let ahead = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let minted = auth.mint(&robot(&home)).ok().unwrap();
    assert!(home.bearer(&auth, text(&ahead.access_token).as_bytes()).is_ok(), "while it lasts the clock counts");
    let kids = || auth.jwks()["keys"].as_array().unwrap().len();
    assert_eq!(kids(), 2, "the former key is retired");

    home.advance(-CENTURY);
    for token in [&ahead.access_token, &minted.token, &before.access_token] {
        assert!(home.bearer(&auth, text(token).as_bytes()).is_err());
    }
    assert!(home.refresh(&auth, &text(&ahead.refresh_token)).await.is_err(), "it would not end for a century");
    auth.tick(&home.people).await;
    assert_eq!(kids(), 3, "the key of the future signs no more");
    let made = home.login(&auth, "alice", PASSWORD).await.unwrap();
    assert!(home.bearer(&auth, text(&made.access_token).as_bytes()).is_ok());
    auth.tick(&home.people).await;
    close(auth).await;
    let auth = home.open().await;
    assert!(home.bearer(&auth, text(&made.access_token).as_bytes()).is_ok());
    assert!(home.refresh(&auth, &text(&made.refresh_token)).await.is_ok());
}

#[tokio::test]
async fn what_had_ended_by_the_last_commit_before_a_crash_stays_so() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.add_user(&auth, "alice", "u-1").await;
    auth.tick(&home.people).await;
    let minted = auth.mint(&robot(&home)).ok().unwrap();
    pass(&home, 3601);
    // Nothing but a commit: the next tick is not due.
    home.set_password(&auth, "alice", "u-1", PASSWORD).await;
    close(auth).await;
    home.advance(-3601);
    let auth = home.open().await;
    assert!(home.bearer(&auth, text(&minted.token).as_bytes()).is_err());

    // A clock that was wrong for a moment counts for no more than a day, and until it is accepted.
    home.advance(CENTURY);
    home.set_password(&auth, "alice", "u-1", PASSWORD).await;
    home.advance(-CENTURY);
    close(auth).await;
    let auth = home.open().await;
    assert!(auth.time.unix_seconds() <= START + 3601 + DAY);
    auth.accept_clock(None).await.unwrap();
    close(auth).await;
    let auth = home.open().await;
    assert_eq!(auth.time.unix_seconds(), START);
}
