//! Signing in and out over a real store.

use super::super::outcome::RefusalReason::{
    Disabled, NoPassword, SessionOver, SpentToken, UnknownToken, UnknownUser, WrongPassword,
};
use super::super::test_home::{Home, PASSWORD, START, close, cost, record, secret, text};
use super::super::{Settings, Unauthorized};
use super::*;

fn reason<T>(outcome: Result<T, LoginError>) -> (Option<String>, RefusalReason) {
    match outcome.err().unwrap() {
        LoginError::Invalid(Refusal { user, reason }) => (user, reason),
        other => panic!("{other:?}"),
    }
}

async fn home_with_alice() -> (Home, Authenticator) {
    let home = Home::make().await;
    let auth = home.open().await;
    home.add_user(&auth, "alice", "u-1").await;
    (home, auth)
}

#[tokio::test]
async fn a_user_signs_in_and_is_known_by_the_access_token() {
    let (home, auth) = home_with_alice().await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    assert_eq!((tokens.expires_in_seconds, tokens.refresh_expires_in_seconds), (900, 604_800));
    assert!(text(&tokens.refresh_token).starts_with("sr_rt_"));
    assert_eq!((tokens.facts.user.as_str(), tokens.facts.uid.as_str()), ("alice", "u-1"));
    let identity = home.bearer(&auth, text(&tokens.access_token).as_bytes()).unwrap();
    assert_eq!((identity.user.name.as_str(), identity.user.uid.as_str()), ("alice", "u-1"));
    assert_eq!(identity.user.groups, ["dev", "system:authenticated"]);
    assert_eq!(identity.credential.session().unwrap().to_string(), tokens.facts.session);
    assert_eq!(identity.credential.expires_at_unix_seconds(), Some(START + 900));
    assert!(home.bearer(&auth, text(&tokens.refresh_token).as_bytes()).is_err(), "it is good for refreshing alone");
}

#[tokio::test]
async fn what_is_wrong_with_a_login_is_told_to_the_record_alone() {
    let (home, auth) = home_with_alice().await;
    home.people.set_user("bob", "u-2", &[], false);
    home.add_user(&auth, "carol", "u-3").await;
    home.people.set_user("carol", "u-3", &[], true);
    for (user, password, known, why) in [
        ("alice", "kettle-orbit-fourteen", true, WrongPassword),
        ("alice", "", true, WrongPassword),
        ("Alice", PASSWORD, false, UnknownUser),
        ("hunter2hunter2", PASSWORD, false, UnknownUser),
        ("bob", PASSWORD, true, NoPassword),
        ("carol", "kettle-orbit-fourteen", true, WrongPassword),
        ("carol", PASSWORD, true, Disabled),
    ] {
        let expected = (known.then(|| user.to_owned()), why);
        assert_eq!(reason(home.login(&auth, user, password).await), expected, "{user} {password}");
        home.advance(300);
    }
    assert!(home.login(&auth, "alice", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn passwords_that_are_no_text_or_endless_are_wrong_ones() {
    let (home, auth) = home_with_alice().await;
    for password in [vec![0xff; 20], vec![b'x'; 4096]] {
        let outcome = auth.login("alice", SecretBytes::new(password), None, &home.people, record()).await;
        assert_eq!(reason(outcome).1, WrongPassword);
    }
}

#[tokio::test]
async fn one_password_is_right_in_every_spelling_of_its_letters() {
    let home = Home::make().await;
    let auth = home.open().await;
    home.people.set_user("alice", "u-1", &[], false);
    home.set_password(&auth, "alice", "u-1", "Bu\u{308}cherregal am Tor").await;
    assert!(home.login(&auth, "alice", "B\u{fc}cherregal am Tor").await.is_ok());
}

#[tokio::test]
async fn guessing_gets_slower_and_a_locked_attempt_is_not_looked_at() {
    let (home, auth) = home_with_alice().await;
    for _ in 0..4 {
        assert_eq!(reason(home.login(&auth, "alice", "kettle-orbit-fourteen").await).1, WrongPassword);
    }
    let locked = Some(LoginError::Throttled { retry_after_seconds: 1 });
    assert_eq!(home.login(&auth, "alice", PASSWORD).await.err(), locked, "not even the right one");
    assert_eq!(home.login(&auth, " ALICE ", PASSWORD).await.err(), locked, "in no spelling");
    let elsewhere = Some([192, 0, 2, 99].into());
    assert!(auth.login("alice", secret(PASSWORD), elsewhere, &home.people, record()).await.is_ok());
    home.advance(1);
    assert!(home.login(&auth, "alice", PASSWORD).await.is_ok());
    for _ in 0..3 {
        assert_eq!(reason(home.login(&auth, "alice", "kettle-orbit-fourteen").await).1, WrongPassword);
    }
    assert!(home.login(&auth, "alice", PASSWORD).await.is_ok(), "a right one made them forgotten");
}

#[tokio::test]
async fn a_restart_does_not_forget_who_has_to_wait() {
    let (home, auth) = home_with_alice().await;
    for _ in 0..4 {
        assert_eq!(reason(home.login(&auth, "alice", "kettle-orbit-fourteen").await).1, WrongPassword);
    }
    auth.tick(&home.people).await;
    close(auth).await;
    let auth = home.open().await;
    assert_eq!(
        home.login(&auth, "alice", PASSWORD).await.err(),
        Some(LoginError::Throttled { retry_after_seconds: 1 })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_once_are_no_more_than_few_guesses() {
    let (home, auth) = home_with_alice().await;
    let (home, auth) = (Arc::new(home), Arc::new(auth));
    let guesses: Vec<_> = (0..40)
        .map(|at| {
            let (home, auth) = (Arc::clone(&home), Arc::clone(&auth));
            tokio::spawn(async move { home.login(&auth, "alice", &format!("kettle-orbit-{at}")).await.err().unwrap() })
        })
        .collect();
    let mut looked_at = 0;
    for guess in guesses {
        looked_at += usize::from(matches!(guess.await.unwrap(), LoginError::Invalid(_)));
    }
    assert_eq!(looked_at, 4);
}

#[tokio::test]
async fn users_who_do_not_exist_wait_for_their_turn_too_and_a_full_queue_costs_nothing() {
    let (home, mut auth) = home_with_alice().await;
    let before = auth.hashing.blocked_for_test();
    for _ in 0..10 {
        for user in ["alice", "nobody"] {
            let outcome = home.login(&auth, user, PASSWORD).await;
            assert!(matches!(outcome, Err(LoginError::Busy { retry_after_seconds: 1.. })), "{user}");
        }
    }
    auth.hashing = before;
    assert!(home.login(&auth, "alice", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_higher_cost_takes_hold_at_the_next_login_and_ends_no_session() {
    let (home, auth) = home_with_alice().await;
    let first = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let version = auth.store.state_version("password/u-1");
    home.login(&auth, "alice", PASSWORD).await.unwrap();
    assert_eq!(auth.store.state_version("password/u-1"), version, "nothing to be made better");
    close(auth).await;
    let auth = home.open_with(Settings { password_cost: cost(20 * 1024, 1), ..Home::settings() }).await;
    assert!(home.login(&auth, "alice", "kettle-orbit-fourteen").await.is_err());
    assert_eq!(auth.store.state_version("password/u-1"), version, "a wrong password changes nothing");
    home.login(&auth, "alice", PASSWORD).await.unwrap();
    let stored = auth.stored_password("password/u-1").unwrap().unwrap();
    assert!(text(&stored.phc).contains("m=20480"));
    assert!(home.login(&auth, "alice", PASSWORD).await.is_ok());
    assert!(home.bearer(&auth, text(&first.access_token).as_bytes()).is_ok());
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_used_twice_it_ends_the_session() {
    let (home, auth) = home_with_alice().await;
    let first = home.login(&auth, "alice", PASSWORD).await.unwrap();
    home.advance(600);
    let second = home.refresh(&auth, &text(&first.refresh_token)).await.unwrap();
    assert_eq!(first.facts, second.facts);
    home.advance(20);
    let third = home.refresh(&auth, &text(&second.refresh_token)).await.unwrap();
    let access = text(&third.access_token);
    assert!(home.bearer(&auth, access.as_bytes()).is_ok());
    // The first was exchanged twice over: somebody else has it.
    let outcome = home.refresh(&auth, &text(&first.refresh_token)).await;
    assert_eq!(reason(outcome), (Some("alice".to_owned()), SpentToken));
    assert!(home.bearer(&auth, access.as_bytes()).is_err());
    assert_eq!(reason(home.refresh(&auth, &text(&third.refresh_token)).await), (None, UnknownToken));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_for_thirty_seconds() {
    let (home, auth) = home_with_alice().await;
    let first = home.login(&auth, "alice", PASSWORD).await.unwrap();
    home.advance(60);
    let answer = home.refresh(&auth, &text(&first.refresh_token)).await.unwrap();
    home.advance(30);
    let again = home.refresh(&auth, &text(&first.refresh_token)).await.unwrap();
    assert_eq!(text(&answer.refresh_token), text(&again.refresh_token));
    home.advance(1);
    assert_eq!(reason(home.refresh(&auth, &text(&first.refresh_token)).await).1, SpentToken);
}

#[tokio::test]
async fn made_up_refresh_tokens_end_nobodys_session() {
    let (home, auth) = home_with_alice().await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let good = text(&tokens.refresh_token);
    for at in 0..good.len() {
        let mut bad = good.clone().into_bytes();
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        let bad = String::from_utf8(bad).unwrap();
        assert_eq!(reason(home.refresh(&auth, &bad).await).1, UnknownToken, "{at}");
    }
    for bad in ["", "sr_rt_", "x", &good[6..], &format!("{good}="), &format!("{good}A"), &good[..good.len() - 1]] {
        assert_eq!(reason(home.refresh(&auth, bad).await).1, UnknownToken, "{bad}");
    }
    let other = Home::make().await;
    let foreign = other.open().await;
    other.add_user(&foreign, "alice", "u-1").await;
    let foreign = other.login(&foreign, "alice", PASSWORD).await.unwrap();
    assert_eq!(reason(home.refresh(&auth, &text(&foreign.refresh_token)).await).1, UnknownToken);
    assert!(home.refresh(&auth, &good).await.is_ok());
}

#[tokio::test]
async fn sessions_survive_a_restart_and_those_that_ended_do_not_come_back() {
    let (home, auth) = home_with_alice().await;
    let kept = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let ended = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let spent = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let identity = home.bearer(&auth, text(&ended.access_token).as_bytes()).unwrap();
    assert_eq!(auth.logout(&identity, record()).await.unwrap(), ended.facts);
    assert_eq!(reason(auth.logout(&identity, record()).await).1, UnknownToken);
    assert_eq!(home.bearer(&auth, text(&ended.access_token).as_bytes()).err(), Some(Unauthorized));
    auth.logout_by_refresh_token(secret(&text(&spent.refresh_token)), record()).await.unwrap();
    close(auth).await;
    let auth = home.open().await;
    assert_eq!(auth.session_count(), 1);
    assert!(home.bearer(&auth, text(&kept.access_token).as_bytes()).is_ok());
    assert!(home.refresh(&auth, &text(&kept.refresh_token)).await.is_ok());
    for tokens in [&ended, &spent] {
        assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_err());
        assert_eq!(reason(home.refresh(&auth, &text(&tokens.refresh_token)).await).1, UnknownToken);
    }
}

#[tokio::test]
async fn a_password_that_is_set_ends_every_session_at_once_whoever_sets_it() {
    let (home, auth) = home_with_alice().await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let access = text(&tokens.access_token);
    assert!(home.bearer(&auth, access.as_bytes()).is_ok());
    home.set_password(&auth, "alice", "u-1", PASSWORD).await;
    assert!(home.bearer(&auth, access.as_bytes()).is_err(), "also where the text is the same");
    assert_eq!(
        reason(home.refresh(&auth, &text(&tokens.refresh_token)).await),
        (Some("alice".to_owned()), SessionOver)
    );
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    auth.store.write_state(vec![StateChange::remove(password_key("u-1"))], None).await.unwrap();
    assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_err());
    assert_eq!(reason(home.login(&auth, "alice", PASSWORD).await).1, NoPassword);
}

#[tokio::test]
async fn ones_own_password_is_set_with_the_old_one_and_ends_the_other_sessions() {
    let (home, auth) = home_with_alice().await;
    let (mine, other) =
        (home.login(&auth, "alice", PASSWORD).await.unwrap(), home.login(&auth, "alice", PASSWORD).await.unwrap());
    let me = home.bearer(&auth, text(&mine.access_token).as_bytes()).unwrap();
    let change = async |old: &str, new: &str| {
        auth.change_own_password(&me, secret(old), secret(new), None, &home.people, record()).await
    };
    assert_eq!(reason(change("kettle-orbit-fourteen", "lantern-by-the-gate").await).1, WrongPassword);
    let weak = change(PASSWORD, "password1234").await.err();
    assert!(matches!(weak, Some(LoginError::Password(why)) if why.contains("everybody")));
    assert!(home.bearer(&auth, text(&other.access_token).as_bytes()).is_ok(), "nothing has happened so far");
    let new = change(PASSWORD, "lantern-by-the-gate").await.unwrap();
    assert_eq!(new.facts, mine.facts);
    for tokens in [&mine, &other] {
        assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_err());
    }
    assert!(home.bearer(&auth, text(&new.access_token).as_bytes()).is_ok());
    assert_eq!(auth.session_count(), 1);
    assert!(home.login(&auth, "alice", PASSWORD).await.is_err());
    assert!(home.login(&auth, "alice", "lantern-by-the-gate").await.is_ok());
    close(auth).await;
    let auth = home.open().await;
    assert!(home.refresh(&auth, &text(&new.refresh_token)).await.is_ok());
    assert!(home.refresh(&auth, &text(&other.refresh_token)).await.is_err());
}

#[tokio::test]
async fn only_a_user_with_a_session_changes_a_password() {
    let (home, auth) = home_with_alice().await;
    let anonymous = auth.anonymous.clone();
    let outcome = auth
        .change_own_password(&anonymous, secret(PASSWORD), secret("lantern-by-the-gate"), None, &home.people, record())
        .await;
    assert_eq!(reason(outcome).1, UnknownToken);
    assert_eq!(reason(auth.logout(&anonymous, record()).await).1, UnknownToken);
}

#[tokio::test]
async fn a_user_who_is_disabled_or_gone_is_shut_out_with_the_next_request() {
    let (home, auth) = home_with_alice().await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let access = text(&tokens.access_token);
    home.people.set_user("alice", "u-1", &["dev"], true);
    assert!(home.bearer(&auth, access.as_bytes()).is_err());
    home.people.set_user("alice", "u-1", &["dev"], false);
    assert!(home.bearer(&auth, access.as_bytes()).is_ok());
    home.people.remove_user("alice");
    assert!(home.bearer(&auth, access.as_bytes()).is_err());
    // Another one of the same name.
    home.add_user(&auth, "alice", "u-9").await;
    assert!(home.bearer(&auth, access.as_bytes()).is_err());
    assert_eq!(reason(home.refresh(&auth, &text(&tokens.refresh_token)).await).1, SessionOver);
    assert_eq!(auth.session_count(), 0);
}

#[tokio::test]
async fn the_groups_of_a_session_are_those_of_the_moment() {
    let (home, auth) = home_with_alice().await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let access = text(&tokens.access_token);
    let before = home.bearer(&auth, access.as_bytes()).unwrap();
    home.people.set_user("alice", "u-1", &["ops", "SYSTEM:masters", "system:masters"], false);
    let after = home.bearer(&auth, access.as_bytes()).unwrap();
    assert_eq!(after.user.groups, ["ops", "system:authenticated"]);
    assert_eq!(auth.current(&before, &home.people).unwrap().user.groups, after.user.groups);
    let again = home.bearer(&auth, access.as_bytes()).unwrap();
    assert!(Arc::ptr_eq(&after.user, &again.user), "made once");
}

#[tokio::test]
async fn a_session_ends_after_a_week_without_use_and_after_thirty_days_of_it() {
    const DAY: i64 = 86_400;
    let (home, auth) = home_with_alice().await;
    let mut tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    for _ in 0..5 {
        home.advance(6 * DAY - 1);
        tokens = home.refresh(&auth, &text(&tokens.refresh_token)).await.unwrap();
    }
    assert_eq!(tokens.refresh_expires_in_seconds, 5);
    home.advance(5);
    assert_eq!(reason(home.refresh(&auth, &text(&tokens.refresh_token)).await).1, SessionOver);
    assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_err());
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    home.advance(7 * DAY);
    assert_eq!(reason(home.refresh(&auth, &text(&tokens.refresh_token)).await).1, SessionOver);
}

#[tokio::test]
async fn nobody_signs_in_when_nothing_can_be_written_and_logging_out_still_counts() {
    let (home, auth) = home_with_alice().await;
    let tokens = home.login(&auth, "alice", PASSWORD).await.unwrap();
    let identity = home.bearer(&auth, text(&tokens.access_token).as_bytes()).unwrap();
    auth.store.clone().close().await.unwrap();
    assert_eq!(home.login(&auth, "alice", PASSWORD).await.err(), Some(LoginError::Unavailable));
    assert_eq!(home.refresh(&auth, &text(&tokens.refresh_token)).await.err(), Some(LoginError::Unavailable));
    assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_ok());
    assert_eq!(auth.logout(&identity, record()).await.err(), Some(LoginError::Unavailable));
    assert!(home.bearer(&auth, text(&tokens.access_token).as_bytes()).is_err());
}
