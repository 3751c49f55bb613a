//! Acting as somebody else: each header needs its right, both names are in the record, and credentials stay one's own.

use serde_json::{Value, json};

use super::site::{
    ACCOUNTS, LOGIN, LOGOUT, PASSWORD, REFRESH, ROTATE_KEYS, SECRETS, Site, USERS, WHO_AM_I, password_of,
};
use crate::support::http::{Client, Response};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Who a client with these headers is to the server.
fn as_others(client: &mut Client, headers: &[(&str, &str)]) -> Response {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend(headers);
    client.send("POST", WHO_AM_I, &all, b"{}").unwrap()
}

fn info(response: Response) -> Value {
    response.ok().json()["status"]["userInfo"].clone()
}

fn message(response: &Response) -> String {
    response.json()["message"].as_str().unwrap_or_default().to_owned()
}

/// A ClusterRole of these rules, bound to ada alone.
fn grant(site: &mut Site, name: &str, rules: &Value) {
    let role = json!({"metadata": {"name": name}, "rules": rules});
    site.admin.json("POST", &format!("{RBAC}/clusterroles"), &role).ok();
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}],
    });
    site.admin.json("POST", &format!("{RBAC}/clusterrolebindings"), &binding).ok();
}

fn may(group: &str, resource: &str, name: &str) -> Value {
    json!([{"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": ["impersonate"]}])
}

fn site_of_ada() -> (Site, Client) {
    let mut site = Site::start(&[]);
    site.add_person("ada");
    let ada = site.with_token(&site.sign_in("ada").access);
    (site, ada)
}

#[test]
fn the_administrator_becomes_whoever_the_headers_say() {
    let site = Site::start(&[]);
    let mut admin = site.admin.another();
    let all = [
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "u-7"),
        ("Impersonate-Extra-Acme.com%2Fproject", "one"),
        ("Impersonate-Extra-acme.com%2Fproject", "two"),
        ("Impersonate-Extra-scopes", "view"),
    ];
    let expected = json!({
        "username": "jane", "uid": "u-7", "groups": ["dev", "ops", "system:authenticated"],
        "extra": {"acme.com/project": ["one", "two"], "scopes": ["view"]},
    });
    assert_eq!(info(as_others(&mut admin, &all)), expected);
    for (user, groups) in [
        ("jane", json!(["system:authenticated"])),
        (
            "system:serviceaccount:a:b",
            json!(["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]),
        ),
    ] {
        let info = info(as_others(&mut admin, &[("Impersonate-User", user)]));
        assert_eq!((&info["username"], &info["groups"]), (&json!(user), &groups));
    }
    let anonymous = as_others(&mut admin, &[("Impersonate-User", "system:anonymous")]);
    assert!(anonymous.status == 403 && message(&anonymous).contains("system:anonymous"));
    let masters = [("Impersonate-User", "jane"), ("Impersonate-Group", "system:masters")];
    assert_eq!(info(as_others(&mut admin, &masters))["groups"], json!(["system:masters", "system:authenticated"]));
    // Whoever acts as another has that one's rights and no others.
    assert_eq!(admin.send("GET", SECRETS, &[("Impersonate-User", "jane")], b"").unwrap().status, 403);
    assert_eq!(admin.send("GET", SECRETS, &masters, b"").unwrap().status, 200);
    for (what, headers) in [
        ("a group alone", vec![("Impersonate-Group", "dev")]),
        ("a uid alone", vec![("Impersonate-Uid", "7")]),
        ("an extra alone", vec![("Impersonate-Extra-x", "7")]),
        ("an empty user", vec![("Impersonate-User", ""), ("Impersonate-Group", "dev")]),
        ("two users", vec![("Impersonate-User", "a"), ("Impersonate-User", "b")]),
        ("an unknown header", vec![("Impersonate-User", "a"), ("Impersonate-Scopes", "b")]),
        ("an extra without a name", vec![("Impersonate-User", "a"), ("Impersonate-Extra-", "b")]),
    ] {
        let refused = as_others(&mut admin, &headers);
        assert_eq!(refused.status, 400, "{what}: {}", refused.text());
    }
}

#[test]
fn each_header_takes_a_right_of_its_own() {
    let (mut site, mut ada) = site_of_ada();
    let extra = "Impersonate-Extra-Scopes";
    let everything =
        [("Impersonate-User", "bob"), ("Impersonate-Group", "dev"), ("Impersonate-Uid", "u-7"), (extra, "view")];
    let forbidden = |ada: &mut Client, headers: &[(&str, &str)], says: &str| {
        let refused = as_others(ada, headers);
        assert_eq!((refused.status, &refused.json()["reason"]), (403, &json!("Forbidden")), "{says}");
        let message = message(&refused);
        assert!(message.starts_with(says) && message.contains("User \"ada\" cannot impersonate resource"), "{message}");
    };
    forbidden(&mut ada, &everything, "users \"bob\" is forbidden");
    grant(&mut site, "users", &may("", "users", "bob"));
    assert_eq!(info(as_others(&mut ada, &everything[..1]))["username"], "bob");
    forbidden(&mut ada, &[("Impersonate-User", "carol")], "users \"carol\" is forbidden");
    forbidden(&mut ada, &[("Impersonate-User", "admin")], "users \"admin\" is forbidden");
    forbidden(&mut ada, &everything, "groups \"dev\" is forbidden");
    grant(&mut site, "groups", &may("", "groups", "dev"));
    forbidden(&mut ada, &[everything[0], ("Impersonate-Group", "system:masters")], "groups \"system:masters\"");
    forbidden(&mut ada, &everything, "userextras.authentication.k8s.io \"view\" is forbidden");
    grant(&mut site, "extras", &may("authentication.k8s.io", "userextras/scopes", "view"));
    forbidden(&mut ada, &[everything[0], (extra, "edit")], "userextras.authentication.k8s.io \"edit\"");
    forbidden(
        &mut ada,
        &[everything[0], ("Impersonate-Extra-other", "view")],
        "userextras.authentication.k8s.io \"view\"",
    );
    forbidden(&mut ada, &everything, "uids.authentication.k8s.io \"u-7\" is forbidden");
    grant(&mut site, "uids", &may("authentication.k8s.io", "uids", "u-7"));
    forbidden(&mut ada, &[everything[0], ("Impersonate-Uid", "u-8")], "uids.authentication.k8s.io \"u-8\"");
    let expected = json!({
        "username": "bob", "uid": "u-7", "groups": ["dev", "system:authenticated"], "extra": {"scopes": ["view"]},
    });
    assert_eq!(info(as_others(&mut ada, &everything)), expected);

    // A service account is one, however it is called.
    let robot = [("Impersonate-User", "system:serviceaccount:default:robot")];
    forbidden(&mut ada, &robot, "serviceaccounts \"robot\" is forbidden");
    grant(&mut site, "accounts", &may("", "serviceaccounts", "robot"));
    assert_eq!(info(as_others(&mut ada, &robot))["username"], "system:serviceaccount:default:robot");
    // And a right that is taken away is gone with the next request.
    site.admin.delete(&format!("{RBAC}/clusterrolebindings/uids")).ok();
    forbidden(&mut ada, &everything, "uids.authentication.k8s.io \"u-7\" is forbidden");
    let nobody = as_others(&mut site.anonymous(), &[("Impersonate-User", "bob")]);
    assert!(nobody.status == 403 && message(&nobody).contains("system:anonymous"), "{}", nobody.text());
    let bad = [("Authorization", "Bearer x"), ("Impersonate-User", "bob")];
    assert_eq!(as_others(&mut site.anonymous(), &bad).status, 401);
}

#[test]
fn the_record_names_who_it_was_and_whom_they_acted_as() {
    let (mut site, mut ada) = site_of_ada();
    grant(&mut site, "users", &may("", "users", "bob"));
    grant(&mut site, "groups", &may("", "groups", "dev"));
    let binding = json!({
        "metadata": {"name": "dev"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}],
    });
    site.admin.json("POST", &format!("{RBAC}/namespaces/default/rolebindings"), &binding).ok();
    let headers = [("Impersonate-User", "bob"), ("Impersonate-Group", "dev"), ("Content-Type", "application/json")];
    // A read, a change, a denial of what bob may not do, and one of what ada may not do.
    ada.send("GET", SECRETS, &headers, b"").unwrap().ok();
    ada.send("POST", SECRETS, &headers, br#"{"metadata":{"name":"of-bob"}}"#).unwrap().ok();
    assert_eq!(ada.send("GET", "/api/v1/namespaces/kube-system/secrets", &headers, b"").unwrap().status, 403);
    let carol = [("Impersonate-User", "carol")];
    assert_eq!(ada.send("GET", &format!("{SECRETS}/never"), &carol, b"").unwrap().status, 403);

    let found = site.admin.get("/strongroom/v1/audit?resource=secrets&order=oldest&limit=100").ok().json();
    let events: Vec<&Value> = found["items"].as_array().unwrap().iter().collect();
    let event = |verb: &str, namespace: &str, code: u16| {
        let is_it = |event: &&&Value| {
            event["verb"] == verb
                && event["objectRef"]["namespace"] == namespace
                && event["responseStatus"]["code"] == code
                && event["stage"] == "ResponseComplete"
        };
        let all: Vec<&&Value> = events.iter().filter(is_it).collect();
        assert_eq!(all.len(), 1, "{verb} {namespace} {code}: {events:#?}");
        (*all[0]).clone()
    };
    for event in [event("list", "default", 200), event("create", "default", 201), event("list", "kube-system", 403)] {
        assert_eq!(event["user"]["username"], "ada", "{event}");
        let bob = json!({"username": "bob", "groups": ["dev", "system:authenticated"]});
        assert_eq!(event["impersonatedUser"], bob, "{event}");
    }
    let refused = event("get", "default", 403);
    assert_eq!((&refused["user"]["username"], refused.get("impersonatedUser")), (&json!("ada"), None), "{refused}");
    // A filter by user finds what a user did as another.
    let found = site.admin.get("/strongroom/v1/audit?user=ada&verb=create&resource=secrets").ok().json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
}

#[test]
fn credentials_are_ones_own_and_not_those_of_another() {
    let (mut site, mut ada) = site_of_ada();
    site.add_person("bob");
    grant(&mut site, "users", &may("", "users", "bob"));
    let session = site.sign_in("ada");
    let headers = [("Impersonate-User", "bob"), ("Content-Type", "application/json")];
    for (path, body) in [
        (LOGIN, json!({"username": "bob", "password": password_of("bob")})),
        (REFRESH, json!({"refresh_token": session.refresh})),
        (LOGOUT, json!({})),
        (LOGOUT, json!({"refresh_token": session.refresh})),
        (PASSWORD, json!({"old_password": password_of("ada"), "new_password": "a lantern for the cellar"})),
        (ROTATE_KEYS, json!({"revoke": true})),
        ("/strongroom/v1/admin/rotate", json!({})),
    ] {
        for client in [&mut ada, &mut site.admin.another()] {
            let refused = client.send("POST", path, &headers, body.to_string().as_bytes()).unwrap();
            assert!(matches!(refused.status, 400 | 403), "{path}: {} {}", refused.status, refused.text());
        }
    }
    assert_eq!(super::site::who(&mut ada), "ada");
    assert_eq!(super::site::who(&mut site.with_token(&session.access)), "ada");
    assert_eq!(super::site::who(&mut site.admin.another()), "admin");
    super::site::Tokens::of(super::site::refresh(&mut site.anonymous(), &session.refresh));
    // What is made for another takes that one's rights: bob may not ask for tokens, and nobody for bob's password.
    let token = ada.send("POST", &format!("{ACCOUNTS}/default/token"), &headers, b"{}").unwrap();
    assert!(token.status == 403 && message(&token).contains("User \"bob\""), "{}", token.text());
    let body = json!({"spec": {"password": "a lantern for the cellar"}}).to_string();
    let password = ada.send("POST", &format!("{USERS}/bob/password"), &headers, body.as_bytes()).unwrap();
    assert!(password.status == 403 && message(&password).contains("User \"bob\""), "{}", password.text());
}
