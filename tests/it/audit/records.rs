//! Exactly one event says how a request ended, whatever became of it; and none holds what is secret.

use serde_json::{Value, json};

use crate::support::actors::{self, PASSWORD, USERS, bind, rbac, secrets};
use crate::support::app::App;
use crate::support::canary::{Canary, found_in_files};
use crate::support::http::Client;

/// What an event must say: verb, user, `resource/subresource`, namespace, name and code.
type Expected = (&'static str, &'static str, &'static str, &'static str, &'static str, u16);

#[test]
fn every_request_has_one_record_and_no_record_holds_a_secret() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let mut ada = actors::signed_in(&mut admin, "ada", &[]);
    bind(&mut admin, "default", "ada-edits", "ClusterRole/edit", "User/ada");
    let canary = Canary::new("value");
    let (ns, user) = (secrets("default"), USERS.to_owned());
    let secret = |name: &str| json!({"metadata": {"name": name}, "data": {"k": canary.base64()}}).to_string();
    let mut anonymous = admin.without_token();
    let mut wrong = admin.with_token("sr_none");
    let mut acting = admin.with_header("Impersonate-User", "zoe");
    let token = "/api/v1/namespaces/default/serviceaccounts/default/token";
    let denied = rbac("", "clusterroles");
    let login = |password: &str| json!({"username": "ada", "password": password}).to_string();
    let (right, bad) = (login(PASSWORD), login("not the password of ada"));
    let query = format!("{ns}?labelSelector=k%3Dcanary-in-a-selector&token=canary-in-a-query");
    let mut expected: Vec<(String, Expected)> = Vec::new();
    let mut ask = |client: &mut Client, method: &str, path: &str, body: &str, event: Expected| {
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("Content-Type", kind)] };
        let response = client.send(method, path, headers, body.as_bytes()).unwrap();
        assert_eq!(response.status, event.5, "{method} {path}: {}", response.text());
        expected.push((response.header("audit-id").unwrap().to_owned(), event));
        response
    };
    let one = |name: &str| format!("{ns}/{name}");
    let c = "secrets";
    ask(&mut ada, "POST", &ns, &secret("a"), ("create", "ada", c, "default", "a", 201));
    ask(&mut ada, "POST", &ns, &secret("a"), ("create", "ada", c, "default", "", 409));
    ask(&mut ada, "POST", &format!("{ns}?dryRun=All"), &secret("b"), ("create", "ada", c, "default", "", 201));
    ask(&mut ada, "GET", &one("a"), "", ("get", "ada", c, "default", "a", 200));
    ask(&mut ada, "GET", &one("none"), "", ("get", "ada", c, "default", "none", 404));
    ask(&mut ada, "GET", &query, "", ("list", "ada", c, "default", "", 200));
    ask(&mut ada, "PATCH", &one("a"), "{\"type\":\"x\"}", ("patch", "ada", c, "default", "a", 422));
    ask(&mut ada, "PATCH", &one("a"), "{}", ("patch", "ada", c, "default", "a", 200));
    ask(&mut ada, "PUT", &one("a"), &secret("a"), ("update", "ada", c, "default", "a", 200));
    ask(&mut ada, "GET", &denied, "", ("list", "ada", "clusterroles", "", "", 403));
    ask(&mut anonymous, "GET", &one("a"), "", ("get", "system:anonymous", c, "default", "a", 403));
    ask(&mut wrong, "GET", &one("a"), "", ("get", "", c, "default", "a", 401));
    ask(&mut acting, "GET", &one("a"), "", ("get", "admin", c, "default", "a", 403));
    ask(&mut admin, "GET", &format!("{user}/ada"), "", ("get", "admin", "users", "", "ada", 200));
    let minted =
        ask(&mut ada, "POST", token, "{}", ("create", "ada", "serviceaccounts/token", "default", "default", 201));
    ask(&mut ada, "GET", "/version", "", ("get", "ada", "", "", "", 200));
    for page in ["/swagger-ui/", "/openapi/strongroom.json"] {
        ask(&mut anonymous, "GET", page, "", ("get", "system:anonymous", "", "", "", 200));
    }
    let tokens = ask(&mut anonymous, "POST", "/strongroom/v1/login", &right, ("post", "ada", "", "", "", 200)).json();
    ask(&mut anonymous, "POST", "/strongroom/v1/login", &bad, ("post", "system:anonymous", "", "", "", 401));
    ask(&mut ada, "DELETE", &one("a"), "", ("delete", "ada", c, "default", "a", 200));
    ask(&mut ada, "POST", &ns, &secret("c1"), ("create", "ada", c, "default", "c1", 201));
    ask(&mut ada, "POST", &ns, &secret("c2"), ("create", "ada", c, "default", "c2", 201));
    let all = ask(&mut ada, "DELETE", &ns, "", ("deletecollection", "ada", c, "default", "", 200));

    let list = admin.get("/strongroom/v1/audit?limit=10000").ok().json();
    let events = list["items"].as_array().unwrap();
    for (id, wanted) in &expected {
        let of_it: Vec<&Value> = events.iter().filter(|event| event["auditID"] == id.as_str()).collect();
        assert_eq!(of_it.len(), 1, "{wanted:?}: {of_it:?}");
        let (event, text) = (of_it[0], |value: &Value| value.as_str().unwrap_or_default().to_owned());
        let (object, part) = (&event["objectRef"], |value: &Value| value.as_str().map(|name| format!("/{name}")));
        let resource = format!("{}{}", text(&object["resource"]), part(&object["subresource"]).unwrap_or_default());
        assert_eq!((event["stage"].as_str(), event["level"].as_str()), (Some("ResponseComplete"), Some("Metadata")));
        let said = (text(&event["verb"]), text(&event["user"]["username"]), resource, text(&object["namespace"]));
        assert_eq!(said, (wanted.0.into(), wanted.1.into(), wanted.2.into(), wanted.3.into()), "{event}");
        assert_eq!(
            (text(&object["name"]), &event["responseStatus"]["code"]),
            (wanted.4.into(), &json!(wanted.5)),
            "{event}"
        );
    }
    let impersonated = events.iter().find(|event| event["impersonatedUser"]["username"] == "zoe");
    assert_eq!(impersonated.unwrap()["user"]["username"], "admin");
    let part_of = all.header("audit-id").unwrap();
    let parts = events.iter().filter(|event| event["annotations"]["strongroom.dev/consequence-of"] == part_of);
    assert_eq!(parts.map(|event| event["verb"].as_str().unwrap()).collect::<Vec<_>>(), ["delete", "delete"]);
    assert_eq!(admin.get("/strongroom/v1/audit/verify").ok().json()["intact"], json!(true));

    let secret_text = |what, text: &Value| Canary::of(what, text.as_str().unwrap().to_owned());
    let canaries = [
        canary,
        Canary::of("password", PASSWORD.to_owned()),
        Canary::of("wrong password", "not the password of ada".to_owned()),
        Canary::of("selector", "canary-in-a-selector".to_owned()),
        Canary::of("query", "canary-in-a-query".to_owned()),
        secret_text("access token", &tokens["access_token"]),
        secret_text("refresh token", &tokens["refresh_token"]),
        secret_text("service account's token", &minted.json()["status"]["token"]),
    ];
    let metrics = admin.get("/metrics").ok().text();
    assert!(canaries.iter().all(|canary| canary.find(metrics.as_bytes()).is_none()));
    assert_eq!(found_in_files(&canaries, app.home()), [""; 0]);
    assert_eq!(found_in_files(&canaries, app.logs()), [""; 0]);
}

#[test]
fn a_watch_is_recorded_when_it_begins_and_when_it_ends() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let path = format!("{}?watch=true&timeoutSeconds=1", secrets("default"));
    let id = admin.get(&path).ok().header("audit-id").unwrap().to_owned();
    let list = admin.get("/strongroom/v1/audit?limit=1000&order=oldest").ok().json();
    let events = list["items"].as_array().unwrap().iter().filter(|event| event["auditID"] == id.as_str());
    let stages: Vec<&str> = events.map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["ResponseStarted", "ResponseComplete"]);
}
