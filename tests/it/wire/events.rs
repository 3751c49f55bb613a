//! Events with the genuine kubectl: made, chosen, shown beside their object, and removed by the clock.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::actors::{namespace, secret};
use crate::support::app::App;
use crate::support::clients::eventually;
use crate::support::http::Client;
use crate::support::kubectl;
use crate::support::watch::Watch;

const EVENTS: &str = "/api/v1/namespaces/prod/events";

fn event(name: &str, of: &Value, fields: &Value) -> Value {
    let metadata = &of["metadata"];
    let mut event = json!({
        "metadata": {"name": name},
        "involvedObject": {
            "kind": "Secret", "apiVersion": "v1", "namespace": "prod", "name": metadata["name"], "uid": metadata["uid"],
        },
        "reason": "Looked", "message": "somebody looked", "type": "Normal", "source": {"component": "looker"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z", "count": 3,
    });
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

/// A room with Secrets `a` and `b`, and events of both.
fn start() -> App {
    let app = App::start();
    let mut admin = Client::admin(&app);
    namespace(&mut admin, "prod");
    for name in ["a", "b"] {
        secret(&mut admin, "prod", name, &json!({"k": "v"}));
        let object = admin.get(&format!("/api/v1/namespaces/prod/secrets/{name}")).ok().json();
        admin.json("POST", EVENTS, &event(&format!("{name}.1"), &object, &json!({}))).ok();
        let timed = json!({
            "type": "Warning", "reason": "Worn", "message": "it is old", "source": {}, "firstTimestamp": null,
            "lastTimestamp": null, "count": 0, "eventTime": "2026-01-01T00:00:00.000001Z", "action": "Look",
            "reportingComponent": "example.com/looker", "reportingInstance": "looker-0",
        });
        admin.json("POST", EVENTS, &event(&format!("{name}.2"), &object, &timed)).ok();
    }
    app
}

#[test]
fn kubectl_shows_events_and_finds_those_of_an_object() {
    for kubectl in kubectl::all() {
        let app = start();
        let all = kubectl.run(&app, &["get", "events", "-n", "prod"]).ok();
        assert!(all.lines().next().unwrap().starts_with("LAST SEEN   TYPE"), "{all}");
        assert_eq!(all.lines().count(), 5, "{all}");
        let wide = kubectl.run(&app, &["get", "ev", "-n", "prod", "-o", "wide"]).ok();
        assert!(wide.contains("example.com/looker, looker-0"), "{wide}");
        for (selector, count) in [
            ("involvedObject.name=a", 2),
            ("type!=Normal", 2),
            ("reason=Looked,involvedObject.kind=Secret", 2),
            ("source=looker", 2),
            ("source=example.com/looker", 2),
            ("reportingComponent=example.com/looker,involvedObject.name=b", 1),
            ("involvedObject.uid=none", 0),
        ] {
            let names =
                kubectl.run(&app, &["get", "ev", "-n", "prod", "-o", "name", "--field-selector", selector]).ok();
            assert_eq!(names.lines().count(), count, "{selector}: {names}");
        }
        let refused = kubectl.run(&app, &["get", "ev", "-n", "prod", "--field-selector", "message=a"]).fails();
        assert!(refused.contains("field label not supported: message"), "{refused}");
        let described = kubectl.run(&app, &["describe", "secret", "a", "-n", "prod"]).ok();
        assert!(!described.contains("somebody looked"), "kubectl shows no events of Secrets: {described}");
        let of_a = kubectl.run(&app, &["events", "-n", "prod", "--for", "secret/a"]).ok();
        assert!(of_a.contains("somebody looked") && of_a.contains("it is old"), "{of_a}");
        assert!(!of_a.contains("Secret/b"), "{of_a}");
    }
}

#[test]
fn an_event_is_gone_some_time_after_its_last_change() {
    let app = App::start_in(tempfile::tempdir().unwrap(), &["--event-ttl", "2s"]);
    let mut admin = Client::admin(&app);
    namespace(&mut admin, "prod");
    secret(&mut admin, "prod", "a", &json!({"k": "v"}));
    let object = admin.get("/api/v1/namespaces/prod/secrets/a").ok().json();
    let made = admin.json("POST", EVENTS, &event("a.1", &object, &json!({}))).ok().json();
    let path = format!("{EVENTS}?watch=true&resourceVersion={}", made["metadata"]["resourceVersion"].as_str().unwrap());
    let seen = Watch::begin(&admin, &path, "application/json").event().unwrap();
    assert_eq!((&seen["type"], &seen["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("a.1")));
    let record = eventually(Duration::from_secs(10), || {
        let found = admin.get("/strongroom/v1/audit?verb=delete&resource=events").ok().json();
        found["items"].as_array()?.first().cloned()
    });
    assert_eq!(record.unwrap()["user"]["username"], "system:strongroom:event-ttl-controller");
    // The Secret that it was about stays.
    admin.get("/api/v1/namespaces/prod/secrets/a").ok();
}

#[test]
fn an_old_event_is_gone_after_a_start_and_a_new_one_stays() {
    let app = App::start();
    let mut admin = Client::admin(&app);
    namespace(&mut admin, "prod");
    secret(&mut admin, "prod", "a", &json!({"k": "v"}));
    let object = admin.get("/api/v1/namespaces/prod/secrets/a").ok().json();
    admin.json("POST", EVENTS, &event("a.old", &object, &json!({}))).ok();
    let now = admin.get("/api/v1/namespaces/prod/secrets/a").ok().json()["metadata"]["creationTimestamp"].clone();
    admin.json("POST", EVENTS, &event("a.new", &object, &json!({"lastTimestamp": now}))).ok();
    let app = App::start_in(app.kill(), &[]);
    let mut admin = Client::admin(&app);
    let gone =
        eventually(Duration::from_secs(20), || (admin.get(&format!("{EVENTS}/a.old")).status == 404).then_some(()));
    gone.expect("what was written last long ago goes at a start");
    admin.get(&format!("{EVENTS}/a.new")).ok();
}
