//! The states, as clients see them.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{SEAL, SECRETS, STATUS, UNSEAL, key, run, seal, state, status, try_unseal, unseal, wrong_key};
use crate::support::actors;
use crate::support::app::App;
use crate::support::http::Client;
use crate::support::kubectl;
use crate::support::watch::Watch;

/// Streams end within a second; the rest is for a machine that does much else.
const STREAMS_END_WITHIN: Duration = Duration::from_millis(1500);

#[test]
fn a_sealed_server_lives_tells_what_to_do_and_serves_nothing() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    admin.json("POST", SECRETS, &json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}})).ok();
    let ready = status(&app);
    assert_eq!(ready, json!({"state": "ready", "why": "", "next": "", "slots": [{"id": 1, "kind": "key-file"}]}));
    seal(&app);

    let mut anyone = Client::anonymous(&app);
    assert_eq!(anyone.get("/livez").ok().text(), "ok");
    for path in ["/readyz", "/readyz?verbose", "/healthz"] {
        let answer = anyone.get(path);
        assert_eq!(answer.status, 503);
        let text = answer.text();
        assert!(text.contains("[-]unsealed failed: it was sealed: run `strongroom unseal` on its machine\n"), "{text}");
    }
    assert_eq!(anyone.get("/version").ok().json()["minor"], "32");
    let told = status(&app);
    assert_eq!((&told["state"], &told["slots"]), (&json!("sealed"), &ready["slots"]));
    assert!(told["next"].as_str().unwrap().contains("strongroom unseal"), "{told}");
    assert_eq!(told.as_object().unwrap().len(), 4, "and nothing else: {told}");

    let mut admin = Client::admin(&app);
    for (method, path) in [
        ("GET", SECRETS),
        ("GET", "/api"),
        ("GET", "/metrics"),
        ("GET", "/strongroom/v1/audit"),
        ("GET", "/openapi/v3"),
        ("GET", "/swagger-ui/"),
        ("POST", SEAL),
        ("POST", "/strongroom/v1/login"),
        ("DELETE", "/livez"),
    ] {
        let answer = admin.send(method, path, &[], b"").unwrap();
        assert_eq!(answer.status, 503, "{method} {path}");
        assert!(answer.header("retry-after").is_some_and(|time| time.ends_with(" GMT")), "{}", answer.head());
        let body = answer.json();
        assert_eq!((&body["kind"], &body["reason"]), (&json!("Status"), &json!("ServiceUnavailable")));
        assert!(body["message"].as_str().unwrap().contains("strongroom unseal"), "{body}");
    }
    for (method, path) in [("POST", STATUS), ("GET", UNSEAL), ("DELETE", UNSEAL)] {
        assert_eq!(admin.send(method, path, &[], b"").unwrap().status, 405, "{method} {path}");
    }
    assert!(run(&app, &["healthcheck"]).not_done().contains("strongroom unseal"));
    let doctor = run(&app, &["doctor"]);
    assert!(doctor.stdout.contains("is not ready: unsealed failed: it was sealed"), "{}", doctor.stdout);
    assert!(doctor.stdout.contains("-> run `strongroom unseal` on its machine"), "{}", doctor.stdout);

    unseal(&app);
    let mut admin = Client::admin(&app);
    assert_eq!(admin.get(&format!("{SECRETS}/a")).ok().json()["data"]["k"], "dg==");
    assert_eq!(admin.get("/readyz").ok().text(), "ok");
    run(&app, &["healthcheck"]).done();
}

#[test]
fn streams_end_within_a_second_and_a_watch_goes_on_from_where_it_was() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    let mut watches: Vec<Watch> = (0..20)
        .map(|_| Watch::begin(&admin, &format!("{SECRETS}?watch=true&resourceVersion=0"), "application/json"))
        .collect();
    let made = admin.json("POST", SECRETS, &json!({"metadata": {"name": "a"}})).ok().json();
    let revision = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    for watch in &mut watches {
        assert_eq!(watch.event().unwrap()["object"]["metadata"]["name"], "a");
    }
    let begun = Instant::now();
    let answer = admin.send("POST", SEAL, &[], b"").unwrap();
    assert!(answer.text().contains("strongroom unseal"), "{}", answer.text());
    for watch in &mut watches {
        while let Some(event) = watch.event() {
            assert_eq!(event["type"], "ERROR", "{event}");
        }
    }
    let taken = begun.elapsed();
    assert!(taken < STREAMS_END_WITHIN, "{taken:?}");
    super::unseal_when_sealed(&app);

    let mut admin = Client::admin(&app);
    let mut watch =
        Watch::begin(&admin, &format!("{SECRETS}?watch=true&resourceVersion={revision}"), "application/json");
    admin.json("POST", SECRETS, &json!({"metadata": {"name": "b"}})).ok();
    assert_eq!(watch.event().unwrap()["object"]["metadata"]["name"], "b", "nothing twice, nothing left out");
}

#[test]
fn whoever_may_seal_is_asked_and_what_was_done_is_recorded() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    actors::user(&mut admin, "ada", &[]);
    let mut ada = actors::sign_in(&admin, "ada").client;
    assert_eq!(ada.send("POST", SEAL, &[], b"").unwrap().status, 403);
    assert_eq!(Client::anonymous(&app).send("POST", SEAL, &[], b"").unwrap().status, 403);
    assert_eq!(admin.send("POST", &format!("{SEAL}?dryRun=Some"), &[], b"").unwrap().status, 400);
    assert_eq!(admin.typed("POST", SEAL, "application/json", b"[]").status, 400);
    let trial = admin.send("POST", &format!("{SEAL}?dryRun=All"), &[], b"").unwrap().ok();
    assert!(trial.text().contains("would seal"), "{}", trial.text());
    assert_eq!(state(&app), "ready");
    let rule = json!({"verbs": ["post"], "nonResourceURLs": [SEAL]});
    let role = json!({"metadata": {"name": "sealer"}, "rules": [rule]});
    admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", &role).ok();
    let binding = json!({
        "metadata": {"name": "sealer"}, "subjects": [{"kind": "User", "name": "ada"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sealer"},
    });
    admin.json("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).ok();
    ada.send("POST", SEAL, &[], b"").unwrap().ok();
    super::wait_until_sealed(&app);
    assert_eq!(try_unseal(&app, &wrong_key(1)).status, 401);
    super::unseal_patiently(&app);

    let mut admin = Client::admin(&app);
    let events = admin.get("/strongroom/v1/audit?limit=1000").ok().json()["items"].clone();
    let of = |uri: &str, code: u16| {
        let events = events.as_array().unwrap();
        events.iter().find(|event| event["requestURI"] == uri && event["responseStatus"]["code"] == code).unwrap()
    };
    assert_eq!(of(SEAL, 200)["user"]["username"], "ada");
    let unsealed = of(UNSEAL, 200);
    assert_eq!(unsealed["sourceIPs"], json!(["127.0.0.1"]));
    assert_eq!(unsealed["annotations"]["strongroom.dev/failed-attempts"], "1");
    assert_eq!(unsealed["annotations"]["strongroom.dev/unlock-slot"], "key file");
    assert!(run(&app, &["audit", "verify"]).stderr.contains("in use"), "the server owns its home");
    assert_eq!(admin.get("/strongroom/v1/audit/verify").ok().json()["intact"], true);
}

#[test]
fn kubectl_says_at_once_what_is_the_matter_and_works_again_afterwards() {
    let app = App::start();
    for kubectl in kubectl::all() {
        kubectl.run(&app, &["create", "secret", "generic", "a", "--from-literal=k=v"]).ok();
        seal(&app);
        let begun = Instant::now();
        let error = kubectl.run(&app, &["get", "secret", "a"]).fails();
        assert!(error.contains("Error from server (ServiceUnavailable)"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        unseal(&app);
        let shown = kubectl.run(&app, &["get", "secret", "a", "-o", "jsonpath={.data.k}"]).ok();
        assert_eq!(shown, "dg==");
        kubectl.run(&app, &["delete", "secret", "a"]).ok();
    }
}

#[test]
fn an_open_server_is_no_oracle_of_unlock_secrets() {
    let app = App::start();
    let right = json!({"key": key(app.home())});
    let answers: Vec<_> =
        [right, wrong_key(1), json!({"passphrase": "x"})].iter().map(|body| try_unseal(&app, body)).collect();
    for answer in &answers {
        assert_eq!((answer.status, answer.text()), (200, answers[0].text()));
    }
    assert_eq!(run(&app, &["unseal"]).done(), "The server is not sealed.\n");
}
