//! What becomes of targets, by policy: made, changed, renamed, drifted, in the way, deleted.

use serde_json::json;

use super::site::{SECRETS, SYNCS, Site, condition};
use crate::support::clients::eventually;

#[test]
fn a_secret_arrives_changes_with_its_source_and_is_left_alone_while_nothing_changes() {
    let Some(mut site) = Site::start("arrives") else { return };
    site.secret("db", &json!({"user": "ada", "pass": "p1"}));
    site.synced("db", &json!({}));
    let there = site.there("db").unwrap();
    assert_eq!(there["type"], "Opaque");
    assert_eq!(there["metadata"]["labels"]["app.kubernetes.io/managed-by"], "strongroom");
    assert_eq!(there["metadata"]["annotations"]["strongroom.dev/source"], "prod/db");
    assert_eq!(there["metadata"]["annotations"]["strongroom.dev/sync"], "prod/db");
    assert_eq!(site.value("db", "pass").as_deref(), Some("p1"));
    site.secret("db", &json!({"user": "ada", "pass": "p2", "more": "m"}));
    site.arrives("db", "pass", "p2");
    site.secret("db", &json!({"pass": "p3"}));
    site.arrives("db", "pass", "p3");
    let keys = site.there("db").unwrap()["data"].as_object().unwrap().len();
    assert_eq!(keys, 1, "a key that the source dropped goes");
    site.wait_for("db", "InSync");
    let writes = site.writes().len();
    for _ in 0..3 {
        site.run_now("db");
    }
    assert_eq!(site.writes().len(), writes, "a pass with nothing changed issues no write");
    let status = site.wait_for("db", "InSync");
    assert_eq!((&status["targetsTotal"], &status["targetsReady"]), (&json!(1), &json!(1)));
    assert_eq!(condition(&status, "Drifted")["status"], "False");
    assert_eq!(condition(&status, "Stalled")["status"], "False");
}

#[test]
fn a_value_that_is_rotated_arrives() {
    let Some(mut site) = Site::start("rotated") else { return };
    let kind = "/apis/strongroom.dev/v1alpha1/namespaces/prod/generatedsecrets";
    let keys = json!([{"key": "k", "generator": "hex", "length": 16}]);
    let generated = json!({"metadata": {"name": "db"}, "spec": {"secretName": "db", "keys": keys}});
    site.admin.json("POST", kind, &generated).ok();
    site.synced("db", &json!({}));
    let first = site.value("db", "k").unwrap();
    let now = json!({"metadata": {"annotations": {"strongroom.dev/rotate-now": "1"}}}).to_string();
    site.admin.typed("PATCH", &format!("{kind}/db"), "application/merge-patch+json", now.as_bytes()).ok();
    let other = eventually(super::site::LONG, || site.value("db", "k").filter(|value| *value != first));
    assert_eq!(other.expect("the new value").len(), 32);
}

#[test]
fn a_target_that_is_renamed_is_made_anew_and_the_old_one_goes_only_if_that_is_wanted() {
    let Some(mut site) = Site::start("renamed") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.synced("db", &json!({}));
    let target = |name: &str, more: &str| {
        json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["renamed"]}, "name": name, "onSyncDelete": more,
        }]}})
    };
    site.patch_sync("db", &target("{{ namespace }}-{{ name }}", "Retain"));
    site.arrives("prod-db", "k", "v");
    site.wait_for("db", "InSync");
    assert!(site.there("db").is_some(), "Retain leaves what is no longer wanted");
    site.patch_sync("db", &target("new", "Delete"));
    site.arrives("new", "k", "v");
    // Two of three would go, and a fifth of them, rounded up, may.
    site.wait_for("db", "DeleteLimit");
    assert!(site.there("prod-db").is_some() && site.there("db").is_some());
    site.patch_sync("db", &json!({"spec": {"limits": {"maxDeletePercent": 100}}}));
    site.goes("prod-db");
    site.goes("db");
    site.wait_for("db", "InSync");
}

#[test]
fn what_is_edited_or_deleted_by_hand_is_put_right_or_reported_or_left() {
    let Some(mut site) = Site::start("drift") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.synced("db", &json!({}));
    site.by_hand("PATCH", "db", &json!({"data": {"k": "eA==", "foreign": "eA=="}}));
    site.arrives("db", "k", "v");
    let clean = eventually(super::site::LONG, || site.value("db", "foreign").is_none().then_some(()));
    clean.expect("a key of somebody else goes, for the SecretSync owns all");
    let mark = |site: &mut Site| site.there("db").unwrap()["metadata"]["labels"]["strongroom.dev/sync-uid"].clone();
    let marked = mark(&mut site);
    site.by_hand("PATCH", "db", &json!({"metadata": {"labels": {"strongroom.dev/sync-uid": null}}}));
    let again = eventually(super::site::LONG, || (mark(&mut site) == marked).then_some(()));
    again.expect("the mark comes back: who applied the object is known without it");
    site.cluster.admin().delete("/api/v1/namespaces/drift/secrets/db").ok();
    site.arrives("db", "k", "v");
    site.wait_for("db", "InSync");

    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["drift"]}, "driftPolicy": "Warn",
        }]}}),
    );
    site.wait_for("db", "InSync");
    site.by_hand("PATCH", "db", &json!({"data": {"k": "eA=="}}));
    let status = site.wait_for("db", "Drift");
    assert_eq!(status["targets"][0]["state"], "DataDrift");
    assert_eq!(condition(&status, "Drifted")["status"], "True");
    assert_eq!(site.value("db", "k").as_deref(), Some("x"));
    site.secret("db", &json!({"k": "newer"}));
    let status = site.wait_for("db", "Conflict");
    let message = status["targets"][0]["message"].as_str().unwrap();
    assert!(message.contains(".data.k") && message.contains("kubectl-edit"), "{message}");

    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["drift"]}, "driftPolicy": "Ignore", "conflictPolicy": "Adopt",
        }]}}),
    );
    site.arrives("db", "k", "newer");
    site.wait_for("db", "InSync");
    site.by_hand("PATCH", "db", &json!({"data": {"k": "eA=="}}));
    let ignored = site.wait_until("db", |status| status["targets"][0]["state"] == "DataDrift");
    assert_eq!(condition(&ignored, "Ready")["status"], "True");
}

#[test]
fn what_somebody_else_has_is_not_touched_unless_it_is_to_be_adopted_or_shared() {
    let Some(mut site) = Site::start("conflicts") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.by_hand("POST", "", &json!({"metadata": {"name": "db"}, "data": {"mine": "eA=="}}));
    let sync = site.sync_of("db", &json!({}));
    site.create_sync(&sync);
    let status = site.wait_for("db", "Conflict");
    assert_eq!(status["targets"][0]["state"], "Conflict");
    assert_eq!(site.there("db").unwrap()["data"], json!({"mine": "eA=="}));

    let policy = |more: &[(&str, &str)]| {
        let mut target = json!({"cluster": "east", "namespaces": {"names": ["conflicts"]}});
        for (field, value) in more {
            target[*field] = (*value).into();
        }
        json!({"spec": {"targets": [target]}})
    };
    site.patch_sync("db", &policy(&[("creationPolicy", "CreateOrMerge")]));
    site.arrives("db", "k", "v");
    assert_eq!(site.value("db", "mine").as_deref(), Some("x"), "keys of others stay");
    site.patch_sync("db", &policy(&[("creationPolicy", "Owner"), ("conflictPolicy", "Adopt")]));
    let clean = eventually(super::site::LONG, || site.value("db", "mine").is_none().then_some(()));
    clean.expect("an owner has all of the data");
}

#[test]
fn another_who_applies_a_field_keeps_it_and_is_named() {
    let Some(mut site) = Site::start("appliers") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.synced("db", &json!({}));
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"k": "eA=="}});
    let path = "/api/v1/namespaces/appliers/secrets/db?fieldManager=other-controller&force=true";
    let body = object.to_string();
    site.cluster.admin().typed("PATCH", path, "application/apply-patch+yaml", body.as_bytes()).ok();
    let status = site.wait_for("db", "Conflict");
    let message = status["targets"][0]["message"].as_str().unwrap();
    assert!(message.contains(".data.k") && message.contains("other-controller"), "{message}");
    assert_eq!(site.value("db", "k").as_deref(), Some("x"));
}

#[test]
fn an_object_of_helm_is_refused_with_the_releases_name_unless_it_is_adopted() {
    let Some(mut site) = Site::start("helm") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.by_hand(
        "POST",
        "",
        &json!({"metadata": {
            "name": "db", "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "helm"},
        }}),
    );
    let sync = site.sync_of("db", &json!({"creationPolicy": "CreateOrMerge"}));
    site.create_sync(&sync);
    let status = site.wait_for("db", "OwnedByOther");
    assert!(status["targets"][0]["message"].as_str().unwrap().contains("Helm release \"shop\""));
    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["helm"]}, "conflictPolicy": "Adopt",
        }]}}),
    );
    site.arrives("db", "k", "v");
}

#[test]
fn two_syncs_do_not_write_to_one_object() {
    let Some(mut site) = Site::start("twice") else { return };
    site.secret("db", &json!({"k": "v"}));
    site.synced("first", &json!({}));
    let second = site.sync_of("second", &json!({"conflictPolicy": "Adopt"}));
    site.create_sync(&second);
    let status = site.wait_for("second", "OtherSync");
    assert!(status["targets"][0]["message"].as_str().unwrap().contains("prod/first"));
    site.wait_for("first", "InSync");
    // Neither do two sources of one.
    site.secret("other", &json!({"k": "w"}));
    let mut third = site.sync_of("third", &json!({"name": "same"}));
    third["spec"]["source"]["names"] = json!(["db", "other"]);
    site.create_sync(&third);
    site.wait_for("third", "DuplicateTarget");
}

#[test]
fn when_a_source_is_deleted_its_targets_stay_go_or_lose_their_keys() {
    let Some(mut site) = Site::start("gone") else { return };
    for (policy, creation) in [("Retain", "Owner"), ("Delete", "Owner"), ("Merge", "CreateOrMerge")] {
        let name = policy.to_lowercase();
        site.secret(&name, &json!({"k": "v"}));
        let mut sync = site.sync_of(&name, &json!({"onSourceDelete": policy, "creationPolicy": creation}));
        sync["spec"]["source"]["names"] = json!([name]);
        site.create_sync(&sync);
        site.wait_for(&name, "InSync");
    }
    site.by_hand("PATCH", "merge", &json!({"data": {"mine": "eA=="}}));
    for name in ["retain", "delete", "merge"] {
        site.admin.delete(&format!("{SECRETS}/{name}")).ok();
    }
    site.goes("delete");
    let merged = eventually(super::site::LONG, || site.value("merge", "k").is_none().then_some(()));
    merged.expect("the SecretSync's keys are taken out");
    assert_eq!(site.value("merge", "mine").as_deref(), Some("x"));
    let labels = site.there("merge").unwrap()["metadata"]["labels"].clone();
    assert!(labels["strongroom.dev/sync-uid"].is_null(), "{labels}");
    assert_eq!(site.value("retain", "k").as_deref(), Some("v"));
    // Made again under the name, it is a source again.
    site.secret("delete", &json!({"k": "again"}));
    site.arrives("delete", "k", "again");
}

#[test]
fn when_a_sync_is_deleted_its_targets_stay_go_or_lose_their_marks() {
    let Some(mut site) = Site::start("ended") else { return };
    site.secret("db", &json!({"k": "v"}));
    for (name, more) in [
        ("keeps", json!({"name": "keeps"})),
        ("deletes", json!({"name": "deletes", "onSyncDelete": "Delete"})),
        ("orphans", json!({"name": "orphans", "creationPolicy": "Orphan"})),
    ] {
        site.synced(name, &more);
        site.admin.delete(&format!("{SYNCS}/{name}")).ok();
    }
    site.goes("deletes");
    let stripped = eventually(super::site::LONG, || {
        site.there("orphans").unwrap()["metadata"]["labels"]["strongroom.dev/sync-uid"].is_null().then_some(())
    });
    stripped.expect("an orphan has no marks");
    assert_eq!(site.value("orphans", "k").as_deref(), Some("v"));
    assert!(!site.there("keeps").unwrap()["metadata"]["labels"]["strongroom.dev/sync-uid"].is_null());
    for name in ["keeps", "deletes", "orphans"] {
        let gone =
            eventually(super::site::LONG, || (site.admin.get(&format!("{SYNCS}/{name}")).status == 404).then_some(()));
        gone.unwrap_or_else(|| panic!("{name} stays\n{}", site.app.log()));
    }
}

#[test]
fn keys_are_chosen_renamed_and_made_of_values_and_types_are_kept() {
    let Some(mut site) = Site::start("shapes") else { return };
    site.secret("db", &json!({"DB_USER": "ada", "DB_PASS": "p@ss", "OTHER": "x"}));
    site.synced(
        "db",
        &json!({
            "keys": {"include": ["^DB_"], "rewrite": [{"regexp": "^DB_", "to": ""}]},
            "template": {"data": {"url": "postgres://{{ DB_USER }}:{{ DB_PASS | urlencode }}@db"}},
            "metadata": {"labels": {"app": "web"}, "annotations": {"note": "n"}},
        }),
    );
    assert_eq!(site.value("db", "url").as_deref(), Some("postgres://ada:p%40ss@db"));
    assert_eq!(site.value("db", "USER").as_deref(), Some("ada"));
    let there = site.there("db").unwrap();
    assert_eq!(there["data"].as_object().unwrap().len(), 3);
    assert_eq!(there["metadata"]["labels"]["app"], "web");
    assert_eq!(there["metadata"]["annotations"]["note"], "n");
    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["shapes"]}, "template": {"data": {"x": "{{ gone }}"}},
        }]}}),
    );
    let status = site.wait_for("db", "TemplateError");
    assert!(condition(&status, "Ready")["message"].as_str().unwrap().contains("the source has no key \"gone\""));
    // A type cannot be changed, but the object can be made anew.
    site.patch_sync(
        "db",
        &json!({"spec": {"targets": [{
            "cluster": "east", "namespaces": {"names": ["shapes"]}, "type": "example.com/db",
        }]}}),
    );
    site.wait_for("db", "TypeChanged");
    site.patch_sync("db", &json!({"spec": {"targets": [{
        "cluster": "east", "namespaces": {"names": ["shapes"]}, "type": "example.com/db", "recreate": "OnTypeChange",
    }]}}));
    site.wait_for("db", "InSync");
    assert_eq!(site.there("db").unwrap()["type"], "example.com/db");
}

#[test]
fn what_only_adds_waits_for_the_object() {
    let Some(mut site) = Site::start("waits") else { return };
    site.secret("db", &json!({"k": "v"}));
    let sync = site.sync_of("db", &json!({"creationPolicy": "Merge"}));
    site.create_sync(&sync);
    site.wait_for("db", "TargetMissing");
    assert!(site.there("db").is_none());
    site.by_hand("POST", "", &json!({"metadata": {"name": "db"}, "data": {"mine": "eA=="}}));
    site.run_now("db");
    site.arrives("db", "k", "v");
    assert_eq!(site.value("db", "mine").as_deref(), Some("x"));
}

#[test]
fn more_deletions_than_are_allowed_are_none() {
    let Some(mut site) = Site::start("limits") else { return };
    for at in 0..6 {
        site.secret(&format!("s{at}"), &json!({"k": "v"}));
    }
    let mut sync = site.sync_of("all", &json!({"onSourceDelete": "Delete"}));
    sync["spec"]["source"] = json!({"selector": {}});
    site.create_sync(&sync);
    site.wait_until("all", |status| status["targetsReady"] == 6);
    site.admin.delete(&format!("{SECRETS}?fieldSelector=metadata.name!=s0")).ok();
    let status = site.wait_for("all", "DeleteLimit");
    let message = condition(&status, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("5 objects of 6 would be deleted"), "{message}");
    for at in 0..6 {
        assert!(site.there(&format!("s{at}")).is_some());
    }
    site.patch_sync("all", &json!({"spec": {"limits": {"maxDeletesPerPass": 5, "maxDeletePercent": 100}}}));
    site.goes("s5");
    site.goes("s1");
    assert!(site.there("s0").is_some());
}
