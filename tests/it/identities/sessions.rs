//! Sessions: refresh tokens that are good once, what ends a session, and what a restart changes of that (nothing).

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};

use serde_json::json;

use super::site::{FORM, LOGIN, LOGOUT, REFRESH, SECRETS, Site, Tokens, USERS, form, login, password_of, refresh, who};
use crate::support::http::{Client, Response};

fn site_of_ada() -> Site {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    site
}

fn is_refused(response: &Response) {
    assert_eq!((response.status, &response.json()["message"]), (401, &json!("invalid credentials")));
}

#[test]
fn a_refresh_token_is_exchanged_for_another_by_every_way_there_is() {
    let site = site_of_ada();
    let mut client = site.anonymous();
    let first = site.sign_in("ada");
    let second = Tokens::of(refresh(&mut client, &first.refresh));
    assert!(second.refresh != first.refresh && second.access != first.access);
    let of_form = form(&[("grant_type", "refresh_token"), ("refresh_token", &second.refresh)]);
    let third = Tokens::of(client.typed("POST", LOGIN, FORM, &of_form));
    let of_form = form(&[("refresh_token", &third.refresh)]);
    let fourth = Tokens::of(client.typed("POST", REFRESH, FORM, &of_form));
    let grant = json!({"grant_type": "refresh_token", "refresh_token": fourth.refresh});
    let fifth = Tokens::of(client.json("POST", LOGIN, &grant));
    for tokens in [&first, &second, &third, &fourth, &fifth] {
        assert_eq!(who(&mut site.with_token(&tokens.access)), "ada", "access tokens live as long as the session");
    }
    // A refresh token is no access token, and the other way round.
    assert_eq!(who(&mut site.with_token(&fifth.refresh)), "401");
    is_refused(&refresh(&mut client, &fifth.access));
}

#[test]
fn a_spent_refresh_token_ends_the_session_for_everybody_who_has_a_part_of_it() {
    let site = site_of_ada();
    let mut client = site.anonymous();
    let (stolen, other) = (site.sign_in("ada"), site.sign_in("ada"));
    let second = Tokens::of(refresh(&mut client, &stolen.refresh));
    let third = Tokens::of(refresh(&mut client, &second.refresh));
    is_refused(&refresh(&mut client, &stolen.refresh));
    for tokens in [&stolen, &second, &third] {
        assert_eq!(who(&mut site.with_token(&tokens.access)), "401");
        is_refused(&refresh(&mut client, &tokens.refresh));
    }
    assert_eq!(who(&mut site.with_token(&other.access)), "ada", "another session of the same user goes on");
    let site = site.killed_and_started();
    is_refused(&refresh(&mut site.anonymous(), &third.refresh));
    Tokens::of(refresh(&mut site.anonymous(), &other.refresh));
}

#[test]
fn a_client_that_lost_the_answer_gets_the_same_successor_again_also_after_a_restart() {
    let site = site_of_ada();
    let first = site.sign_in("ada");
    let second = Tokens::of(refresh(&mut site.anonymous(), &first.refresh));
    let again = Tokens::of(refresh(&mut site.anonymous(), &first.refresh));
    assert_eq!(again.refresh, second.refresh);
    let site = site.killed_and_started();
    let third = Tokens::of(refresh(&mut site.anonymous(), &second.refresh));
    let again = Tokens::of(refresh(&mut site.anonymous(), &second.refresh));
    assert_eq!(again.refresh, third.refresh);
    assert_eq!(who(&mut site.with_token(&third.access)), "ada");
}

#[test]
fn many_refreshes_at_once_have_one_successor() {
    let site = site_of_ada();
    let mut token = site.sign_in("ada").refresh;
    for _ in 0..5 {
        let barrier = Arc::new(Barrier::new(16));
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let (mut client, token, barrier) = (site.anonymous(), token.clone(), Arc::clone(&barrier));
                client.get("/livez").ok();
                std::thread::spawn(move || {
                    barrier.wait();
                    Tokens::of(refresh(&mut client, &token)).refresh
                })
            })
            .collect();
        let successors: BTreeSet<String> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(successors.len(), 1);
        token = successors.into_iter().next().unwrap();
    }
}

#[test]
fn refresh_tokens_that_are_made_up_are_nothing_and_end_nothing() {
    let site = site_of_ada();
    let mut client = site.anonymous();
    let good = site.sign_in("ada");
    let body = good.refresh.strip_prefix("sr_rt_").unwrap();
    let flipped = |at: usize| {
        let mut bytes = body.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        format!("sr_rt_{}", String::from_utf8(bytes).unwrap())
    };
    for made_up in [
        String::new(),
        "sr_rt_".to_owned(),
        body.to_owned(),
        good.refresh.to_uppercase(),
        format!("{}A", good.refresh),
        format!("{}=", good.refresh),
        format!(" {}", good.refresh),
        good.refresh[..good.refresh.len() - 1].to_owned(),
        flipped(0),
        flipped(25),
        flipped(body.len() - 2),
        site.app.token.clone(),
        "sr_rt_".to_owned() + &"A".repeat(3000),
    ] {
        is_refused(&refresh(&mut client, &made_up));
        is_refused(&client.json("POST", LOGOUT, &json!({"refresh_token": made_up})));
    }
    assert_eq!(client.json("POST", REFRESH, &json!({"refresh_token": ["a"]})).status, 400);
    assert_eq!(client.json("POST", REFRESH, &json!({})).status, 400);
    Tokens::of(refresh(&mut client, &good.refresh));
}

#[test]
fn signing_out_ends_the_session_and_no_other() {
    let site = site_of_ada();
    let mut client = site.anonymous();
    let (one, two, three) = (site.sign_in("ada"), site.sign_in("ada"), site.sign_in("ada"));
    // By the access token, and by the refresh token.
    let ended = site.with_token(&one.access).send("POST", LOGOUT, &[], b"").unwrap().ok().json();
    assert_eq!((&ended["kind"], &ended["status"]), (&json!("Status"), &json!("Success")));
    client.json("POST", LOGOUT, &json!({"refresh_token": two.refresh})).ok();
    for tokens in [&one, &two] {
        assert_eq!(who(&mut site.with_token(&tokens.access)), "401");
        is_refused(&refresh(&mut client, &tokens.refresh));
        is_refused(&client.json("POST", LOGOUT, &json!({"refresh_token": tokens.refresh})));
    }
    assert_eq!(who(&mut site.with_token(&three.access)), "ada");
    // Who has no session cannot end one.
    assert_eq!(client.send("POST", LOGOUT, &[], b"").unwrap().status, 401);
    assert_eq!(site.admin.another().send("POST", LOGOUT, &[], b"").unwrap().status, 401);

    let site = site.killed_and_started();
    let mut client = site.anonymous();
    for tokens in [&one, &two] {
        assert_eq!(who(&mut site.with_token(&tokens.access)), "401");
        is_refused(&refresh(&mut client, &tokens.refresh));
    }
    assert_eq!(who(&mut site.with_token(&three.access)), "ada");
}

#[test]
fn sessions_survive_a_stop_and_a_kill() {
    let site = site_of_ada();
    let mut tokens = site.sign_in("ada");
    let site = site.stopped_and_started();
    assert_eq!(who(&mut site.with_token(&tokens.access)), "ada");
    tokens = Tokens::of(refresh(&mut site.anonymous(), &tokens.refresh));
    let site = site.killed_and_started();
    assert_eq!(who(&mut site.with_token(&tokens.access)), "ada");
    Tokens::of(refresh(&mut site.anonymous(), &tokens.refresh));
}

#[test]
fn whatever_a_kill_in_the_middle_of_refreshes_leaves_the_client_can_go_on_or_knows_that_it_cannot() {
    let mut site = site_of_ada();
    for round in 0..4u64 {
        let first = site.sign_in("ada");
        let (client, token) = (site.anonymous(), first.refresh.clone());
        // Refreshes until the connection breaks. The last token that was told is what the client goes on with.
        let refreshing = std::thread::spawn(move || refresh_until_cut_off(client, token));
        std::thread::sleep(std::time::Duration::from_millis(40 + 35 * round));
        site.app.begin_kill();
        let last = refreshing.join().unwrap();
        site = site.killed_and_started();
        let next = Tokens::of(refresh(&mut site.anonymous(), &last));
        assert_eq!(who(&mut site.with_token(&next.access)), "ada", "round {round}");
    }
}

fn refresh_until_cut_off(mut client: Client, mut token: String) -> String {
    loop {
        let body = json!({"refresh_token": token}).to_string();
        match client.send("POST", REFRESH, &[("Content-Type", "application/json")], body.as_bytes()) {
            Ok(response) => token = Tokens::of(response).refresh,
            Err(_) => return token,
        }
    }
}

#[test]
fn a_session_ends_with_its_user() {
    let mut site = Site::start(&[]);
    for name in ["ada", "bob"] {
        site.add_person(name);
    }
    let (ada, bob) = (site.sign_in("ada"), site.sign_in("bob"));
    site.disable("ada", true);
    assert_eq!(who(&mut site.with_token(&ada.access)), "401");
    is_refused(&login(&mut site.anonymous(), "ada", &password_of("ada")));
    site.disable("ada", false);
    // What was only shut out is let in again; a refresh in between would have ended the session.
    assert_eq!(who(&mut site.with_token(&ada.access)), "ada");
    site.disable("ada", true);
    is_refused(&refresh(&mut site.anonymous(), &ada.refresh));
    site.disable("ada", false);
    is_refused(&refresh(&mut site.anonymous(), &ada.refresh));

    site.admin.delete(&format!("{USERS}/bob")).ok();
    assert_eq!(who(&mut site.with_token(&bob.access)), "401");
    site.add_person("bob");
    assert_eq!(who(&mut site.with_token(&bob.access)), "401", "made again, he is somebody else");
    is_refused(&refresh(&mut site.anonymous(), &bob.refresh));
    assert_eq!(who(&mut site.with_token(&site.sign_in("bob").access)), "bob");
}

#[test]
fn groups_that_a_user_gets_count_for_the_tokens_there_are() {
    let mut site = site_of_ada();
    let tokens = site.sign_in("ada");
    let mut ada = site.with_token(&tokens.access);
    assert_eq!(ada.get(SECRETS).status, 403);
    let binding = json!({
        "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
    site.admin.json("POST", bindings, &binding).ok();
    let patch = br#"{"spec":{"groups":["readers"]}}"#;
    let path = format!("{USERS}/ada");
    site.admin.typed("PATCH", &path, "application/merge-patch+json", patch).ok();
    assert_eq!(ada.get(SECRETS).status, 200);
    site.admin.typed("PATCH", &path, "application/merge-patch+json", br#"{"spec":{"groups":null}}"#).ok();
    assert_eq!(ada.get(SECRETS).status, 403);
}
