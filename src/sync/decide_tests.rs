//! The tables by which a target is judged.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::desired::{SyncIdentity, desire};
use super::super::observed::{Digests, observe};
use super::*;
use crate::sensitive::Document;

const UID: &str = "5b1f";
const MANAGER: &str = "strongroom/5b1f";

/// Hashes without a key: enough to tell things apart.
struct Plain;

impl Digests for Plain {
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn spec(more: impl Into<Value>) -> Spec {
    let more = more.into();
    let mut target = json!({"cluster": "east", "namespaces": {"names": ["app"]}});
    for (field, value) in more.as_object().unwrap() {
        target[field] = value.clone();
    }
    Spec::parse(&json!({"spec": {"serviceAccountName": "a", "source": {"names": ["db"]}, "targets": [target]}}))
        .unwrap()
}

fn source(data: &Value) -> Document {
    Document::new(json!({
        "metadata": {"name": "db", "namespace": "prod", "resourceVersion": "7"}, "type": "Opaque", "data": data,
    }))
}

fn desired(spec: &Spec, data: &Value) -> Desired {
    let sync = SyncIdentity { namespace: "prod", name: "s", uid: UID };
    desire(&sync, &spec.targets[0], &source(data), "c", "app", &Plain).unwrap()
}

/// What a cluster has after it was written.
#[expect(clippy::disallowed_methods, reason = "the test plays the cluster")]
fn written(desired: &Desired) -> Value {
    let mut object: Value = serde_json::from_slice(desired.apply_body().expose()).unwrap();
    let keys: serde_json::Map<String, Value> =
        object["data"].as_object().unwrap().keys().map(|key| (format!("f:{key}"), json!({}))).collect();
    object["metadata"]["uid"] = "u".into();
    object["metadata"]["resourceVersion"] = "9".into();
    object["metadata"]["managedFields"] =
        json!([{"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": keys}}]);
    if object.get("type").is_none() {
        object["type"] = "Opaque".into();
    }
    object
}

fn judged(spec: &Spec, data: &Value, there: Option<&Value>) -> Verdict {
    let desired = desired(spec, data);
    let observed = there.map(|object| observe(object, MANAGER, &Plain).unwrap());
    decide(&spec.targets[0], &desired, observed.as_ref(), UID, false)
}

fn short(verdict: &Verdict) -> (State, &'static str, Option<bool>, usize) {
    let (force, removed) = match &verdict.action {
        Action::Nothing => (None, 0),
        Action::Apply { force, remove_keys } => (Some(*force), remove_keys.len()),
        Action::Recreate => (Some(true), usize::MAX),
    };
    (verdict.state, verdict.reason, force, removed)
}

/// Changes what was written as `change` says.
fn after(spec: &Spec, change: impl Fn(&mut Value)) -> Value {
    let mut object = written(&desired(spec, &json!({"k": "dg=="})));
    change(&mut object);
    object
}

#[test]
fn the_table_of_ownership() {
    let data = json!({"k": "dg=="});
    let foreign = json!({"metadata": {"name": "db", "namespace": "app", "uid": "u", "resourceVersion": "1"},
        "type": "Opaque", "data": {"mine": "eA=="}});
    for (creation, conflict, missing, others) in [
        ("Owner", "Fail", (State::Missing, "Missing", Some(false), 0), (State::Conflict, "Conflict", None, 0)),
        ("Owner", "Adopt", (State::Missing, "Missing", Some(true), 0), (State::Outdated, "Outdated", Some(true), 1)),
        ("Orphan", "Fail", (State::Missing, "Missing", Some(false), 0), (State::Conflict, "Conflict", None, 0)),
        ("Merge", "Fail", (State::Missing, "TargetMissing", None, 0), (State::Outdated, "Outdated", Some(false), 0)),
        (
            "CreateOrMerge",
            "Fail",
            (State::Missing, "Missing", Some(false), 0),
            (State::Outdated, "Outdated", Some(false), 0),
        ),
        (
            "CreateOrMerge",
            "Adopt",
            (State::Missing, "Missing", Some(true), 0),
            (State::Outdated, "Outdated", Some(true), 0),
        ),
        ("None", "Fail", (State::Missing, "TargetMissing", None, 0), (State::DataDrift, "Differs", None, 0)),
    ] {
        let spec = spec(json!({"creationPolicy": creation, "conflictPolicy": conflict}));
        assert_eq!(short(&judged(&spec, &data, None)), missing, "{creation} {conflict}");
        assert_eq!(short(&judged(&spec, &data, Some(&foreign))), others, "{creation} {conflict}");
    }
}

#[test]
fn drift_is_told_from_a_change_of_the_source_and_treated_as_the_policy_says() {
    let (same, newer) = (json!({"k": "dg=="}), json!({"k": "dw=="}));
    let edit = |object: &mut Value| {
        object["data"]["k"] = "eA==".into();
        // Whoever edits by hand becomes the manager of what is edited.
        object["metadata"]["managedFields"][0]["fieldsV1"]["f:data"] = json!({});
    };
    let foreign = |object: &mut Value| object["data"]["mine"] = "eA==".into();
    let label = |object: &mut Value| object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "me".into();
    let unmarked = |object: &mut Value| {
        object["metadata"]["labels"].as_object_mut().unwrap().remove("strongroom.dev/sync-uid").unwrap();
    };
    for (policy, edited, extra, labelled, outdated) in [
        (
            "Correct",
            (State::DataDrift, "DataDrift", Some(true), 0),
            (State::ForeignKeys, "ForeignKeys", Some(true), 1),
            (State::MetadataDrift, "MetadataDrift", Some(true), 0),
            (State::Outdated, "Outdated", Some(true), 0),
        ),
        (
            "Warn",
            (State::DataDrift, "Drift", None, 0),
            (State::ForeignKeys, "Drift", None, 0),
            (State::MetadataDrift, "Drift", None, 0),
            (State::Outdated, "Outdated", Some(false), 0),
        ),
    ] {
        let spec = spec(json!({"driftPolicy": policy}));
        assert_eq!(short(&judged(&spec, &same, Some(&after(&spec, edit)))), edited, "{policy}");
        assert_eq!(short(&judged(&spec, &same, Some(&after(&spec, foreign)))), extra, "{policy}");
        assert_eq!(short(&judged(&spec, &same, Some(&after(&spec, label)))), labelled, "{policy}");
        assert_eq!(short(&judged(&spec, &same, Some(&after(&spec, unmarked)))), labelled, "{policy}");
        assert_eq!(short(&judged(&spec, &newer, Some(&after(&spec, |_| {})))), outdated, "{policy}");
    }
    let ignoring = spec(json!({"driftPolicy": "Ignore"}));
    assert!(judged(&ignoring, &same, Some(&after(&ignoring, edit))).is_ready);
    // A key that others keep is not the SecretSync's matter where it shares the object.
    let sharing = spec(json!({"creationPolicy": "CreateOrMerge"}));
    assert_eq!(short(&judged(&sharing, &same, Some(&after(&sharing, foreign)))), (State::InSync, "InSync", None, 0));
}

#[test]
fn what_cannot_or_must_not_be_changed_is_said() {
    let data = json!({"k": "dg=="});
    let usual = spec(json!({}));
    let applied = |object: &mut Value| {
        object["data"]["k"] = "eA==".into();
        let entries = object["metadata"]["managedFields"].as_array_mut().unwrap();
        entries.push(json!({"manager": "other", "operation": "Apply", "fieldsV1": {"f:data": {"f:k": {}}}}));
    };
    // Left to the cluster, which names the other and the field.
    assert_eq!(
        short(&judged(&usual, &data, Some(&after(&usual, applied)))),
        (State::DataDrift, "DataDrift", Some(false), 0)
    );
    for (change, reason) in [
        (
            &(|object: &mut Value| object["metadata"]["labels"]["strongroom.dev/sync-uid"] = "x".into())
                as &dyn Fn(&mut Value),
            "OtherSync",
        ),
        (&|object| object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(), "TargetTerminating"),
        (&|object| object["type"] = "example.com/x".into(), "TypeChanged"),
        (
            &|object| {
                object["immutable"] = true.into();
                object["data"]["k"] = "eA==".into();
            },
            "TargetImmutable",
        ),
    ] {
        let verdict = judged(&usual, &data, Some(&after(&usual, change)));
        assert_eq!((verdict.reason, &verdict.action, verdict.is_ready), (reason, &Action::Nothing, false));
    }
    for (map, key, value, owner) in [
        ("annotations", "meta.helm.sh/release-name", "shop", "Helm release \"shop\""),
        ("labels", "argocd.argoproj.io/instance", "app", "Argo CD application \"app\""),
        ("labels", "kustomize.toolkit.fluxcd.io/name", "infra", "Flux Kustomization \"infra\""),
    ] {
        let mut object = json!({"metadata": {"name": "db", "namespace": "app", "uid": "u"}, "type": "Opaque"});
        object["metadata"][map] = json!({key: value});
        let sharing = spec(json!({"creationPolicy": "CreateOrMerge"}));
        let verdict = judged(&sharing, &data, Some(&object));
        assert!(verdict.reason == "OwnedByOther" && verdict.message.contains(owner), "{}", verdict.message);
    }
    let recreating = spec(json!({"type": "example.com/new", "recreate": "OnTypeChange"}));
    let verdict = judged(&recreating, &data, Some(&after(&usual, |_| {})));
    assert_eq!(verdict.action, Action::Recreate);
}

#[test]
fn what_is_left_over_goes_by_policy_by_ownership_and_within_limits() {
    let left = |change: &dyn Fn(&mut Value)| {
        let spec = spec(json!({}));
        observe(&after(&spec, change), MANAGER, &Plain).unwrap()
    };
    let (ours, shared) = (left(&|_| {}), left(&|object| object["data"]["mine"] = "eA==".into()));
    let forged = left(&|object| object["metadata"]["managedFields"] = json!([]));
    let one = |more: Value, observed: &Observed, is_deleting: bool, why: Leftover| {
        leftovers(&spec(more), std::iter::once(observed), 1, is_deleting, &|_| why).each[0]
    };
    for (more, observed, is_deleting, why, expected) in [
        (json!({}), &ours, false, Leftover::SourceDeleted, Removal::Keep),
        (json!({"onSourceDelete": "Delete"}), &ours, false, Leftover::SourceDeleted, Removal::Delete),
        (json!({"onSourceDelete": "Delete"}), &ours, false, Leftover::SourceUnknown, Removal::Keep),
        (json!({"onSourceDelete": "Delete"}), &ours, false, Leftover::NotWanted, Removal::Keep),
        (json!({"onSourceDelete": "Delete"}), &forged, false, Leftover::SourceDeleted, Removal::Keep),
        (
            json!({"onSourceDelete": "Delete", "creationPolicy": "CreateOrMerge"}),
            &shared,
            false,
            Leftover::SourceDeleted,
            Removal::RemoveKeys,
        ),
        (
            json!({"onSourceDelete": "Delete", "creationPolicy": "CreateOrMerge"}),
            &ours,
            false,
            Leftover::SourceDeleted,
            Removal::Delete,
        ),
        (json!({"onSourceDelete": "Merge"}), &ours, false, Leftover::SourceDeleted, Removal::RemoveKeys),
        (json!({"onSyncDelete": "Delete"}), &ours, false, Leftover::NotWanted, Removal::Delete),
        (json!({"onSyncDelete": "Delete"}), &ours, true, Leftover::SourceUnknown, Removal::Delete),
        (json!({}), &ours, true, Leftover::SourceUnknown, Removal::Keep),
        (json!({"creationPolicy": "Orphan"}), &ours, true, Leftover::SourceUnknown, Removal::StripMarkers),
        (
            json!({"creationPolicy": "Merge", "onSyncDelete": "Delete"}),
            &ours,
            true,
            Leftover::SourceUnknown,
            Removal::RemoveKeys,
        ),
    ] {
        assert_eq!(one(more.clone(), observed, is_deleting, why), expected, "{more} {why:?}");
    }
    let deleting = spec(json!({"onSourceDelete": "Delete"}));
    let many = |count: usize, total: usize, is_deleting: bool| {
        let removals =
            leftovers(&deleting, std::iter::repeat_n(&ours, count), total, is_deleting, &|_| Leftover::SourceDeleted);
        (removals.each.iter().filter(|removal| **removal == Removal::Delete).count(), removals.held.is_some())
    };
    assert_eq!(many(1, 1, false), (1, false));
    assert_eq!(many(2, 5, false), (0, true), "a fifth of five is one");
    assert_eq!(many(10, 50, false), (10, false));
    assert_eq!(many(11, 1_000, false), (0, true), "ten at most");
    let ending = spec(json!({"onSyncDelete": "Delete"}));
    let all = leftovers(&ending, std::iter::repeat_n(&ours, 500), 500, true, &|_| Leftover::SourceUnknown);
    assert!(all.held.is_none(), "whoever deletes the SecretSync has said so");
}

#[test]
fn waits_grow_to_a_bound_and_are_spread_over_all_of_it() {
    let longest = |attempts| (0..2_000).map(|at| backoff(attempts, at * 7_919_777)).max().unwrap();
    assert!(longest(1) <= Duration::from_secs(1) && longest(1) > Duration::from_millis(900));
    assert!(longest(4) <= Duration::from_secs(8) && longest(4) > Duration::from_secs(7));
    for attempts in [10, 100, u32::MAX] {
        assert!(longest(attempts) <= Duration::from_mins(7) && longest(attempts) > Duration::from_mins(6));
    }
    assert_eq!(backoff(5, 0), Duration::ZERO);
}

#[test]
fn no_value_is_in_what_is_said() {
    let canary = "Y2FuYXJ5LTc3YzE=";
    let spec = spec(json!({"template": {"data": {"x": "{{ gone }}"}}}));
    let sync = SyncIdentity { namespace: "prod", name: "s", uid: UID };
    let problem = desire(&sync, &spec.targets[0], &source(&json!({"k": canary})), "c", "app", &Plain).err().unwrap();
    let usual = self::spec(json!({}));
    let mut object = written(&desired(&usual, &json!({"k": canary})));
    let observed = observe(&object, MANAGER, &Plain).unwrap();
    object["metadata"]["labels"]["strongroom.dev/sync-uid"] = "x".into();
    let verdict = judged(&usual, &json!({"k": canary}), Some(&object));
    let said = format!("{problem} {problem:?} {observed:?} {verdict:?}");
    assert!(!said.contains(canary) && !said.contains("canary"), "{said}");
}

proptest! {
    #[test]
    fn what_was_written_is_in_sync_and_any_difference_is_seen(
        keys in proptest::collection::btree_map("[a-z]{1,8}", "[a-zA-Z0-9]{0,4}", 1..6),
        other in "[a-z]{1,8}",
    ) {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let data: Value = keys.iter().map(|(key, value)| (key.clone(), Value::from(encode(value)))).collect::<serde_json::Map<_, _>>().into();
        for policy in ["Owner", "Orphan", "Merge", "CreateOrMerge"] {
            let spec = spec(json!({"creationPolicy": policy}));
            let object = written(&desired(&spec, &data));
            prop_assert_eq!(short(&judged(&spec, &data, Some(&object))), (State::InSync, "InSync", None, 0));
            let mut changed = data.clone();
            changed[&other] = encode("something else").into();
            let verdict = judged(&spec, &changed, Some(&object));
            prop_assert_eq!(verdict.state, State::Outdated);
            prop_assert!(verdict.is_data_changed);
        }
    }

    #[test]
    fn a_mac_is_of_one_object_in_one_place(value in "[a-z]{1,8}", name in "[a-z]{1,8}") {
        let usual = spec(json!({}));
        let of = |sync_uid: &str, cluster: &str, namespace: &str, key: &str, value: &str| {
            let sync = SyncIdentity { namespace: "prod", name: "s", uid: sync_uid };
            let data = json!({key: value});
            desire(&sync, &usual.targets[0], &source(&data), cluster, namespace, &Plain).unwrap().mac
        };
        let usual_mac = of(UID, "c", "app", "k", &value);
        prop_assert_eq!(&usual_mac, &of(UID, "c", "app", "k", &value));
        for other in [
            of("other", "c", "app", "k", &value), of(UID, "d", "app", "k", &value), of(UID, "c", "app2", "k", &value),
            of(UID, "c", "app", "k2", &value), of(UID, "c", "app", "k", &format!("{value}x")),
            of(UID, "c", &name, &format!("z{name}"), &value),
        ] {
            prop_assert_ne!(&usual_mac, &other);
        }
    }
}
