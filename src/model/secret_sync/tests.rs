//! Specs that are taken, and what they mean.

use serde_json::{Value, json};

use super::*;
use crate::model::validation::message;

fn spec_of(target: impl Into<Value>) -> Value {
    let target: Value = target.into();
    json!({"spec": {"serviceAccountName": "syncer", "source": {"names": ["db"]}, "targets": [target]}})
}

fn errors(object: &Value) -> String {
    Spec::parse(object).map_or_else(|errors| message(&errors), |_| String::new())
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = Spec::parse(&spec_of(json!({"cluster": "east"}))).unwrap();
    assert_eq!(spec.refresh.as_secs(), 3_600);
    assert_eq!(spec.limits, Limits { max_targets: 500, max_deletes_per_pass: 10, max_delete_percent: 20 });
    assert!(!spec.suspend && !spec.is_to_be_taken_back());
    let target = &spec.targets[0];
    assert_eq!(target.clusters, Clusters::Named("east".to_owned()));
    assert_eq!(target.creation_policy, CreationPolicy::Owner);
    assert_eq!(target.conflict_policy, ConflictPolicy::Fail);
    assert_eq!(target.on_source_delete, SourceDeletePolicy::Retain);
    assert_eq!(target.on_sync_delete, SyncDeletePolicy::Retain);
    assert_eq!(target.drift_policy, DriftPolicy::Correct);
    assert!(target.namespaces.is_static());
    assert_eq!(target.namespaces.named("prod"), ["prod"]);
}

#[test]
fn everything_that_the_documentation_shows_is_read() {
    let spec = Spec::parse(&json!({"spec": {
        "serviceAccountName": "syncer",
        "source": {"names": ["db"], "selector": {"matchLabels": {"sync": "true"}}},
        "targets": [{
            "clusterSelector": {"matchLabels": {"env": "prod"}},
            "namespaces": {
                "names": ["app"], "matchNames": ["team-*"], "selector": {"matchLabels": {"secrets": "yes"}},
                "exclude": ["kube-*"], "create": true,
            },
            "name": "{{ namespace }}-{{ name }}",
            "metadata": {"labels": {"app": "web"}, "annotations": {"note": "x y"}},
            "keys": {"include": ["^DB_"], "exclude": ["_OLD$"], "rewrite": [{"regexp": "^DB_", "to": ""}]},
            "template": {"data": {"url": "postgres://{{ user }}:{{ pass | urlencode }}@db"}},
            "creationPolicy": "CreateOrMerge", "conflictPolicy": "Merge", "onSourceDelete": "Merge",
            "onSyncDelete": "Delete", "driftPolicy": "Warn", "recreate": "OnTypeChange",
            "rolloutRestart": [{"kind": "Deployment", "name": "api"}],
        }],
        "refresh": {"interval": "1h30m"}, "suspend": true,
        "limits": {"maxTargets": 7, "maxDeletesPerPass": 0, "maxDeletePercent": 100},
    }}))
    .unwrap();
    assert_eq!(spec.refresh.as_secs(), 5_400);
    assert_eq!(spec.limits, Limits { max_targets: 7, max_deletes_per_pass: 0, max_delete_percent: 100 });
    assert_eq!(spec.source.shown(), "db,sync=true");
    assert!(spec.suspend && spec.is_to_be_taken_back());
    let target = &spec.targets[0];
    let labels = |value: &str| [("secrets".to_owned(), value.to_owned())].into();
    for (name, value, expected) in [
        ("app", "", true),
        ("team-a", "", true),
        ("other", "yes", true),
        ("other", "no", false),
        ("kube-system", "yes", false),
    ] {
        assert_eq!(target.namespaces.is_wanted("prod", name, &labels(value)), expected, "{name} {value}");
    }
    let chosen = target.keys.chosen(["DB_USER", "DB_USER_OLD", "OTHER"].into_iter(), |_| true).unwrap();
    assert_eq!(chosen.into_iter().collect::<Vec<_>>(), [("USER".to_owned(), "DB_USER")]);
    assert_eq!(target.rollout_restart[0].resource(), "deployments");
}

#[test]
fn what_is_missing_wrong_or_contradicts_itself_is_named() {
    let with = |field: &str, value: Value| {
        let mut target = json!({"cluster": "east"});
        target[field] = value;
        spec_of(target)
    };
    let both = |a: (&str, &str), b: (&str, &str)| spec_of(json!({"cluster": "east", a.0: a.1, b.0: b.1}));
    for (object, expected) in [
        (json!({}), "spec.serviceAccountName: Required value"),
        (json!({}), "spec.source: Required value: names or a selector must be given"),
        (json!({}), "spec.targets: Required value: at least one target is needed"),
        (spec_of(json!({})), "spec.targets[0].cluster: Required value: a cluster or a clusterSelector must be given"),
        (
            spec_of(json!({"cluster": "a", "clusterSelector": {}})),
            "spec.targets[0].clusterSelector: Forbidden: may not be given together with cluster",
        ),
        (with("name", json!("{{ pass }}")), "spec.targets[0].name: Invalid value: \"pass\": a name can be made of"),
        (with("name", json!("{{ name")), "spec.targets[0].name: Forbidden: this is no template: at byte"),
        (with("keys", json!({"include": ["("]})), "spec.targets[0].keys.include[0]: Invalid value: \"(\""),
        (
            with("keys", json!({"include": ["(\\w{1000}){1000}"]})),
            "spec.targets[0].keys.include[0]: Invalid value: \"(\\\\w{1000}){1000}\": the pattern is too large",
        ),
        (with("keys", json!({"rewrite": [{"to": "x"}]})), "spec.targets[0].keys.rewrite[0].regexp: Required value"),
        (with("creationPolicy", json!("Make")), "spec.targets[0].creationPolicy: Unsupported value: \"Make\""),
        (with("namespaces", json!({"names": ["A"]})), "spec.targets[0].namespaces.names[0]: Invalid value: \"A\""),
        (with("namespaces", json!({"matchNames": ["A*"]})), "spec.targets[0].namespaces.matchNames[0]: Invalid value"),
        (
            with("metadata", json!({"labels": {"strongroom.dev/sync-uid": "x"}})),
            "spec.targets[0].metadata.labels[strongroom.dev/sync-uid]: Forbidden",
        ),
        (
            with("metadata", json!({"annotations": {"meta.helm.sh/release-name": "x"}})),
            "spec.targets[0].metadata.annotations[meta.helm.sh/release-name]: Forbidden",
        ),
        (with("template", json!({"data": {"a b": ""}})), "spec.targets[0].template.data[a b]: Invalid value"),
        (with("type", json!("kubernetes.io/service-account-token")), "spec.targets[0].type: Forbidden"),
        (
            both(("creationPolicy", "Merge"), ("onSourceDelete", "Delete")),
            "spec.targets[0].onSourceDelete: Forbidden: Delete needs",
        ),
        (
            both(("creationPolicy", "None"), ("onSyncDelete", "Delete")),
            "spec.targets[0].onSyncDelete: Forbidden: Delete takes back",
        ),
        (
            both(("creationPolicy", "Orphan"), ("onSyncDelete", "Delete")),
            "spec.targets[0].onSyncDelete: Forbidden: creationPolicy Orphan leaves",
        ),
        (
            both(("creationPolicy", "Owner"), ("conflictPolicy", "Merge")),
            "spec.targets[0].conflictPolicy: Forbidden: Merge shares",
        ),
        (with("rolloutRestart", json!([{"kind": "Pod", "name": "x"}])), "spec.targets[0].rolloutRestart[0].kind"),
    ] {
        let found = errors(&object);
        assert!(found.contains(expected), "{expected}\n{found}");
    }
    for (interval, expected) in [("1s", "must be at least 10s"), ("soon", "write a length of time"), ("9", "write a")] {
        let mut object = spec_of(json!({"cluster": "east"}));
        object["spec"]["refresh"] = json!({"interval": interval});
        assert!(errors(&object).contains(expected), "{interval}");
    }
    let mut object = spec_of(json!({"cluster": "east"}));
    object["spec"]["limits"] = json!({"maxDeletePercent": 101});
    assert!(errors(&object).contains("spec.limits.maxDeletePercent: Invalid value: 101: must be between 0 and 100"));
}

#[test]
fn keys_that_would_be_one_or_none_are_refused_by_name() {
    let keys = |rewrite: Value| {
        Spec::parse(&spec_of(json!({"cluster": "east", "keys": {"rewrite": rewrite}}))).unwrap().targets.remove(0).keys
    };
    let is_key = |key: &str| !key.is_empty() && !key.contains(' ');
    let twice = keys(json!([{"regexp": "[ab]", "to": "x"}]));
    let error = twice.chosen(["a", "b"].into_iter(), is_key).unwrap_err();
    assert_eq!(error.to_string(), "keys \"a\" and \"b\" would both be written as \"x\"");
    let none = keys(json!([{"regexp": "^a$", "to": ""}]));
    let error = none.chosen(["a"].into_iter(), is_key).unwrap_err();
    assert_eq!(error.to_string(), "key \"a\" would be written as \"\", which cannot be a key of a Secret");
}
