//! A watch ends within a second of the end of the right to it, with the reason, and goes on when others lose theirs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strongroom::clock::{Clock as _, SystemClock};

use super::revocation::{CHEAP, MERGE_PATCH};
use crate::support::actors::{self, USERS, acting_as, bind, rbac, role, rule, secret, secrets, sign_in};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;
use crate::support::jwt::Key;
use crate::support::watch::Watch;

const SECOND: Duration = Duration::from_secs(1);

/// A server on which everybody who has signed in may watch Secrets in namespace `default` by a binding of their own.
fn server(arguments: &[&str]) -> (App, Client) {
    let app = App::start_in(tempfile::tempdir().unwrap(), &[&CHEAP, arguments].concat());
    let mut admin = Client::admin(&app);
    role(&mut admin, "default", "watch", &[rule(&["list", "watch"], "", &["secrets"])]);
    (app, admin)
}

fn grant(admin: &mut Client, name: &str, subject: &str) {
    bind(admin, "default", name, "Role/watch", subject);
}

fn watch(client: &Client) -> Watch {
    Watch::begin(client, &format!("{}?watch=true", secrets("default")), "application/json")
}

/// The next event is an ERROR with this code, it comes within a second of `since`, and it is the last one.
fn ends(watch: &mut Watch, since: Instant, code: u16, what: &str) {
    let event = watch.event().unwrap_or_else(|| panic!("{what}: the watch ends without a reason"));
    let took = since.elapsed();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(code)), "{what}: {event}");
    assert_eq!(event["object"]["kind"], "Status");
    assert!(took < SECOND, "{what}: it took {took:?}");
    assert_eq!(watch.event(), None, "{what}");
}

/// A Secret that is made now shows.
fn goes_on(admin: &mut Client, watch: &mut Watch, name: &str) {
    secret(admin, "default", name, &json!({"k": "v"}));
    let event = watch.event().unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!(name)), "{event}");
}

fn remove_binding(admin: &mut Client, name: &str) {
    admin.delete(&format!("{}/{name}", rbac("default", "rolebindings"))).ok();
}

fn patch(admin: &mut Client, path: &str, patch: &Value) {
    admin.typed("PATCH", path, MERGE_PATCH, patch.to_string().as_bytes()).ok();
}

/// How the right ends for the one whose client this is.
type End = (&'static str, u16, fn(&mut Client, &mut Client));

#[test]
fn watches_end_within_a_second_of_the_end_of_the_right() {
    let ends_of_rights: [End; 7] = [
        ("the binding was removed", 403, |admin, _| remove_binding(admin, "ada")),
        ("the role lost the verb", 403, |admin, _| {
            let path = format!("{}/watch", rbac("default", "roles"));
            patch(admin, &path, &json!({"rules": [rule(&["list"], "", &["secrets"])]}));
        }),
        ("the user was shut out", 401, |admin, _| {
            patch(admin, &format!("{USERS}/ada"), &json!({"spec": {"disabled": true}}));
        }),
        ("the user was deleted", 401, |admin, _| drop(admin.delete(&format!("{USERS}/ada")).ok())),
        ("she signed out", 401, |_, ada| drop(ada.send("POST", "/strongroom/v1/logout", &[], b"").unwrap().ok())),
        ("her password was set", 401, |admin, _| actors::set_password(admin, "ada", actors::PASSWORD)),
        ("the signing keys were revoked", 401, |admin, _| {
            admin.json("POST", "/strongroom/v1/admin/rotate-signing-keys", &json!({"revoke": true})).ok();
        }),
    ];
    for (what, code, end) in ends_of_rights {
        let (_app, mut admin) = server(&[]);
        let mut ada = actors::signed_in(&mut admin, "ada", &[]);
        grant(&mut admin, "ada", "User/ada");
        let mut busy = watch(&ada);
        let of_nothing = format!("{}?watch=true&fieldSelector=metadata.name%3Dnothing", secrets("default"));
        let mut idle = Watch::begin(&ada, &of_nothing, "application/json");
        goes_on(&mut admin, &mut busy, "first");
        end(&mut admin, &mut ada);
        let since = Instant::now();
        // What happens from now on is not told any more.
        secret(&mut admin, "default", "second", &json!({"k": "v"}));
        ends(&mut idle, since, code, what);
        ends(&mut busy, since, code, what);
    }
}

#[test]
fn the_watch_of_a_service_account_ends_with_the_account_or_what_its_token_is_bound_to() {
    let (_app, mut admin) = server(&[]);
    grant(&mut admin, "robot", "ServiceAccount/default/robot");
    let robot = actors::service_account(&mut admin, "default", "robot");
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let mut of_account = watch(&robot);
    secret(&mut admin, "default", "bound", &json!({"k": "v"}));
    assert_eq!(of_account.event().unwrap()["type"], "ADDED");
    let bound = json!({"spec": {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "bound"}}});
    let answer = admin.json("POST", &format!("{accounts}/robot/token"), &bound).ok().json();
    let mut of_token = watch(&admin.with_token(answer["status"]["token"].as_str().unwrap()));
    assert_eq!(of_token.event().unwrap()["type"], "ADDED");

    admin.delete(&format!("{}/bound", secrets("default"))).ok();
    let since = Instant::now();
    // It may be told of the deletion first, or not any more.
    let mut event = of_token.event().unwrap();
    if event["type"] == "DELETED" {
        event = of_token.event().unwrap();
    }
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(401)), "{event}");
    assert!(since.elapsed() < SECOND, "{:?}", since.elapsed());
    assert_eq!(of_account.event().unwrap()["type"], "DELETED", "the account itself goes on");
    admin.delete(&format!("{accounts}/robot")).ok();
    ends(&mut of_account, Instant::now(), 401, "the account was deleted");
}

#[test]
fn a_watch_ends_with_its_token() {
    const LIFE_SECONDS: i64 = 2;
    // Of an outside issuer, for those of this server live for minutes at least.
    let key = Key::ed25519("k-1");
    let folder = tempfile::tempdir().unwrap();
    let config = json!([{"issuer": "https://login.example.com", "audiences": ["a"], "jwks": {"file": "keys.json"}}]);
    std::fs::write(folder.path().join("keys.json"), json!({"keys": [key.jwk()]}).to_string()).unwrap();
    let file = folder.path().join("oidc.yaml");
    std::fs::write(&file, config.to_string()).unwrap();
    let (_app, mut admin) = server(&["--oidc-config", file.to_str().unwrap()]);
    grant(&mut admin, "ada", "User/oidc:ada");
    let claims = |seconds: i64| {
        let now = SystemClock.unix_seconds();
        let expires = now + seconds;
        (json!({"iss": "https://login.example.com", "aud": "a", "sub": "ada", "iat": now, "exp": expires}), expires)
    };
    let client = |seconds: i64| {
        let (claims, expires) = claims(seconds);
        (admin.with_token(&key.token(&claims)), expires)
    };
    // Key sets are read beside what is served.
    let (mut long, _) = client(600);
    eventually(Duration::from_secs(45), || (long.get(&secrets("default")).status == 200).then_some(())).unwrap();

    let (short, expires) = client(LIFE_SECONDS);
    let mut watch = watch(&short);
    let event = watch.event().unwrap();
    let late_millis = SystemClock.unix_millis() - expires * 1000;
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(401)), "{event}");
    assert!((0..1000).contains(&late_millis), "{late_millis} ms after its end");
    assert_eq!(watch.event(), None);
}

#[test]
fn an_impersonated_watch_ends_with_the_right_to_impersonate() {
    let (_app, mut admin) = server(&[]);
    grant(&mut admin, "bob", "User/bob");
    role(&mut admin, "", "as-bob", &[actors::rule_for(&["impersonate"], "", &["users"], &["bob"])]);
    bind(&mut admin, "", "as-bob", "ClusterRole/as-bob", "User/ada");
    let ada = actors::signed_in(&mut admin, "ada", &[]);
    let mut as_bob = watch(&acting_as(&ada, "bob", &[]));
    goes_on(&mut admin, &mut as_bob, "first");
    admin.delete(&format!("{}/as-bob", rbac("", "clusterrolebindings"))).ok();
    ends(&mut as_bob, Instant::now(), 403, "the right to impersonate was removed");
}

#[test]
fn a_watch_goes_on_when_others_lose_their_rights() {
    let (_app, mut admin) = server(&[]);
    for name in ["ada", "bob"] {
        actors::user(&mut admin, name, &[]);
        grant(&mut admin, name, &format!("User/{name}"));
    }
    let (ada, mut bob) = (sign_in(&admin, "ada"), sign_in(&admin, "bob"));
    // A second binding gives the same.
    grant(&mut admin, "ada-too", "User/ada");
    let mut watched = watch(&ada.client);
    remove_binding(&mut admin, "bob");
    goes_on(&mut admin, &mut watched, "one");
    remove_binding(&mut admin, "ada");
    goes_on(&mut admin, &mut watched, "two");
    bob.client.send("POST", "/strongroom/v1/logout", &[], b"").unwrap().ok();
    patch(&mut admin, &format!("{USERS}/bob"), &json!({"spec": {"disabled": true}}));
    goes_on(&mut admin, &mut watched, "three");
    // Tokens that were signed with former keys are good until they end.
    admin.json("POST", "/strongroom/v1/admin/rotate-signing-keys", &json!({})).ok();
    goes_on(&mut admin, &mut watched, "four");
    remove_binding(&mut admin, "ada-too");
    ends(&mut watched, Instant::now(), 403, "the last binding was removed");
}

#[test]
fn following_the_audit_log_ends_with_the_right_to() {
    let (_app, mut admin) = server(&[]);
    let auditor = actors::signed_in(&mut admin, "auditor", &[]);
    bind(&mut admin, "", "auditor", "ClusterRole/system:strongroom:auditor", "User/auditor");
    let mut log = Watch::begin(&auditor, "/strongroom/v1/audit?follow=true&limit=1", "application/json");
    assert_eq!(log.event().unwrap()["kind"], "Event");
    admin.delete(&format!("{}/auditor", rbac("", "clusterrolebindings"))).ok();
    let since = Instant::now();
    // What came before may be told still.
    while log.line().is_some() {
        assert!(since.elapsed() < SECOND, "{:?}", since.elapsed());
    }
    assert!(since.elapsed() < SECOND, "{:?}", since.elapsed());
}
