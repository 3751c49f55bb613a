//! Passwords: who sets them, which are taken, and what a change of one ends.

use serde_json::{Value, json};

use super::site::{
    FORM, LOGIN, LOGOUT, PASSWORD, REFRESH, Site, Tokens, USERS, form, login, password_of, refresh, set_password, who,
};
use crate::support::http::{Client, Response};

const NEW: &str = "a lantern for the second cellar";

fn change_own(client: &mut Client, old: &str, new: &str) -> Response {
    client.json("POST", PASSWORD, &json!({"old_password": old, "new_password": new}))
}

fn message(response: &Response) -> String {
    response.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_user_signs_in_with_json_and_with_the_form_of_oauth() {
    let mut site = Site::start(&[]);
    site.add("ada", &["dev"]);
    let set = site.set_password("ada", &password_of("ada")).ok();
    assert_eq!(set.status, 201);
    let body = set.json();
    assert_eq!((&body["kind"], &body["metadata"]["name"]), (&json!("PasswordRequest"), &json!("ada")));
    let user = site.admin.get(&format!("{USERS}/ada")).ok().json();
    assert_eq!(body["status"]["passwordSetAt"], user["status"]["passwordSetAt"]);
    assert!(body["status"]["passwordSetAt"].is_string() && !set.text().contains(&password_of("ada")));

    let mut client = site.anonymous();
    let by_json = login(&mut client, "ada", &password_of("ada")).ok();
    let fields = [("grant_type", "password"), ("username", "ada"), ("password", &password_of("ada")), ("scope", "")];
    let by_form = client.typed("POST", LOGIN, FORM, &form(&fields)).ok();
    for answer in [by_json, by_form] {
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
        let body = answer.json();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!(body["refresh_expires_in"], 604_800);
        let tokens = Tokens::of(answer);
        assert!(tokens.refresh.starts_with("sr_rt_"));
        let info = super::site::user_info(&mut site.with_token(&tokens.access));
        assert_eq!(
            info,
            json!({"username": "ada", "uid": user["metadata"]["uid"], "groups": ["dev", "system:authenticated"]})
        );
    }
}

#[test]
fn whoever_may_not_impersonate_a_user_cannot_set_the_password() {
    let mut site = Site::start(&[]);
    for name in ["ada", "bob"] {
        site.add_person(name);
    }
    let mut ada = site.with_token(&site.sign_in("ada").access);
    assert_eq!(set_password(&mut ada, "bob", NEW).status, 403);
    assert_eq!(set_password(&mut ada, "nobody-there", NEW).status, 403, "and does not learn who there is");
    // With the right to write passwords, and without that to be bob.
    let rules = json!([{"apiGroups": ["strongroom.dev"], "resources": ["users/password"], "verbs": ["create"]}]);
    grant(&mut site, "set-passwords", "ada", &rules);
    let refused = set_password(&mut ada, "bob", NEW);
    assert!(refused.status == 403 && message(&refused).contains("impersonate"), "{}", refused.text());
    login(&mut site.anonymous(), "bob", &password_of("bob")).ok();

    grant(&mut site, "be-bob", "ada", &json!([{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}]));
    assert_eq!(set_password(&mut ada, "bob", NEW).status, 201);
    assert_eq!(login(&mut site.anonymous(), "bob", &password_of("bob")).status, 401);
    login(&mut site.anonymous(), "bob", NEW).ok();
    assert_eq!(set_password(&mut site.admin, "nobody-there", NEW).status, 404);
}

/// A ClusterRole and its binding to one user.
fn grant(site: &mut Site, name: &str, user: &str, rules: &Value) {
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"metadata": {"name": name}, "rules": rules});
    site.admin.json("POST", &format!("{rbac}/clusterroles"), &role).ok();
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    site.admin.json("POST", &format!("{rbac}/clusterrolebindings"), &binding).ok();
}

#[test]
fn a_password_that_is_easy_to_guess_is_refused_with_the_rule_it_breaks_and_without_itself() {
    let mut site = Site::start(&[]);
    site.add("adalovelace", &[]);
    let long = "ab cd ef gh ij kl ".repeat(60);
    for (password, rule) in [
        ("", "12 to 1024 bytes"),
        ("short-one-x", "12 to 1024 bytes"),
        (long.as_str(), "12 to 1024 bytes"),
        ("two lines\nof something", "control characters"),
        ("adalovelace12", "the user's name"),
        ("AdaLovelace!!", "the user's name"),
        ("abababababababab", "repeat a few characters"),
        ("abcdefghijklmnop", "neighbouring keys"),
        ("qwertyuiop1234", "neighbouring keys"),
        ("Passw0rd1234!", "everybody tries first"),
    ] {
        let refused = site.set_password("adalovelace", password);
        assert_eq!(refused.status, 422, "{rule}: {}", refused.text());
        assert!(message(&refused).contains(rule), "{rule}: {}", refused.text());
        assert!(password.is_empty() || !refused.text().contains(password), "{rule}");
        assert_eq!(refused.json()["reason"], "Invalid");
    }
    let user = site.admin.get(&format!("{USERS}/adalovelace")).ok().json();
    assert!(user["status"]["passwordSetAt"].is_null(), "{user}");
    // Composed and decomposed letters are the same password, and 1024 bytes are taken.
    site.set_password("adalovelace", "caf\u{e9} au lait pour huit").ok();
    login(&mut site.anonymous(), "adalovelace", "cafe\u{301} au lait pour huit").ok();
    let longest: String = (0..512).map(|at| char::from(b'a' + u8::try_from(at * at % 26).unwrap())).collect();
    site.set_password("adalovelace", &format!("{longest}{longest}")).ok();
}

#[test]
fn nothing_is_set_by_a_request_that_says_so() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    let path = format!("{USERS}/ada/password?dryRun=All");
    assert_eq!(site.admin.json("POST", &path, &json!({"spec": {"password": NEW}})).status, 201);
    assert_eq!(login(&mut site.anonymous(), "ada", NEW).status, 401);
    login(&mut site.anonymous(), "ada", &password_of("ada")).ok();
}

#[test]
fn a_change_of_ones_own_password_ends_all_other_sessions_and_goes_on_with_this_one() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    site.add_person("bob");
    let (here, elsewhere, of_bob) = (site.sign_in("ada"), site.sign_in("ada"), site.sign_in("bob"));
    let mut ada = site.with_token(&here.access);
    // What does not change anything.
    let wrong = change_own(&mut ada, "not the old one at all", NEW);
    assert_eq!((wrong.status, message(&wrong).as_str()), (401, "invalid credentials"));
    let weak = change_own(&mut ada, &password_of("ada"), "abababababababab");
    assert!(weak.status == 422 && message(&weak).contains("repeat"), "{}", weak.text());
    assert_eq!(change_own(&mut site.anonymous(), &password_of("ada"), NEW).status, 401);
    assert_eq!(change_own(&mut site.admin.another(), &password_of("ada"), NEW).status, 401, "no session, no password");
    assert_eq!(who(&mut site.with_token(&elsewhere.access)), "ada");

    let next = Tokens::of(change_own(&mut ada, &password_of("ada"), NEW));
    assert_eq!(who(&mut site.with_token(&next.access)), "ada");
    for ended in [&elsewhere, &here] {
        assert_eq!(who(&mut site.with_token(&ended.access)), "401");
    }
    assert_eq!(refresh(&mut site.anonymous(), &elsewhere.refresh).status, 401);
    assert_eq!(who(&mut site.with_token(&of_bob.access)), "bob");
    assert_eq!(login(&mut site.anonymous(), "ada", &password_of("ada")).status, 401);
    let again = Tokens::of(refresh(&mut site.anonymous(), &next.refresh));

    let site = site.killed_and_started();
    assert_eq!(who(&mut site.with_token(&again.access)), "ada");
    assert_eq!(who(&mut site.with_token(&elsewhere.access)), "401");
    assert_eq!(login(&mut site.anonymous(), "ada", &password_of("ada")).status, 401);
    login(&mut site.anonymous(), "ada", NEW).ok();
}

#[test]
fn a_password_that_an_administrator_sets_ends_every_session_of_the_user() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    let tokens = site.sign_in("ada");
    assert_eq!(who(&mut site.with_token(&tokens.access)), "ada");
    site.set_password("ada", NEW).ok();
    assert_eq!(who(&mut site.with_token(&tokens.access)), "401");
    assert_eq!(refresh(&mut site.anonymous(), &tokens.refresh).status, 401);
}

#[test]
fn bodies_and_methods_that_are_none_are_told_from_wrong_credentials() {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    let mut client = site.anonymous();
    let json = "application/json";
    let right = json!({"username": "ada", "password": password_of("ada")}).to_string();
    let padded = |length: usize| {
        let room = length - right.len();
        format!("{right}{}", " ".repeat(room)).into_bytes()
    };
    assert_eq!(client.typed("POST", LOGIN, json, &padded(4096)).status, 200);
    for (what, content_type, body, code) in [
        ("a byte too long", json, padded(4097), 413),
        ("far too long", json, padded(1 << 20), 413),
        ("plain text", "text/plain", right.clone().into_bytes(), 415),
        ("YAML", "application/yaml", b"username: ada".to_vec(), 415),
        ("a form of parts", "multipart/form-data; boundary=x", b"--x--".to_vec(), 415),
        ("nothing", json, Vec::new(), 400),
        ("half of it", json, right.as_bytes()[..right.len() - 2].to_vec(), 400),
        ("a list", json, b"[]".to_vec(), 400),
        ("a field twice", json, br#"{"username":"ada","username":"bob","password":"x"}"#.to_vec(), 400),
        ("a name that is no text", json, br#"{"username":7,"password":"x"}"#.to_vec(), 400),
        ("no password", json, br#"{"username":"ada"}"#.to_vec(), 400),
        ("no name", json, br#"{"password":"x"}"#.to_vec(), 400),
        ("another grant", FORM, form(&[("grant_type", "client_credentials"), ("username", "ada")]), 400),
        ("a form with a field twice", FORM, form(&[("username", "a"), ("username", "b"), ("password", "x")]), 400),
        ("JSON that is called a form", FORM, right.clone().into_bytes(), 400),
        ("a password of zeros", json, br#"{"username":"ada","password":"\u0000\u0000"}"#.to_vec(), 401),
    ] {
        let refused = client.typed("POST", LOGIN, content_type, &body);
        assert_eq!(refused.status, code, "{what}: {}", refused.text());
        assert!(!refused.text().contains("bridges"), "{what}: {}", refused.text());
        assert_eq!(refused.json()["kind"], "Status", "{what}");
    }
    for path in [LOGIN, REFRESH, LOGOUT, PASSWORD] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
            let body = if method == "GET" || method == "HEAD" { "" } else { right.as_str() };
            let code = site.admin.another().send(method, path, &[("Content-Type", json)], body.as_bytes());
            assert_eq!(code.unwrap().status, 405, "{method} {path}");
        }
    }
    let with_impersonation = [("Content-Type", json), ("Impersonate-User", "bob")];
    let refused = site.admin.send("POST", LOGIN, &with_impersonation, right.as_bytes()).unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(!site.app.log().contains("bridges"));
}
