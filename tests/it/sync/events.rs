//! What is told of a SecretSync and of a Cluster in Events.

use serde_json::{Value, json};

use super::site::{LONG, Site};
use crate::support::clients::eventually;
use crate::support::kubectl;

/// `Type Reason: message` of each Event of an object.
fn events(site: &mut Site, namespace: &str, name: &str) -> Vec<String> {
    let path = format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name={name}");
    let list = site.admin.get(&path).ok().json();
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let told = list["items"].as_array().unwrap().iter().map(|event| {
        assert_eq!(event["source"]["component"], "sync-controller");
        format!("{} {}: {}", text(event, "type"), text(event, "reason"), text(event, "message"))
    });
    told.collect()
}

fn comes(site: &mut Site, namespace: &str, name: &str, expected: &str) {
    let found =
        eventually(LONG, || events(site, namespace, name).iter().any(|event| event.contains(expected)).then_some(()));
    assert!(found.is_some(), "{expected:?} is not among {:#?}", events(site, namespace, name));
}

#[test]
fn what_becomes_of_targets_and_clusters_is_told_in_events() {
    let Some(mut site) = Site::start("events") else { return };
    site.secret("db", &json!({"pass": "canary-of-events"}));
    site.synced("db", &json!({}));
    comes(&mut site, "prod", "db", "Normal Applied: wrote events/db in cluster \"east\"");
    comes(&mut site, "prod", "db", "Normal InSync: 1/1 targets are in sync");
    comes(&mut site, "default", "east", "Normal Healthy: cluster \"east\" answers");
    site.cluster.admin().delete("/api/v1/namespaces/events/secrets/db").ok();
    comes(&mut site, "prod", "db", "Normal DriftCorrected: put right what somebody else changed: events/db");

    // A source that may not be read is told once, however often it is tried.
    site.patch_sync("db", &json!({"spec": {"source": {"names": ["db", "gone"]}}}));
    comes(&mut site, "prod", "db", "Warning SourceNotFound: Secret \"gone\"");
    site.run_now("db");
    site.run_now("db");
    let told = events(&mut site, "prod", "db");
    assert_eq!(told.iter().filter(|event| event.contains("SourceNotFound")).count(), 1, "{told:#?}");
    assert!(!told.iter().any(|event| event.contains("canary-of-events")), "{told:#?}");

    for kubectl in kubectl::all() {
        let described = kubectl.run(&site.app, &["describe", "secretsync", "db", "-n", "prod"]).ok();
        let shown = described.split_once("Events:").unwrap_or_else(|| panic!("{described}")).1;
        assert!(shown.contains("Applied") && shown.contains("sync-controller"), "{described}");
        let cluster = kubectl.run(&site.app, &["describe", "cluster.strongroom.dev", "east"]).ok();
        assert!(cluster.split_once("Events:").is_some_and(|(_, shown)| shown.contains("Healthy")), "{cluster}");
    }
}

#[test]
fn a_write_that_is_repeated_is_counted() {
    let Some(mut site) = Site::start("counted") else { return };
    site.secret("db", &json!({"n": "0"}));
    site.synced("db", &json!({}));
    for n in 1..=3 {
        site.secret("db", &json!({"n": n.to_string()}));
        site.arrives("db", "n", &n.to_string());
        site.wait_for("db", "InSync");
    }
    let path = "/api/v1/namespaces/prod/events?fieldSelector=reason=Applied";
    let event = eventually(LONG, || {
        let list = site.admin.get(path).ok().json();
        let event = list["items"].as_array()?.first()?.clone();
        (event["count"] == 4).then_some((event, list["items"].as_array()?.len()))
    });
    let (event, count) = event.expect("four writes are counted");
    assert_eq!(count, 1, "in one Event: {event}");
}
